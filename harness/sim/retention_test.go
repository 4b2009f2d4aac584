package sim

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// quickest is an app whose one function ends at once.
func quickest(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Inngest-Sdk", "test:v1")
	if r.Method == http.MethodPut {
		w.Header().Set("X-Inngest-Sync-Kind", "in_band")
		_, _ = io.WriteString(w, `{"app_id":"quick","functions":[{"id":"quick-f","name":"f","triggers":[{"event":"go"}],
			"steps":{"step":{"runtime":{"url":"http://app.invalid/?fnId=quick-f"}}}}]}`)
		return
	}
	_, _ = io.WriteString(w, `"done"`)
}

func TestOnlyIdsThatMayComeAgainAreRemembered(t *testing.T) {
	t.Parallel()
	s := New(Options{Keep: 10})
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Serve(t.Context(), http.HandlerFunc(quickest)))
	const events = 100
	for i := range events {
		for _, e := range []Event{{Name: "go"}, {Name: "go", Version: "1"}, {Name: "go", ID: strconv.Itoa(i)}, {Name: "go", ID: strconv.Itoa(i), Version: "1"}} {
			_, err := s.Send(t.Context(), e)
			require.NoError(t, err)
		}
		_, err := s.Call(t.Context(), "quick-f", Event{})
		require.NoError(t, err)
	}
	require.NoError(t, s.Run(t.Context()))
	require.Len(t, s.dedupe.until, events, "ids remembered, of events that came once with an id of their own, once more, and without")
	require.Len(t, s.dedupe.order, events)
	require.Len(t, s.runs.byID, 10)
}

func TestKeysAreForgotten(t *testing.T) {
	t.Parallel()
	m := memory{until: map[string]time.Time{}}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	require.True(t, m.first("a", now))
	require.False(t, m.first("a", now.Add(dedupePeriod-1)))
	require.True(t, m.first("a", now.Add(dedupePeriod)), "a day later")

	now = now.Add(dedupePeriod)
	for i := range maxKeys {
		require.True(t, m.first(strconv.Itoa(i), now))
	}
	require.Len(t, m.until, maxKeys)
	require.Len(t, m.order, maxKeys)
	require.False(t, m.first("0", now), "of the latest")
	require.True(t, m.first("a", now), "before the latest")
}

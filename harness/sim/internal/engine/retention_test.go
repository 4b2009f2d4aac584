package engine

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
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

func TestEngine_RemembersOnlyIdempotencyKeys(t *testing.T) {
	t.Parallel()
	e := New(Options{Clock: clock.New(time.Now(), false), Keep: 10, CallTimeout: time.Minute})
	t.Cleanup(e.Close)
	require.NoError(t, e.Sync(t.Context(), "", http.HandlerFunc(quickest), "aabb"))
	const events = 100
	for i := range events {
		for _, body := range []string{`{"name":"go"}`, `{"name":"go","v":"1"}`, `{"name":"go","id":"` + strconv.Itoa(i) + `"}`, `{"name":"go","id":"` + strconv.Itoa(i) + `","v":"1"}`} {
			_, err := e.Ingest([]byte(body), "")
			require.NoError(t, err)
		}
		_, err := e.StartFunction("quick-f", EventBody{})
		require.NoError(t, err)
	}
	require.NoError(t, NewDriver(e).Run(t.Context()))
	require.Len(t, e.m.admission.seen.values, events, "keys remembered: one for each event that has one, also when it is sent twice")
	require.Len(t, e.m.admission.seen.order, events)
	require.Len(t, e.m.runs.byID, 10)
}

func TestMemory_ForgetsKeys(t *testing.T) {
	t.Parallel()
	m := newMemory()
	first := func(key string, now time.Time) bool {
		_, fresh := m.first(key, ulid.ULID{1}, now)
		return fresh
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	require.True(t, first("a", now))
	require.False(t, first("a", now.Add(dedupePeriod-1)))
	require.True(t, first("a", now.Add(dedupePeriod)), "a day later")

	now = now.Add(dedupePeriod)
	for i := range maxKeys {
		require.True(t, first(strconv.Itoa(i), now))
	}
	require.Len(t, m.values, maxKeys)
	require.Len(t, m.order, maxKeys)
	require.False(t, first("0", now), "of the latest")
	require.True(t, first("a", now), "before the latest")
}

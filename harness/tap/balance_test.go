package tap_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// instance answers with its name. One with an empty name breaks the connection.
func instance(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if name == "" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, name+string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestSetTarget_BalancesAndPassesOverWhatIsNotThere(t *testing.T) {
	t.Parallel()
	a, b := instance(t, "a"), instance(t, "b")
	const gone = "http://127.0.0.1:1"
	w, err := newSet(t, tap.Options{}).Calls("127.0.0.1:0", "")
	require.NoError(t, err)
	require.NoError(t, w.SetTarget(a.URL, gone, b.URL))
	count := map[string]int{}
	// A call of a function, and a request that is none; both have a body, which a failed try leaves whole.
	for _, path := range []string{"/api/inngest?fnId=f&stepId=step", "/api/requests"} {
		for range 30 {
			resp, err := http.Post(w.URL()+path, "application/json", strings.NewReader("{}"))
			require.NoError(t, err)
			answer, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			count[string(answer)]++
		}
	}
	require.Len(t, count, 2)
	require.GreaterOrEqual(t, count["a{}"], 20)
	require.GreaterOrEqual(t, count["b{}"], 20)

	require.NoError(t, w.SetTarget(gone, gone))
	_, err = http.Get(w.URL())
	require.Error(t, err)
	require.ErrorContains(t, w.SetTarget(a.URL, "127.0.0.1:80"), `the target "127.0.0.1:80" is not a base URL`)
}

// An instance that breaks the connection may have acted on the request: only one without effect goes to another.
func TestSetTarget_RepeatsWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	broken, a := instance(t, ""), instance(t, "a")
	w, err := newSet(t, tap.Options{}).Calls("127.0.0.1:0", "")
	require.NoError(t, err)
	require.NoError(t, w.SetTarget(broken.URL, a.URL))
	failed := 0
	for range 4 {
		for range 2 { // so that each comes to both
			resp, err := http.Get(w.URL())
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		resp, err := http.Post(w.URL()+"/api/requests", "application/json", strings.NewReader("{}"))
		if err != nil {
			failed++
			continue
		}
		require.NoError(t, resp.Body.Close())
	}
	require.NotZero(t, failed)
}

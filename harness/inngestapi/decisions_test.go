package inngestapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

func TestDecisions_AsksAnotherServerOnce(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"refuses": http.NotFound,
		"a page":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"JSON":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data": 1}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; answer(w, r) }))
			t.Cleanup(s.Close)
			c := inngestapi.New(s.URL, inngestapi.Options{})
			for range 2 {
				found, err := c.Decisions(t.Context(), "01JDD9WRP1F5G1Y9ZVC4Q4XKZS")
				require.NoError(t, err)
				require.Empty(t, found)
			}
			require.Equal(t, 1, asked)
			require.NoError(t, c.Close(t.Context()))
		})
	}
}

func TestDecisions_ReadsThoseOfSim(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{"decisions": [{"function": "shop-ship", "run": "01RUN", "text": "waits: concurrency 2 of key kim", "pending": true}]}`)
	}))
	t.Cleanup(s.Close)
	c := inngestapi.New(s.URL, inngestapi.Options{})
	found, err := c.Decisions(t.Context(), "01JDD9WRP1F5G1Y9ZVC4Q4XKZS")
	require.NoError(t, err)
	require.Equal(t, []inngestapi.Decision{{Function: "shop-ship", Run: "01RUN", Text: "waits: concurrency 2 of key kim", Pending: true}}, found)
	require.True(t, found[0].Of("shop", "ship"))
	require.False(t, found[0].Of("shop", "refund"))
	down.Store(true)
	_, err = c.Decisions(t.Context(), "01JDD9WRP1F5G1Y9ZVC4Q4XKZS")
	require.ErrorContains(t, err, "cannot be reached", "a sim that is away is a sim still")
	down.Store(false)
	found, err = c.Decisions(t.Context(), "01JDD9WRP1F5G1Y9ZVC4Q4XKZS")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, c.Close(t.Context()))
}

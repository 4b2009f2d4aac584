package tap_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestSet_AskedSeesRequestsThatAreNotInngests(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	calls, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	api, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	ask := func(method, url string) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
		require.NoError(t, err)
		res, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
	ask(http.MethodPost, calls.URL()+"/api/inngest?fnId=f&stepId=step") // Inngest does
	ask(http.MethodPut, calls.URL()+"/api/inngest")
	ask(http.MethodGet, calls.URL()+"/page") // a page makes an app do nothing
	ask(http.MethodPost, api.URL()+"/e/key") // the app itself
	require.False(t, s.Asked(time.Now()))
	before := time.Now()
	ask(http.MethodPost, calls.URL()+"/orders")
	require.True(t, s.Asked(time.Now()))
	require.False(t, s.Asked(before))
}

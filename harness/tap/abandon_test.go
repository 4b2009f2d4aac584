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

const callPath = "/api/inngest?fnId=plant-notify&stepId=step"

func postCall(t *testing.T, w *tap.Wire, run string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL()+callPath, strings.NewReader(`{"ctx":{"run_id":"`+run+`"}}`))
	require.NoError(t, err)
	return client.Do(req)
}

func TestAbandonCalls_ServerGivesUpAndAppGoesOn(t *testing.T) {
	t.Parallel()
	answer, gone := make(chan struct{}), make(chan bool, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-answer
		gone <- r.Context().Err() != nil
		_, _ = io.WriteString(w, `"done"`)
	}))
	t.Cleanup(app.Close)
	s := newSet(t, tap.Options{})
	w, err := s.Calls("127.0.0.1:0", app.URL)
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() {
		resp, err := postCall(t, w, "01RUN")
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	await(t, s, "the call", func(x tap.Exchange) bool { return x.Call != nil })
	require.Empty(t, s.AbandonCalls("another"))
	require.Len(t, s.AbandonCalls("01RUN"), 1)
	require.Error(t, <-failed, "the server's connection is closed")

	// The call stays open, because the app is at work on it.
	require.False(t, s.Exchanges()[0].Over())
	require.Equal(t, []uint64{s.Exchanges()[0].ID}, s.OpenCalls())
	close(answer)
	require.False(t, <-gone, "the app must not notice")
	over := await(t, s, "its end", func(x tap.Exchange) bool { return x.Over() })
	require.JSONEq(t, `"done"`, string(over.Call.Result))
	require.Zero(t, over.HTTP.Status, "the server got no answer")
	require.False(t, over.Call.GivenUp.IsZero())
	require.Contains(t, over.Err, "made to give the call up")
	require.Empty(t, s.AbandonCalls("01RUN"), "no call is under way")
	require.Empty(t, s.OpenCalls())
}

func TestAbandonCalls_HeldCallReachesAppLater(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 2)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		_, _ = io.WriteString(w, `"done"`)
	}))
	t.Cleanup(app.Close)
	s := newSet(t, tap.Options{})
	w, err := s.Calls("127.0.0.1:0", app.URL)
	require.NoError(t, err)
	late := inject(t, s, tap.Fault{At: tap.AtCall, Do: tap.Hold})
	failed := make(chan error, 1)
	go func() {
		resp, err := postCall(t, w, "01RUN")
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	reached(t, late)
	require.Len(t, s.AbandonCalls("01RUN"), 1)
	require.Error(t, <-failed)
	resp, err := postCall(t, w, "01RUN") // the server tries again
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	<-called
	late.Release()
	<-called
	await(t, s, "its end", func(x tap.Exchange) bool { return x.Over() && x.HTTP.Status == 0 })
}

// Closing the taps must not wait for an app that never answers.
func TestAbandonCalls_CloseEndsThem(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(app.Close)
	s := tap.New(tap.Options{})
	w, err := s.Calls("127.0.0.1:0", app.URL)
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() {
		_, err := postCall(t, w, "01RUN")
		failed <- err
	}()
	await(t, s, "the call", func(x tap.Exchange) bool { return x.Call != nil })
	s.AbandonCalls("01RUN")
	require.Error(t, <-failed)
	require.NoError(t, s.Close(t.Context()))
	x := s.Exchanges()[0]
	require.True(t, x.Over())
	require.True(t, x.Call.Abandoned)
}

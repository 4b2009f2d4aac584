package stack_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// slowServers is a backend, and its servers, with a Close that lasts until the test releases it.
type slowServers struct {
	harness.Servers
	closing chan struct{} // a value for each Close
	over    chan struct{}
}

// slowBackend is the backend of slowServers.
type slowBackend struct{ servers slowServers }

func (slowBackend) Name() string { return "slow" }
func (b slowBackend) Start(context.Context, harness.BackendOptions) (harness.Servers, error) {
	return b.servers, nil
}

func (s slowServers) Endpoints() harness.Endpoints {
	return harness.Endpoints{Inngest: "http://127.0.0.1:1", MailHog: "http://127.0.0.1:1", SMTP: "127.0.0.1:1", Mongo: "mongodb://127.0.0.1:1"}
}
func (s slowServers) Done() <-chan struct{} { return nil }
func (s slowServers) Err() error            { return nil }

var errWontEnd = errors.New("mongo does not end")

func (s slowServers) Close(context.Context) error {
	s.closing <- struct{}{}
	<-s.over
	return errWontEnd
}

func TestClose_WaitsForAnotherClose(t *testing.T) {
	t.Parallel()
	servers := slowServers{closing: make(chan struct{}, 2), over: make(chan struct{})}
	st, err := stack.Start(t.Context(), slowBackend{servers}, stack.Options{WithoutTaps: true})
	require.NoError(t, err)

	results := make(chan error, 2)
	go func() { results <- st.Close(context.Background()) }()
	<-servers.closing
	hasty, cancel := context.WithCancel(context.Background())
	cancel()
	err = st.Close(hasty)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "wait for the stack, which another call is closing: context canceled")
	go func() { results <- st.Close(context.Background()) }()
	close(servers.over)
	for range 2 {
		require.ErrorIs(t, <-results, errWontEnd)
	}
	require.ErrorIs(t, st.Close(hasty), errWontEnd, "later on, too, and without a wait")
	require.Empty(t, servers.closing, "the servers were closed once")
}

// stubbornHandler is an app that cannot be closed.
type stubbornHandler struct {
	http.Handler
	release chan struct{}
}

func (h stubbornHandler) Close(context.Context) error { <-h.release; return nil }

func TestClose_DoesNotWaitForAnAppThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	st, err := stack.Start(t.Context(), onSim, stack.Options{AppGrace: time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, st.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) {
		shop, err := newShop(ctx, env)
		return stubbornHandler{shop, release}, err
	}))
	require.ErrorContains(t, st.Close(t.Context()), "the app's Close goes on after its context has ended")
}

// timedHandler is an app that reports when it is given no time to close.
type timedHandler struct{ http.Handler }

func (timedHandler) Close(ctx context.Context) error { return ctx.Err() }

func TestClose_LeavesTheAppNoConnectionThatWasOpenedInAdvance(t *testing.T) {
	t.Parallel()
	st, err := stack.Start(t.Context(), onSim, stack.Options{AppGrace: 4 * time.Second})
	require.NoError(t, err)
	require.NoError(t, st.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) {
		shop, err := newShop(ctx, env)
		return timedHandler{shop}, err
	}))
	env, _ := st.App().Env()
	// An HTTP client that is asked for much at once opens more connections than it then uses.
	var calls sync.WaitGroup
	for range 64 {
		calls.Go(func() {
			for range 8 {
				res, err := http.Get(env.AppURL + "/nowhere")
				if assert.NoError(t, err) {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			}
		})
	}
	calls.Wait()
	require.NoError(t, st.Close(t.Context()))
}

func TestClose_DoesNotWaitForHalfARequest(t *testing.T) {
	t.Parallel()
	st, err := stack.Start(t.Context(), onSim, stack.Options{AppGrace: time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, st.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) { return newShop(ctx, env) }))
	env, _ := st.App().Env()
	for _, url := range []string{env.AppURL, env.InngestURL} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("POST /e/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n"))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, st.Close(ctx))
	require.NoError(t, ctx.Err(), "it waited for the whole time")
}

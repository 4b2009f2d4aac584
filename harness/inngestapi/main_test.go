package inngestapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/servertest"
)

// server is the Inngest server that the tests share: each has an app and event names of its own.
var server *servertest.Server

// nowhere is an address where no program listens. The port of a listener that was closed may have been given to another one.
const nowhere = "http://127.0.0.1:1"

// drained reads answers to their end, for the SDK, which leaves those to its registration open: with a goroutine for
// each.
type drained struct{ *http.Transport }

func (d drained) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

func TestMain(m *testing.M) {
	http.DefaultClient.Transport = drained{http.DefaultTransport.(*http.Transport)}
	servertest.Main(m, func(ctx context.Context) (_ []*servertest.Server, err error) {
		if server, err = servertest.Inngest(ctx); err != nil {
			return nil, err
		}
		// The SDK looks here, and only here, for where to send checkpoints.
		return []*servertest.Server{server}, os.Setenv("INNGEST_DEV", server.URL)
	})
}

func newClient(t testing.TB, baseURL string) *inngestapi.Client {
	c := inngestapi.New(baseURL, inngestapi.Options{})
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// limit is a context for what should take a few seconds.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

type (
	input = inngestgo.Input[map[string]any]
	code  = func(context.Context, input) (any, error)
)

// app is an app written with the SDK.
type app struct {
	t      testing.TB
	id     string
	client inngestgo.Client
	server *httptest.Server
	at     inngestapi.App
}

// newApp makes an app without functions, whose SDK registers at registerURL. With checkpoints one call makes several
// steps.
func newApp(t testing.TB, id, registerURL string, checkpoints bool) *app {
	key, dev := "key", true
	o := inngestgo.ClientOpts{
		AppID: id, EventKey: &key, Dev: &dev, RegisterURL: &registerURL, APIBaseURL: &server.URL, EventAPIBaseURL: &server.URL,
	}
	if checkpoints {
		o.Checkpoint = &checkpoint.Config{}
	}
	client, err := inngestgo.NewClient(o)
	require.NoError(t, err)
	a := &app{t: t, id: id, client: client, server: httptest.NewServer(client.Serve())}
	a.at = inngestapi.App{URL: a.server.URL + "/api/inngest"}
	t.Cleanup(a.server.Close)
	return a
}

// function adds a function that is triggered by the event of its name.
func (a *app) function(id string, retries int, f code) {
	a.add(inngestgo.FunctionOpts{ID: id, Retries: &retries}, inngestgo.EventTrigger(a.event(id), nil), f)
}

func (a *app) add(o inngestgo.FunctionOpts, trigger inngestgo.Trigger, f code) {
	_, err := inngestgo.CreateFunction(a.client, o, trigger, f)
	require.NoError(a.t, err)
}

func (a *app) event(function string) string { return a.id + "/" + function }

// synced registers the app until the end of the test.
func (a *app) synced(api *inngestapi.Client) *app {
	_, err := api.Sync(limit(a.t), a.at)
	require.NoError(a.t, err)
	a.t.Cleanup(func() {
		if err := api.RemoveApp(context.Background(), a.at); !errors.Is(err, inngestapi.ErrNotFound) {
			require.NoError(a.t, err)
		}
	})
	return a
}

// start sends a function its event and returns its run.
func (a *app) start(api *inngestapi.Client, function string) inngestapi.Run {
	ids, err := api.Send(limit(a.t), harness.Event{Name: a.event(function), Data: map[string]any{"n": 1}})
	require.NoError(a.t, err)
	var runs []inngestapi.Run
	eventually(a.t, "a run of "+function, func() bool {
		runs, err = api.EventRuns(limit(a.t), ids[0])
		return err == nil && len(runs) == 1
	})
	return runs[0]
}

// ended waits for the end of a run.
func (a *app) ended(api *inngestapi.Client, run inngestapi.Run) inngestapi.Run {
	eventually(a.t, "the end of "+run.Function, func() bool {
		r, err := api.Run(limit(a.t), run.ID)
		require.NoError(a.t, err)
		run = r
		return run.Status.Final()
	})
	return run
}

// eventually looks until it sees what is to come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, time.Minute, 20*time.Millisecond, what)
}

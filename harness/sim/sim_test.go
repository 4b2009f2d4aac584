package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func TestMain(m *testing.M) {
	code := m.Run()
	// The SDK checkpoints and registers through the default transport, which keeps connections open.
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var start = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// app is a Go app on a Sim, in process.
type app struct {
	t      testing.TB
	sim    *sim.Sim
	client inngestgo.Client
}

type (
	input = inngestgo.Input[map[string]any]
	opts  = inngestgo.FunctionOpts
)

func newApp(t testing.TB, o sim.Options) *app {
	t.Helper()
	if o.Start.IsZero() {
		o.Start = start
	}
	s := sim.New(o)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: inngestgo.BoolPtr(true), SigningKey: inngestgo.StrPtr(s.SigningKey()),
		EventAPIBaseURL: inngestgo.StrPtr(sim.BaseURL), HTTPClient: s.HTTPClient(),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(t, err)
	return &app{t: t, sim: s, client: client}
}

// deploy returns the same app without functions, to be registered in place of this one.
func (a *app) deploy() *app {
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: inngestgo.BoolPtr(true), SigningKey: inngestgo.StrPtr(a.sim.SigningKey()), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(a.t, err)
	return &app{a.t, a.sim, client}
}

func (a *app) on(event string, o opts, f func(context.Context, input) (any, error)) {
	a.t.Helper()
	_, err := inngestgo.CreateFunction(a.client, o, inngestgo.EventTrigger(event, nil), f)
	require.NoError(a.t, err)
}

func (a *app) serve() {
	a.t.Helper()
	require.NoError(a.t, a.sim.RegisterHandler(context.Background(), a.client.Serve()))
}

func (a *app) send(name string, data map[string]any) string {
	a.t.Helper()
	id, err := a.sim.Send(context.Background(), harness.Event{Name: name, Data: data})
	require.NoError(a.t, err)
	return id
}

func (a *app) run() {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(a.t, a.sim.Run(ctx))
}

func (a *app) only(event string) *sim.Run {
	a.t.Helper()
	runs := a.sim.RunsOf(event)
	require.Len(a.t, runs, 1)
	return runs[0]
}

func TestSim_RunsThreeSteps(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		n, err := step.Run(ctx, "one", func(context.Context) (int, error) { return 1, nil })
		if err != nil {
			return nil, err
		}
		step.Sleep(ctx, "pause", 30*24*time.Hour)
		m, err := step.Run(ctx, "two", func(context.Context) (int, error) { return n + 1, nil })
		return map[string]any{"sum": n + m}, err
	})
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.JSONEq(t, `{"sum":3}`, string(run.Output))
	require.Equal(t, 30*24*time.Hour, run.Ended.Sub(run.Queued))
	require.Equal(t, 4, run.Calls)
	one, ok := run.Step("one")
	require.True(t, ok)
	require.Equal(t, sim.StepCompleted, one.Status)
	require.JSONEq(t, `1`, string(one.Output))
}

func sendAndRun(a *app, name string) string {
	id := a.send(name, map[string]any{"n": 1})
	a.run()
	return id
}

func TestSim_RetriesUntilExhausted(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	tries := 0
	a.on("order/paid", opts{ID: "ship", Retries: inngestgo.IntPtr(4)}, func(ctx context.Context, in input) (any, error) {
		_, err := step.Run(ctx, "flaky", func(context.Context) (int, error) { tries++; return 0, errors.New("no luck") })
		return nil, err
	})
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, 5, tries)
	flaky, _ := run.Step("flaky")
	require.Len(t, flaky.Attempts, 5)
	require.Equal(t, "no luck", flaky.Error.Message)
	require.Equal(t, "unhandled step error: no luck", run.Error.Message)
}

func TestSim_AcceptsCheckpoints(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	srv := httptest.NewServer(a.sim.Handler())
	t.Cleanup(srv.Close)
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: inngestgo.BoolPtr(true), SigningKey: inngestgo.StrPtr(a.sim.SigningKey()), APIBaseURL: &srv.URL, EventAPIBaseURL: &srv.URL,
		Checkpoint: &checkpoint.Config{}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	a.client = client
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		for _, id := range []string{"a", "b", "c"} {
			if _, err := step.Run(ctx, id, func(context.Context) (string, error) { return id, nil }); err != nil {
				return nil, err
			}
		}
		return "done", nil
	})
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.Len(t, run.Steps, 3)
	require.Equal(t, 1, run.Calls)
}

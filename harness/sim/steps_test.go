package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// approval is a function that waits three days for a signal.
func approval(signal string, conflict step.SignalConfict) func(context.Context, input) (any, error) {
	return func(ctx context.Context, in input) (any, error) {
		got, err := step.WaitForSignal[map[string]any](ctx, "approval", step.WaitForSignalOpts{
			Signal: signal, Timeout: 72 * time.Hour, OnConflict: conflict,
		})
		if errors.Is(err, step.ErrSignalNotReceived) {
			return "none", nil
		}
		return got.Data["by"], err
	}
}

func TestSim_Signal(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/asked", opts{ID: "approve"}, approval("order-1", ""))
	a.serve()
	id := a.send("order/asked", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	wait, _ := a.only(id).Step("approval")
	require.Equal(t, []any{sim.OpWaitForSignal, sim.StepWaiting}, []any{wait.Op, wait.Status})

	_, ok, err := a.sim.SendSignal(t.Context(), "order-2", nil)
	require.NoError(t, err)
	require.False(t, ok, "no run waits for this one")
	run, ok, err := a.sim.SendSignal(t.Context(), "order-1", map[string]any{"by": "Kim"})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, a.only(id).ID, run)
	require.NoError(t, a.sim.Run(t.Context()))
	require.JSONEq(t, `"Kim"`, string(a.only(id).Output))
	_, _, err = a.sim.SendSignal(t.Context(), "order-1", make(chan int))
	require.ErrorContains(t, err, "sending the signal order-1: encoding its data")
}

func TestSim_SignalTimesOut(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/asked", opts{ID: "approve"}, approval("order-1", ""))
	a.serve()
	run := a.only(sendAndRun(a, "order/asked"))
	require.JSONEq(t, `"none"`, string(run.Output))
	require.Equal(t, 72*time.Hour, run.Ended.Sub(run.Queued))
	wait, _ := run.Step("approval")
	require.Equal(t, sim.StepTimedOut, wait.Status)
}

func TestSim_SignalConflict(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/asked", opts{ID: "approve"}, approval("order-1", ""))
	a.on("order/replaced", opts{ID: "replace"}, approval("order-1", step.SignalConflictReplace))
	a.serve()
	first, second := a.send("order/asked", nil), a.send("order/asked", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	require.Equal(t, harness.StatusRunning, a.only(first).Status)
	require.Equal(t, "Signal conflict; signal wait already exists for another run", a.only(second).Error.Message)

	third := a.send("order/replaced", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	run, ok, err := a.sim.SendSignal(t.Context(), "order-1", map[string]any{"by": "Kim"})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, a.only(third).ID, run)
	require.NoError(t, a.sim.Run(t.Context()))
	require.JSONEq(t, `"none"`, string(a.only(first).Output), "its signal was taken from it")
}

func TestSim_ReplacesSignal(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/asked", opts{ID: "approve"}, approval("order-1", ""))
	a.serve()
	require.NoError(t, a.sim.Replace("shop-approve", "approval", sim.Outcome{Value: map[string]any{"by": "Lou"}}, sim.Outcome{}))
	require.JSONEq(t, `"Lou"`, string(a.only(sendAndRun(a, "order/asked")).Output))
	run := a.only(sendAndRun(a, "order/asked"))
	require.JSONEq(t, `"none"`, string(run.Output))
	require.Equal(t, run.Queued, run.Ended, "it takes no time")
}

// rate is a function that asks another service.
func rate(url string) func(context.Context, input) (any, error) {
	return func(ctx context.Context, in input) (any, error) {
		got, err := step.Fetch[string](ctx, "rate", step.FetchOpts{URL: url, Method: http.MethodGet})
		if err != nil {
			return nil, err
		}
		return fmt.Sprint(got.StatusCode, " ", got.Headers["X-Unit"], " ", got.Body), nil
	}
}

const elsewhere = "https://rates.example.com/eur?at=today"

func TestSim_Stub(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{RetryInterval: time.Minute})
	a.on("rate/asked", opts{ID: "rate"}, rate(elsewhere))
	a.serve()
	require.NoError(t, a.sim.Stub(
		sim.Stub{URL: "https://rates.example.com/usd*", Body: "the wrong one"},
		sim.Stub{URL: "https://rates.example.com/*", Times: 1, Error: "connection reset"},
		sim.Stub{Function: "shop-rate", Step: "rate", Status: 203, Headers: map[string]string{"x-unit": "EUR"}, Body: "1.08"},
	))
	run := a.only(sendAndRun(a, "rate/asked"))
	require.JSONEq(t, `"203 EUR 1.08"`, string(run.Output), run.Error)
	fetched, _ := run.Step("rate")
	require.Equal(t, sim.OpFetch, fetched.Op)
	require.Len(t, fetched.Attempts, 2)
	require.Equal(t, "Error making gateway request: connection reset", fetched.Attempts[0].Error.Message)
	require.Equal(t, time.Minute, run.Ended.Sub(run.Queued))

	intervene := func(i sim.Interventions) {
		_, err := a.sim.Intervene(i)
		require.NoError(t, err)
	}
	intervene(sim.Interventions{Stubs: []sim.Stub{{ID: "mine", URL: "*", Body: "2"}, {ID: "other", URL: "*", Body: "3"}}})
	require.JSONEq(t, `"200  2"`, string(a.only(sendAndRun(a, "rate/asked")).Output))
	intervene(sim.Interventions{RemoveStubs: []string{"mine", "gone already"}})
	require.JSONEq(t, `"200  3"`, string(a.only(sendAndRun(a, "rate/asked")).Output))
	intervene(sim.Interventions{RemoveStubs: []string{"other"}})
	require.JSONEq(t, `"203 EUR 1.08"`, string(a.only(sendAndRun(a, "rate/asked")).Output), "those without an id stay")

	require.NoError(t, a.sim.Stub())
	require.Equal(t, harness.StatusFailed, a.only(sendAndRun(a, "rate/asked")).Status)
}

func TestSim_FailsRequestWithoutStub(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("rate/asked", opts{ID: "rate"}, rate(elsewhere))
	a.serve()
	run := a.only(sendAndRun(a, "rate/asked"))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, "step rate asks the server for GET "+elsewhere+", and nothing answers that in this test: give it an answer "+
		"(harness replace; in Go, Sim.Stub), or let sim call other machines (in Go, sim.Options.Network)", run.Error.Message)
	require.Equal(t, 1, run.Calls)
}

func TestSim_FetchesFromThisMachine(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Unit", "EUR")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprint(w, r.Method, " ", r.UserAgent())
	}))
	t.Cleanup(server.Close)
	a := newApp(t, sim.Options{})
	a.on("rate/asked", opts{ID: "rate"}, rate(server.URL))
	a.serve()
	run := a.only(sendAndRun(a, "rate/asked"))
	require.JSONEq(t, `"418 EUR GET Inngest"`, string(run.Output), run.Error)
	require.Equal(t, run.Queued, run.Ended)
}

// TestSim_FetchHoldsPlace has a call keep its place in a limit while its request is made.
func TestSim_FetchHoldsPlace(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	a := newApp(t, sim.Options{})
	a.on("rate/asked", opts{ID: "rate", Concurrency: limitOf(1, "")}, rate(server.URL))
	a.serve()
	first, second := a.send("rate/asked", nil), a.send("rate/asked", nil)
	require.NoError(t, a.sim.Run(t.Context()))
	require.Equal(t, harness.StatusCompleted, a.only(first).Status)
	require.Equal(t, harness.StatusCompleted, a.only(second).Status)
}

func TestSim_InfersByStub(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{RetryInterval: time.Minute, Interventions: sim.Interventions{Stubs: []sim.Stub{
		{URL: "https://api.openai.com/*", Times: 1, Status: 500, Body: map[string]any{"error": "busy"}},
		{Step: "write", Body: map[string]any{"model": "m-1", "answer": "a poem", "usage": map[string]any{"prompt_tokens": 3, "completion_tokens": 4}}},
	}}})
	a.on("poem/asked", opts{ID: "poem"}, func(ctx context.Context, in input) (any, error) {
		got, err := step.Infer[map[string]any, map[string]any](ctx, "write", step.InferOpts[map[string]any]{
			Opts: step.InferOpenAIOpts(inngestgo.StrPtr("secret"), nil), Body: map[string]any{"model": "m"},
		})
		return got["answer"], err
	})
	a.serve()
	run := a.only(sendAndRun(a, "poem/asked"))
	require.JSONEq(t, `"a poem"`, string(run.Output), run.Error)
	inferred, _ := run.Step("write")
	require.Len(t, inferred.Attempts, 2)
	require.Equal(t, "Error making AI request: unsuccessful status code: 500", inferred.Attempts[0].Error.Message)
	kinds := map[string]string{}
	for _, m := range run.Metadata {
		require.Equal(t, inferred.Hash, m.Step)
		kinds[fmt.Sprint(m.Kind, " ", m.Attempt)] = fmt.Sprintf("%s %s", m.Values["request_model"], m.Values["total_tokens"])
	}
	require.Equal(t, map[string]string{"inngest.ai 1": `"m" 0`, "inngest.http 1": " ", "inngest.ai 0": `"m" 7`, "inngest.http 0": " "}, kinds)
}

func TestParseStubs(t *testing.T) {
	t.Parallel()
	stubs, err := sim.ParseStubs([]byte(`[{"step":"a","status":404,"headers":{"X-A":"b"},"body":{"c":1}},{"url":"https://a.test/*","error":"away","times":2}]`))
	require.NoError(t, err)
	require.Equal(t, []sim.Stub{
		{Step: "a", Status: 404, Headers: map[string]string{"X-A": "b"}, Body: map[string]any{"c": json.Number("1")}},
		{URL: "https://a.test/*", Error: "away", Times: 2},
	}, stubs)
	one, err := sim.ParseStubs([]byte(` {"url": "*"} `))
	require.NoError(t, err)
	require.Equal(t, []sim.Stub{{URL: "*"}}, one)
	for text, want := range map[string]string{
		`[{"stat":404}]`:                          `unknown field "[0].stat": did you mean "step"? the fields there are function, step, url, times, status, headers, body, error`,
		`[{"body":"x"}]`:                          `a stub says which requests it answers: by "step", "url" or "function"; {"url": "*"} answers all`,
		`[{"step":"a","status":99}]`:              "the stub for a has the status 99, which is none of an answer",
		`[{"step":"a","status":400,"error":"x"}]`: "the stub for a has an error and an answer: leave one of them out",
		`nonsense`:                                "reading stubs: it is no JSON",
	} {
		_, err := sim.ParseStubs([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

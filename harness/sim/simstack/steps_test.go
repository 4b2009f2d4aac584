package simstack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

func TestWorkbench_JudgesSignals(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "order/asked", "approve", func(ctx context.Context, i in) (any, error) {
			got, err := step.WaitForSignal[string](ctx, "approval", step.WaitForSignalOpts{Signal: "order-1", Timeout: time.Hour})
			return got.Data, err
		})
		return err
	}))
	id := sent(t, w, harness.Event{Name: "order/asked"})
	require.NoError(t, w.Sim().Settle(t.Context()))
	trace, err := w.Trace(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, trace.Unquiet, "of approve is RUNNING, in step approval (WAIT_FOR_SIGNAL)")

	_, ok, err := w.Sim().SendSignal(t.Context(), "order-1", "yes")
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, w.Sim().Run(t.Context()))
	require.NoError(t, judged(t, w, id, harness.Expectation{Runs: []harness.RunExpectation{
		{Function: "approve", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{{ID: "approval"}}},
	}}).Err())
}

func TestWorkbench_JudgesFetchedSteps(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "rate/asked", "rate", func(ctx context.Context, i in) (any, error) {
			got, err := step.Fetch[string](ctx, "fetch", step.FetchOpts{URL: "https://rates.example.com/"})
			return got.Body, err
		})
		return err
	}))
	require.NoError(t, w.Sim().Stub(sim.Stub{Step: "fetch", Times: 1, Error: "reset"}, sim.Stub{Step: "fetch", Body: "1.08"}))
	id := sent(t, w, harness.Event{Name: "rate/asked"})
	require.NoError(t, w.Sim().Run(t.Context()))
	require.NoError(t, judged(t, w, id, harness.Expectation{Runs: []harness.RunExpectation{{
		Function: "rate", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{{ID: "fetch", Status: harness.StatusCompleted}},
	}}, NoOtherRuns: true}).Err())
}

// deferrer is an app without an SDK: its function "f" defers "child", by a step, and then returns.
func deferrer(_ context.Context, env harness.Env) (http.Handler, error) {
	url := env.AppURL + "/api/inngest"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inngest-Sdk", "test:v0.0.1")
		w.Header().Set("X-Inngest-Req-Version", "2")
		var call struct {
			Steps map[string]json.RawMessage `json:"steps"`
		}
		_ = json.NewDecoder(r.Body).Decode(&call) // of what sim sends
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Inngest-Sync-Kind", "in_band")
			function := func(id, trigger string) string {
				return fmt.Sprintf(`{"id":"a-%s","name":"%[1]s","triggers":[%s],"steps":{"step":{"runtime":{"url":"%s?fnId=a-%[1]s"}}}}`, id, trigger, url)
			}
			_, _ = fmt.Fprintf(w, `{"app_id":"a","url":"%s","functions":[%s,%s]}`, url, function("f", `{"event":"go"}`),
				function("child", `{"event":"inngest/deferred.schedule","expression":"event.data._inngest.fn_slug == \"a-child\""}`))
		case r.URL.Query().Get("fnId") == "a-f" && len(call.Steps) == 0:
			w.WriteHeader(http.StatusPartialContent)
			_, _ = fmt.Fprint(w, `[{"op":"StepRun","id":"aa","name":"a","data":1},{"op":"DeferAdd","id":"dd","opts":{"fn_slug":"a-child","input":{"n":7}}}]`)
		default:
			_, _ = fmt.Fprint(w, `"done"`)
		}
	}), nil
}

// TestWorkbench_FollowsDeferredRuns has the run of a deferred function belong to the event of the run that deferred it.
func TestWorkbench_FollowsDeferredRuns(t *testing.T) {
	t.Parallel()
	w := bench(t, deferrer)
	id := sent(t, w, harness.Event{Name: "go"})
	require.NoError(t, w.Sim().Run(t.Context()))
	both := harness.Expectation{Runs: []harness.RunExpectation{
		{Function: "f", Status: harness.StatusCompleted}, {Function: "child", Status: harness.StatusCompleted},
	}, NoOtherRuns: true}
	v := judged(t, w, id, both)
	require.NoError(t, v.Err())
	evidence := strings.Join(v.Trace.Evidence, "\n")
	require.Contains(t, evidence, "2 runs have ended, those of events they sent included: ")
	require.Contains(t, evidence, "child COMPLETED")
	both.Runs = both.Runs[:1]
	require.ErrorContains(t, judged(t, w, id, both).Err(), "child")
}

// TestRecording_OfSignalsAndRequests plays a run with a signal, one that did not come, and a request against the code that made it.
func TestRecording_OfSignalsAndRequests(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "order/asked", "approve", func(ctx context.Context, i in) (any, error) {
			wait := func(id string) string {
				got, err := step.WaitForSignal[string](ctx, id, step.WaitForSignalOpts{Signal: id, Timeout: time.Hour})
				return fmt.Sprint(got.Data, err)
			}
			first, second := wait("first"), wait("second")
			got, err := step.Fetch[string](ctx, "fetch", step.FetchOpts{URL: "https://rates.example.com/"})
			return first + ", " + second + ", " + got.Body, err
		})
		return err
	}))
	require.NoError(t, w.Sim().Stub(sim.Stub{Step: "fetch", Body: "1.08"}))
	id := sent(t, w, harness.Event{Name: "order/asked"})
	require.NoError(t, w.Sim().Settle(t.Context()))
	_, ok, err := w.Sim().SendSignal(t.Context(), "first", "yes")
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, w.Sim().Run(t.Context()))
	trace, err := w.Trace(t.Context(), id)
	require.NoError(t, err)
	rec, err := simstack.Recording(trace, "")
	require.NoError(t, err)
	replay, err := w.Sim().Replay(t.Context(), rec)
	require.NoError(t, err)
	require.True(t, replay.Safe(), replay)
	require.JSONEq(t, `"yes<nil>, signal not received, 1.08"`, string(replay.Output))
}

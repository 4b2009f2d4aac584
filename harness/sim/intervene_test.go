package sim_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// shipping is a function whose steps tell how often they ran.
func shipping(ran map[string]int) func(context.Context, input) (any, error) {
	return func(ctx context.Context, in input) (any, error) {
		label, err := step.Run(ctx, "print-label", func(context.Context) (string, error) { ran["print-label"]++; return "label", nil })
		if err != nil {
			return nil, err
		}
		step.Sleep(ctx, "wait-for-pickup", 24*time.Hour)
		paid, err := step.WaitForEvent[inngestgo.Event](ctx, "wait-for-payment", step.WaitForEventOpts{Event: "order/settled", Timeout: 7 * 24 * time.Hour})
		if err != nil && !errors.Is(err, step.ErrEventNotReceived) {
			return nil, err
		}
		return step.Run(ctx, "ship", func(context.Context) (string, error) {
			ran["ship"]++
			if paid.Name == "" {
				return label + ", unpaid", nil
			}
			return label + ", paid", nil
		})
	}
}

func TestSim_ReplaceStep(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, shipping(ran))
	a.serve()
	require.NoError(t, a.sim.Replace("shop-ship", "print-label", sim.Outcome{Value: "a forged label"}))
	require.NoError(t, a.sim.Replace("", "wait-for-payment", sim.Outcome{Value: map[string]any{"name": "order/settled", "data": map[string]any{}}}))

	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusCompleted, run.Status, run.Error)
	require.JSONEq(t, `"a forged label, paid"`, string(run.Output))
	require.Equal(t, map[string]int{"ship": 1}, ran, "the replaced step's code is not called")
	label, ok := run.Step("print-label")
	require.True(t, ok)
	require.True(t, label.Replaced)
	var text string
	require.NoError(t, label.Decode(&text))
	require.Equal(t, "a forged label", text)
}

func TestSim_ReplaceStepWithErrors(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	a := newApp(t, sim.Options{RetryInterval: time.Minute})
	a.on("order/paid", opts{ID: "ship"}, shipping(ran))
	a.serve()
	require.NoError(t, a.sim.Replace("shop-ship", "print-label",
		sim.Outcome{Err: "out of paper"}, sim.Outcome{Err: "jammed", RetryAfter: time.Hour}, sim.Outcome{Value: "at last"}))

	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusCompleted, run.Status)
	label, _ := run.Step("print-label")
	require.Len(t, label.Attempts, 3)
	require.Equal(t, "out of paper", label.Attempts[0].Error.Message)
	require.Equal(t, time.Minute, label.Attempts[1].At.Sub(label.Attempts[0].At))
	require.Equal(t, time.Hour, label.Attempts[2].At.Sub(label.Attempts[1].At))

	require.NoError(t, a.sim.Replace("shop-ship", "print-label", sim.Outcome{Err: "no printer", NoRetry: true}))
	run = a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, "unhandled step error: no printer", run.Error.Message)

	require.NoError(t, a.sim.Replace("shop-ship", "print-label"), "as it was")
	run = a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.Equal(t, 1, ran["print-label"])
}

func TestSim_ReplacedSleepTakesNoTime(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "nap", time.Hour)
		return "up", nil
	})
	a.serve()
	require.NoError(t, a.sim.Replace("shop-ship", "nap", sim.Outcome{}))
	id := a.send("order/paid", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	require.Equal(t, harness.StatusCompleted, a.only(id).Status)
	require.Equal(t, start, a.sim.Now())
}

func TestSim_InjectFault(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault sim.Fault
		ran   int
		after time.Duration
	}{
		"lost":                {sim.Fault{Step: "print-label", Lose: true}, 2, time.Minute},
		"twice":               {sim.Fault{Step: "print-label", Twice: true}, 1, 0},
		"late":                {sim.Fault{Step: "print-label", Late: time.Hour}, 1, time.Hour},
		"of another function": {sim.Fault{Function: "shop-other", Lose: true}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ran := map[string]int{}
			a := newApp(t, sim.Options{RetryInterval: time.Minute})
			a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
				return step.Run(ctx, "print-label", func(context.Context) (string, error) { ran["print-label"]++; return "label", nil })
			})
			a.serve()
			a.sim.InjectFault(tc.fault)
			run := a.only(sendAndRun(a, "order/paid"))
			require.Equal(t, harness.StatusCompleted, run.Status, run.Stuck)
			require.Equal(t, tc.ran, ran["print-label"])
			require.Equal(t, tc.after, run.Ended.Sub(run.Queued))
		})
	}
}

func TestSim_StartFunction(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) { return in.Event.Name, nil })
	a.on("order/paid", opts{ID: "bill"}, func(ctx context.Context, in input) (any, error) { return "no", nil })
	a.serve()
	id, err := a.sim.StartFunction(t.Context(), "shop-ship", harness.Event{Name: "order/paid", Data: map[string]int{"n": 1}})
	require.NoError(t, err)
	a.run()
	run, ok := a.sim.FindRun(id)
	require.True(t, ok)
	require.JSONEq(t, `"order/paid"`, string(run.Output))
	require.Len(t, a.sim.Runs(), 1, "the other function was not called")

	_, err = a.sim.StartFunction(t.Context(), "ship", harness.Event{})
	require.EqualError(t, err, "starting ship: no such function; registered: shop-bill, shop-ship")
}

func TestSim_Replay(t *testing.T) {
	t.Parallel()
	version := func(ran *atomic.Int32, ids ...string) func(context.Context, input) (any, error) {
		return func(ctx context.Context, in input) (any, error) {
			var last any
			for _, id := range ids {
				out, err := step.Run(ctx, id, func(context.Context) (string, error) { ran.Add(1); return id, nil })
				if err != nil {
					return nil, err
				}
				last = out
			}
			return last, nil
		}
	}
	old := newApp(t, sim.Options{})
	old.on("order/paid", opts{ID: "ship"}, version(new(atomic.Int32), "fetch", "send-email", "log"))
	old.serve()
	rec := sim.Record(old.only(sendAndRun(old, "order/paid")))

	for name, tc := range map[string]struct {
		steps []string
		want  sim.Replay
		says  string
	}{
		"the same": {[]string{"fetch", "send-email", "log"}, sim.Replay{Finished: true, Output: []byte(`"log"`)}, "the code comes to the same steps"},
		"renamed": {[]string{"fetch", "mail", "log"}, sim.Replay{Missing: []string{"send-email"}, New: []string{"mail"}, Finished: true, Output: []byte(`"log"`)},
			`the code does not come to step "send-email" any more, and comes to step "mail" instead: if that is a new name for the same work,` +
				` runs under way will do it a second time after the deploy`},
		"removed": {[]string{"fetch", "log"}, sim.Replay{Missing: []string{"send-email"}, Finished: true, Output: []byte(`"log"`)},
			`the code does not come to step "send-email" any more, which the recorded run did`},
		"added": {[]string{"fetch", "send-email", "log", "audit"}, sim.Replay{New: []string{"audit"}},
			`the code comes to step "audit", which the recorded run did not do: for runs under way, it will run after the deploy`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, sim.Options{})
			var ran atomic.Int32
			a.on("order/paid", opts{ID: "ship"}, version(&ran, tc.steps...))
			a.serve()
			got, err := a.sim.Replay(t.Context(), rec)
			require.NoError(t, err)
			require.Zero(t, ran.Load(), "no step is run")
			require.Equal(t, tc.says, got.String())
			require.Equal(t, tc.want.Missing, got.Missing)
			require.Equal(t, tc.want.New, got.New)
			require.Equal(t, tc.want.Finished, got.Finished)
			if tc.want.Output != nil {
				require.JSONEq(t, string(tc.want.Output), string(got.Output))
			}
		})
	}
}

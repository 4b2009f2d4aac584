package simstack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/smtp"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

type in = inngestgo.Input[map[string]any]

// define makes an app of functions, each for one event.
func define(functions func(c inngestgo.Client, env harness.Env) error) stack.HandlerFunc {
	return func(_ context.Context, env harness.Env) (http.Handler, error) {
		client, err := inngestgo.NewClient(inngestgo.ClientOpts{
			AppID: "plant", Dev: inngestgo.BoolPtr(true), EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
			RegisterURL: inngestgo.StrPtr(env.InngestURL + "/fn/register"), Logger: slog.New(slog.DiscardHandler), Checkpoint: &checkpoint.Config{},
		})
		if err != nil {
			return nil, err
		}
		if err := functions(client, env); err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("/api/inngest", client.Serve())
		return mux, nil
	}
}

func on(c inngestgo.Client, event, id string, f func(context.Context, in) (any, error)) (inngestgo.ServableFunction, error) {
	return inngestgo.CreateFunction(c, inngestgo.FunctionOpts{ID: id, Retries: inngestgo.IntPtr(1)}, inngestgo.EventTrigger(event, nil), f)
}

func send(env harness.Env, to, header string) error {
	text := "From: app@plant.test\r\nTo: " + to + "\r\nSubject: Hello\r\n" + header + "\r\nHello.\r\n"
	return smtp.SendMail(env.SMTPAddr, nil, "app@plant.test", []string{to}, []byte(text))
}

func bench(t *testing.T, app stack.HandlerFunc) *simstack.Workbench {
	t.Helper()
	w, err := simstack.NewWorkbench(t.Context(), app, simstack.WorkbenchOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, w.Close(context.WithoutCancel(t.Context())))
		require.NoError(t, w.Close(context.WithoutCancel(t.Context())), "it may be called again")
	})
	return w
}

func sent(t *testing.T, w *simstack.Workbench, e harness.Event) string {
	t.Helper()
	id, err := w.Sim().Send(t.Context(), e)
	require.NoError(t, err)
	return id
}

func judged(t *testing.T, w *simstack.Workbench, id string, e harness.Expectation) *harness.Verdict {
	t.Helper()
	v, err := w.Judge(t.Context(), id, e, judge.Options{})
	require.NoError(t, err)
	return v
}

// family is an app whose first function leads to others in every way there is.
var family = define(func(c inngestgo.Client, env harness.Env) error {
	child, err := on(c, "unused", "child", func(ctx context.Context, i in) (any, error) { return "grown", nil })
	if err != nil {
		return err
	}
	_, err1 := on(c, "parent/called", "parent", func(ctx context.Context, i in) (any, error) {
		if _, err := step.Invoke[string](ctx, "invoke", step.InvokeOpts{FunctionId: "plant-child"}); err != nil {
			return nil, err
		}
		_, err := step.Run(ctx, "tell", func(ctx context.Context) (string, error) {
			return c.Send(ctx, inngestgo.Event{Name: "cousin/called", Data: map[string]any{}})
		})
		if err != nil {
			return nil, err
		}
		return step.Run(ctx, "mail", func(context.Context) (bool, error) {
			return true, errors.Join(send(env, "kim@plant.test", ""), send(env, "stranger@plant.test", ""), send(env, "lee@plant.test", "X-Inngest-Run-Id: another\r\n"))
		})
	})
	_, err2 := on(c, "cousin/called", "cousin", func(context.Context, in) (any, error) { return nil, errors.New("no luck") })
	_, err3 := inngestgo.CreateFunction(c, inngestgo.FunctionOpts{ID: "note-failure"}, inngestgo.EventTrigger(sim.EventFunctionFailed, nil),
		func(context.Context, in) (any, error) { return "sad", nil })
	_ = child
	return errors.Join(err1, err2, err3)
})

func TestWorkbench_FollowsEverythingThatEventCaused(t *testing.T) {
	t.Parallel()
	w := bench(t, family)
	id := sent(t, w, harness.Event{Name: "parent/called"})
	v := judged(t, w, id, harness.Expectation{
		Runs: []harness.RunExpectation{
			{Function: "parent", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{
				{ID: "invoke", Status: harness.StatusCompleted}, {ID: "tell", Status: harness.StatusCompleted}, {ID: "mail", Attempts: 1},
			}},
			{Function: "child", Status: harness.StatusCompleted, Output: json.RawMessage(`"grown"`)},
			{Function: "cousin", Status: harness.StatusFailed, Error: "no luck"},
			{Function: "note-failure", Status: harness.StatusCompleted},
		},
		Mail:        []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}, {To: "max@plant.test", Absent: true}},
		NoOtherRuns: true,
	})
	require.NoError(t, v.Err())
	require.True(t, v.Trace.Quiet)
	require.Len(t, v.Trace.Runs, 4)
	require.True(t, v.Trace.Mail[0].Inferred)
	require.Equal(t, 2, v.Trace.UnattributedMail, "stranger's, and lee's, which names a run that is not there")
	require.Zero(t, v.Trace.OtherMailCount)
	require.Equal(t, []harness.TraceFunction{{ID: "parent", App: "plant"}}, v.Trace.Functions)

	v = judged(t, w, id, harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "parent"}}, Mail: []harness.MailExpectation{{To: "kim@plant.test"}}, NoOtherMail: true,
	})
	require.Equal(t, harness.CannotBeJudged, v.Outcome)
	require.Contains(t, v.Why, "2 emails have arrived since the event without a header that names a run")

	v = judged(t, w, id, harness.Expectation{Mail: []harness.MailExpectation{{To: "lee@plant.test"}}})
	require.Equal(t, harness.Broken, v.Outcome)
	require.Contains(t, v.Why, `its header names the run "another", which the Inngest server does not know`)
}

func TestWorkbench_EventOfTheTestIsNoEffectOfTheRunThatReturnsItsID(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "approval/asked", "approve", func(ctx context.Context, _ in) (any, error) {
			given, err := step.WaitForEvent[inngestgo.GenericEvent[any]](ctx, "wait",
				step.WaitForEventOpts{Event: "approval/given", Timeout: time.Hour})
			if err != nil {
				return nil, err
			}
			return step.Run(ctx, "record", func(context.Context) (string, error) { return *given.ID, nil })
		})
		_, err2 := on(c, "approval/given", "audit", func(context.Context, in) (any, error) { return "noted", nil })
		return errors.Join(err, err2)
	}))
	id := sent(t, w, harness.Event{Name: "approval/asked"})
	require.NoError(t, w.Sim().Settle(t.Context()))
	given := sent(t, w, harness.Event{Name: "approval/given"})
	approved := harness.Expectation{NoOtherRuns: true,
		Runs: []harness.RunExpectation{{Function: "approve", Output: json.RawMessage(`"` + given + `"`)}}}
	v := judged(t, w, id, approved)
	require.Equal(t, harness.Holds, v.Outcome, "%s", v)
}

func TestWorkbench_Broken(t *testing.T) {
	t.Parallel()
	w := bench(t, family)
	v := judged(t, w, sent(t, w, harness.Event{Name: "cousin/called"}), harness.Expectation{Runs: []harness.RunExpectation{{Function: "cousin", Status: harness.StatusCompleted}}})
	require.Equal(t, harness.Broken, v.Outcome)
	require.Contains(t, v.Why, "no luck")
	v = judged(t, w, sent(t, w, harness.Event{Name: "unknown/called"}), harness.Expectation{NoOtherRuns: true, Runs: []harness.RunExpectation{{Function: "cousin"}}})
	require.Equal(t, harness.Broken, v.Outcome)
	require.Contains(t, v.Why, "no function is registered for unknown/called")

	_, err := w.Judge(t.Context(), sent(t, w, harness.Event{Name: "cousin/called"}), harness.Expectation{}, judge.Options{})
	require.ErrorContains(t, err, "it asserts nothing")
	v = judged(t, w, "01M83HXF1EP9YMMEX4S4643WCB", harness.Expectation{NoOtherRuns: true})
	require.Equal(t, harness.CannotBeJudged, v.Outcome)
	require.Contains(t, v.Why, "the Inngest server knows no event")
}

func TestWorkbench_EventWithUsedKey(t *testing.T) {
	t.Parallel()
	w := bench(t, family)
	first := sent(t, w, harness.Event{Name: "cousin/called", IdempotencyKey: "once"})
	second := sent(t, w, harness.Event{Name: "cousin/called", IdempotencyKey: "once"})
	require.NoError(t, judged(t, w, first, harness.Expectation{Runs: []harness.RunExpectation{{Function: "cousin"}}}).Err())
	v := judged(t, w, second, harness.Expectation{NoOtherRuns: true})
	require.NoError(t, v.Err())
	require.Equal(t, first, v.Trace.Event.DuplicateOf)
}

func TestWorkbench_FollowsEventThatTwoAttemptsOfStepSent(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "order/placed", "bill", func(ctx context.Context, _ in) (any, error) {
			return step.Run(ctx, "send", func(ctx context.Context) (string, error) {
				return c.Send(ctx, inngestgo.Event{ID: inngestgo.StrPtr("once"), Name: "bill/wanted", Data: map[string]any{}})
			})
		})
		_, err2 := on(c, "bill/wanted", "print", func(context.Context, in) (any, error) { return "printed", nil })
		return errors.Join(err, err2)
	}))
	// The server does not get what the first attempt did.
	for _, f := range []tap.Fault{{At: tap.AtCheckpoint, Do: tap.Drop}, {At: tap.AtCall, Function: "bill", Do: tap.DropAnswer}} {
		_, err := w.Taps().Inject(f)
		require.NoError(t, err)
	}
	v := judged(t, w, sent(t, w, harness.Event{Name: "order/placed"}), harness.Expectation{NoOtherRuns: true, Runs: []harness.RunExpectation{
		{Function: "bill", Status: harness.StatusCompleted}, {Function: "print", Status: harness.StatusCompleted},
	}})
	require.NoError(t, v.Err(), "the step returns the id of the second event, which starts nothing")
	require.True(t, v.Trace.Runs[1].Inferred)
}

func TestWorkbench_FollowsEventThatOvertookItsDuplicate(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]tap.Fault{
		"was sent first and accepted last":     {At: tap.AtEvent, Do: tap.Hold},
		"was accepted first and answered last": {At: tap.AtEvent, Do: tap.HoldAnswer},
	} {
		var held *tap.Injection
		w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
			_, err := on(c, "order/placed", "bill", func(ctx context.Context, _ in) (any, error) {
				return step.Run(ctx, "send", func(ctx context.Context) (any, error) {
					wanted := inngestgo.Event{ID: inngestgo.StrPtr("once"), Name: "bill/wanted", Data: map[string]any{}}
					first := make(chan error)
					go func() { _, err := c.Send(ctx, wanted); first <- err }()
					select {
					case <-held.Reached():
					case <-ctx.Done():
					}
					_, err := c.Send(ctx, wanted)
					held.Release()
					return nil, errors.Join(err, <-first)
				})
			})
			_, err2 := on(c, "bill/wanted", "print", func(context.Context, in) (any, error) { return "printed", nil })
			return errors.Join(err, err2)
		}))
		var err error
		held, err = w.Taps().Inject(fault)
		require.NoError(t, err)
		v := judged(t, w, sent(t, w, harness.Event{Name: "order/placed"}), harness.Expectation{NoOtherRuns: true, Runs: []harness.RunExpectation{
			{Function: "bill", Status: harness.StatusCompleted}, {Function: "print", Status: harness.StatusCompleted},
		}})
		require.NoError(t, v.Err(), "of two events with one id, one %s", name)
	}
}

func TestWorkbench_SleepingRunCannotBeJudged(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "go", "stuck", func(ctx context.Context, _ in) (any, error) { step.Sleep(ctx, "long", time.Hour); return nil, nil })
		return err
	}))
	id := sent(t, w, harness.Event{Name: "go"})
	require.NoError(t, w.Sim().Settle(t.Context()))
	trace, err := w.Trace(t.Context(), id)
	require.NoError(t, err)
	require.False(t, trace.Quiet)
	require.Equal(t, fmt.Sprintf("the run %s of stuck is RUNNING, in step long (SLEEP)", trace.Runs[0].ID), trace.Unquiet)
	v, err := judge.Judge(harness.Expectation{Runs: []harness.RunExpectation{{Function: "stuck"}}, NoOtherRuns: true}, trace, judge.Options{})
	require.NoError(t, err)
	require.Equal(t, harness.CannotBeJudged, v.Outcome)
	require.Equal(t, "nothing contradicts it, but more may still happen: "+trace.Unquiet, v.Why)
}

func TestWorkbench_SaysWhatARunWaitsFor(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := inngestgo.CreateFunction(c, inngestgo.FunctionOpts{ID: "hourly", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: time.Hour}},
			inngestgo.EventTrigger("go", nil), func(context.Context, in) (any, error) { return "done", nil })
		return err
	}))
	sent(t, w, harness.Event{Name: "go"})
	id := sent(t, w, harness.Event{Name: "go"})
	require.NoError(t, w.Sim().Settle(t.Context()))
	trace, err := w.Trace(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("the run %s of hourly is QUEUED: waits: throttle 1 per 1h0m0s", trace.Runs[0].ID), trace.Unquiet)
	require.NoError(t, judged(t, w, id, harness.Expectation{Runs: []harness.RunExpectation{{Function: "hourly", Status: "COMPLETED"}}}).Err())
}

func TestWorkbench_ScriptedFault(t *testing.T) {
	t.Parallel()
	w := bench(t, reminder)
	_, err := w.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.Reply, Code: 550, Text: "no such user"})
	require.NoError(t, err)
	v := judged(t, w, sent(t, w, harness.Event{Name: "visit/planned"}), harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "remind", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{{ID: "send", Attempts: 3}}}},
		Mail: []harness.MailExpectation{{To: to, Copies: 1}},
	})
	require.NoError(t, v.Err())
	require.Len(t, v.Trace.Deliveries, 2)
	require.False(t, v.Trace.Deliveries[0].Accepted)
}

func TestNewWorkbench_FailsWhereAppCannotStart(t *testing.T) {
	t.Parallel()
	_, err := simstack.NewWorkbench(t.Context(), func(context.Context, harness.Env) (http.Handler, error) { return nil, errors.New("no plan") }, simstack.WorkbenchOptions{})
	require.EqualError(t, err, "make the app: no plan")
	_, err = simstack.NewWorkbench(t.Context(), func(context.Context, harness.Env) (http.Handler, error) { return http.NotFoundHandler(), nil }, simstack.WorkbenchOptions{})
	require.ErrorIs(t, err, sim.ErrNotRegistered)
}

func TestRecording_RepeatedStepID(t *testing.T) {
	t.Parallel()
	twice := define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "go", "twice", func(ctx context.Context, _ in) (any, error) {
			for range 2 {
				if _, err := step.Run(ctx, "again", func(context.Context) (int, error) { return 1, nil }); err != nil {
					return nil, err
				}
			}
			_, err := step.Run(ctx, "fails", func(context.Context) (int, error) { return 0, inngestgo.NoRetryError(errors.New("no luck")) })
			if err == nil {
				return nil, errors.New("it did not fail")
			}
			step.Sleep(ctx, "nap", time.Hour)
			return "done", nil
		})
		return err
	})
	w := bench(t, twice)
	id := sent(t, w, harness.Event{Name: "go"})
	require.NoError(t, judged(t, w, id, harness.Expectation{Runs: []harness.RunExpectation{{Function: "twice", Status: harness.StatusCompleted}}}).Err())
	trace, err := w.Trace(t.Context(), id)
	require.NoError(t, err)
	rec, err := simstack.Recording(trace, trace.Runs[0].ID)
	require.NoError(t, err)
	var ids []string
	for _, s := range rec.Steps {
		ids = append(ids, s.ID)
	}
	require.Equal(t, []string{"again", "again:1", "fails", "nap"}, ids)
	replay, err := w.Sim().Replay(t.Context(), rec)
	require.NoError(t, err)
	require.True(t, replay.Safe(), replay)
	require.True(t, replay.Finished)
	require.JSONEq(t, `"done"`, string(replay.Output))
}

func TestRecording_Refuses(t *testing.T) {
	t.Parallel()
	trace := &harness.Trace{EventID: "E1", Event: &harness.TraceEvent{Name: "go"}, Runs: []harness.TraceRun{
		{ID: "R1", EventID: "E1", Steps: []harness.TraceStep{{ID: "ask", Op: "NOVELTY"}}}, {ID: "R2", EventID: "E2"},
	}}
	for run, want := range map[string]string{
		"":   "record run R1: step ask is of the kind NOVELTY, which sim does not model",
		"R2": "run R2 was started by the event E2, whose data the trace of E1 does not hold: take the trace of that event",
		"R3": "the trace of event E1 has no run R3",
	} {
		_, err := simstack.Recording(trace, run)
		require.EqualError(t, err, want)
	}
}

func TestNewWorkbench_ContextLivesAsLongAsApp(t *testing.T) {
	t.Parallel()
	start, cancel := context.WithCancel(t.Context())
	var life context.Context
	w, err := simstack.NewWorkbench(start, func(ctx context.Context, env harness.Env) (http.Handler, error) {
		life = ctx
		return family(ctx, env)
	}, simstack.WorkbenchOptions{})
	require.NoError(t, err)
	cancel()
	require.NoError(t, life.Err(), "the context of the start has ended, the app has not")
	require.NoError(t, w.Close(t.Context()))
	require.ErrorIs(t, life.Err(), context.Canceled)
}

func TestWorkbench_ShowsDeliveriesWhateverTheClock(t *testing.T) {
	t.Parallel()
	w, err := simstack.NewWorkbench(t.Context(), family, simstack.WorkbenchOptions{Sim: sim.Options{Start: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })
	v := judged(t, w, sent(t, w, harness.Event{Name: "parent/called"}), harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}}})
	require.NoError(t, v.Err())
	require.True(t, v.Trace.Mail[0].Inferred, "the email names no run")
	require.Len(t, v.Trace.Deliveries, 1)
}

func TestWorkbench_TellsUnsignedEmailsOfTwoEventsApart(t *testing.T) {
	t.Parallel()
	w := bench(t, define(func(c inngestgo.Client, env harness.Env) error {
		_, err := on(c, "go", "greet", func(context.Context, in) (any, error) { return nil, send(env, "kim@plant.test", "") })
		return err
	}))
	for range 2 { // no time passes in the function: both events would come at one instant
		v := judged(t, w, sent(t, w, harness.Event{Name: "go"}), harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}}})
		require.NoError(t, v.Err())
		require.True(t, v.Trace.Mail[0].Inferred)
	}
}

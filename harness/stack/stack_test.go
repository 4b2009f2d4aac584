package stack_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func ran(function string) harness.RunExpectation {
	return harness.RunExpectation{Function: function, Status: harness.StatusCompleted}
}

func ordered(name, to string) harness.Event {
	return harness.Event{Name: name, Data: order{To: to}}
}

func address(t *harnesstest.T) string { return t.Salt() + "@shop.test" }

func TestJudge_FollowsEventToEmail(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := address(t)
		v := t.SendAndExpect(ordered("shop/ordered", to), harness.Expectation{
			Runs:        []harness.RunExpectation{ran("confirm")},
			Mail:        []harness.MailExpectation{{To: to, Subject: harness.Equals("Your order"), Copies: 1}},
			NoOtherRuns: true, NoOtherMail: true,
		})
		require.True(t, v.Trace.Quiet)
		require.False(t, v.Trace.Mail[0].Inferred)
		require.Len(t, v.Trace.Deliveries, 1)
		require.True(t, v.Trace.Deliveries[0].Reported)
	})
}

func TestJudge_FollowsSentAndInvokedRuns(t *testing.T) {
	for event, first := range map[string]string{"shop/shipped": "ship", "shop/gifted": "gift"} {
		t.Run(first, func(t *testing.T) {
			suite.Run(t, func(t *harnesstest.T) {
				to := address(t)
				t.SendAndExpect(ordered(event, to), harness.Expectation{
					Runs:        []harness.RunExpectation{ran(first), ran("confirm")},
					Mail:        []harness.MailExpectation{{To: to, Copies: 1}},
					NoOtherRuns: true, NoOtherMail: true,
				})
				// And so it counts as another run where none is expected.
				v := t.Judge(t.Send(ordered(event, to)), harness.Expectation{Runs: []harness.RunExpectation{ran(first)}, NoOtherRuns: true}, stack.JudgeOptions{})
				require.Equal(t, harness.Broken, v.Outcome)
				require.Contains(t, v.Why, "there is a run that was not expected")
			})
		})
	}
}

func TestJudge_FollowsFailureHandler(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		t.SendAndExpect(ordered("shop/broken", "x"), harness.Expectation{
			Runs: []harness.RunExpectation{
				{Function: "broken", Status: harness.StatusFailed, Error: "it broke", Steps: []harness.StepExpectation{{ID: "break", Status: harness.StatusFailed, Attempts: 1, Error: "it broke"}}},
				ran("note-failure"),
			},
			NoOtherRuns: true, NoOtherMail: true,
		})
	})
}

func TestJudge_FollowsWildcardTrigger(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := address(t)
		v := t.SendAndExpect(ordered("audit/requested", to), harness.Expectation{
			Runs:        []harness.RunExpectation{ran("audit")},
			Mail:        []harness.MailExpectation{{To: to, Copies: 1}},
			NoOtherRuns: true, NoOtherMail: true,
		})
		require.Equal(t, []harness.TraceFunction{{ID: "audit", App: "shop"}}, v.Trace.Functions)

		v = t.Judge(t.Send(ordered("audits/requested", to)), harness.Expectation{Runs: []harness.RunExpectation{ran("audit")}}, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome)
		require.Contains(t, v.Why, "no function is registered for audits/requested")
	})
}

func TestJudge_InfersEmailWithoutRun(t *testing.T) {
	// Alone: on a shared stack the email could be of a test that runs at the same time.
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		to := address(t)
		v := t.SendAndExpect(harness.Event{Name: "shop/ordered", Data: order{To: to, Unsigned: true}}, harness.Expectation{
			Mail: []harness.MailExpectation{{To: to, Copies: 1}},
		})
		require.True(t, v.Trace.Mail[0].Inferred)
		require.Contains(t, v.String(), "attributed to this event by recipient and time, not by a header")
	})
}

func TestJudge_CannotBeJudged(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		short := stack.JudgeOptions{Timeout: 1500 * time.Millisecond}

		slept := t.SendAndExpect(ordered("shop/slept", "x"), harness.Expectation{Runs: []harness.RunExpectation{{
			Function: "sleep", Status: harness.StatusRunning, Steps: []harness.StepExpectation{{ID: "a-day", Status: harness.StatusRunning}},
		}}})
		v := t.Judge(slept.Trace.EventID, harness.Expectation{NoOtherMail: true}, short)
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
		require.Regexp(t, `more may still happen: the run \S+ of sleep is RUNNING, in step a-day \(SLEEP\)`, v.Why)

		v = t.Judge("01M83FJ32YVN1RFT5Y9S8YK71W", harness.Expectation{NoOtherMail: true}, short)
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
		require.Contains(t, v.Why, "the Inngest server knows no event 01M83FJ32YVN1RFT5Y9S8YK71W")
	})
}

// The server keeps no trace of a run that it skips for one that started at the same time.
func TestJudge_SkippedRunIsOver(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		var events []harness.Event
		for n := range 8 {
			events = append(events, ordered("shop/sole", fmt.Sprintf("%s-%d", t.Salt(), n/2)))
		}
		ids, err := t.Stack.Send(t.Context(), events...)
		require.NoError(t, err)
		skipped := 0
		for _, id := range ids {
			judge := func(status harness.Status, nothingElse bool) *harness.Verdict {
				return t.Judge(id, harness.Expectation{Runs: []harness.RunExpectation{{Function: "sole", Status: status}}, NoOtherRuns: nothingElse},
					stack.JudgeOptions{})
			}
			if judge(harness.StatusRunning, false).Outcome == harness.Broken {
				skipped++
				require.NoError(t, judge(harness.StatusSkipped, true).Err())
			}
		}
		require.Equal(t, 4, skipped)
	})
}

func TestJudge_EventWithoutSubscribedFunction(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		id := t.Send(ordered("shop/unheard-of", "x"))
		for _, e := range []harness.Expectation{
			{Runs: []harness.RunExpectation{ran("confirm")}},
			{Mail: []harness.MailExpectation{{To: "x@shop.test"}}},
		} {
			v := t.Judge(id, e, stack.JudgeOptions{Timeout: time.Minute})
			require.Equal(t, harness.Broken, v.Outcome)
			require.Contains(t, v.Why, "no function is registered for shop/unheard-of")
			require.Less(t, v.Took, 30*time.Second, "it did not take the whole time")
		}
		v := t.Judge(id, harness.Expectation{NoOtherRuns: true, NoOtherMail: true}, stack.JudgeOptions{Timeout: time.Second})
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "a misspelt name must not pass: %s", v)
		require.Contains(t, v.Why, "the server knows no function that is subscribed to shop/unheard-of")
	})
}

func TestJudge_CannotDenyUnattributedMail(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		v := t.Judge(t.Send(harness.Event{Name: "shop/ordered", Data: order{To: address(t), Unsigned: true}}),
			harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}, NoOtherMail: true}, stack.JudgeOptions{})
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
		require.Contains(t, v.Why, "1 email has arrived since the event without a header that names a run")
	})
}

func TestJudge_EmailThatNamesUnknownRun(t *testing.T) {
	check := func(t *harnesstest.T) {
		wrong := func(to string) harness.Event {
			return harness.Event{Name: "shop/ordered", Data: order{To: to, Run: "no-run"}}
		}
		to := address(t)
		id := t.Send(wrong(to))
		v := t.Judge(id, harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}, NoOtherMail: true}, stack.JudgeOptions{})
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
		require.Contains(t, v.Why, "1 email has arrived since the event without a header that names a run of this server")

		v = t.Judge(id, harness.Expectation{Mail: []harness.MailExpectation{{To: to}}}, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome, "%s", v)
		require.Equal(t, "email to "+to+`: its header names the run "no-run", which the Inngest server does not know`, v.Why)
		require.Equal(t, "no-run", v.Trace.Mail[0].WrongRun)

		v = t.Judge(id, harness.Expectation{Mail: []harness.MailExpectation{{To: to, Absent: true}}}, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome, "there is an email to it, of whatever run: %s", v)
	}
	t.Run("alone", func(t *testing.T) { suite.RunAlone(t, nil, check) })
	t.Run("shared", func(t *testing.T) {
		suite.RunAlone(t, func(o *stack.Options) { o.Shared = true }, check)
	})
	t.Run("without taps", func(t *testing.T) {
		suite.RunAlone(t, func(o *stack.Options) { o.WithoutTaps = true }, check)
	})
}

func TestStart_LeavesRunningAppAlone(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		before := t.Env()
		require.NoError(t, t.Stack.Start(t.Context(), harness.ServiceApp))
		require.Equal(t, before, t.Env())
		require.NoError(t, t.Stack.Restart(t.Context(), harness.ServiceApp))
		require.NotEqual(t, before.Addr, t.Env().Addr)
	})
}

func TestJudge_EventWithUsedKey(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := address(t)
		e := ordered("shop/ordered", to)
		e.IdempotencyKey = t.Salt()
		t.SendAndExpect(e, harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}})
		again := t.Send(e)
		v := t.Judge(again, harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}}, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome)
		require.Contains(t, v.Why, "was used before")
		t.Expect(again, harness.Expectation{NoOtherRuns: true, NoOtherMail: true})
	})
}

func TestJudge_NoticesMissingEmailWhenRunEnds(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		v := t.Judge(t.Send(ordered("shop/ordered", address(t))), harness.Expectation{
			Mail: []harness.MailExpectation{{To: "other-" + address(t)}},
		}, stack.JudgeOptions{Timeout: time.Minute})
		require.Equal(t, harness.Broken, v.Outcome)
		require.Less(t, v.Took, 30*time.Second, "nothing more could happen, so it did not take the whole time")
		require.Contains(t, v.String(), "this event sent: email to "+address(t))
	})
}

func TestJudge_InvalidExpectation(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		_, err := t.Stack.Judge(t.Context(), "01M83FJ32YVN1RFT5Y9S8YK71W", harness.Expectation{}, stack.JudgeOptions{})
		require.ErrorContains(t, err, "it asserts nothing")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = t.Stack.Judge(ctx, "01M83FJ32YVN1RFT5Y9S8YK71W", harness.Expectation{NoOtherMail: true}, stack.JudgeOptions{})
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestJudge_EventsWithSameKey(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := address(t)
		event := ordered("shop/ordered", to)
		event.IdempotencyKey = t.Salt()
		ids, err := t.Stack.Send(t.Context(), event, event, event)
		require.NoError(t, err)
		started := 0
		for _, id := range ids {
			v := t.Expect(id, harness.Expectation{Mail: []harness.MailExpectation{{To: "other-" + to, Absent: true}}})
			require.True(t, v.Trace.Quiet)
			started += len(v.Trace.Runs)
			require.Equal(t, len(v.Trace.Runs) == 0, v.Trace.Event.DuplicateOf != "")
		}
		require.Equal(t, 1, started, "runs of all of them")
	})
}

func TestJudge_WithoutTaps(t *testing.T) {
	suite.RunAlone(t, func(o *stack.Options) { o.WithoutTaps = true }, func(t *harnesstest.T) {
		to := address(t)
		v := t.SendAndExpect(ordered("shop/shipped", to), harness.Expectation{
			Runs:        []harness.RunExpectation{ran("ship"), ran("confirm")},
			Mail:        []harness.MailExpectation{{To: to, Copies: 1}},
			NoOtherRuns: true, NoOtherMail: true,
		})
		require.Empty(t, v.Trace.Deliveries)
		e := ordered("shop/ordered", to)
		e.IdempotencyKey = t.Salt()
		id := t.Send(e)
		found, err := t.Stack.AwaitEvent(t.Context(), e.IdempotencyKey)
		require.NoError(t, err)
		require.Equal(t, id, found, "the server tells where no tap does")
	})
}

func TestRestart_SyncsAppWithInngest(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		require.NoError(t, t.Stack.Restart(t.Context(), harness.ServiceInngest))
		to := address(t)
		t.SendAndExpect(ordered("shop/ordered", to), harness.Expectation{Mail: []harness.MailExpectation{{To: to}}})
	})
}

func TestEnsureSynced(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		again, err := t.Stack.App().EnsureSynced(t.Context())
		require.NoError(t, err)
		require.False(t, again)
		require.NoError(t, t.Stack.API().RemoveApp(t.Context(), inngestapi.App{URL: t.Env().AppURL + "/api/inngest"}))
		again, err = t.Stack.App().EnsureSynced(t.Context())
		require.NoError(t, err)
		require.True(t, again)
	})
}

func TestApp_ReportsItsOwnEnd(t *testing.T) {
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.RunCommand(t.Context(), shopProgram()))
	require.NoError(t, st.App().Err())
	first := st.App().Done()
	require.NoError(t, st.Restart(t.Context(), harness.ServiceApp))
	<-first
	require.NoError(t, st.App().Err(), "the next incarnation is running")

	env, _ := st.Env()
	_, err := http.Post(env.AppURL+"/exit", "", nil)
	require.Error(t, err, "the app exits before it answers")
	<-st.App().Done()
	var exit *stack.ExitError
	require.ErrorAs(t, st.App().Err(), &exit)
	require.Equal(t, "app", exit.Name)
}

func TestRunHandler_RefusesSecondApp(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		err := t.Stack.RunHandler(t.Context(), func(context.Context, harness.Env) (http.Handler, error) { return http.NotFoundHandler(), nil })
		require.ErrorContains(t, err, "runs an app already")
	})
}

func TestRunHandler_ContextLivesAsLongAsApp(t *testing.T) {
	st := startOnSim(t, stack.Options{})
	var life context.Context
	start, cancel := context.WithCancel(t.Context())
	require.NoError(t, st.RunHandler(start, func(ctx context.Context, env harness.Env) (http.Handler, error) {
		life = ctx
		return newShop(ctx, env)
	}))
	cancel()
	require.NoError(t, life.Err(), "the context of the start has ended, the app has not")
	require.NoError(t, st.Stop(t.Context(), harness.ServiceApp))
	require.ErrorIs(t, life.Err(), context.Canceled)
}

func TestAwaitShown_KnowsWhatTheServerHasAccepted(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		listed := func(id string, named ...string) bool {
			require.NoError(t, t.Stack.AwaitShown(t.Context(), 100))
			events, err := t.Stack.API().Events(t.Context(), inngestapi.EventFilter{Since: time.Now().Add(-time.Minute), Names: named})
			require.NoError(t, err)
			return slices.ContainsFunc(events, func(e inngestapi.ReceivedEvent) bool { return e.EventID == id })
		}
		require.True(t, listed(t.Send(ordered("shop/unheard-of", "x")), "shop/unheard-of"))

		sent := t.Salt() + "-by-the-app"
		t.Send(harness.Event{Name: "shop/forwarded", Data: order{To: address(t), EventID: sent}})
		id, err := t.Stack.AwaitEvent(t.Context(), sent)
		require.NoError(t, err)
		require.True(t, listed(id, "shop/ordered"))
	})
}

func TestEvent_IsShownOnceAccepted(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		e, err := t.Stack.Event(t.Context(), t.Send(ordered("shop/unheard-of", "x")))
		require.NoError(t, err)
		require.Equal(t, "shop/unheard-of", e.Name)
		began := time.Now()
		_, err = t.Stack.Event(t.Context(), "01JDD9WRP1F5G1Y9ZVC4Q4XKZS")
		require.ErrorIs(t, err, inngestapi.ErrNotFound)
		require.Less(t, time.Since(began), inngestapi.VisibleWithin, "an old one is not waited for")
		_, err = t.Stack.Event(t.Context(), "my-own-id")
		require.ErrorContains(t, err, `"my-own-id" is no id of an event`)
	})
}

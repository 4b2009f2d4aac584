package stack_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// ownShop starts a stack with the shop for one test. Nothing has sent a request to it yet.
func ownShop(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	st := startPlain(t, o)
	require.NoError(t, st.RunHandler(t.Context(), newShop))
	return st
}

// forward sends an event whose function sends another one outside its steps, and judges it.
func forward(t *testing.T, st *stack.Stack, o order, e harness.Expectation) *harness.Verdict {
	t.Helper()
	ids, err := st.Send(t.Context(), harness.Event{Name: "shop/forwarded", Data: o})
	require.NoError(t, err)
	v, err := st.Judge(t.Context(), ids[0], e, stack.JudgeOptions{})
	require.NoError(t, err)
	return v
}

func TestJudge_AttributesEventSentOutsideSteps(t *testing.T) {
	t.Parallel()
	st := ownShop(t, stack.Options{})
	v := forward(t, st, order{To: "kim@shop.test"}, harness.Expectation{Runs: []harness.RunExpectation{ran("forward")}, NoOtherRuns: true})
	require.Equal(t, harness.Broken, v.Outcome, "%s", v)
	require.Regexp(t, `^there is a run that was not expected: \S+ of confirm$`, v.Why)
	require.Regexp(t, `run of confirm \w+ \(\S+\) \(attributed to this event by time: the app sent the event that started it while an earlier run was being called\)`, v.String())

	v = forward(t, st, order{To: "lee@shop.test"}, harness.Expectation{
		Runs:        []harness.RunExpectation{ran("forward"), ran("confirm")},
		Mail:        []harness.MailExpectation{{To: "lee@shop.test", Copies: 1}},
		NoOtherRuns: true, NoOtherMail: true,
	})
	require.NoError(t, v.Err())
	require.False(t, v.Trace.Runs[0].Inferred)
	require.True(t, v.Trace.Runs[1].Inferred)
	require.Regexp(t, `the app sent the event \S+ while one of these runs, and nothing else, was being called: it is attributed to that run`, v.String())
}

func TestJudge_CannotDenyUnattributedEvent(t *testing.T) {
	t.Parallel()
	st := ownShop(t, stack.Options{})
	env, _ := st.Env()
	res, err := http.Post(env.AppURL+"/orders", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close()) // it may have made the app send something later on

	v := forward(t, st, order{To: "kim@shop.test"}, harness.Expectation{Runs: []harness.RunExpectation{ran("forward")}, NoOtherRuns: true})
	require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
	require.Regexp(t, `^nothing contradicts it, but the app sent the event shop/ordered \(\S+\) while a run was being called, and that run may have sent it: `+
		`send it through a step, or, where it has another cause, ask for it first \(in Go, Stack.AwaitEvent\)$`, v.Why)
	require.Regexp(t, `the app sent the event shop/ordered \(\S+\) while one of these runs was being called: it cannot be known whether that run sent it`, v.String())

	lee := harness.MailExpectation{To: "lee@shop.test", Absent: true}
	v = forward(t, st, order{To: "lee@shop.test"}, harness.Expectation{Mail: []harness.MailExpectation{lee}})
	require.Equal(t, harness.CannotBeJudged, v.Outcome, "there is an email to lee, of a run that may belong to it: %s", v)
	v = forward(t, st, order{To: "max@shop.test"}, harness.Expectation{Mail: []harness.MailExpectation{{To: "zoe@shop.test", Absent: true}}})
	require.NoError(t, v.Err(), "there is none, whatever sent the event")
	require.Len(t, v.Trace.UnattributedEvents, 1)

	v = forward(t, st, order{To: "ida@shop.test"}, harness.Expectation{
		Runs: []harness.RunExpectation{ran("forward"), ran("confirm")}, Mail: []harness.MailExpectation{{To: "ida@shop.test"}},
	})
	require.Equal(t, harness.CannotBeJudged, v.Outcome, "a run of confirm, and its email, may belong to it: %s", v)
	require.Regexp(t, `^there is no run of confirm, only of forward, as far as can be known, but the app sent the event shop/ordered`, v.Why)
	v = forward(t, st, order{To: "tom@shop.test"}, harness.Expectation{Mail: []harness.MailExpectation{{To: "eve@shop.test"}}})
	require.Equal(t, harness.Broken, v.Outcome, "there is no email to eve, whatever sent the event: %s", v)

	own := order{To: "noa@shop.test", EventID: "asked-for"}
	asking, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = st.AwaitEvent(asking, own.EventID) // to have asked is enough
	require.ErrorIs(t, err, context.Canceled)
	v = forward(t, st, own, harness.Expectation{Runs: []harness.RunExpectation{ran("forward")}, NoOtherRuns: true})
	require.NoError(t, v.Err(), "an awaited event is explained")
}

func TestJudge_AttributesNoOutsideEventOnSharedStack(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		v := t.SendAndExpect(ordered("shop/forwarded", address(t)), harness.Expectation{Runs: []harness.RunExpectation{ran("forward")}, NoOtherRuns: true})
		require.Regexp(t, `the app sent \d events? outside its steps while these runs were being called: on a shared stack they cannot be attributed to a run`, v.String())

		id := t.Send(ordered("shop/forwarded", address(t)))
		confirmed := harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}}
		v = t.Judge(id, confirmed, stack.JudgeOptions{})
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
		v = t.Judge(id, harness.Expectation{Runs: []harness.RunExpectation{ran("forward"), ran("forward")}}, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome, "%s", v)
	})
}

func TestJudge_IgnoresMailOfOtherTestsOnSharedStack(t *testing.T) {
	t.Parallel()
	st := ownShop(t, stack.Options{Shared: true})
	judge := func(event harness.Event, e harness.Expectation) (id string, v *harness.Verdict) {
		ids, err := st.Send(t.Context(), event)
		require.NoError(t, err)
		v, err = st.Judge(t.Context(), ids[0], e, stack.JudgeOptions{})
		require.NoError(t, err)
		return ids[0], v
	}
	nothingElse := harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}, NoOtherMail: true}
	toKim := nothingElse
	toKim.Mail = []harness.MailExpectation{{To: "kim@shop.test"}}

	own, v := judge(ordered("shop/ordered", "kim@shop.test"), toKim)
	require.NoError(t, v.Err())
	_, v = judge(harness.Event{Name: "shop/ordered", Data: order{To: "lee@shop.test", Unsigned: true}}, nothingElse)
	require.Equal(t, harness.CannotBeJudged, v.Outcome, "it may be its own: %s", v)
	require.Contains(t, v.Why, "1 email has arrived since the event without a header that names a run")
	v, err := st.Judge(t.Context(), own, toKim, stack.JudgeOptions{})
	require.NoError(t, err)
	require.NoError(t, v.Err(), "lee's email came later, while no run of this event was being called")
}

func TestJudge_SaysWhatIsUnknownWithoutTaps(t *testing.T) {
	t.Parallel()
	st := ownShop(t, stack.Options{WithoutTaps: true})
	v := forward(t, st, order{To: "kim@shop.test"}, harness.Expectation{Runs: []harness.RunExpectation{ran("forward")}, NoOtherRuns: true})
	require.NoError(t, v.Err())
	require.Contains(t, v.String(), "events that these runs may have sent outside their steps cannot be known without taps")
}

package stack_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestJudge_FollowsWildcardTriggerOfSentEvent(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := address(t)
		v := t.Judge(t.Send(ordered("shop/relayed", to)), harness.Expectation{Runs: []harness.RunExpectation{ran("relay")}, NoOtherRuns: true}, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome, "%s", v)
		require.Regexp(t, `there is a run that was not expected: \S+ of audit`, v.Why)
		t.SendAndExpect(ordered("shop/relayed", to+".2"), harness.Expectation{
			Runs: []harness.RunExpectation{ran("relay"), ran("audit")}, Mail: []harness.MailExpectation{{To: to + ".2", Copies: 1}}, NoOtherRuns: true, NoOtherMail: true,
		})
	})
}

func TestJudge_WaitsForOpenCallAndHandlerOfCancelledRun(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		to := address(t)
		id := t.Send(ordered("shop/slow", to))
		t.Expect(id, harness.Expectation{Runs: []harness.RunExpectation{{Function: "slow", Status: harness.StatusRunning}}})
		t.Send(ordered("shop/withdrawn", to))
		ended := harness.Expectation{
			Runs: []harness.RunExpectation{{Function: "slow", Status: harness.StatusCancelled}, ran("note-cancelled")},
			Mail: []harness.MailExpectation{{To: to, Absent: true}}, NoOtherMail: true, NoOtherRuns: true,
		}
		var v *harness.Verdict
		require.Eventually(t, func() bool { // the server cancels the run a moment later
			v = t.Judge(id, ended, stack.JudgeOptions{Timeout: time.Second})
			return strings.Contains(v.Why, "of slow is CANCELLED, but the app is still being called for it")
		}, time.Minute, time.Millisecond)
		require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)

		close(slow.gate(to)) // the step goes on, and sends its email
		v = t.Judge(id, ended, stack.JudgeOptions{})
		require.Equal(t, harness.Broken, v.Outcome, "%s", v)
		require.Contains(t, v.Why, "there is an email to "+to+", want none")
	})
}

func TestJudge_SystemEventStartsNoFurtherSystemEvent(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		t.SendAndExpect(ordered("shop/surveyed", address(t)), harness.Expectation{
			Runs:        []harness.RunExpectation{ran("survey"), ran("note-finished")},
			NoOtherRuns: true, NoOtherMail: true,
		})
	})
}

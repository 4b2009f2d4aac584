package judge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// What the app itself waits for is no failure of it. Where it works, or hangs, it should have been done.
func TestFinal_CannotBeJudgedWhileTheAppWaits(t *testing.T) {
	t.Parallel()
	running := func(steps ...harness.TraceStep) func(*harness.Trace) {
		return func(t *harness.Trace) {
			t.Quiet, t.Unquiet, t.Mail = false, "a run is RUNNING", nil
			t.Runs[0].Status, t.Runs[0].Steps = harness.StatusRunning, steps
		}
	}
	step := func(id, op string, status harness.Status) harness.TraceStep {
		return harness.TraceStep{ID: id, Op: op, Status: status}
	}
	const missing = "there is no email to kim@shop.test"
	for name, c := range map[string]struct {
		trace func(*harness.Trace)
		want  harness.Outcome
		why   string
	}{
		"in a sleep": {running(step("load", "RUN", harness.StatusCompleted), step("3-days", "SLEEP", harness.StatusRunning)),
			harness.CannotBeJudged, missing + ", but after 10s that may still change: the run 01RUN of confirm is RUNNING, in step 3-days (SLEEP)"},
		"in a wait": {running(step("paid", "WAIT_FOR_EVENT", harness.StatusRunning)),
			harness.CannotBeJudged, missing + ", but after 10s that may still change: the run 01RUN of confirm is RUNNING, in step paid (WAIT_FOR_EVENT)"},
		"at work beside a sleep": {running(step("3-days", "SLEEP", harness.StatusRunning), step("load", "RUN", harness.StatusRunning)),
			harness.Broken, missing + " (within 10s)"},
		"between steps":     {running(step("load", "RUN", harness.StatusCompleted)), harness.Broken, missing + " (within 10s)"},
		"in another's hand": {running(step("bill", "INVOKE", harness.StatusRunning)), harness.Broken, missing + " (within 10s)"},
		"invoking a run that sleeps": {func(t *harness.Trace) {
			running(step("bill", "INVOKE", harness.StatusRunning))(t)
			t.Runs = append(t.Runs, harness.TraceRun{ID: "01BILL", Function: "bill", Status: harness.StatusRunning,
				Steps: []harness.TraceStep{step("a-day", "SLEEP", harness.StatusRunning)}})
		}, harness.CannotBeJudged, missing + ", but after 10s that may still change: the run 01BILL of bill is RUNNING, in step a-day (SLEEP)"},
		"until the time of its event": {func(t *harness.Trace) {
			running()(t)
			t.Runs[0].Status, t.Runs[0].EventID, t.Event.Due = harness.StatusQueued, t.EventID, t.Taken.Add(time.Hour)
		}, harness.CannotBeJudged, missing + ", but after 10s that may still change: the run 01RUN of confirm is QUEUED until the time (ts) of its event"},
		"queued": {func(t *harness.Trace) { running()(t); t.Runs[0].Status = harness.StatusQueued }, harness.Broken, missing + " (within 10s)"},
		"debounced": {func(t *harness.Trace) {
			running()(t)
			t.Runs, t.Functions[0].Pending = nil, "is debounced: it starts for the last of several events"
		}, harness.CannotBeJudged, missing + ", but after 10s that may still change: confirm is debounced: it starts for the last of several events"},
		"to be retried in an hour": {running(harness.TraceStep{ID: "load", Op: "RUN", Status: harness.StatusRunning,
			Attempts: []harness.TraceAttempt{{Status: harness.StatusFailed, Error: "the bank is closed"}}}), harness.Broken, missing + " (within 10s)"},
		"ended": {func(t *harness.Trace) { t.Mail = nil }, harness.Broken, missing + " (within 10s)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
			trace := good(c.trace)
			v := Compare(e, trace, Options{}).Final(10*time.Second, 10*time.Second)
			require.Equal(t, c.want, v.Outcome, v)
			require.Contains(t, v.Why, c.why[:len(missing)])
			if c.want == harness.CannotBeJudged {
				require.Equal(t, c.why, v.Why)
				require.NotContains(t, v.String(), "✗")
			} else if !trace.Quiet {
				require.Contains(t, v.Why, "(within 10s)")
			}
			require.Error(t, v.Err(), "it fails a test either way")
			if !trace.Quiet {
				require.Equal(t, harness.Broken, Compare(e, trace, Options{}).Final(0, 0).Outcome, "of a trace that is as it will stay")
			}
		})
	}
}

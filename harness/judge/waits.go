package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// waits says what everything that has not ended waits for, because the app says so: a sleep, an event, the time of its own event,
// flow control. It is empty where anything is at work or stuck, or went wrong.
func (j *Judgement) waits() (what string) {
	if len(j.anomalies) > 0 {
		return ""
	}
	for i := range j.trace.Runs {
		r := &j.trace.Runs[i]
		if r.Status.Final() {
			continue
		}
		due := j.trace.Event != nil && r.Status == harness.StatusQueued && j.trace.Event.Due.After(j.trace.Taken)
		step := waitingStep(r)
		switch {
		case due && r.EventID == j.trace.EventID:
			what = cmp.Or(what, fmt.Sprintf("the run %s of %s is %s until the time (ts) of its event", r.ID, r.Function, r.Status))
		case step == nil:
			return ""
		case step.Op != opInvoke: // else it waits for a run of the trace
			what = cmp.Or(what, fmt.Sprintf("the run %s of %s is %s, in step %s (%s)", r.ID, r.Function, r.Status, step.ID, step.Op))
		}
	}
	for _, f := range j.trace.Functions {
		if f.Pending != "" && f.NotStarted == "" && len(runComparison{j}.runsOf(f.ID)) == 0 {
			what = cmp.Or(what, f.ID+" "+f.Pending)
		}
	}
	return what
}

// opInvoke is the kind of a step that waits for another run.
const opInvoke = "INVOKE"

// waitingStep returns a step in which a run waits, while it is in no step that does work; nil where there is none.
func waitingStep(r *harness.TraceRun) (waiting *harness.TraceStep) {
	for i := range r.Steps {
		switch s := &r.Steps[i]; {
		case s.Status.Final():
		case !slices.Contains([]string{"SLEEP", "WAIT_FOR_EVENT", "WAIT_FOR_SIGNAL", opInvoke}, s.Op):
			return nil
		case waiting == nil || waiting.Op == opInvoke:
			waiting = s
		}
	}
	return waiting
}

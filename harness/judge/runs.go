package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// A runComparison compares the event and its runs.
type runComparison struct{ *Judgement }

func (j runComparison) run() {
	event := j.addEvent()
	j.showFunctions(event)
	j.compareRuns()
}

// addEvent adds the hop of the event and returns its index.
func (j runComparison) addEvent() int {
	if j.trace.Event == nil {
		return j.addHop(0, harness.HopPending, "event %s: the Inngest server does not know it", j.trace.EventID)
	}
	return j.addHop(0, harness.HopOK, "event %s accepted (%s)", j.trace.Event.Name, j.trace.EventID)
}

// showFunctions adds the subscribed functions that the event has not started. Where nothing has started, their absence is
// a broken hop, and so is what keeps them from starting.
func (j runComparison) showFunctions(event int) {
	if j.trace.Event == nil {
		return
	}
	nothing := len(j.trace.Runs) == 0
	if j.trace.FunctionsUnknown != "" && nothing {
		j.addHop(1, harness.HopPending, "no run, and which functions are subscribed is not known: %s", j.trace.FunctionsUnknown)
		return
	}
	if len(j.trace.Functions) == 0 && nothing {
		h := j.addHop(j.hops[event].Depth+1, harness.HopBroken, "no function is registered for %s", j.trace.Event.Name)
		if j.trace.SyncError != "" {
			j.addDetail(h, "the app is not synced; its last sync failed: "+j.trace.SyncError)
		}
		return
	}
	for _, f := range j.trace.Functions {
		started := func(r harness.TraceRun) bool {
			return r.EventID == j.trace.EventID && r.Function == f.ID && r.App == f.App
		}
		expected := func(r harness.RunExpectation) bool {
			return j.trace.IsCalled(&f, r.Function) && r.Status != harness.StatusSkipped
		}
		switch {
		case slices.ContainsFunc(j.trace.Runs, started):
		case f.NotStarted != "" && (nothing || slices.ContainsFunc(j.expectation.Runs, expected)):
			j.addHop(1, harness.HopBroken, "%s was not started: %s", f.ID, f.NotStarted)
		case f.NotStarted != "":
			j.addHop(1, harness.HopNotReached, "%s was not started: %s", f.ID, f.NotStarted)
		case f.Pending != "":
			j.addHop(1, harness.HopPending, "%s is subscribed, %s, and has not started", f.ID, f.Pending)
		default:
			j.addHop(1, harness.HopPending, "%s is subscribed and has not started", f.ID)
		}
	}
}

// compareRuns gives each expected run a run of its own: one that matches, else another one of its function.
func (j runComparison) compareRuns() {
	runs := newMatching(pointers(j.trace.Runs), func(i int, r *harness.TraceRun) bool {
		want := j.expectation.Runs[i]
		return j.trace.IsOf(r, want.Function) && len(j.runDiffs(want, r)) == 0
	})
	for i := range j.expectation.Runs {
		runs.assign(i)
	}
	assigned := make([]*harness.TraceRun, len(j.expectation.Runs))
	for i := range assigned {
		if own := runs.of(i); len(own) > 0 {
			assigned[i] = own[0]
		}
	}
	for i, want := range j.expectation.Runs {
		left := slices.DeleteFunc(j.runsOf(want.Function), func(r *harness.TraceRun) bool { return slices.Contains(assigned, r) })
		if assigned[i] == nil && len(left) > 0 {
			assigned[i] = left[0]
		}
	}
	for i := range j.trace.Runs {
		r := &j.trace.Runs[i]
		if k := slices.Index(assigned, r); k >= 0 {
			j.compareRun(&j.expectation.Runs[k], r)
		} else {
			j.compareRun(nil, r)
		}
	}
	for i, want := range j.expectation.Runs {
		if assigned[i] == nil {
			j.missingRun(want)
		}
	}
}

func pointers[T any](list []T) []*T {
	var all []*T
	for i := range list {
		all = append(all, &list[i])
	}
	return all
}

// missingRun adds the hop of an expected run that does not exist.
func (j runComparison) missingRun(want harness.RunExpectation) {
	subscribed := slices.ContainsFunc(j.trace.Functions, func(f harness.TraceFunction) bool {
		return j.trace.IsCalled(&f, want.Function)
	})
	h := j.addHop(1, harness.HopPending, "no run of %s", want.Function)
	switch {
	case j.trace.Event == nil:
		j.fail(h, true, "there is no run of %s", want.Function)
	case !subscribed && len(j.trace.Runs) == 0:
		j.fail(h, !j.unsubscribed(), "there is no run of %s: no function of that id is subscribed to %s; %s", want.Function, j.trace.Event.Name, j.subscribed())
	case len(j.runsOf(want.Function)) > 0:
		j.fail(h, true, "there is no further run of %s", want.Function)
	case !subscribed:
		j.fail(h, true, "there is no run of %s, only of %s", want.Function, strings.Join(j.functionsThatRan(), ", "))
	default:
		j.fail(h, true, "there is no run of %s", want.Function)
	}
	j.remediable(remedy{function: want.Function})
}

func (j runComparison) functionsThatRan() []string {
	var ids []string
	for _, r := range j.trace.Runs {
		if !slices.Contains(ids, r.Function) {
			ids = append(ids, r.Function)
		}
	}
	return ids
}

// subscribed names the subscribed functions.
func (j runComparison) subscribed() string {
	if len(j.trace.Functions) == 0 {
		return "none is"
	}
	var ids []string
	for _, f := range j.trace.Functions {
		ids = append(ids, f.ID)
	}
	if len(ids) == 1 {
		return ids[0] + " is"
	}
	return strings.Join(ids, ", ") + " are"
}

// compareRun adds a run with its steps, and its differences from want. A nil want means that no run was expected.
func (j runComparison) compareRun(want *harness.RunExpectation, r *harness.TraceRun) {
	title := fmt.Sprintf("run of %s %s (%s)", r.Function, r.Status, r.ID)
	if e := j.trace.Event; r.Status == harness.StatusQueued && e != nil && r.EventID == j.trace.EventID && e.Due.After(j.trace.Taken) {
		title += " until " + e.Due.Local().Format(time.DateTime) + ", the time (ts) of its event"
	}
	if r.Inferred {
		title += " (attributed to this event by time: the app sent the event that started it while an earlier run was being called)"
	}
	state := harness.HopOK
	switch {
	case !r.Status.Final():
		state = harness.HopPending
	case r.Status == harness.StatusSkipped && want == nil:
		state = harness.HopNotReached
	case r.Status != harness.StatusCompleted && (want == nil || want.Status != r.Status):
		state = harness.HopBroken
	}
	h := j.addHop(1, state, "%s", title)
	if r.Status == harness.StatusSkipped {
		j.addDetail(h, "the server did not execute it: "+r.Skipped)
	} else {
		for _, d := range r.Decisions {
			j.addDetail(h, d)
		}
	}
	hasSteps := len(r.Steps) > 0 || want != nil && len(want.Steps) > 0 && r.StepsUnknown == ""
	failedInStep := slices.ContainsFunc(r.Steps, func(s harness.TraceStep) bool { return s.Status == harness.StatusFailed })
	failedOutside := state == harness.HopBroken && r.Error != "" && hasSteps && !failedInStep
	if r.Error != "" && len(r.Steps) == 0 && !failedOutside {
		j.addDetail(h, "error: "+r.Error)
	}
	if want == nil && j.expectation.NoOtherRuns && r.Status != harness.StatusSkipped {
		j.exceed(h, "there is a run that was not expected: %s of %s", r.ID, r.Function)
	}
	var diffs []runDiff
	fails := false // as expected, whatever step made it fail
	if want != nil {
		diffs = j.runDiffs(*want, r)
		fails = want.Status == harness.StatusFailed && len(diffs) == 0
	}
	steps := make([]int, len(r.Steps)) // the hop of each step
	for i := range r.Steps {
		steps[i] = j.addStep(&r.Steps[i], fails || namedAsFailed(want, r.Steps[i].ID))
	}
	if failedOutside {
		j.addDetail(j.addHop(2, harness.HopBroken, "the function failed outside its steps"), "error: "+r.Error)
	}
	if want == nil {
		return
	}
	if r.StepsUnknown != "" && len(want.Steps) > 0 {
		j.addHop(2, harness.HopPending, "its steps are not known: %s", r.StepsUnknown)
		j.unknown = append(j.unknown, fmt.Sprintf("the steps of %s are not known: %s", r.Function, r.StepsUnknown))
	}
	missing := map[string]int{} // the hops of steps that were not reached
	for _, d := range diffs {
		at := h
		switch {
		case d.step >= 0:
			at = steps[d.step]
		case d.missing != "":
			var ok bool
			if at, ok = missing[d.missing]; !ok {
				at = j.addHop(2, harness.HopNotReached, "step %s was not reached", d.missing)
				missing[d.missing] = at
			}
		}
		// The server may yet record a step at which the app was when the run was cancelled.
		mendable := !r.Status.Final() || d.missing != "" && r.Status == harness.StatusCancelled
		j.fail(at, mendable, "%s", d.text)
		j.differences[len(j.differences)-1].excess = d.success
		if !j.expectation.NoOtherRuns {
			j.remediable(remedy{function: want.Function})
		}
	}
}

// addStep adds the hop of a step and returns its index.
func (j runComparison) addStep(s *harness.TraceStep, mayFail bool) int {
	state := harness.HopOK
	switch {
	case s.Status == harness.StatusFailed && !mayFail:
		state = harness.HopBroken
	case !s.Status.Final():
		state = harness.HopPending
	}
	title := fmt.Sprintf("step %s %s", s.ID, s.Status)
	if n := len(s.Attempts); n > 1 {
		title += fmt.Sprintf(" after %d attempts", n)
	}
	h := j.addHop(2, state, "%s", title)
	for i, a := range s.Attempts {
		if a.Unrecorded {
			j.addDetail(h, fmt.Sprintf("attempt %d: the taps saw it; the Inngest server did not record it", i+1))
		}
		if a.Error != "" {
			j.addDetail(h, fmt.Sprintf("attempt %d: %s", i+1, a.Error))
		}
	}
	if s.Error != "" && !slices.ContainsFunc(s.Attempts, func(a harness.TraceAttempt) bool { return a.Error == s.Error }) {
		j.addDetail(h, "error: "+s.Error)
	}
	return h
}

// namedAsFailed reports whether the expectation of a run says that a step of this id fails. want may be nil.
func namedAsFailed(want *harness.RunExpectation, step string) bool {
	return want != nil && slices.ContainsFunc(want.Steps, func(s harness.StepExpectation) bool { return s.ID == step && s.Status == harness.StatusFailed })
}

// A runDiff is one way in which a run, or one of its steps, is not as expected.
type runDiff struct {
	step    int    // index into the run's steps; -1 for the run itself, or for a step that it lacks
	missing string // the step that it lacks
	text    string
	success bool // it should have failed, and did not
}

// runDiffs lists how a run differs from want: first its steps, because they are why the run ended as it did.
func (j runComparison) runDiffs(want harness.RunExpectation, r *harness.TraceRun) []runDiff {
	var diffs []runDiff
	if r.StepsUnknown != "" {
		want.Steps = nil // they can be judged neither way
	}
	steps := newMatching(indexes(r.Steps), func(i, step int) bool {
		return isStep(want.Steps[i], r, step) && len(j.stepDiffs(want, want.Steps[i], &r.Steps[step])) == 0
	})
	for i := range want.Steps {
		steps.assign(i)
	}
	for i, ws := range want.Steps {
		if len(steps.of(i)) > 0 {
			continue
		}
		step := steps.takeOne(func(step int) bool { return isStep(ws, r, step) })
		if step == nil {
			diffs = append(diffs, runDiff{step: -1, missing: stepName(ws),
				text: fmt.Sprintf("run of %s: step %s was not reached; its steps are %s", want.Function, stepName(ws), stepIDs(r))})
			continue
		}
		for _, text := range j.stepDiffs(want, ws, &r.Steps[*step]) {
			success := succeeded(ws.Status, r.Steps[*step].Status)
			diffs = append(diffs, runDiff{step: *step, text: text, success: success})
		}
	}
	add := func(format string, args ...any) {
		diffs = append(diffs, runDiff{step: -1, text: fmt.Sprintf(format, args...), success: succeeded(want.Status, r.Status)})
	}
	what := "run of " + want.Function
	switch {
	case r.Status == harness.StatusSkipped && want.Status != r.Status:
		add("%s: the server skipped it, and did not call the app: %s", what, r.Skipped)
	case want.Status != "" && want.Status != r.Status:
		add("%s: status is %s, want %s%s", what, r.Status, want.Status, because(r.Error))
	}
	if diff := j.outputDiff(want.Output, r.Output, r.Status); diff != "" {
		add("%s: %s", what, diff)
	}
	if !strings.Contains(r.Error, want.Error) {
		add("%s: error is %q, want one with %q", what, r.Error, want.Error)
	}
	return diffs
}

// succeeded reports whether what should have ended in another way has succeeded.
func succeeded(want, got harness.Status) bool {
	return got == harness.StatusCompleted && want.Final() && want != got
}

// stepDiffs lists how a step differs from want.
func (j runComparison) stepDiffs(run harness.RunExpectation, want harness.StepExpectation, s *harness.TraceStep) []string {
	var diffs []string
	add := func(format string, args ...any) {
		diffs = append(diffs, fmt.Sprintf("step %s of %s: ", stepName(want), run.Function)+fmt.Sprintf(format, args...))
	}
	if want.Status != "" && want.Status != s.Status {
		add("status is %s, want %s%s", s.Status, want.Status, because(s.Error))
	}
	if want.Attempts != 0 && !s.Status.Final() {
		add("it is %s, so its attempts cannot be counted yet", s.Status)
	} else if want.Attempts != 0 && want.Attempts != len(s.Attempts) {
		add("it had %s, want %d", text.Count(len(s.Attempts), "attempt", "attempts"), want.Attempts)
	}
	if diff := j.outputDiff(want.Output, s.Output, s.Status); diff != "" {
		add("%s", diff)
	}
	if !strings.Contains(s.Error, want.Error) {
		add("error is %q, want one with %q", s.Error, want.Error)
	}
	return diffs
}

// isStep reports whether want can mean a step of a run.
func isStep(want harness.StepExpectation, r *harness.TraceRun, step int) bool {
	if r.Steps[step].ID != want.ID {
		return false
	}
	if want.Occurrence == 0 {
		return true
	}
	earlier := 0
	for i, s := range r.Steps {
		if s.ID == want.ID && (s.Started.Before(r.Steps[step].Started) || i < step && s.Started.Equal(r.Steps[step].Started)) {
			earlier++
		}
	}
	return earlier == want.Occurrence-1
}

// stepName names an expected step: "send", or "send (occurrence 3)" where the entry chooses among several.
func stepName(s harness.StepExpectation) string {
	if s.Occurrence == 0 {
		return s.ID
	}
	return fmt.Sprintf("%s (occurrence %d)", s.ID, s.Occurrence)
}

// indexes returns the indexes of a list.
func indexes[T any](list []T) []int {
	all := make([]int, len(list))
	for i := range all {
		all[i] = i
	}
	return all
}

func because(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

func stepIDs(r *harness.TraceRun) string {
	if len(r.Steps) == 0 {
		return "none"
	}
	var ids []string
	for _, s := range r.Steps {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, ", ")
}

// runsOf returns the runs of a function.
func (j runComparison) runsOf(function string) []*harness.TraceRun {
	return slices.DeleteFunc(pointers(j.trace.Runs), func(r *harness.TraceRun) bool { return !j.trace.IsOf(r, function) })
}

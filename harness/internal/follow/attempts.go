package follow

import (
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// An execution is one time that the app executed a step, as the taps saw it. A step that was saved too late, or whose
// result was lost, has more executions than the server has attempts.
type execution struct {
	step         string // hashed id
	call         uint64 // the exchange of the call in which it happened; zero where unknown
	repeat       int    // 1 for the second of two calls of one exchange
	began, ended time.Time
	timed        bool // the app reported the times; else they are those of the call
	status       harness.Status
}

// same reports whether two records are of one execution. A step runs once in a call, and is reported again in the
// answer where its checkpoint was lost.
func (e execution) same(o execution) bool {
	if e.step != o.step || e.repeat != o.repeat {
		return false
	}
	if e.timed && o.timed {
		return e.began.Equal(o.began)
	}
	return e.call != 0 && e.call == o.call
}

// executions are those of one run, in the order in which they became known.
type executions struct {
	list []execution
	open []tap.Exchange // unanswered calls for which it is not known yet at which step the app was
}

func (x *executions) add(e execution) {
	// A late report tells of an execution that is known only from its call.
	late := func(o execution) bool {
		return o.step == e.step && e.timed && e.call == 0 && !o.timed && !e.began.Before(o.began) && !e.began.After(o.ended)
	}
	if i := slices.IndexFunc(x.list, func(o execution) bool { return e.same(o) || late(o) }); i < 0 {
		x.list = append(x.list, e)
	} else if e.timed && !x.list[i].timed {
		x.list[i] = e
	}
}

// report enters the steps whose end the app reports, in an answer or a checkpoint. began is when the call did; ended is
// now.
func (x *executions) report(ops []tap.Op, call uint64, began, ended time.Time, repeat int) {
	for _, o := range ops {
		if !o.Op.Ran() {
			continue
		}
		e := execution{step: o.ID, call: call, repeat: repeat, began: began, ended: ended, status: harness.StatusCompleted}
		if o.Op == sdk.OpStepError || o.Op == sdk.OpStepFailed {
			e.status = harness.StatusFailed
		}
		if !o.Began.IsZero() {
			e.began, e.ended, e.timed = o.Began, o.Ended, true
			if o.Began.Before(began) {
				e.call = 0 // the report is late: it is of an earlier call
			}
		}
		x.add(e)
		x.explainUnanswered(e)
	}
}

// explainUnanswered takes the calls that the app did not answer for earlier executions of the step that came next.
func (x *executions) explainUnanswered(next execution) {
	for _, c := range x.open {
		if !next.began.After(c.Ended) {
			continue // it is the execution of that very call
		}
		within := func(e execution) bool {
			return e.step == next.step && !e.began.Before(c.Began) && e.began.Before(next.began)
		}
		if !slices.ContainsFunc(x.list, within) {
			x.add(execution{step: next.step, call: c.ID, began: c.Began, ended: c.Ended})
		}
	}
	x.open = nil
}

// addCall enters a call that is over.
func (x *executions) addCall(c tap.Exchange) {
	x.report(c.Call.Ops, c.ID, c.Began, c.Ended, 0)
	if c.Call.Repeated {
		x.report(c.Call.Ops, c.ID, c.Began, c.Ended, 1)
	}
	// The function itself failed: an SDK may go on after the step that it was asked for, and then lose its result.
	failed := (c.Call.Status == 500 || c.Call.NoRetry) && len(c.Call.Ops) == 0
	switch {
	case c.Call.Step != "" && failed:
		x.open = nil
		x.add(execution{step: c.Call.Step, call: c.ID, began: c.Began, ended: c.Ended, status: harness.StatusFailed})
	case !c.Call.Unanswered:
		x.open = nil
	case c.Call.Step != "":
		x.add(execution{step: c.Call.Step, call: c.ID, began: c.Began, ended: c.Ended})
	default:
		x.open = append(x.open, c)
	}
}

// attempts returns the attempts of a step: those that the server recorded, and before them those that only the taps saw.
func attempts(recorded []inngestapi.Attempt, seen []execution) []harness.TraceAttempt {
	var all []harness.TraceAttempt
	for _, e := range seen[:max(0, len(seen)-len(recorded))] {
		all = append(all, harness.TraceAttempt{Status: e.status, Started: e.began, Ended: e.ended, Unrecorded: true})
	}
	for _, a := range recorded {
		all = append(all, harness.TraceAttempt{Status: a.Status, Error: a.Error, Started: a.Started, Ended: a.Ended})
	}
	return all
}

// of returns the executions of a step, first to last.
func (x executions) of(step string) []execution {
	found := slices.DeleteFunc(slices.Clone(x.list), func(e execution) bool { return e.step != step })
	slices.SortStableFunc(found, func(a, b execution) int { return a.began.Compare(b.began) })
	return found
}

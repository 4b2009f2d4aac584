package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
)

// wait is a run waiting for an event: to go on, to be cancelled by it, or for the end of a function that it invoked.
type wait struct {
	run         *run
	event       string
	when        *expression.Expression
	expires     time.Time
	born        uint64 // sequence of the latest event at the time: only later ones count
	cancels     bool
	correlation string // set on invocations
	signal      string // set on waits for a signal
	step        string // hashed id, unless it cancels
	coalesce    string
	race        bool
	timeout     *item
	over        bool
}

// waits are what runs wait for.
type waits struct {
	byEvent     map[string][]*wait
	invocations map[string]*wait // by correlation id
	signals     map[string]*wait // by the signal
}

func newWaits() waits {
	return waits{byEvent: map[string][]*wait{}, invocations: map[string]*wait{}, signals: map[string]*wait{}}
}

func (ws *waits) add(w *wait) {
	w.run.waits = append(w.run.waits, w)
	if w.correlation != "" {
		ws.invocations[w.correlation] = w
		return
	}
	if w.signal != "" {
		ws.signals[w.signal] = w
		return
	}
	ws.byEvent[w.event] = append(ws.byEvent[w.event], w)
}

func (ws *waits) remove(w *wait) {
	if w.correlation != "" {
		delete(ws.invocations, w.correlation)
		return
	}
	if w.signal != "" {
		if ws.signals[w.signal] == w { // another one may have taken its place
			delete(ws.signals, w.signal)
		}
		return
	}
	remove(ws.byEvent, w.event, w)
}

// invocation returns the record of what the step invoked that waits, or nil.
func (w *wait) invocation() *Invocation {
	if step := w.run.stepOf(w.step); step != nil {
		return step.Invocation
	}
	return nil
}

func (m *machine) dropWait(w *wait) {
	w.over = true
	m.queue.remove(w.timeout)
	m.waits.remove(w)
}

// wake resumes and cancels runs that wait for the event.
func (m *machine) wake(e *event) {
	if len(m.waits.byEvent[e.Name]) == 0 {
		return
	}
	now := m.clock.Now()
	for _, w := range slices.Clone(m.waits.byEvent[e.Name]) {
		r := w.run
		if w.over || r.Status.Final() || e == r.event || e.seq <= w.born || w.expires.Before(now) {
			continue
		}
		if !w.when.Holds(r.event.vars(), e.vars()) {
			continue
		}
		if w.cancels {
			m.end(r, harness.StatusCancelled)
			continue
		}
		if step := r.stepOf(w.step); step != nil && step.Wait != nil {
			step.Wait.Found = e.EventID
		}
		m.resume(w, e.object(), StepCompleted, nil)
	}
}

// resume memoises the result of a wait and goes on with the run.
func (m *machine) resume(w *wait, raw json.RawMessage, status StepStatus, failed *Error) {
	r := w.run
	m.dropWait(w)
	if step := r.stepOf(w.step); step != nil {
		step.Output = shownOutput(raw)
		if failed != nil {
			status = StepFailed
		}
		r.endStep(w.step, status, failed, m.clock.Now())
	}
	othersPending := r.save(w.step, raw)
	job := w.step + "-" + string(status)
	if w.coalesce != "" && !w.race {
		job = w.coalesce + "-discover"
	}
	m.discover(r, w.step, job, othersPending && !w.race)
}

// shownOutput returns what a reader looks for in a step's result: of {"data": x} the x, of an error nothing.
func shownOutput(raw json.RawMessage) json.RawMessage {
	var wrapped map[string]json.RawMessage
	if json.Unmarshal(raw, &wrapped) != nil || len(wrapped) != 1 {
		return raw
	}
	if data, ok := wrapped["data"]; ok {
		return data
	}
	if _, ok := wrapped["error"]; ok {
		return nil
	}
	return raw
}

// InvokeTimeout is the name of the error of an invocation that timed out.
const InvokeTimeout = "InngestInvokeTimeoutError"

// expire ends a wait that has timed out.
func (m *machine) expire(w *wait) {
	if w.over {
		return
	}
	if w.correlation == "" {
		m.resume(w, orNull(nil), StepTimedOut, nil)
		return
	}
	const name, message = InvokeTimeout, "Timed out waiting for invoked function to complete"
	m.resume(w, Wrap("error", map[string]string{"error": name + ": " + message, "name": name, "message": message}),
		StepTimedOut, newError(name, message))
}

// invoked gives the run that waits for an invocation its result, as an event told it.
func (m *machine) invoked(correlation string, told *event, failed *Error) {
	w := m.waits.invocations[correlation]
	if w == nil || w.over || w.expires.Before(m.clock.Now()) {
		return
	}
	if in := w.invocation(); in != nil {
		in.Returned = told.EventID
	}
	if failed != nil {
		shown := failed.Fields()
		if failed.refused {
			delete(shown, "error") // there was no run to have one
		}
		m.resume(w, Wrap("error", shown), StepFailed, failed)
		return
	}
	m.resume(w, Wrap("data", told.Data["result"]), StepCompleted, nil)
}

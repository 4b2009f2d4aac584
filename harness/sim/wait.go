package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// wait is a run waiting for an event: to go on, to be cancelled by it, or for the end of a function it invoked.
type wait struct {
	run         *run
	event       string
	when        *expression
	expires     time.Time
	born        uint64 // sequence of the latest event at the time: only later ones count
	cancels     bool
	correlation string // set on invocations
	step        string // hashed id, unless it cancels
	coalesce    string
	race        bool
	timeout     *item
	over        bool
}

// planWait lets the run wait for an event.
func (s *Sim) planWait(it *item, o *sdk.Op, p plan) error {
	r := it.run
	var opts struct {
		Timeout string  `json:"timeout"`
		If      *string `json:"if"`
		Event   string  `json:"event"`
	}
	if err := o.Options(&opts); err != nil {
		return err
	}
	if opts.Event == "" {
		opts.Event = o.Name
	}
	if opts.Event == "" {
		return fmt.Errorf("step %s: an event name must be provided when waiting for an event", o.StepID())
	}
	w := &wait{run: r, event: opts.Event, step: o.ID, coalesce: p.coalesce, race: race(o), born: s.sequence, expires: s.clock()}
	if opts.If != nil {
		e, err := compile(*opts.If)
		if err != nil {
			return &failEarly{&Error{Name: "InvalidExpression", Message: "Wait for event If expression failed to compile", Stack: err.Error()}}
		}
		w.when = e
	}
	if opts.Timeout != "" { // an empty one is one that is already over
		at, err := s.deadline(opts.Timeout)
		if err != nil {
			return fmt.Errorf("unable to parse wait for event expires: %w", err)
		}
		if at.Sub(s.clock()) > longestWait {
			return &tooLong{fmt.Sprintf("The wait-for-event timeout %q expires more than one year in the future; timeouts may last at most one year.", opts.Timeout)}
		}
		w.expires = at
	}
	return s.startWait(o, w, OpWaitForEvent)
}

// planInvoke calls another function and lets the run wait for its end.
func (s *Sim) planInvoke(it *item, o *sdk.Op, p plan) error {
	r := it.run
	var opts struct {
		FunctionID string     `json:"function_id"`
		Payload    *wireEvent `json:"payload"`
		Timeout    string     `json:"timeout"`
	}
	if err := o.Options(&opts); err != nil {
		return err
	}
	w := &wait{run: r, event: EventFunctionFinished, step: o.ID, coalesce: p.coalesce, race: race(o), born: s.sequence,
		correlation: r.text + "." + o.ID, expires: s.clock().Add(defaultExpiry)}
	if opts.Timeout != "" {
		at, err := s.deadline(opts.Timeout)
		if err != nil {
			return fmt.Errorf("unable to parse invoke function expires: %w", err)
		}
		w.expires = at
	}
	if r.stepOf(o.ID) != nil && r.stepOf(o.ID).Status == StepWaiting {
		return nil // reported again: it is already under way
	}
	if err := s.startWait(o, w, OpInvoke); err != nil || w.over {
		return err
	}
	payload := opts.Payload
	if payload == nil {
		payload = &wireEvent{}
	}
	s.invoke(opts.FunctionID, w.correlation, payload)
	return nil
}

// invoke publishes the event that starts one function, and ties its end to a correlation id if there is one.
func (s *Sim) invoke(functionID, correlation string, payload *wireEvent) *event {
	data := payload.Data
	if data == nil {
		data = map[string]any{}
	}
	meta := map[string]any{"fn_id": functionID}
	if correlation != "" {
		meta["correlation_id"] = correlation
	}
	data[metadataKey] = meta
	e := s.newEvent(EventFunctionInvoked, payload.ID, payload.TS, data, payload.User, payload.Version, [16]byte{})
	e.correlation = correlation
	if e.invokes = s.find(functionID); e.invokes == nil {
		e.unknown = functionID
	}
	s.publish(e)
	return e
}

// find returns a function by its id or its UUID.
func (s *Sim) find(id string) *function {
	if f := s.functions[id]; f != nil {
		return f
	}
	for _, f := range s.functions {
		if f.uuid.String() == id {
			return f
		}
	}
	return nil
}

// startWait registers a wait, or ends it at once if the step's result is replaced.
func (s *Sim) startWait(o *sdk.Op, w *wait, op Op) error {
	r := w.run
	step := r.step(o.ID, o.StepID(), op, s.clock())
	if !r.once(o.ID) {
		w.over = true
		return nil
	}
	step.Status = StepWaiting
	if rep := s.replacement(r.function, step.ID); rep != nil {
		step.Replaced = true
		s.resume(w, rep.forWait(op), StepCompleted, rep.failure())
		return nil
	}
	s.addWait(w)
	w.timeout = &item{at: w.expires, kind: kindExpire, run: r, wait: w}
	s.queue.push(w.timeout)
	return nil
}

func (s *Sim) addWait(w *wait) {
	w.run.waits = append(w.run.waits, w)
	if w.correlation != "" {
		s.invocations[w.correlation] = w
		return
	}
	s.waits[w.event] = append(s.waits[w.event], w)
}

func (s *Sim) dropWait(w *wait) {
	w.over = true
	s.queue.remove(w.timeout)
	if w.correlation != "" {
		delete(s.invocations, w.correlation)
		return
	}
	left := slices.DeleteFunc(s.waits[w.event], func(o *wait) bool { return o == w })
	if len(left) == 0 {
		delete(s.waits, w.event)
		return
	}
	s.waits[w.event] = left
}

// wake resumes and cancels what waits for the event.
func (s *Sim) wake(e *event) {
	if len(s.waits[e.name]) == 0 {
		return
	}
	for _, w := range slices.Clone(s.waits[e.name]) {
		r := w.run
		if w.over || r.status.Over() || e == r.event || e.seq <= w.born || w.expires.Before(s.clock()) {
			continue
		}
		if w.when != nil && !w.when.holds(r.event.materialise().fields, e.materialise().fields) {
			continue
		}
		if w.cancels {
			s.cancel(r)
			continue
		}
		s.resume(w, e.object(), StepCompleted, nil)
	}
}

// resume memoises what a wait brought and goes on with the run.
func (s *Sim) resume(w *wait, raw json.RawMessage, status StepStatus, failed *Error) {
	r := w.run
	s.dropWait(w)
	if step := r.stepOf(w.step); step != nil {
		step.Output = shownOutput(raw)
		if failed != nil {
			status = StepFailed
		}
		s.endStep(r, w.step, status, failed)
	}
	othersOut := r.save(w.step, raw)
	job := w.step + "-" + string(status)
	if w.coalesce != "" && !w.race {
		job = w.coalesce + "-discover"
	}
	s.discover(r, w.step, job, othersOut, w.race)
}

// shownOutput is what a person looks for in a step's result: of {"data": x} the x, of an error nothing.
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

// expire ends a wait whose time is up.
func (s *Sim) expire(w *wait) {
	if w.over {
		return
	}
	if w.correlation == "" {
		s.resume(w, json.RawMessage("null"), StepTimedOut, nil)
		return
	}
	const name, message = "InngestInvokeTimeoutError", "Timed out waiting for invoked function to complete"
	s.resume(w, wrap("error", map[string]string{"error": name + ": " + message, "name": name, "message": message}),
		StepTimedOut, &Error{Name: name, Message: message})
}

// invoked gives the run that waits for an invocation its result.
func (s *Sim) invoked(correlation string, result json.RawMessage, failed *Error) {
	w := s.invocations[correlation]
	if w == nil || w.over || w.expires.Before(s.clock()) {
		return
	}
	if failed != nil {
		shown := failed.fields()
		if failed.refused {
			delete(shown, "error") // there was no run to have one
		}
		s.resume(w, wrap("error", shown), StepFailed, failed)
		return
	}
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	s.resume(w, wrap("data", result), StepCompleted, nil)
}

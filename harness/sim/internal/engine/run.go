package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// StepStatus is the state of a step.
type StepStatus string

// The states of a step.
const (
	StepPlanned   StepStatus = "PLANNED"   // to be run, or to be tried again
	StepWaiting   StepStatus = "WAITING"   // asleep, or waiting for an event or for another function
	StepCompleted StepStatus = "COMPLETED" // with an output
	StepFailed    StepStatus = "FAILED"    // for good: the function was given the error
	StepTimedOut  StepStatus = "TIMED_OUT" // no event came, or the invoked function did not end, in time
)

// Run is a copy of a run.
type Run struct {
	Progress
	Function Function
	Event    Event   // what triggered it; of a batch the first
	Batch    []Event // all events of a batch
	Defers   []Defer // functions that it deferred
	Metadata []Metadata
}

// Triggers returns the events that started the run.
func (r *Run) Triggers() []Event {
	if r.Batch != nil {
		return r.Batch
	}
	return []Event{r.Event}
}

// Progress is what a run did so far. Times are virtual.
type Progress struct {
	ID     string
	Status harness.Status

	Queued, Started, Ended time.Time

	Output json.RawMessage // as JSON
	Plain  string          // the output as it came, if that was no JSON
	Error  *Error

	Steps       []Step
	Calls       int
	FailedCalls []Attempt
	Returned    *Attempt // the call in which the function returned
	Stuck       string
	Decisions   []Decision // of flow control
	Original    string     // the run that this one repeats
	SkippedFor  string     // the run that was in progress when this one of a singleton was skipped
	HasAI       bool       // it made, or wrapped, an AI request
}

// Step is one step of a run.
type Step struct {
	ID     string // as in the code; "id:1" for the second use of one id
	Hash   string // the id on the wire
	Name   string // by which the server shows it
	Op     sdk.Opcode
	Status StepStatus

	// Output is the result, as JSON; for a wait it is the event, for a sleep null. Error is why it failed for good.
	Output json.RawMessage
	Error  *Error

	Attempts       []Attempt
	Started, Ended time.Time // virtual; Ended is zero until it has ended
	// Replaced says that the result came from sim.Sim.Replace: the step's code was not called.
	Replaced bool

	// Job is that of the call that ran the step, or asked for it: see [Attempt].
	Job uint64
	// Type is what the app says of a step that it ran, such as step.sendEvent.
	Type string
	// Until is when a sleep is over, or a wait or an invocation is given up.
	Until time.Time
	// Wait is what a wait for an event waits for, Invocation what an invocation started. They are nil for other steps.
	Wait       *Wait
	Invocation *Invocation
}

// Wait is what a step waits for.
type Wait struct {
	Event, If string
	Found     string // the id of the event that came
}

// Invocation is what a step invoked.
type Invocation struct {
	Function string // as the step named it
	Event    string // the id of the event that started it
	Run      string // empty until there is one
	Returned string // the id of the event by which the end became known
}

// Decode decodes the step's output into v.
func (s *Step) Decode(v any) error { return Decode("output of step "+s.ID, s.Output, v) }

// Decode decodes JSON into v. The error calls it what.
func Decode(what string, raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return fmt.Errorf("decoding the %s: there is none", what)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("decoding the %s: %w", what, err)
	}
	return nil
}

// Attempt is one try of a step, or of a call to the app.
type Attempt struct {
	Number int // from 1
	// Job is the same for all attempts of one call.
	Job uint64
	// At is when it began, Ended when its outcome was known, both virtual. They are one instant unless the Sim runs in the
	// background, or an answer came late.
	At, Ended  time.Time
	Error      *Error // nil: it succeeded
	Checkpoint bool   // it came by a checkpoint
	// RetryAt is when it is tried again; zero if it is not.
	RetryAt time.Time
}

// Error is an error that an app reported, or that the server found. Its encoding as JSON is that of its Failure.
type Error struct {
	sdk.Failure
	Reason  string `json:"-"` // of the failure, as the server names it: "invalid status code: 500"
	Body    []byte `json:"-"` // that the app answered
	refused bool   // an invocation that started no run
}

func newError(name, message string) *Error {
	return &Error{Failure: sdk.Failure{Name: name, Message: message}}
}

// errorFrom returns an error of the wire, or nil for nil.
func errorFrom(e *sdk.Failure) *Error {
	if e == nil {
		return nil
	}
	return &Error{Failure: *e}
}

// Fields returns the error as the server's events and traces have it.
func (e *Error) Fields() map[string]any {
	out := map[string]any{"error": cmp.Or(e.Reason, e.Message), "name": e.Name, "message": e.Message}
	if e.Stack != "" {
		out["stack"] = e.Stack
	}
	if len(e.Cause) > 0 {
		out["cause"] = e.Cause
	}
	return out
}

// run is a run and what it needs to go on.
type run struct {
	Progress        // readers get a copy from view
	seq      uint64 // among the runs that were started
	function *function
	event    *event   // what triggered it; of a batch the first
	batch    []*event // all events of a batch

	flow    *flowState    // nil: its function had none when it was queued
	skipped time.Duration // that has passed for it and not for the clock

	endpoint *endpoint     // nil: it did not begin with an HTTP request
	over     chan struct{} // closed at its end; nil: no reader waits for it

	state     []memo // in the sequence of completion: the protocol's stack
	stateSize int
	pending   map[string]struct{} // steps of a parallel plan that have not ended
	jobs      []string            // names of items that were queued once and must not be again
	items     []*item
	waits     []*wait

	rare *rare // nil for most runs

	input     *memo // of the step from which it is run again
	planFirst bool  // the app must not run steps at once: several are pending
	version   int   // of the app's protocol; -1 until it is known
}

// flowState is what flow control knows of a run.
type flowState struct {
	keys   []keyValue    // of the function's limits, as they were when it was queued
	ahead  time.Duration // by its priority; negative: its calls are put off
	held   *counter      // of runs, of which it has a place
	single string        // the singleton's name that it holds; empty: none
}

// rare is what few runs have.
type rare struct {
	deferred     []*deferral
	metadata     []Metadata
	metadataSize int
}

func (r *run) makeRare() {
	if r.rare == nil {
		r.rare = &rare{}
	}
}

// memo is a memoised step.
type memo struct {
	id  string // hashed
	raw json.RawMessage
}

// keyValue is the value of a key's expression.
type keyValue struct{ key, value string }

func newRun(id ulid.ULID, f *function, e *event, now time.Time) *run {
	return &run{
		Progress: Progress{ID: id.String(), Status: harness.StatusQueued, Queued: now},
		function: f, event: e, version: -1,
	}
}

// limited returns what flow control knows of the run, to be changed.
func (r *run) limited() *flowState {
	if r.flow == nil {
		r.flow = &flowState{}
	}
	return r.flow
}

// ahead returns how long before their turn its calls are made, by its priority.
func (r *run) ahead() time.Duration {
	if r.flow == nil {
		return 0
	}
	return r.flow.ahead
}

// evaluate notes the values of the keys by which its calls are limited.
func (r *run) evaluate(keys ...key) {
	for _, k := range keys {
		if k.expr != nil {
			value, _ := k.value(r.event)
			r.limited().keys = append(r.limited().keys, keyValue{k.text, value})
		}
	}
}

// valueOf returns the value of a key. ok is false for one that the function did not have when the run was queued: its limit
// does not concern the run.
func (r *run) valueOf(k key) (value string, ok bool) {
	if k.expr == nil {
		return "", true
	}
	if r.flow == nil {
		return "", false
	}
	i := slices.IndexFunc(r.flow.keys, func(v keyValue) bool { return v.key == k.text })
	if i < 0 {
		return "", false
	}
	return r.flow.keys[i].value, true
}

// triggers returns the events that triggered the run.
func (r *run) triggers() []*event {
	if r.batch != nil {
		return r.batch
	}
	return []*event{r.event}
}

// track remembers a queued item, which is removed from the queue when the run ends.
func (r *run) track(it *item) {
	if len(r.items) == cap(r.items) { // before it grows
		r.items = slices.DeleteFunc(r.items, func(old *item) bool { return old.index < 0 })
	}
	r.items = append(r.items, it)
}

// once reports whether the job has not been queued before, and notes it.
func (r *run) once(job string) bool {
	if slices.Contains(r.jobs, job) {
		return false
	}
	r.jobs = append(r.jobs, job)
	return true
}

// position returns how many steps were memoised when the step was, itself included; 0 for one that is not.
func (r *run) position(hash string) int {
	return slices.IndexFunc(r.state, func(m memo) bool { return m.id == hash }) + 1
}

// saved reports whether a step is memoised.
func (r *run) saved(hash string) bool { return r.position(hash) > 0 }

// save memoises a step. The first result stays: a later one for the same step is dropped. It reports whether other steps
// of the same parallel plan are pending.
func (r *run) save(hash string, raw json.RawMessage) (othersPending bool) {
	if !r.saved(hash) {
		r.state = append(r.state, memo{hash, raw})
		r.stateSize += len(raw)
	}
	delete(r.pending, hash)
	return len(r.pending) > 0
}

// memoised returns the results of the memoised steps, by hashed id.
func (r *run) memoised() map[string]json.RawMessage {
	steps := map[string]json.RawMessage{}
	for _, memo := range r.state {
		steps[memo.id] = memo.raw
	}
	return steps
}

// stepOf returns the record of a step, or nil. It is valid until the next step is recorded.
func (r *run) stepOf(hash string) *Step {
	for i := range r.Steps {
		if r.Steps[i].Hash == hash {
			return &r.Steps[i]
		}
	}
	return nil
}

// step returns the record of a step, as stepOf does, and makes it if there is none.
func (r *run) step(o *sdk.Op, op sdk.Opcode, now time.Time) *Step {
	s := r.stepOf(o.ID)
	if s == nil {
		r.Steps = append(r.Steps, Step{ID: o.StepID(), Hash: o.ID, Status: StepPlanned, Started: now})
		s = &r.Steps[len(r.Steps)-1]
	}
	s.Op = op
	if s.Name == "" && o.DisplayName != nil {
		s.Name = *o.DisplayName
	}
	s.Name = cmp.Or(s.Name, o.Name, o.ID)
	return s
}

// endStep closes the record of a step, if it is open.
func (r *run) endStep(hash string, status StepStatus, err *Error, now time.Time) {
	if step := r.stepOf(hash); step != nil && step.Ended.IsZero() {
		step.Status, step.Error, step.Ended = status, err, now
		if status == StepCompleted {
			step.Output = orNull(step.Output)
		}
	}
}

// planAgain lets the app run steps at once again: the parallel ones have ended.
func (r *run) planAgain() {
	if r.version >= 2 {
		r.planFirst = false
	}
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	copied := *p
	return &copied
}

// view returns a copy of what the run did so far.
func (r *run) view() Run {
	out := Run{Progress: r.Progress, Function: r.function.Function, Event: r.event.whole()}
	for _, e := range r.batch {
		out.Batch = append(out.Batch, e.whole())
	}
	out.FailedCalls, out.Steps, out.Decisions = slices.Clone(r.FailedCalls), slices.Clone(r.Steps), slices.Clone(r.Decisions)
	for _, it := range r.items {
		if it.waits != nil {
			out.Decisions = append(out.Decisions, Decision{
				Function: r.function.ID, Run: r.ID, At: it.waits.since, Text: "waits: " + it.waits.limit, Pending: true,
			})
		}
	}
	if r.rare != nil {
		out.Metadata = slices.Clone(r.rare.metadata)
		for _, d := range r.rare.deferred {
			out.Defers = append(out.Defers, d.Defer)
		}
	}
	for i := range out.Steps {
		step := &out.Steps[i]
		step.Attempts = slices.Clone(step.Attempts)
		step.Wait, step.Invocation = clone(step.Wait), clone(step.Invocation)
	}
	return out
}

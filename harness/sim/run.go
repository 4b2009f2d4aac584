package sim

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Status is the state of a run.
type Status string

// The states of a run, named as the server's API names them.
const (
	Running   Status = "RUNNING"
	Completed Status = "COMPLETED"
	Failed    Status = "FAILED"
	Cancelled Status = "CANCELLED"
)

// Over reports whether a run in this state has ended.
func (s Status) Over() bool { return s != Running }

// Op says what a step does.
type Op = sdk.Opcode

// What steps do, in the protocol's words.
const (
	OpRun          = sdk.OpStepRun
	OpSleep        = sdk.OpSleep
	OpWaitForEvent = sdk.OpWaitForEvent
	OpInvoke       = sdk.OpInvokeFunction
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

// Run is what one execution of a function did, as far as it has come.
type Run struct {
	ID       string
	Function string // id, with the app's prefix
	Status   Status
	Event    SentEvent // what triggered it

	Queued, Started, Ended time.Time // virtual; Ended is zero while it runs

	// Output is what the function returned, as JSON. Error is why it failed; nil unless it did.
	Output json.RawMessage
	Error  *Error

	// Steps are in the order in which the function came to them.
	Steps []Step
	// Calls counts how often the app was called. FailedCalls are those that failed outside any step.
	Calls       int
	FailedCalls []Attempt
	// Stuck says why the run will never end, if it will not: the server, too, would leave it running for ever.
	Stuck string
}

// Step returns the step of that id: its own, or for the second and later use of one id in a run "id:1", "id:2" …
// ok is false if the run has not come to such a step.
func (r *Run) Step(id string) (step Step, ok bool) {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.ID == id })
	if i < 0 {
		return Step{}, false
	}
	return r.Steps[i], true
}

// Decode reads the function's output into v.
func (r *Run) Decode(v any) error { return decode("output of run "+r.ID, r.Output, v) }

// Step is one step of a run.
type Step struct {
	ID     string // as in the code; "id:1" for the second use of one id
	Hash   string // under which it is memoised
	Op     Op
	Status StepStatus

	// Output is the result, as JSON; for a wait it is the event, for a sleep null. Error is why it failed for good.
	Output json.RawMessage
	Error  *Error

	Attempts       []Attempt
	Started, Ended time.Time // virtual; Ended is zero while it is at work
	// Replaced says that the result came from [Sim.Replace]: the step's code was not called.
	Replaced bool
}

// Decode reads the step's output into v.
func (s *Step) Decode(v any) error { return decode("output of step "+s.ID, s.Output, v) }

// Attempt is one try of a step, or of a call to the app.
type Attempt struct {
	Number int // from 0
	// At is when it began, Ended when its outcome was known, both virtual. They are one instant unless the Sim drives itself,
	// or an answer came late.
	At, Ended time.Time
	Error     *Error // nil: it succeeded
	// RetryAt is when it is tried again; zero if it is not.
	RetryAt time.Time
}

// Error is an error as it crosses the protocol.
type Error struct {
	Name    string          `json:"name"`
	Message string          `json:"message"`
	Stack   string          `json:"stack,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	NoRetry bool            `json:"noRetry,omitempty"`
	Cause   json.RawMessage `json:"cause,omitempty"`

	reason  string // of the failure, as the server names it: "invalid status code: 500"
	body    []byte // that the app answered
	refused bool   // an invocation that started nothing
}

// errorFrom returns an error of the wire, or nil for nil.
func errorFrom(e *sdk.Error) *Error {
	if e == nil {
		return nil
	}
	return &Error{Name: e.Name, Message: e.Message, Stack: e.Stack, Data: e.Data, NoRetry: e.NoRetry, Cause: e.Cause}
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// fields is the error as the server's events carry it.
func (e *Error) fields() map[string]any {
	out := map[string]any{"error": e.Message, "name": e.Name, "message": e.Message}
	if e.reason != "" {
		out["error"] = e.reason
	}
	if e.Stack != "" {
		out["stack"] = e.Stack
	}
	if len(e.Cause) > 0 {
		out["cause"] = e.Cause
	}
	return out
}

// run is a run at work.
type run struct {
	id       ulid.ULID
	text     string // the id as text
	function *function
	event    *event
	seq      uint64

	status                 Status
	queued, started, ended time.Time
	output                 json.RawMessage
	plain                  string // the output as it came, if that was no JSON
	err                    *Error
	stuck                  string

	state     []memo // in the order of completion: the protocol's stack
	known     index  // of state, by step
	stateSize int
	pending   map[string]struct{} // steps of a parallel plan that are still out
	jobs      index               // what was queued once and must not be again
	items     []*item
	waits     []*wait

	planFirst bool // the app must not run steps at once: several are out
	version   int  // of the app's protocol; -1 until it has said so

	steps  []*Step
	byHash index // of steps
	calls  int
	failed []Attempt
}

// memo is a memoised step.
type memo struct {
	id  string
	raw json.RawMessage
}

func newRun(id ulid.ULID, f *function, e *event, now time.Time) *run {
	return &run{
		id: id, text: id.String(), function: f, event: e, status: Running, queued: now, version: -1,
	}
}

// keep remembers a queued item, so that it can be taken back when the run ends.
func (r *run) keep(it *item) {
	if len(r.items) > 32 {
		r.items = slices.DeleteFunc(r.items, func(old *item) bool { return old.index < 0 })
	}
	r.items = append(r.items, it)
}

// once reports whether the job has not been queued before.
func (r *run) once(job string) bool {
	if r.jobs.find(job) >= 0 {
		return false
	}
	r.jobs.add(job)
	return true
}

// save memoises a step. The first result stays: a later one for the same step is dropped. It reports whether other steps
// of the same parallel plan are still out.
func (r *run) save(id string, raw json.RawMessage) (othersOut bool) {
	if r.known.find(id) < 0 {
		r.known.add(id)
		r.state = append(r.state, memo{id, raw})
		r.stateSize += len(raw)
	}
	delete(r.pending, id)
	return len(r.pending) > 0
}

// saved returns what is memoised for a step, or nil.
func (r *run) saved(id string) json.RawMessage {
	if i := r.known.find(id); i >= 0 {
		return r.state[i].raw
	}
	return nil
}

// stepOf returns the record of a step, or nil.
func (r *run) stepOf(hash string) *Step {
	if i := r.byHash.find(hash); i >= 0 {
		return r.steps[i]
	}
	return nil
}

// step returns the record of a step, made if need be.
func (r *run) step(hash, id string, op Op, now time.Time) *Step {
	s := r.stepOf(hash)
	if s == nil {
		s = &Step{ID: id, Hash: hash, Op: op, Status: StepPlanned, Started: now}
		r.byHash.add(hash)
		r.steps = append(r.steps, s)
	}
	if op != "" {
		s.Op = op
	}
	return s
}

func (r *run) public() *Run {
	out := &Run{
		ID: r.text, Function: r.function.id, Status: r.status, Event: r.event.public(),
		Queued: r.queued, Started: r.started, Ended: r.ended,
		Output: r.output, Error: r.err, Calls: r.calls, FailedCalls: slices.Clone(r.failed), Stuck: r.stuck,
	}
	for _, s := range r.steps {
		step := *s
		step.Attempts = slices.Clone(s.Attempts)
		out.Steps = append(out.Steps, step)
	}
	return out
}

// index numbers keys in the order in which they are added. Most runs have few: those are looked through one by one, which
// costs less than a map.
type index struct {
	keys []string
	many map[string]int // nil while there are few
}

const fewKeys = 16

// find returns the number of a key, or -1.
func (x *index) find(key string) int {
	if x.many == nil {
		return slices.Index(x.keys, key)
	}
	if i, ok := x.many[key]; ok {
		return i
	}
	return -1
}

// add adds a key that is not there.
func (x *index) add(key string) {
	if x.keys == nil {
		x.keys = make([]string, 0, 4)
	}
	x.keys = append(x.keys, key)
	if len(x.keys) <= fewKeys {
		return
	}
	if x.many == nil {
		x.many = make(map[string]int, 4*fewKeys)
		for i, k := range x.keys {
			x.many[k] = i
		}
	}
	x.many[key] = len(x.keys) - 1
}

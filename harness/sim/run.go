package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// Op says what a step does, in the protocol's words.
type Op string

// What steps do.
const (
	OpRun          = Op(sdk.OpStepRun)
	OpSleep        = Op(sdk.OpSleep)
	OpWaitForEvent = Op(sdk.OpWaitForEvent)
	OpInvoke       = Op(sdk.OpInvokeFunction)
)

// StepStatus is the state of a step.
type StepStatus string

// The states of a step.
const (
	StepPlanned   = StepStatus(engine.StepPlanned)   // to be run, or to be tried again
	StepWaiting   = StepStatus(engine.StepWaiting)   // asleep, or waiting for an event or for another function
	StepCompleted = StepStatus(engine.StepCompleted) // with an output
	StepFailed    = StepStatus(engine.StepFailed)    // for good: the function was given the error
	StepTimedOut  = StepStatus(engine.StepTimedOut)  // no event came, or the invoked function did not end, in time
)

// Run is what one execution of a function did so far.
type Run struct {
	ID         string
	FunctionID string // with the app's id in front
	Status     harness.Status
	Event      SentEvent // what triggered it

	Queued, Started, Ended time.Time // virtual; Ended is zero while it runs

	// Output is what the function returned, as JSON. Error is why it failed; nil unless it did.
	Output json.RawMessage
	Error  *Error

	// Steps are in the sequence in which the function came to them.
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

// Decode decodes the function's output into v.
func (r *Run) Decode(v any) error { return decode("output of run "+r.ID, r.Output, v) }

// Step is one step of a run.
type Step struct {
	ID     string // as in the code; "id:1" for the second use of one id
	Hash   string // the id on the wire
	Op     Op
	Status StepStatus

	// Output is the result, as JSON; for a wait it is the event, for a sleep null. Error is why it failed for good.
	Output json.RawMessage
	Error  *Error

	Attempts       []Attempt
	Started, Ended time.Time // virtual; Ended is zero until it has ended
	// Replaced says that the result came from [Sim.Replace]: the step's code was not called.
	Replaced bool
}

// Decode decodes the step's output into v.
func (s *Step) Decode(v any) error { return decode("output of step "+s.ID, s.Output, v) }

// Attempt is one try of a step, or of a call to the app.
type Attempt struct {
	Number int // from 1
	// At is when it began, Ended when its outcome was known, both virtual. They are one instant unless the Sim runs in the
	// background, or an answer came late.
	At, Ended time.Time
	Error     *Error // nil: it succeeded
	// RetryAt is when it is tried again; zero if it is not.
	RetryAt time.Time
}

// Error is an error that an app reported, or that the server found.
type Error struct {
	Name    string          `json:"name"`
	Message string          `json:"message"`
	Stack   string          `json:"stack,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	NoRetry bool            `json:"noRetry,omitempty"`
	Cause   json.RawMessage `json:"cause,omitempty"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// SentEvent is an event that a Sim received or made.
type SentEvent struct {
	EventID        string // the ULID that sending returned
	IdempotencyKey string // the sender's id, or else the ULID
	Name           string
	Data           map[string]any
	At             time.Time // virtual
}

func decode(what string, raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return fmt.Errorf("decoding the %s: there is none", what)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("decoding the %s: %w", what, err)
	}
	return nil
}

func newRun(r engine.Run) *Run {
	out := &Run{
		ID: r.ID, FunctionID: r.Function.ID, Status: r.Status, Event: newSentEvent(r.Event),
		Queued: r.Queued, Started: r.Started, Ended: r.Ended,
		Output: r.Output, Error: newError(r.Error), Calls: r.Calls, FailedCalls: newAttempts(r.FailedCalls), Stuck: r.Stuck,
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, Step{
			ID: s.ID, Hash: s.Hash, Op: Op(s.Op), Status: StepStatus(s.Status), Output: s.Output, Error: newError(s.Error),
			Attempts: newAttempts(s.Attempts), Started: s.Started, Ended: s.Ended, Replaced: s.Replaced,
		})
	}
	return out
}

func newRuns(runs []engine.Run) []*Run {
	out := make([]*Run, len(runs))
	for i, r := range runs {
		out[i] = newRun(r)
	}
	return out
}

func newAttempts(attempts []engine.Attempt) []Attempt {
	var out []Attempt
	for _, a := range attempts {
		out = append(out, Attempt{Number: a.Number, At: a.At, Ended: a.Ended, Error: newError(a.Error), RetryAt: a.RetryAt})
	}
	return out
}

func newError(e *engine.Error) *Error {
	if e == nil {
		return nil
	}
	return (*Error)(&e.Failure)
}

func newSentEvent(e engine.Event) SentEvent {
	return SentEvent{EventID: e.EventID, IdempotencyKey: e.IdempotencyKey, Name: e.Name, Data: e.Data, At: e.At}
}

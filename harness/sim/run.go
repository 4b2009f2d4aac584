package sim

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// Op says what a step does, in the protocol's words.
type Op = sdk.Opcode

// What steps do.
const (
	OpRun          = sdk.OpStepRun
	OpSleep        = sdk.OpSleep
	OpWaitForEvent = sdk.OpWaitForEvent
	OpInvoke       = sdk.OpInvokeFunction

	OpWaitForSignal = sdk.OpWaitForSignal
	OpFetch         = sdk.OpGateway
	OpInfer         = sdk.OpAIGateway
)

// StepStatus is the state of a step.
type StepStatus = engine.StepStatus

// The states of a step.
const (
	StepPlanned   = engine.StepPlanned   // to be run, or to be tried again
	StepWaiting   = engine.StepWaiting   // asleep, or waiting for an event or for another function
	StepCompleted = engine.StepCompleted // with an output
	StepFailed    = engine.StepFailed    // for good: the function was given the error
	StepTimedOut  = engine.StepTimedOut  // no event came, or the invoked function did not end, in time
)

// Run is what one execution of a function did so far.
type Run struct {
	ID         string
	FunctionID string // with the app's id in front
	Status     harness.Status
	Event      SentEvent   // what triggered it; of a batch the first
	Batch      []SentEvent // all events of a batch

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
	// Decisions are what flow control did to the run: what it waited for and how long, or waits for now, why it was skipped.
	Decisions []Decision
	// Defers are the functions that it has deferred. What started those is in their Event.DeferredBy.
	Defers []Defer
	// Metadata is what is noted about it and its steps: by the app, by scores, by the server.
	Metadata []Metadata
}

// Defer is a function that a run has deferred: it starts when the run has ended.
type Defer = engine.Defer

// Metadata is what is noted about a run or a step, of one kind.
type Metadata = engine.Metadata

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
func (r *Run) Decode(v any) error { return engine.Decode("output of run "+r.ID, r.Output, v) }

// Step is one step of a run.
type Step = engine.Step

// Attempt is one try of a step, or of a call to the app.
type Attempt = engine.Attempt

// Error is an error that an app reported, or that the server found.
type Error = engine.Error

// Decision is what flow control did to an event or a run.
type Decision = engine.Decision

// SentEvent is an event that a Sim received or made.
type SentEvent = engine.Event

func newRun(r engine.Run) *Run {
	return &Run{
		ID: r.ID, FunctionID: r.Function.ID, Status: r.Status, Event: r.Event, Queued: r.Queued, Started: r.Started, Ended: r.Ended,
		Output: r.Output, Error: r.Error, Steps: r.Steps, Calls: r.Calls, FailedCalls: r.FailedCalls, Stuck: r.Stuck,
		Batch: r.Batch, Decisions: r.Decisions, Defers: r.Defers, Metadata: r.Metadata,
	}
}

func newRuns(runs []engine.Run) []*Run {
	out := make([]*Run, len(runs))
	for i, r := range runs {
		out[i] = newRun(r)
	}
	return out
}

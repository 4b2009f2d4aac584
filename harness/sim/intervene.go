package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// Outcome is the outcome of one attempt of a replaced step.
type Outcome struct {
	// Value is the result, encoded as JSON. For a wait it is the event that comes; nil is that none comes in time.
	Value any
	// Err, if not empty, makes the attempt fail with this message. It is retried like any failed step.
	Err string
	// NoRetry makes the failure final.
	NoRetry bool
	// RetryAfter puts the next attempt this much later, in place of the backoff.
	RetryAfter time.Duration
}

// Replace gives a step these outcomes, one for each attempt, the last one for all further ones; its code is not called.
// The function is named by its id with the app's in front, or "" for any; the step by its id in the code ("id:1" for the
// second use of one id in a run). Every kind of step can be replaced: a sleep that is replaced takes no time. Only steps
// that come up later are affected. With no outcome, the step is as it was.
//
// The app is asked to announce each step of a function that has a replaced step before running it, so that there are more
// calls, and no checkpoints.
func (s *Sim) Replace(functionID, stepID string, outcomes ...Outcome) error {
	var list []engine.Outcome
	for _, o := range outcomes {
		value, err := json.Marshal(o.Value)
		if err != nil {
			return fmt.Errorf("replacing step %s: encoding the value: %w", stepID, err)
		}
		list = append(list, engine.Outcome{Value: value, Err: o.Err, NoRetry: o.NoRetry, RetryAfter: o.RetryAfter})
	}
	s.engine.Replace(functionID, stepID, list)
	return nil
}

// Fault is a fault on the way of the app's answers: the app has done its work, and its answer arrives late, twice or not
// at all. Exactly one of Lose, Late and Twice is expected; of several, the first named here acts.
type Fault struct {
	// Function and Step say whose answers: a function's id with the app's in front, and a step's id in the code. Empty means
	// any.
	Function, Step string
	// Times is how many answers it acts on. Zero is one.
	Times int

	// Lose drops the answer, as when the app crashes between a step's effect and its checkpoint: the attempt counts as
	// failed and is made again.
	Lose bool
	// Late delivers the answer this much later by the virtual clock.
	Late time.Duration
	// Twice delivers the answer a second time.
	Twice bool
}

// InjectFault applies f to the next answers that it describes. Faults are tried in the sequence in which they were
// injected.
func (s *Sim) InjectFault(f Fault) { s.engine.InjectFault(engine.Fault(f)) }

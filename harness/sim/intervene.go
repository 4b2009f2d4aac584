package sim

import "github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"

// Outcome is the outcome of one attempt of a replaced step.
type Outcome = engine.Outcome

// Replace gives a step these outcomes, one for each attempt, the last one for all further ones; its code is not called.
// The function is named by its id with the app's in front, or "" for any; the step by its id in the code ("id:1" for the
// second use of one id in a run). Every kind of step can be replaced: a sleep that is replaced takes no time. Only steps
// that come up later are affected. With no outcome, the step is as it was.
//
// The app is asked to announce each step of a function that has a replaced step before running it, so that there are more
// calls, and no checkpoints.
func (s *Sim) Replace(functionID, stepID string, outcomes ...Outcome) error {
	return s.engine.Replace(functionID, stepID, outcomes)
}

// Fault is a fault on the way of the app's answers: the app has done its work, and its answer arrives late, twice or not
// at all.
type Fault = engine.Fault

// InjectFault applies f to the next answers that it describes. Faults are tried in the sequence in which they were
// injected.
func (s *Sim) InjectFault(f Fault) { s.engine.InjectFault(f) }

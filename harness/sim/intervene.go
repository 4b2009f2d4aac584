package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/api"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// Outcome is the outcome of one attempt of a replaced step.
type Outcome = engine.Outcome

// Replace gives a step these outcomes, one for each attempt, the last one for all further ones; its code is not called.
// The function is named by its id with the app's in front, or "" for any; the step by its id in the code ("id:1" for the
// second use of one id in a run). Every kind of step can be replaced: a sleep that is replaced takes no time. Only steps
// that come up later are affected. With no outcome, the step is as it was; [Sim.Intervene] also tells whether a run has reached it.
//
// The app is asked to announce each step of a function that has a replaced step before running it, so that there are more
// calls, and no checkpoints.
func (s *Sim) Replace(functionID, stepID string, outcomes ...Outcome) error {
	_, err := s.engine.Replace(functionID, stepID, outcomes)
	return err
}

// Fault is a fault on the way of the app's answers: the app has done its work, and its answer arrives late, twice or not
// at all.
type Fault = engine.Fault

// InjectFault applies f to the next answers that it describes. Faults are tried in the sequence in which they were
// injected.
func (s *Sim) InjectFault(f Fault) { s.engine.InjectFault(f) }

// Interventions are the same as data: steps whose outcomes are replaced, and faults. They can be read from JSON.
type Interventions = engine.Interventions

// Replacement is the outcomes of one step: see [Sim.Replace].
type Replacement = engine.Replacement

// ParseInterventions reads interventions from JSON: an object with the fields replace, faults, stubs and removeStubs, or a list of
// replacements.
// Unknown fields, and what has no effect, are errors.
func ParseInterventions(data []byte) (Interventions, error) {
	i, err := engine.ParseInterventions(data)
	if err != nil {
		return i, fmt.Errorf("reading interventions: %w", err)
	}
	return i, nil
}

// Intervene calls [Sim.Replace], [Sim.InjectFault] and [Sim.Stub] with what is in i, and takes away the stubs that it names.
// unused are the steps that were replaced before, and that no run has reached meanwhile, each with "of" and its function, if that was
// named: such a step may be misspelt.
func (s *Sim) Intervene(i Interventions) (unused []string, err error) { return s.engine.Intervene(i) }

// Intervene does the same on a Sim that another process serves by its Handler.
func Intervene(ctx context.Context, baseURL string, i Interventions) (unused []string, err error) {
	body, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encoding interventions: %w", err)
	}
	var answer api.Intervened
	err = post(ctx, baseURL+api.InterventionsPath, bytes.NewReader(body), &answer, func() bool { return answer.OK || answer.Error != "" })
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("intervening at %s: %w", baseURL, err)
	}
	return answer.Unused, nil
}

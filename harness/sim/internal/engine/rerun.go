package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// FromStep says from which of its steps a run is run again.
type FromStep struct {
	Step  string          // its id in the code, or hashed
	Input json.RawMessage // in place of what the code gives to the step; nil: nothing
}

// Rerun starts a run of the same function and events as another one, and returns its id. With from, the steps before that
// one keep their results. Neither rate limits nor the event's id keep it from starting.
func (e *Engine) Rerun(runID string, from *FromStep) (newID string, err error) {
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.m.rerun(runID, from)
	if err != nil {
		return "", fmt.Errorf("running %s again: %w", runID, err)
	}
	return r.ID, nil
}

func (m *machine) rerun(runID string, from *FromStep) (*run, error) {
	old := m.runs.find(runID)
	if old == nil {
		return nil, errors.New("there is no such run")
	}
	f := m.registry.functions[old.function.ID]
	if f == nil {
		return nil, fmt.Errorf("its function %s is no longer registered", old.function.ID)
	}
	var state []memo
	var target *Step
	if from != nil {
		var err error
		if state, target, err = old.until(from.Step); err != nil {
			return nil, err
		}
		if len(from.Input) > 0 && from.Input[0] != '[' {
			return nil, errors.New("input is not an array")
		}
	}
	if f.debounce != nil {
		return nil, errors.New("function debounced")
	}
	again := *old.event
	again.recurs, again.correlation, again.due = false, "", m.clock.Now()
	r := m.schedule(f, &again, old.batch)
	if r == nil {
		return nil, errors.New("function skipped")
	}
	if r.Original = old.ID; target == nil {
		return r, nil
	}
	begin := r.items[len(r.items)-1]
	for _, memo := range state {
		r.save(memo.id, memo.raw)
		begin.from = memo.id
	}
	if target.Op == sdk.OpStepRun {
		begin.target, begin.name = target.Hash, target.ID
	}
	if from.Input != nil {
		r.input = &memo{target.Hash, Wrap("input", from.Input)}
	}
	return r, nil
}

// until returns what was memoised before a step, and the step.
func (r *run) until(id string) (state []memo, step *Step, err error) {
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Hash == id || s.ID == id {
			return state, s, nil
		}
		if s.Ended.IsZero() {
			continue
		}
		raw := s.Output
		switch {
		case s.Error != nil:
			raw = Wrap("error", s.Error.Failure)
		case s.Op == sdk.OpStepRun || s.Op == sdk.OpInvokeFunction:
			raw = Wrap("data", orNull(s.Output))
		}
		state = append(state, memo{s.Hash, orNull(raw)})
	}
	return nil, nil, errors.New("rerun step not found")
}

package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// Interventions are what stands in the way of apps: steps whose outcomes are replaced, faults, and stubs of what the server asks
// others for. In JSON the fields have their names with a small letter in front, Err is "error", durations are texts such as "30s" or
// "3d", and unknown fields are errors.
type Interventions struct {
	Replace []Replacement `json:"replace,omitempty"`
	Faults  []Fault       `json:"faults,omitempty"`
	Stubs   []Stub        `json:"stubs,omitempty"`
	// RemoveStubs are the ids of stubs to take away. Those that are gone already are ignored.
	RemoveStubs []string `json:"removeStubs,omitempty"`
}

// Replacement is the outcomes of the attempts of one step.
type Replacement struct {
	// Function is a function's id, with or without the app's id and a dash before it. Empty: any.
	Function string `json:"function,omitempty"`
	// Step is the step's id in the code. The second use of an id is "id:1".
	Step string `json:"step"`
	// Outcomes are those of the attempts, the last one of all further ones. None leave the step as it was.
	Outcomes []Outcome `json:"outcomes"`
}

// ParseInterventions reads interventions from JSON: an object with the fields replace, faults, stubs and removeStubs, or a list of
// replacements.
func ParseInterventions(data []byte) (i Interventions, err error) {
	var into any = &i
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		into = &i.Replace
	}
	if err := strictjson.Decode(data, into); err != nil {
		return i, err
	}
	return i, i.check()
}

func (i Interventions) check() error {
	if len(i.Replace)+len(i.Faults)+len(i.Stubs)+len(i.RemoveStubs) == 0 {
		return errors.New(`there is nothing in it: want {"replace": [{"function": …, "step": …, "outcomes": [{"value": …}]}], "faults": […], ` +
			`"stubs": […]}`)
	}
	for _, s := range i.Stubs {
		if err := s.Check(); err != nil {
			return err
		}
	}
	if slices.Contains(i.RemoveStubs, "") {
		return errors.New("removeStubs has an empty id: a stub without an id stays")
	}
	for _, r := range i.Replace {
		if r.Step == "" {
			return errors.New("a replacement names its step")
		}
		for n, o := range r.Outcomes {
			switch {
			case o.Err != "" && o.Value != nil:
				return fmt.Errorf("step %s: outcome %d has a value and an error: leave out one of them", r.Step, n+1)
			case o.Err == "" && (o.NoRetry || o.RetryAfter != 0):
				return fmt.Errorf("step %s: outcome %d has no error, and is not retried: leave out noRetry and retryAfter", r.Step, n+1)
			}
		}
	}
	for n, f := range i.Faults {
		kinds := 0
		for _, set := range []bool{f.Lose, f.Late > 0, f.Twice} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			return fmt.Errorf(`fault %d: give one of "lose": true, "twice": true and "late": a duration`, n+1)
		}
	}
	return nil
}

// Intervene replaces steps, injects faults, and puts stubs in place after it has taken others away. unused: see
// [sim.Sim.Intervene].
func (e *Engine) Intervene(i Interventions) (unused []string, err error) {
	for _, r := range i.Replace {
		wasUnused, err := e.Replace(r.Function, r.Step, r.Outcomes)
		if err != nil {
			return nil, err
		}
		switch {
		case wasUnused && r.Function != "":
			unused = append(unused, r.Step+" of "+r.Function)
		case wasUnused:
			unused = append(unused, r.Step)
		}
	}
	for _, f := range i.Faults {
		e.InjectFault(f)
	}
	e.removeStubs(i.RemoveStubs)
	if len(i.Stubs) > 0 {
		err = e.SetStubs(i.Stubs)
	}
	return unused, err
}

type (
	// plainOutcome and plainFault have no methods.
	plainOutcome Outcome
	plainFault   Fault

	outcomeJSON struct {
		*plainOutcome
		Value      json.RawMessage   `json:"value,omitempty"` // to its last digit
		RetryAfter jsontime.Duration `json:"retryAfter,omitzero"`
	}
	faultJSON struct {
		*plainFault
		Late jsontime.Duration `json:"late,omitzero"`
	}
)

// MarshalJSON implements [json.Marshaler].
func (o Outcome) MarshalJSON() ([]byte, error) {
	value, err := json.Marshal(o.Value)
	if o.Value == nil && o.Err != "" {
		value = nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(outcomeJSON{(*plainOutcome)(&o), value, jsontime.Duration(o.RetryAfter)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *Outcome) UnmarshalJSON(data []byte) error {
	*o = Outcome{}
	j := outcomeJSON{plainOutcome: (*plainOutcome)(o)}
	err := strictjson.Decode(data, &j)
	if o.RetryAfter = time.Duration(j.RetryAfter); j.Value != nil && string(j.Value) != "null" {
		o.Value = j.Value
	}
	if err == nil && j.Value == nil && o.Err == "" {
		return errors.New("an outcome has neither a value, which may be null, nor an error")
	}
	return err
}

// MarshalJSON implements [json.Marshaler].
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultJSON{(*plainFault)(&f), jsontime.Duration(f.Late)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Fault) UnmarshalJSON(data []byte) error {
	*f = Fault{}
	j := faultJSON{plainFault: (*plainFault)(f)}
	err := strictjson.Decode(data, &j)
	f.Late = time.Duration(j.Late)
	return err
}

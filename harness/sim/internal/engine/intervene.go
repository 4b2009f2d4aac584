package engine

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Outcome is the outcome of one attempt of a replaced step.
type Outcome struct {
	// Value is the result, encoded as JSON. For a wait it is the event, or the data of the signal, that comes; nil is that none
	// comes in time. For a fetch it has the fields url, headers, body (a string) and status_code.
	Value any `json:"value,omitempty"`
	// Err, if not empty, makes the attempt fail with this message. It is retried like any failed step.
	Err string `json:"error,omitempty"`
	// NoRetry makes the failure final.
	NoRetry bool `json:"noRetry,omitempty"`
	// RetryAfter puts the next attempt this much later, in place of the backoff.
	RetryAfter time.Duration `json:"retryAfter,omitzero"`

	encoded json.RawMessage // Value
}

// Fault is a fault on the way of the app's answers: the app has done its work, and its answer arrives late, twice or not
// at all. Exactly one of Lose, Late and Twice is expected; of several, the first named here acts.
type Fault struct {
	// Function and Step say whose answers: a function's id, with or without the app's id and a dash before it, and a step's
	// id in the code. Empty means any.
	Function string `json:"function,omitempty"`
	Step     string `json:"step,omitempty"`
	// Times is how many answers it acts on. Zero is one, negative all.
	Times int `json:"times,omitempty"`

	// Lose drops the answer, as when the app crashes between a step's effect and its checkpoint: the attempt counts as
	// failed and is made again.
	Lose bool `json:"lose,omitempty"`
	// Late delivers the answer this much later by the virtual clock. For the server the call goes on until then, and keeps
	// its places in concurrency limits: with Times large, calls take time.
	Late time.Duration `json:"late,omitzero"`
	// Twice delivers the answer a second time.
	Twice bool `json:"twice,omitempty"`
}

// interventions are what a test has put in the way of apps.
type interventions struct {
	replacements map[replacedStep]*outcomes
	faults       []*Fault
	stubs        []*stub
}

// replacedStep names a step to replace; an empty function means any.
type replacedStep struct{ function, step string }

// outcomes are the outcomes of a step's attempts in turn; the last one stands for all later ones.
type outcomes struct {
	list []Outcome
	used int
}

// replace sets the outcomes of a step, whose values are encoded. None leave the step as it was. unused says that it had others,
// and that no attempt had one of them.
func (iv *interventions) replace(function, step string, list []Outcome) (unused bool) {
	key := replacedStep{function, step}
	before := iv.replacements[key]
	if len(list) == 0 {
		delete(iv.replacements, key)
	} else {
		iv.replacements[key] = &outcomes{list: list}
	}
	return before != nil && before.used == 0
}

// next returns the next outcome of a replaced step, or nil if the step is not replaced.
func (iv *interventions) next(of *function, step string) *Outcome {
	o := iv.of(of, step)
	if o == nil {
		return nil
	}
	out := &o.list[min(o.used, len(o.list)-1)]
	o.used++
	return out
}

// of returns the outcomes of a step, or nil if it is not replaced.
func (iv *interventions) of(of *function, step string) *outcomes {
	for _, f := range append(of.names(), "") {
		if o := iv.replacements[replacedStep{f, step}]; o != nil {
			return o
		}
	}
	return nil
}

// ranReplaced returns a replaced step that the app has run in a call in which it had to announce its steps, or nil.
func (iv *interventions) ranReplaced(it *item, ops []sdk.Op) *sdk.Op {
	for i := range ops {
		if o := &ops[i]; it.planFirst && o.Op.Ran() && o.ID != it.target && iv.of(it.run.function, o.StepID()) != nil {
			return o
		}
	}
	return nil
}

// mustPlan reports whether the app must announce the function's steps instead of running them at once.
func (iv *interventions) mustPlan(f *function) bool {
	for key := range iv.replacements {
		if f.named(key.function) {
			return true
		}
	}
	return false
}

// answer answers for the app if the step that an item is to run is replaced, or returns nil.
func (iv *interventions) answer(it *item, now time.Time) *answer {
	if it.target == "" {
		return nil
	}
	rep := iv.next(it.run.function, it.name)
	if rep == nil {
		return nil
	}
	if step := it.run.stepOf(it.target); step != nil {
		step.Replaced = true
	}
	op := sdk.Op{Op: sdk.OpStepRun, ID: it.target, Name: it.name, Data: rep.encoded}
	if failed := rep.failure(); failed != nil {
		op.Op, op.Error, op.Data = sdk.OpStepError, &failed.Failure, nil
	}
	a := &answer{
		Answer: sdk.Answer{Status: http.StatusPartialContent, Header: http.Header{sdk.HeaderSDK: {"sim"}}}, ops: []sdk.Op{op}, noRetry: rep.NoRetry,
	}
	if rep.RetryAfter > 0 {
		a.retryAt = now.Add(rep.RetryAfter)
	}
	return a
}

func (o *Outcome) failure() *Error {
	if o.Err == "" {
		return nil
	}
	failed := newError("Error", o.Err)
	failed.Data, failed.NoRetry = json.RawMessage("null"), o.NoRetry
	return failed
}

// forWait returns what is memoised for a wait or an invocation with this outcome.
func (o *Outcome) forWait(op sdk.Opcode, signal string) json.RawMessage {
	switch failed := o.failure(); {
	case failed != nil:
		return Wrap("error", failed.Failure)
	case op == sdk.OpInvokeFunction:
		return Wrap("data", o.encoded)
	case op == sdk.OpWaitForSignal && o.Value != nil:
		return received(signal, o.encoded)
	default:
		return o.encoded
	}
}

// takeFault returns the first fault that acts on an answer about one of these steps, and counts it; or nil.
func (iv *interventions) takeFault(of *function, steps []string) *Fault {
	for i, f := range iv.faults {
		if !of.named(f.Function) || f.Step != "" && !slices.Contains(steps, f.Step) {
			continue
		}
		switch {
		case f.Times > 1:
			f.Times--
		case f.Times >= 0:
			iv.faults = slices.Delete(iv.faults, i, i+1)
		}
		return f
	}
	return nil
}

package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Outcome is what a replaced step comes to, instead of what its code would do.
type Outcome struct {
	// Value is the result, encoded as JSON. For a wait it is the event that comes; nil is that none comes in time.
	Value any
	// Err, if not empty, makes the attempt fail with this message. It is tried again like any failed step.
	Err string
	// NoRetry makes the failure final.
	NoRetry bool
	// RetryAfter puts the next attempt this much later, in place of the backoff.
	RetryAfter time.Duration
}

// Outcomes are the outcomes of a step's attempts, one after the other; the last one stands for all later ones.
type Outcomes struct {
	list []encoded
	next int
}

type encoded struct {
	Outcome
	raw json.RawMessage
}

// Replace makes a step come to these outcomes, one for each attempt, the last one for all further ones; its code is not
// called. The function is named by its full id, or "" for any; the step by its id in the code ("id:1" for the second use of
// one id in a run). It works for every kind of step: a sleep that is replaced takes no time. Only steps that come up later
// are affected. With no outcome, the step is as it was.
//
// The app is asked to announce each step of a function that has a replaced step before running it, so that there are more
// calls, and no checkpoints.
func (s *Sim) Replace(functionID, stepID string, outcomes ...Outcome) error {
	o := &Outcomes{}
	for _, out := range outcomes {
		raw, err := json.Marshal(out.Value)
		if err != nil {
			return fmt.Errorf("replacing step %s: encoding the value: %w", stepID, err)
		}
		o.list = append(o.list, encoded{out, raw})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := functionID + "\x00" + stepID
	if len(outcomes) == 0 {
		delete(s.replacements, key)
		return nil
	}
	s.replacements[key] = o
	return nil
}

// replacement returns the next outcome of a replaced step, or nil if the step is not replaced.
func (s *Sim) replacement(f *function, stepID string) *encoded {
	for _, id := range []string{f.id, ""} {
		if o := s.replacements[id+"\x00"+stepID]; o != nil {
			out := &o.list[min(o.next, len(o.list)-1)]
			o.next++
			return out
		}
	}
	return nil
}

// mustPlan reports whether the app must announce the function's steps instead of running them at once.
func (s *Sim) mustPlan(f *function) bool {
	for key := range s.replacements {
		if owner := key[:slices.Index([]byte(key), 0)]; owner == "" || owner == f.id {
			return true
		}
	}
	return false
}

// outcome answers for the app if the step that an item is to run is replaced.
func (s *Sim) outcome(it *item) *answer {
	if it.target == "" || len(s.replacements) == 0 {
		return nil
	}
	rep := s.replacement(it.run.function, it.name)
	if rep == nil {
		return nil
	}
	if step := it.run.stepOf(it.target); step != nil {
		step.Replaced = true
	}
	op := sdk.Op{Op: sdk.OpStepRun, ID: it.target, Name: it.name, Data: rep.raw}
	if failed := rep.failure(); failed != nil {
		op.Op, op.Error, op.Data = sdk.OpStepError, &sdk.Error{Name: failed.Name, Message: failed.Message, Data: failed.Data, NoRetry: failed.NoRetry}, nil
	}
	a := &answer{
		Answer: sdk.Answer{Status: http.StatusPartialContent, Header: http.Header{sdk.HeaderSDK: {"sim"}}}, ops: []sdk.Op{op}, noRetry: rep.NoRetry,
	}
	if rep.RetryAfter > 0 {
		a.retryAt = s.clock().Add(rep.RetryAfter)
	}
	return a
}

func (o *encoded) failure() *Error {
	if o.Err == "" {
		return nil
	}
	return &Error{Name: "Error", Message: o.Err, Data: json.RawMessage("null"), NoRetry: o.NoRetry}
}

// forWait is what is memoised for a wait or an invocation that came to this outcome.
func (o *encoded) forWait(op Op) json.RawMessage {
	switch failed := o.failure(); {
	case failed != nil:
		return wrap("error", failed)
	case op == OpInvoke:
		return wrap("data", o.raw)
	default:
		return o.raw
	}
}

// Answer is a fault on the way of the app's answers: the app has done its work, and what it says about it arrives late,
// twice or not at all.
type Answer struct {
	// Function and Step say whose answers: the function's full id and a step's id in the code. Empty means any.
	Function, Step string
	// Times is how many answers it befalls. Zero is one.
	Times int

	// Lose drops the answer, as when the app crashes between a step's effect and its checkpoint: the attempt counts as
	// failed and is made again.
	Lose bool
	// Late delivers the answer this much later by the virtual clock.
	Late time.Duration
	// Twice delivers the answer a second time.
	Twice bool
}

// Befall makes the next answers of that description suffer. Faults are tried in the order in which they were given.
func (s *Sim) Befall(a Answer) {
	a.Times = max(a.Times, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &a)
}

// faultFor returns the fault that befalls an answer, if one does, and counts it.
func (s *Sim) faultFor(it *item, a *answer) *Answer {
	if len(s.faults) == 0 {
		return nil
	}
	ids := []string{it.name}
	for i := range a.ops {
		ids = append(ids, a.ops[i].StepID())
	}
	return s.takeFault(it.run.function.id, ids)
}

func (s *Sim) takeFault(function string, steps []string) *Answer {
	for i, f := range s.faults {
		if f.Function != "" && f.Function != function || f.Step != "" && !slices.Contains(steps, f.Step) {
			continue
		}
		if f.Times--; f.Times == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f
	}
	return nil
}

package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Recording is what a run did, as far as it is needed to see what changed code would do with it.
type Recording struct {
	Function string // full id
	Event    json.RawMessage
	Steps    []RecordedStep // in the order of their completion
}

// RecordedStep is a step that was done.
type RecordedStep struct {
	ID string // in the code; "id:1" for the second use of one id
	Op Op
	// Output is what it returned; of an invocation the result, of a wait the event. Error is why it failed; nil unless it did.
	Output json.RawMessage
	Error  *Error
}

// Record returns the recording of a run.
func Record(r *Run) Recording {
	event, err := json.Marshal(map[string]any{"id": r.Event.ID, "name": r.Event.Name, "data": r.Event.Data, "ts": r.Event.At.UnixMilli(), "user": map[string]any{}})
	if err != nil {
		panic(fmt.Sprintf("sim: encoding event %s: %v", r.Event.Name, err)) // its data came from JSON
	}
	rec := Recording{Function: r.Function, Event: event}
	for _, s := range r.Steps {
		if !s.Ended.IsZero() {
			rec.Steps = append(rec.Steps, RecordedStep{ID: s.ID, Op: s.Op, Output: s.Output, Error: s.Error})
		}
	}
	slices.SortStableFunc(rec.Steps, func(a, b RecordedStep) int {
		x, _ := r.Step(a.ID)
		y, _ := r.Step(b.ID)
		return x.Ended.Compare(y.Ended)
	})
	return rec
}

// Replay says what the code that is registered now makes of a run that was recorded earlier.
type Replay struct {
	// Missing are recorded steps that the code does not come to any more: they were taken out, or renamed.
	Missing []string
	// New are steps that the code comes to and that were not recorded: for a run that is under way while the code is
	// deployed, they run, even where they do what a missing one has done already.
	New []string
	// Finished says that the code came to its end; Output is what it returned then, Error why it failed.
	Finished bool
	Output   json.RawMessage
	Error    *Error
}

// Safe reports whether a run that is under way can go on with the code as if nothing had changed.
func (r *Replay) Safe() bool { return len(r.Missing) == 0 && len(r.New) == 0 }

// String says it in a sentence.
func (r *Replay) String() string {
	switch {
	case r.Safe():
		return "the code comes to the same steps"
	case len(r.Missing) == 0:
		return fmt.Sprintf("the code comes to %s, which the recorded run did not do: for runs under way, it will run after the deploy", quoted(r.New))
	case len(r.New) == 0:
		return fmt.Sprintf("the code does not come to %s any more, which the recorded run did", quoted(r.Missing))
	default:
		return fmt.Sprintf("the code does not come to %s any more, and comes to %s instead: if that is a new name for the same work,"+
			" runs under way will do it a second time after the deploy", quoted(r.Missing), quoted(r.New))
	}
}

func quoted(ids []string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = fmt.Sprintf("step %q", id)
	}
	return strings.Join(out, ", ")
}

// Replay plays a recorded run against the code that is registered now. No step is run: the app is given the recorded
// results and asked to announce what it would do next. Code outside steps is run, several times.
func (s *Sim) Replay(ctx context.Context, rec Recording) (*Replay, error) {
	p := &player{s: s, rec: rec, memo: map[string]json.RawMessage{}}
	s.mu.Lock()
	p.function = s.find(rec.Function)
	s.mu.Unlock()
	if p.function == nil {
		return nil, fmt.Errorf("replaying a run of %s: no such function is registered", rec.Function)
	}
	for _, step := range rec.Steps {
		p.memo[sdk.StepHash(step.ID)] = step.memo()
		p.order = append(p.order, sdk.StepHash(step.ID))
	}
	out := &Replay{}
	if err := p.forward(ctx, out); err != nil {
		return nil, fmt.Errorf("replaying a run of %s: %w", rec.Function, err)
	}
	for _, step := range rec.Steps {
		reached, err := p.reaches(ctx, sdk.StepHash(step.ID))
		if err != nil {
			return nil, fmt.Errorf("replaying a run of %s: %w", rec.Function, err)
		}
		if !reached {
			out.Missing = append(out.Missing, step.ID)
		}
	}
	return out, nil
}

func (r RecordedStep) memo() json.RawMessage {
	switch {
	case r.Op == OpSleep:
		return json.RawMessage("null")
	case r.Error != nil:
		return wrap("error", r.Error)
	case r.Op == OpWaitForEvent:
		return orNull(r.Output)
	default:
		return wrap("data", orNull(r.Output))
	}
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

type player struct {
	s        *Sim
	rec      Recording
	function *function
	memo     map[string]json.RawMessage
	order    []string
	used     map[string]bool // recorded steps whose result stood in for a new step
}

// forward lets the code go as far as recorded results take it. Where it comes to a new step, the result of the first
// recorded step that it has left out stands in, on the guess that the step was renamed: so one new name does not make all
// that follows look lost.
func (p *player) forward(ctx context.Context, out *Replay) error {
	p.used = map[string]bool{}
	for range maxSteps {
		a, err := p.ask(ctx, "")
		if err != nil {
			return err
		}
		if reason, shown := a.failure(); reason != "" {
			out.Finished, out.Error = true, shown
			return nil
		}
		if len(a.ops) == 0 {
			out.Finished = true
			out.Output, _ = a.Result()
			return nil
		}
		for i := range a.ops {
			o := &a.ops[i]
			if _, known := p.memo[o.ID]; known || o.Op == sdk.OpNone {
				return fmt.Errorf("the app announces step %q although it has its result", o.StepID())
			}
			out.New = append(out.New, o.StepID())
			stand, err := p.standIn(ctx)
			if err != nil || stand == nil {
				return err
			}
			p.memo[o.ID] = stand
			p.order = append(p.order, o.ID)
		}
	}
	return fmt.Errorf("the code comes to more than %d steps", maxSteps)
}

// standIn returns the result of the first recorded step that the code has passed over, or nil.
func (p *player) standIn(ctx context.Context) (json.RawMessage, error) {
	for _, step := range p.rec.Steps {
		hash := sdk.StepHash(step.ID)
		if p.used[hash] {
			continue
		}
		reached, err := p.reaches(ctx, hash)
		if err != nil {
			return nil, err
		}
		if !reached {
			p.used[hash] = true
			return step.memo(), nil
		}
	}
	return nil, nil
}

// reaches reports whether the code asks for a step when its result alone is held back.
func (p *player) reaches(ctx context.Context, hash string) (bool, error) {
	a, err := p.ask(ctx, hash)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(a.ops, func(o sdk.Op) bool { return o.ID == hash }), nil
}

// ask calls the app with all results but one.
func (p *player) ask(ctx context.Context, without string) (*answer, error) {
	r := newRun(ulid.ULID{}, p.function, &event{name: "replay", raw: p.rec.Event}, time.Time{})
	r.planFirst = true
	for _, hash := range p.order {
		if hash != without {
			r.save(hash, p.memo[hash])
		}
	}
	p.s.mu.Lock()
	c := p.s.prepare(&item{run: r})
	p.s.mu.Unlock()
	a := p.s.callAlone(ctx, func(one *caller, instead func(*answer)) (*answer, bool) { return one.do(c, instead) })
	if a.Status == 0 && a.err != nil {
		return nil, a.err
	}
	return a, nil
}

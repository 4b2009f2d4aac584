package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// Recording is what a run did, as far as it is needed to see what changed code would do with it.
type Recording struct {
	FunctionID string // with the app's id in front
	Event      json.RawMessage
	Steps      []RecordedStep // in the sequence of their completion
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
	event, err := json.Marshal(map[string]any{"id": r.Event.IdempotencyKey, "name": r.Event.Name, "data": r.Event.Data, "ts": r.Event.At.UnixMilli(), "user": map[string]any{}})
	if err != nil {
		panic(fmt.Sprintf("sim: encoding event %s: %v", r.Event.Name, err)) // its data came from JSON
	}
	rec := Recording{FunctionID: r.FunctionID, Event: event}
	done := slices.DeleteFunc(slices.Clone(r.Steps), func(s Step) bool { return s.Ended.IsZero() })
	slices.SortStableFunc(done, func(a, b Step) int { return a.Ended.Compare(b.Ended) })
	for _, s := range done {
		rec.Steps = append(rec.Steps, RecordedStep{ID: s.ID, Op: s.Op, Output: s.Output, Error: s.Error})
	}
	return rec
}

// Replay is what the code that is registered now does with a run that was recorded earlier.
type Replay struct {
	// Missing are recorded steps that the code does not come to any more: they were removed or renamed.
	Missing []string
	// New are steps that the code comes to and that were not recorded: for a run that is under way while the code is
	// deployed, they run, even where they repeat the work of a missing one.
	New []string
	// Finished says that the function returned; Output is what it returned, Error why it failed.
	Finished bool
	Output   json.RawMessage
	Error    *Error
}

// Safe reports whether a run that is under way can go on with the code as if nothing had changed.
func (r *Replay) Safe() bool { return len(r.Missing) == 0 && len(r.New) == 0 }

// String describes it in a sentence.
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
	p := &player{engine: s.engine, rec: rec, used: map[string]bool{}}
	for _, step := range rec.Steps {
		p.memos = append(p.memos, engine.Memo{Hash: sdk.StepHash(step.ID), Result: step.memo()})
	}
	out := &Replay{}
	if err := p.forward(ctx, out); err != nil {
		return nil, fmt.Errorf("replaying a run of %s: %w", rec.FunctionID, err)
	}
	for _, step := range rec.Steps {
		reached, err := p.reaches(ctx, sdk.StepHash(step.ID))
		if err != nil {
			return nil, fmt.Errorf("replaying a run of %s: %w", rec.FunctionID, err)
		}
		if !reached {
			out.Missing = append(out.Missing, step.ID)
		}
	}
	return out, nil
}

// memo is what was memoised for the step.
func (r RecordedStep) memo() json.RawMessage {
	output := r.Output
	if len(output) == 0 {
		output = json.RawMessage("null")
	}
	switch {
	case r.Op == OpSleep:
		return json.RawMessage("null")
	case r.Error != nil:
		return engine.Wrap("error", r.Error)
	case r.Op == OpWaitForEvent, r.Op == OpWaitForSignal && string(output) == "null":
		return output
	default:
		return engine.Wrap("data", output)
	}
}

// player plays one recording.
type player struct {
	engine *engine.Engine
	rec    Recording
	memos  []engine.Memo
	used   map[string]bool // recorded steps whose result stood in for a new step
}

// forward lets the code go as far as recorded results take it. Where it comes to a new step, the result of the first
// recorded step that it has left out stands in, on the guess that the step was renamed: so one new name does not make all
// that follows look missing.
func (p *player) forward(ctx context.Context, out *Replay) error {
	const most = 1_000 // steps of a run
	for range most {
		plan, err := p.probe(ctx, "")
		if err != nil {
			return err
		}
		if len(plan.Ops) == 0 {
			out.Finished, out.Output, out.Error = true, plan.Output, plan.Failed
			return nil
		}
		for i := range plan.Ops {
			o := &plan.Ops[i]
			known := slices.ContainsFunc(p.memos, func(m engine.Memo) bool { return m.Hash == o.ID })
			if known || o.Op == sdk.OpNone {
				return fmt.Errorf("the app announces step %q although it has its result", o.StepID())
			}
			out.New = append(out.New, o.StepID())
			result, err := p.standIn(ctx)
			if err != nil || result == nil {
				return err
			}
			p.memos = append(p.memos, engine.Memo{Hash: o.ID, Result: result})
		}
	}
	return fmt.Errorf("the code comes to more than %d steps", most)
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
	plan, err := p.probe(ctx, hash)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(plan.Ops, func(o sdk.Op) bool { return o.ID == hash }), nil
}

// probe calls the app with all results but one.
func (p *player) probe(ctx context.Context, without string) (engine.Plan, error) {
	memos := slices.DeleteFunc(slices.Clone(p.memos), func(m engine.Memo) bool { return m.Hash == without })
	return p.engine.Probe(ctx, p.rec.FunctionID, p.rec.Event, memos)
}

package harness

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// takeEvent reads the event and who listens for it.
func (t *tracer) takeEvent(ctx context.Context) error {
	if t.event == nil {
		e, err := t.s.api.Event(ctx, t.eventID)
		if errors.Is(err, inngestapi.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		t.event = &TraceEvent{Name: e.Name, ID: e.OwnID, Data: e.Data, Received: e.Received}
		if e.OwnID == t.eventID {
			t.event.ID = "" // the sender gave none
		}
		t.events[0].ownID = e.OwnID
		t.s.ledger.listen(keyEvent(e.OwnID), t.listener)
	}
	if len(t.runs) > 0 && t.known != nil {
		return nil // somebody listened; who else does now is of no matter
	}
	known, err := t.s.api.Functions(ctx)
	if err != nil {
		return err
	}
	t.known = known
	t.events[0].listeners = t.listeners(t.event.Name, "")
	if t.struck {
		return t.duplicate(ctx)
	}
	return nil
}

// idMemory is how long the server drops events with an id that it has seen.
const idMemory = 24 * time.Hour

// duplicate finds out whether the event's own id was used for another event, which started what there was to start. Of
// two that are sent at nearly the same time either may be that one, whatever their order: it is the one that has runs.
func (t *tracer) duplicate(ctx context.Context) error {
	if t.event.ID == "" || t.event.DuplicateOf != "" {
		return nil
	}
	// What was sent through here is known already; the server is asked about what was not.
	err := t.duplicateOf(ctx, t.s.ledger.look(keyEvent(t.event.ID)).accepted)
	if err != nil || t.event.DuplicateOf != "" || time.Since(t.event.Received) < inngestapi.VisibleWithin {
		return err
	}
	same, err := t.s.api.Events(ctx, inngestapi.EventFilter{Since: t.event.Received.Add(-idMemory), Until: t.event.Received.Add(inngestapi.VisibleWithin), Names: []string{t.event.Name}})
	if err != nil {
		return err
	}
	var others []string
	for _, e := range same {
		if e.OwnID == t.event.ID {
			others = append(others, e.ID)
		}
	}
	return t.duplicateOf(ctx, others)
}

// duplicateOf looks for one among the events with the same id of their own that has runs.
func (t *tracer) duplicateOf(ctx context.Context, others []string) error {
	for _, id := range others {
		if id == t.eventID {
			continue
		}
		runs, err := t.s.api.EventRuns(ctx, id)
		if err != nil && !errors.Is(err, inngestapi.ErrNotFound) {
			return err
		}
		if len(runs) > 0 {
			t.event.DuplicateOf = id
			return nil
		}
	}
	return nil
}

// takeRuns reads what is new of the runs.
func (t *tracer) takeRuns(ctx context.Context, struck bool) error {
	for i := 0; i < len(t.events); i++ { // events are added on the way
		e := t.events[i]
		if err := t.findRuns(ctx, e, struck); err != nil {
			return err
		}
		for _, r := range t.runs {
			if r.EventID != e.id {
				continue
			}
			if r.over && r.awaited != "" {
				if err := t.follow(ctx, r); err != nil {
					return err
				}
			}
			if r.over || !struck && t.s.wires.taps != nil && t.s.ledger.look(keyRun(r.ID)).ended.IsZero() {
				continue
			}
			if err := t.readRun(ctx, r, struck); err != nil {
				return err
			}
		}
	}
	return nil
}

// findRuns looks for runs of an event that are not known yet.
func (t *tracer) findRuns(ctx context.Context, e *tracedEvent, struck bool) error {
	if _, waiting := t.unstarted(e); !struck && !waiting {
		return nil
	}
	runs, err := t.s.api.EventRuns(ctx, e.id)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range runs {
		if slices.ContainsFunc(t.runs, func(known *tracedRun) bool { return known.ID == r.ID }) {
			continue
		}
		known := &tracedRun{TraceRun: TraceRun{ID: r.ID, EventID: e.id, Inferred: e.inferred}}
		known.update(r)
		t.runs = append(t.runs, known)
		t.s.ledger.listen(keyRun(r.ID), t.listener)
		t.watchInbox(inbox.Filter{RunID: r.ID})
	}
	return nil
}

// unstarted returns a function that listens for an event and has not started because of it.
func (t *tracer) unstarted(e *tracedEvent) (TraceFunction, bool) {
	for _, f := range e.listeners {
		if !slices.ContainsFunc(t.runs, func(r *tracedRun) bool { return r.EventID == e.id && r.Function == f.ID && r.App == f.App }) {
			return f, true
		}
	}
	return TraceFunction{}, false
}

func (r *tracedRun) update(now inngestapi.Run) {
	r.Function, r.App, r.Status, r.Output, r.Error = now.Function, now.App, now.Status, now.Output, now.Error
	r.Queued, r.Started, r.Ended = now.Queued, now.Started, now.Ended
}

// readRun reads a run, and its steps when it is over or the clock has struck.
func (t *tracer) readRun(ctx context.Context, r *tracedRun, struck bool) error {
	now, err := t.s.api.Run(ctx, r.ID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.update(now)
	if !terminal(r.Status) && !struck {
		return nil
	}
	trace, err := t.s.api.Trace(ctx, r.ID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Steps = steps(trace)
	r.over = terminal(r.Status)
	return t.follow(ctx, r)
}

// NewTraceRun returns a run that an event started as the server tells of it.
func NewTraceRun(eventID string, r inngestapi.Run, t inngestapi.RunTrace) TraceRun {
	run := tracedRun{TraceRun: TraceRun{ID: r.ID, EventID: eventID, Steps: steps(t)}}
	run.update(r)
	return run.TraceRun
}

func steps(trace inngestapi.RunTrace) []TraceStep {
	all := make([]TraceStep, 0, len(trace.Steps))
	for _, s := range trace.Steps {
		step := TraceStep{ID: s.ID, Op: s.Op, Status: s.Status, Input: s.Input, Output: s.Output, Error: s.Error, Started: s.Started, Ended: s.Ended}
		for _, a := range s.Attempts {
			step.Attempts = append(step.Attempts, TraceAttempt(a))
		}
		all = append(all, step)
	}
	return all
}

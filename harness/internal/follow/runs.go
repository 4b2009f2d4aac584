package follow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// readEvent reads the event and the functions that are subscribed to it.
func (l *look) readEvent(ctx context.Context) error {
	if l.event == nil {
		e, err := l.src.API.Event(ctx, l.eventID)
		if errors.Is(err, inngestapi.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		l.event = &harness.TraceEvent{Name: e.Name, IdempotencyKey: e.IdempotencyKey, Data: e.Data, Received: e.Received}
		if e.IdempotencyKey == l.eventID {
			l.event.IdempotencyKey = "" // the sender chose none
		}
		l.events[0].key, l.events[0].name = e.IdempotencyKey, e.Name
		l.src.Ledger.subscribe(keyEvent(e.IdempotencyKey), l.waiter)
	}
	if len(l.runs) > 0 && l.registered != nil {
		return nil // the functions that were subscribed have started
	}
	registered, err := l.src.API.Functions(ctx)
	if err != nil {
		return err
	}
	l.registered = registered
	l.events[0].subscribed = l.subscribed(l.event.Name, "")
	if l.due {
		return l.findDuplicate(ctx)
	}
	return nil
}

// keyLifetime is how long the server drops events with an idempotency key that it has seen.
const keyLifetime = 24 * time.Hour

// findDuplicate finds out whether another event with the same idempotency key started the runs. Of two that are sent at
// nearly the same time either may have, whatever their order.
func (f *Follower) findDuplicate(ctx context.Context) error {
	if f.event.IdempotencyKey == "" || f.event.DuplicateOf != "" {
		return nil
	}
	// The ledger knows the events that were sent through the harness; ask the server for others.
	err := f.firstWithRuns(ctx, f.src.Ledger.get(keyEvent(f.event.IdempotencyKey)).accepted)
	if err != nil || f.event.DuplicateOf != "" || f.src.now().Sub(f.event.Received) < f.src.VisibleWithin {
		return err
	}
	same, err := f.src.API.Events(ctx, inngestapi.EventFilter{
		Since: f.event.Received.Add(-keyLifetime), Until: f.event.Received.Add(inngestapi.VisibleWithin), Names: []string{f.event.Name},
	})
	if err != nil {
		return err
	}
	var others []string
	for _, e := range same {
		if e.IdempotencyKey == f.event.IdempotencyKey {
			others = append(others, e.EventID)
		}
	}
	return f.firstWithRuns(ctx, others)
}

// firstWithRuns sets DuplicateOf to the first other event that started runs.
func (f *Follower) firstWithRuns(ctx context.Context, others []string) error {
	for _, id := range others {
		if id == f.eventID {
			continue
		}
		runs, err := f.src.API.EventRuns(ctx, id)
		if err != nil && !errors.Is(err, inngestapi.ErrNotFound) {
			return err
		}
		if len(runs) > 0 {
			f.event.DuplicateOf = id
			return nil
		}
	}
	return nil
}

// readRuns reads what is new about the runs, and about the events that they caused.
func (l *look) readRuns(ctx context.Context) error {
	for i := 0; i < len(l.events); i++ { // the loop appends events
		e := l.events[i]
		if err := l.findRuns(ctx, e); err != nil {
			return err
		}
		for _, r := range l.runs {
			if r.EventID != e.id {
				continue
			}
			if r.over && r.awaited != "" {
				if err := l.followRun(ctx, r); err != nil {
					return err
				}
			}
			unchanged := !l.due && l.src.Taps != nil && l.src.Ledger.get(keyRun(r.ID)).ended.IsZero()
			if r.over || unchanged {
				continue
			}
			if err := l.readRun(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// findRuns looks for new runs of an event.
func (l *look) findRuns(ctx context.Context, e *tracedEvent) error {
	if _, waiting := l.unstarted(e); !l.due && !waiting {
		return nil
	}
	runs, err := l.src.API.EventRuns(ctx, e.id)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, now := range runs {
		if l.run(now.ID) != nil {
			continue
		}
		r := &tracedRun{TraceRun: harness.TraceRun{ID: now.ID, EventID: e.id, Inferred: e.inferred, Steps: []harness.TraceStep{}}}
		r.update(now)
		l.runs = append(l.runs, r)
		l.src.Ledger.subscribe(keyRun(r.ID), l.waiter)
		l.watchInbox(inbox.Filter{RunID: r.ID})
	}
	return nil
}

// unstarted returns a function that is subscribed to an event and has not started because of it.
func (f *Follower) unstarted(e *tracedEvent) (harness.TraceFunction, bool) {
	for _, fn := range e.subscribed {
		if !slices.ContainsFunc(f.runs, func(r *tracedRun) bool { return r.EventID == e.id && r.Function == fn.ID && r.App == fn.App }) {
			return fn, true
		}
	}
	return harness.TraceFunction{}, false
}

func (r *tracedRun) update(now inngestapi.Run) {
	r.Function, r.App, r.Status, r.Output, r.Error = now.Function, now.App, now.Status, now.Output, now.Error
	r.Queued, r.Started, r.Ended = now.Queued, now.Started, now.Ended
}

// readRun reads a run, and its steps when it has ended or the poll interval has elapsed.
func (l *look) readRun(ctx context.Context, r *tracedRun) error {
	now, err := l.src.API.Run(ctx, r.ID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.update(now)
	if !r.Status.Final() && !l.due {
		return nil
	}
	trace, err := l.src.API.Trace(ctx, r.ID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Steps = steps(trace)
	r.over = r.Status.Final()
	return l.followRun(ctx, r)
}

func steps(trace inngestapi.RunTrace) []harness.TraceStep {
	all := make([]harness.TraceStep, 0, len(trace.Steps))
	for _, s := range trace.Steps {
		step := harness.TraceStep{ID: s.ID, Op: s.Op, Status: s.Status, Input: s.Input, Output: s.Output, Error: s.Error, Started: s.Started, Ended: s.Ended}
		for _, a := range s.Attempts {
			step.Attempts = append(step.Attempts, harness.TraceAttempt(a))
		}
		all = append(all, step)
	}
	return all
}

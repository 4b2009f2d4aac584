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
	first := l.events[0]
	if l.root == nil {
		e, err := l.src.API.Event(ctx, l.eventID)
		if errors.Is(err, inngestapi.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		first.ReceivedEvent = e
		l.root = &harness.TraceEvent{Name: e.Name, IdempotencyKey: e.IdempotencyKey, Data: e.Data, Received: e.Received}
		if e.IdempotencyKey == l.eventID {
			l.root.IdempotencyKey = "" // the sender chose none
		}
		if e.At.After(e.Received) {
			l.root.Due = e.At
		}
		l.src.Ledger.subscribe(keyEvent(e.IdempotencyKey), l.waiter)
	}
	if len(l.runs) > 0 && l.registered != nil {
		return nil // the functions that were subscribed have started
	}
	registered, err := l.src.API.Functions(ctx)
	if errors.Is(err, inngestapi.ErrNotShown) {
		l.noList, registered, err = err.Error(), []inngestapi.Function{}, nil
	}
	if err != nil {
		return err
	}
	l.registered = registered
	first.subscribed = l.subscribed(first.ReceivedEvent)
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
			if r.EventID != e.EventID {
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
	runs, err := l.src.API.EventRuns(ctx, e.EventID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, now := range runs {
		if r := l.run(now.ID); r != nil {
			if !slices.Contains(r.events, e.EventID) {
				r.events = append(r.events, e.EventID)
			}
			if e == l.events[0] { // the server may have shown it for another event of the batch first
				r.EventID = e.EventID
			}
			r.Inferred = r.Inferred && e.inferred
			continue
		}
		r := &tracedRun{TraceRun: harness.TraceRun{ID: now.ID, EventID: e.EventID, Inferred: e.inferred,
			Steps: []harness.TraceStep{}}, events: []string{e.EventID}}
		r.update(now)
		l.runs = append(l.runs, r)
		l.src.Ledger.subscribe(keyRun(r.ID), l.waiter)
		l.watchInbox(inbox.Filter{RunID: r.ID})
	}
	return nil
}

// unstarted returns a function that an event may still start.
func (f *Follower) unstarted(e *tracedEvent) (harness.TraceFunction, bool) {
	for _, fn := range e.subscribed {
		if fn.NotStarted == "" && !f.started(e, fn) {
			return fn, true
		}
	}
	return harness.TraceFunction{}, false
}

// started reports whether an event has started a function.
func (f *Follower) started(e *tracedEvent, fn harness.TraceFunction) bool {
	return slices.ContainsFunc(f.runs, func(r *tracedRun) bool {
		return slices.Contains(r.events, e.EventID) && r.Function == fn.ID && r.App == fn.App
	})
}

func (r *tracedRun) update(now inngestapi.Run) {
	r.Function, r.App, r.Status, r.Output, r.Error = now.Function, now.App, now.Status, now.Output, now.Error
	r.Queued, r.Started, r.Ended = now.Queued, now.Started, now.Ended
	r.Skipped = now.Skipped
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
	if err := l.readDecisions(ctx, r); err != nil {
		return err
	}
	if r.Status == harness.StatusSkipped { // it has no steps, and perhaps no trace
		r.over = true
		return nil
	}
	trace, err := l.src.API.Trace(ctx, r.ID)
	switch late := r.Status.Final() && l.src.now().Sub(r.Ended) > l.src.VisibleWithin; {
	case errors.Is(err, inngestapi.ErrNotShown), errors.Is(err, inngestapi.ErrNotFound) && l.src.API.ReadsREST() && late:
		r.StepsUnknown, r.over = err.Error(), r.Status.Final()
		return nil
	case errors.Is(err, inngestapi.ErrNotFound):
		return nil
	}
	if err != nil {
		return err
	}
	if err := l.src.Ledger.catchUp(ctx); err != nil {
		return err
	}
	seen := l.src.Ledger.get(keyRun(r.ID))
	r.Steps = steps(trace, seen.executions)
	r.over = r.Status.Final()
	if r.over && seen.unsaved(trace) {
		r.over, r.waits = false, "the server has yet to save a step that the app reported at the end"
	}
	return l.followRun(ctx, r)
}

// unsaved reports whether the server may be about to save a step of a run that has ended: the answer that ends a run can report steps,
// and the server saves them all at the same time.
func (e entry) unsaved(t inngestapi.RunTrace) bool {
	return !e.ended.IsZero() && time.Since(e.ended) < endingTime && slices.ContainsFunc(e.endedWith, func(id string) bool {
		return !slices.ContainsFunc(t.Steps, func(s inngestapi.Step) bool { return s.HashedID == id && s.Status == harness.StatusCompleted })
	})
}

func steps(trace inngestapi.RunTrace, seen executions) []harness.TraceStep {
	all := make([]harness.TraceStep, 0, len(trace.Steps))
	for _, s := range trace.Steps {
		all = append(all, harness.TraceStep{
			ID: s.ID, Op: s.Op, Status: s.Status, Attempts: attempts(s.Attempts, seen.of(s.HashedID)),
			Input: s.Input, Output: s.Output, Error: s.Error, Started: s.Started, Ended: s.Ended,
		})
	}
	return all
}

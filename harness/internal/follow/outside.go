package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// An event that a function sends outside its steps, by a plain call of its client, carries no run id. Only the time
// connects it to a run: the run was being called when it was sent. This file attributes it:
//
//   - On a stack that tests share, none. The evidence says so.
//   - On a stack of one's own where nothing else can have made the app send it, it belongs to the run, and its runs
//     belong to the trace as inferred ones.
//   - On a stack of one's own where something else may have, it is unattributed, and a denial cannot be judged. So it is
//     with every event since the one that is judged if the app is called over its own connection, which no tap records.
//
// An event that the caller asks for, by its idempotency key or its ULID, needs no other explanation.

// outside is what a look found about events that were sent outside steps.
type outside struct {
	unattributed []harness.UnattributedEvent
	functions    []harness.TraceFunction // what the unattributed events started
	unknown      int                     // how many events there are on a shared stack
	missed       bool                    // some may have been missed
}

// readOutside looks for events that the app sent while it was being called for runs of the trace. It is called when
// everything else is quiet, and returns why it is not any more.
func (l *look) readOutside(ctx context.Context) (unquiet string, err error) {
	if l.src.Taps == nil {
		return "", nil
	}
	for _, r := range l.runs {
		if name := l.event(r.EventID).Name; name == sdk.EventHTTPRequest || name == sdk.EventHTTPRunStarted {
			return fmt.Sprintf("the run %s is one of a durable endpoint: what it sent outside its steps, as the answer to a request "+
				"that is no call of a function, cannot be known", r.ID), nil
		}
	}
	for {
		if err := l.src.Ledger.catchUp(ctx); err != nil {
			return "", err
		}
		if unquiet := l.pending(); unquiet != "" { // a call or a delivery may have begun since
			return unquiet, nil
		}
		added, unquiet, err := l.attributeOutside(ctx)
		if unquiet != "" || err != nil {
			return unquiet, err
		}
		if !added {
			known := len(l.besideRuns())
			unquiet, err := l.awaitUnattributed(ctx)
			if unquiet != "" || err != nil || len(l.besideRuns()) == known {
				return unquiet, err
			}
			continue // the new runs may have sent events too
		}
		if err := l.readRuns(ctx); err != nil {
			return "", err
		}
	}
}

// attributeOutside adds the events that belong to the trace, and collects those that may. added reports whether there are
// some of the former.
func (l *look) attributeOutside(ctx context.Context) (added bool, unquiet string, err error) {
	runs := l.runIDs()
	found, alone, missed := l.src.Ledger.outsideDuring(runs)
	if l.src.Connected {
		found, alone = l.src.Ledger.sentSince(l.since)
	}
	more, _, _ := l.src.Ledger.outsideDuring(l.besideRuns())
	for _, d := range more {
		if !slices.ContainsFunc(found, func(o dispatch) bool { return o.EventID == d.EventID && o.began.Equal(d.began) }) {
			found, alone = append(found, d), append(alone, false)
		}
	}
	l.outside = outside{missed: !missed.IsZero() && !missed.Before(l.tapSince())}
	if l.outside.missed && !l.src.Shared {
		return false, "so many exchanges passed since the event that the record of what its runs sent outside their steps " +
			"is incomplete", nil
	}
	for i, d := range found {
		e := inngestapi.ReceivedEvent{
			EventID: d.EventID, IdempotencyKey: cmp.Or(d.IdempotencyKey, d.EventID), Name: d.Name, Data: d.Data, Received: d.began,
			At: d.began,
		}
		subscribed := l.subscribed(e)
		starts := slices.ContainsFunc(subscribed, func(fn harness.TraceFunction) bool { return fn.NotStarted == "" })
		if !starts {
			continue
		}
		if explained, err := l.explained(ctx, d, runs); err != nil {
			return false, "", err
		} else if explained {
			continue
		}
		switch {
		case !d.over:
			return false, fmt.Sprintf("the app is sending an event %s, and began to while a run was being called", d.Name), nil
		case d.EventID == "": // the server has not accepted it
		case l.src.Shared:
			l.outside.unknown++
			l.outside.functions = append(l.outside.functions, subscribed...)
		case alone[i] && !l.src.Taps.Asked(d.began):
			l.add(e, subscribed)
			l.events[len(l.events)-1].inferred = true
			added = true
		default:
			l.setBeside(e, subscribed)
			l.outside.unattributed = append(l.outside.unattributed,
				harness.UnattributedEvent{EventID: d.EventID, Name: d.Name, Sent: d.began})
		}
	}
	return added, "", nil
}

// explained reports whether it is known why the app sent an event, or that the event starts nothing.
func (l *look) explained(ctx context.Context, d dispatch, runs map[string]bool) (bool, error) {
	ledger := l.src.Ledger
	if d.EventID != "" {
		// A run that the event started may know its id, too, and did not send it.
		started := ledger.get(keyEvent(cmp.Or(d.IdempotencyKey, d.EventID))).runs
		byOther := slices.ContainsFunc(ledger.get(keyReported(d.EventID)).runs,
			func(run string) bool { return !runs[run] && !slices.Contains(started, run) })
		if byOther || l.has(d.EventID) || ledger.get(keyRoot(d.EventID)).awaited {
			return true, nil
		}
	}
	if d.IdempotencyKey == "" {
		return false, nil
	}
	sameKey := ledger.get(keyEvent(d.IdempotencyKey))
	effective, err := l.effective(ctx, sameKey.accepted)
	if err != nil {
		return false, err
	}
	accepted := effective != "" && d.EventID != ""
	first := accepted && effective == d.EventID
	duplicate := accepted && !first
	// One of the trace with the same key does not explain the first: two attempts of a step sent both, and the answer of the
	// earlier one was lost.
	return sameKey.awaited || duplicate || !first && slices.ContainsFunc(l.events,
		func(e *tracedEvent) bool { return e.IdempotencyKey == d.IdempotencyKey }), nil
}

// effective returns which of the events with one idempotency key the server did not drop: the one that started runs, and where
// none has yet the one with the smallest ULID. Of events that were sent at nearly the same time neither that, which may have the
// sender's time, nor the sequence of the answers tells which one the server had first.
func (l *look) effective(ctx context.Context, accepted []string) (string, error) {
	accepted = slices.Compact(accepted)
	switch len(accepted) {
	case 0:
		return "", nil
	case 1:
		return accepted[0], nil
	}
	for _, id := range accepted {
		runs, err := l.src.API.EventRuns(ctx, id)
		if err != nil && !errors.Is(err, inngestapi.ErrNotFound) {
			return "", err
		}
		if len(runs) > 0 {
			return id, nil
		}
	}
	return accepted[0], nil
}

// setBeside adds an unattributed event to those that are followed beside the trace.
func (l *look) setBeside(e inngestapi.ReceivedEvent, subscribed []harness.TraceFunction) {
	if l.beside == nil {
		l.beside = New(l.src, e.EventID, nil)
		l.beside.waiter, l.beside.registered, l.beside.events = l.waiter, l.registered, nil
	}
	l.beside.add(e, subscribed)
}

// besideRuns are the ids of the runs that go back to unattributed events.
func (l *look) besideRuns() map[string]bool {
	if l.beside == nil {
		return nil
	}
	return l.beside.runIDs()
}

// unattributedPatience is how long an unattributed event may take to start a run of a function that starts at once.
const unattributedPatience = 5 * time.Second

// awaitUnattributed reads what the unattributed events led to, and says what of it has not ended: it may yet send an email
// to a recipient that the expectation names.
func (l *look) awaitUnattributed(ctx context.Context) (unquiet string, err error) {
	if l.beside == nil {
		return "", nil
	}
	beside := &look{Follower: l.beside, due: true}
	if err := beside.readRuns(ctx); err != nil {
		return "", err
	}
	if err := beside.explainUnstarted(ctx); err != nil {
		return "", err
	}
	const what = "the event %s (%s), which goes back to what the app sent while a run was being called,"
	for _, e := range beside.events {
		fn, waiting := beside.unstarted(e)
		if waiting && (fn.Pending != "" || time.Since(e.Received) < unattributedPatience) && !l.src.idle() {
			return fmt.Sprintf(what+" may start a run of %s", e.Name, e.EventID, fn.ID), nil
		}
	}
	for _, r := range beside.runs {
		if e := beside.event(r.EventID); !r.over {
			return fmt.Sprintf(what+" has started the run %s of %s, which is %s", e.Name, e.EventID, r.ID, r.Function, r.Status), nil
		}
		if l.run(r.ID) == nil {
			l.outside.functions = append(l.outside.functions, harness.TraceFunction{ID: r.Function, App: r.App})
		}
	}
	return "", nil
}

// when says at which time the unattributed events were sent.
func (l *look) when() string {
	if l.src.Connected {
		return "when one of these runs may have been called"
	}
	return "while one of these runs was being called"
}

// outsideEvidence says what is known about events that were sent outside steps, and what cannot be known.
func (l *look) outsideEvidence() []string {
	var lines []string
	for _, e := range l.events {
		if e.inferred {
			lines = append(lines, fmt.Sprintf("the app sent the event %s while one of these runs, and nothing else, was being "+
				"called: it is attributed to that run", e.EventID))
		}
	}
	for _, e := range l.outside.unattributed {
		lines = append(lines, fmt.Sprintf("the app sent the event %s (%s) %s: it cannot be known whether that run sent it",
			e.Name, e.EventID, l.when()))
	}
	switch {
	case l.src.Taps == nil && len(l.runs) > 0:
		lines = append(lines, "events that these runs may have sent outside their steps cannot be known without taps")
	case l.outside.unknown > 0:
		lines = append(lines, fmt.Sprintf("the app sent %s outside its steps while these runs were being called: on a shared "+
			"stack they cannot be attributed to a run",
			text.Count(l.outside.unknown, "event", "events")))
	case l.outside.missed:
		lines = append(lines, "so many exchanges passed since the event that the record of what these runs sent outside their "+
			"steps is incomplete")
	}
	return lines
}

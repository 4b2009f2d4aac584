package follow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// subscribed returns the functions that an event triggers.
func (f *Follower) subscribed(e inngestapi.ReceivedEvent) []harness.TraceFunction {
	found := []harness.TraceFunction{}
	for _, fn := range f.registered {
		if subscribed, ok := triggered(fn, e); ok {
			found = append(found, subscribed)
		}
	}
	return found
}

// endLag is how long after the end of a run the server may receive its own events about it.
const endLag = 10 * time.Second

// followRun finds the events that a run caused, so that their runs belong to the trace.
func (f *Follower) followRun(ctx context.Context, r *tracedRun) error {
	r.awaited = ""
	for _, s := range r.Steps {
		for _, id := range eventIDs(s.Output) {
			found, err := f.addSent(ctx, r, id)
			if err != nil {
				return err
			}
			if !found {
				r.awaited = "the event " + id.String()
			}
		}
	}
	awaited := f.systemEvents(r)
	deferred, err := f.deferred(ctx, r)
	if err != nil {
		return err
	}
	if deferred > 0 {
		awaited[sdk.EventDeferred] = deferred
	}
	if len(awaited) == 0 {
		return nil
	}
	var until time.Time // zero: now
	if r.over && !r.Ended.IsZero() {
		until = r.Ended.Add(endLag)
	}
	events, err := f.src.API.Events(ctx, inngestapi.EventFilter{
		Since: r.Queued.Add(-inngestapi.VisibleWithin), Until: until, Internal: true, Names: slices.Sorted(maps.Keys(awaited)),
	})
	if err != nil {
		return err
	}
	for _, e := range events {
		if c, ok := causeOf(e); ok && c.run == r.ID {
			f.add(e, f.subscribed(e))
			awaited[e.Name]--
		}
	}
	for name, missing := range awaited {
		if missing > 0 {
			r.awaited = name
		}
	}
	return nil
}

// systemEvents counts, by name, the events that the server sends because of a run and that start a function.
func (f *Follower) systemEvents(r *tracedRun) map[string]int {
	awaited := map[string]int{}
	for _, s := range r.Steps {
		if s.Op == "INVOKE" {
			awaited[sdk.EventFunctionInvoked]++
		}
	}
	// The server sends none about a run that such an event started: it would never end.
	if cause := f.event(r.EventID).Name; !r.over || r.Status == harness.StatusSkipped || cause == sdk.EventFunctionFinished ||
		cause == sdk.EventFunctionFailed {
		return awaited
	}
	ends := []string{sdk.EventFunctionFinished}
	switch r.Status {
	case harness.StatusFailed:
		ends = append(ends, sdk.EventFunctionFailed)
	case harness.StatusCancelled:
		ends = append(ends, sdk.EventFunctionCancelled)
	}
	for _, name := range ends {
		if len(f.subscribed(inngestapi.ReceivedEvent{Name: name})) > 0 {
			awaited[name] = 1
		}
	}
	return awaited
}

// deferred counts the functions that a run which is over has deferred and not taken back.
func (f *Follower) deferred(ctx context.Context, r *tracedRun) (n int, err error) {
	if !r.over || r.Status == harness.StatusSkipped || len(f.subscribed(inngestapi.ReceivedEvent{Name: sdk.EventDeferred})) == 0 {
		return 0, nil
	}
	all, err := f.src.API.Defers(ctx, r.ID)
	for _, d := range all {
		if d.Status == "SCHEDULED" {
			n++
		}
	}
	if errors.Is(err, inngestapi.ErrNotShown) {
		r.StepsUnknown, err = err.Error(), nil // what it has deferred is one of its effects
	}
	return n, err
}

// A cause is why the server sent an event: the run that it reports, or by which a function was invoked or deferred, and the
// function that is invoked, with the app's prefix.
type cause struct{ run, invoked string }

func causeOf(e inngestapi.ReceivedEvent) (cause, bool) {
	var data struct {
		RunID    string `json:"run_id"`
		Internal struct {
			CorrelationID string `json:"correlation_id"`
			FunctionID    string `json:"fn_id"`
			ParentRunID   string `json:"parent_run_id"`
		} `json:"_inngest"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return cause{}, false
	}
	if run, _, ok := strings.Cut(data.Internal.CorrelationID, "."); ok {
		return cause{run, data.Internal.FunctionID}, true
	}
	run := cmp.Or(data.Internal.ParentRunID, data.RunID)
	return cause{run, data.Internal.FunctionID}, run != ""
}

// addSent adds the event with an id that stands in the output of a step, if it is an event's id. found is false as long
// as the server may be about to show it.
func (f *Follower) addSent(ctx context.Context, r *tracedRun, id ulid.ULID) (found bool, err error) {
	if err := f.src.Ledger.catchUp(ctx); err != nil {
		return false, err
	}
	before := id.Timestamp().Before(r.Queued.Truncate(time.Millisecond))
	if before || f.has(id.String()) || f.src.Ledger.sentByOther(f.runIDs(), r, id.String(), f.src.AllTapped) {
		return true, nil
	}
	e, err := f.src.API.Event(ctx, id.String())
	if errors.Is(err, inngestapi.ErrNotFound) {
		return f.isNoEvent(id, f.src.now()), nil
	}
	if err != nil {
		return false, err
	}
	f.add(e, f.subscribed(e))
	return true, nil
}

// isNoEvent reports whether an id that the server does not show belongs to no event, rather than to one that it is about
// to show. What a tap saw being accepted is an event, however long the server takes to show it; what none saw is none. A text
// that only looks like an id may name any time.
func (f *Follower) isNoEvent(id ulid.ULID, now time.Time) bool {
	if f.src.Ledger.get(keyRoot(id.String())).isEvent {
		return false
	}
	age := now.Sub(id.Timestamp())
	return f.src.Taps != nil || f.src.idle() || age > f.src.VisibleWithin || age < -mailSkew
}

// event returns an event of the trace, an empty one where it has none with this id.
func (f *Follower) event(id string) *tracedEvent {
	if i := slices.IndexFunc(f.events, func(e *tracedEvent) bool { return e.EventID == id }); i >= 0 {
		return f.events[i]
	}
	return &tracedEvent{}
}

func (f *Follower) has(id string) bool { return f.event(id).EventID != "" }

func (f *Follower) add(e inngestapi.ReceivedEvent, subscribed []harness.TraceFunction) {
	if f.has(e.EventID) {
		return
	}
	f.events = append(f.events, &tracedEvent{ReceivedEvent: e, subscribed: subscribed})
	f.src.Ledger.subscribe(keyEvent(e.IdempotencyKey), f.waiter)
}

// eventIDs returns the ULIDs in the output of a step that may be ids of events: a step that sends events returns one id
// or a list of them.
func eventIDs(output json.RawMessage) []ulid.ULID {
	var one string
	var list []string
	if json.Unmarshal(output, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(output, &list) != nil {
		var wrapped struct{ IDs []string }
		_ = json.Unmarshal(output, &wrapped) // any other output holds no ids
		list = wrapped.IDs
	}
	var ids []ulid.ULID
	for _, s := range list {
		if id, err := ulid.ParseStrict(s); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

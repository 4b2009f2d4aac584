package follow

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// aboutFunction matches the condition of an SDK's failure handler, the only condition that is evaluated here.
var aboutFunction = regexp.MustCompile(`^event\.data\.function_id == ['"]([^'"]+)['"]$`)

// subscribed returns the functions that an event of this name starts. about is the id, with the app's prefix, of the
// function that a system event is about.
func (f *Follower) subscribed(name, about string) []harness.TraceFunction {
	found := []harness.TraceFunction{}
	for _, fn := range f.registered {
		for _, trigger := range fn.Triggers {
			if !sdk.TriggerMatches(trigger.Event, name) {
				continue
			}
			conditional := fn.Batched || fn.Debounced || fn.RateLimited || fn.Singleton
			if m := aboutFunction.FindStringSubmatch(trigger.Expression); m != nil && about != "" {
				if m[1] != about {
					continue
				}
			} else if trigger.Expression != "" {
				conditional = true
			}
			found = append(found, harness.TraceFunction{ID: fn.ID, App: fn.App, Conditional: conditional})
			break
		}
	}
	return found
}

// endLag is how much later than the true end of a run the server may report it.
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
		if cause, ok := causeOf(e); ok && cause.run == r.ID {
			f.add(e, f.startedBy(e.Name, cause))
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
	if cause := f.eventName(r.EventID); !r.over || r.Status == harness.StatusSkipped || cause == sdk.EventFunctionFinished || cause == sdk.EventFunctionFailed {
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
		if len(f.subscribed(name, sdk.FunctionID(r.App, r.Function))) > 0 {
			awaited[name] = 1
		}
	}
	return awaited
}

// A cause is why the server sent an event: the run that it reports or invokes for, and the function that it is about,
// with the app's prefix.
type cause struct{ run, function string }

func causeOf(e inngestapi.ReceivedEvent) (cause, bool) {
	var data struct {
		RunID      string `json:"run_id"`
		FunctionID string `json:"function_id"`
		Internal   struct {
			CorrelationID string `json:"correlation_id"`
			FunctionID    string `json:"fn_id"`
		} `json:"_inngest"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return cause{}, false
	}
	if run, _, ok := strings.Cut(data.Internal.CorrelationID, "."); ok {
		return cause{run, data.Internal.FunctionID}, true
	}
	return cause{data.RunID, data.FunctionID}, data.RunID != ""
}

// startedBy returns the functions that an event of the server starts.
func (f *Follower) startedBy(name string, c cause) []harness.TraceFunction {
	if name != sdk.EventFunctionInvoked {
		return f.subscribed(name, c.function)
	}
	for _, fn := range f.registered {
		if sdk.FunctionID(fn.App, fn.ID) == c.function {
			return []harness.TraceFunction{{ID: fn.ID, App: fn.App}}
		}
	}
	return nil
}

// addSent adds the event with an id that stands in the output of a step, if it is an event's id. found is false as long
// as the server may be about to show it.
func (f *Follower) addSent(ctx context.Context, r *tracedRun, id ulid.ULID) (found bool, err error) {
	if f.has(id.String()) || id.Timestamp().Before(r.Queued.Truncate(time.Millisecond)) {
		return true, nil
	}
	e, err := f.src.API.Event(ctx, id.String())
	if errors.Is(err, inngestapi.ErrNotFound) {
		return f.isNoEvent(ctx, id, f.src.now())
	}
	if err != nil {
		return false, err
	}
	f.add(e, f.subscribed(e.Name, ""))
	return true, nil
}

// isNoEvent reports whether an id that the server does not show belongs to no event, rather than to one that it is about
// to show. What a tap saw being accepted is an event, however long the server takes to show it.
func (f *Follower) isNoEvent(ctx context.Context, id ulid.ULID, now time.Time) (bool, error) {
	if now.Sub(id.Timestamp()) <= f.src.VisibleWithin && !f.src.idle() {
		return false, nil
	}
	if err := f.src.Ledger.catchUp(ctx); err != nil {
		return false, err
	}
	return !f.src.Ledger.get(keyRoot(id.String())).isEvent, nil
}

// eventName is the name of an event of the trace.
func (f *Follower) eventName(id string) string {
	for _, e := range f.events {
		if e.id == id {
			return e.name
		}
	}
	return ""
}

func (f *Follower) has(id string) bool {
	return slices.ContainsFunc(f.events, func(e *tracedEvent) bool { return e.id == id })
}

func (f *Follower) add(e inngestapi.ReceivedEvent, subscribed []harness.TraceFunction) {
	if f.has(e.EventID) {
		return
	}
	f.events = append(f.events, &tracedEvent{id: e.EventID, key: e.IdempotencyKey, name: e.Name, subscribed: subscribed})
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

package harness

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

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// ofFunction is the condition under which an SDK's failure handler starts, the only one whose outcome is plain.
var ofFunction = regexp.MustCompile(`^event\.data\.function_id == ['"]([^'"]+)['"]$`)

// listeners returns the functions that start because of an event of this name. about is the id, with its app's, of the
// function that an event of the server's own tells of.
func (t *tracer) listeners(name, about string) []TraceFunction {
	found := []TraceFunction{}
	for _, f := range t.known {
		for _, trigger := range f.Triggers {
			if trigger.Event != name {
				continue
			}
			conditional := f.Batched || f.Debounced || f.RateLimited || f.Singleton
			if m := ofFunction.FindStringSubmatch(trigger.Expression); m != nil && about != "" {
				if m[1] != about {
					continue
				}
			} else if trigger.Expression != "" {
				conditional = true
			}
			found = append(found, TraceFunction{ID: f.ID, App: f.App, Conditional: conditional})
		}
	}
	return found
}

// The events that the server makes by itself because of a run.
const (
	eventInvoked  = "inngest/function.invoked"
	eventFailed   = "inngest/function.failed"
	eventFinished = "inngest/function.finished"
)

// cancelLag is how much later than it was the server may say that a run ended.
const cancelLag = 10 * time.Second

// follow finds the events that there are because of a run, so that their runs belong to the trace too.
func (t *tracer) follow(ctx context.Context, r *tracedRun) error {
	r.awaited = ""
	for _, s := range r.Steps {
		for _, id := range ulids(s.Output) {
			found, err := t.addSent(ctx, r, id)
			if err != nil {
				return err
			}
			if !found {
				r.awaited = "the event " + id.String()
			}
		}
	}
	await := t.internalEvents(r)
	if len(await) == 0 {
		return nil
	}
	var until time.Time // zero: now
	if r.over && !r.Ended.IsZero() {
		until = r.Ended.Add(cancelLag)
	}
	events, err := t.s.api.Events(ctx, inngestapi.EventFilter{
		Since: r.Queued.Add(-inngestapi.VisibleWithin), Until: until, Internal: true, Names: slices.Sorted(maps.Keys(await)),
	})
	if err != nil {
		return err
	}
	for _, e := range events {
		if cause, ok := causeOf(e); ok && cause.run == r.ID {
			t.add(e, t.startedBy(e.Name, cause))
			await[e.Name]--
		}
	}
	for name, missing := range await {
		if missing > 0 {
			r.awaited = name
		}
	}
	return nil
}

// internalEvents says which events the server makes because of a run, and how many of each, as far as a function
// starts because of them.
func (t *tracer) internalEvents(r *tracedRun) map[string]int {
	await := map[string]int{}
	for _, s := range r.Steps {
		if s.Op == "INVOKE" {
			await[eventInvoked]++
		}
	}
	slug := r.App + "-" + r.Function
	if r.Status == StatusFailed && len(t.listeners(eventFailed, slug)) > 0 {
		await[eventFailed] = 1
	}
	if r.over && len(t.listeners(eventFinished, slug)) > 0 {
		await[eventFinished] = 1
	}
	return await
}

// cause is why the server made an event: the run it tells of or invokes for, and the function it is about.
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

// startedBy returns who starts because of an event that the server made.
func (t *tracer) startedBy(name string, c cause) []TraceFunction {
	if name != eventInvoked {
		return t.listeners(name, c.function)
	}
	for _, f := range t.known {
		if f.App+"-"+f.ID == c.function {
			return []TraceFunction{{ID: f.ID, App: f.App}}
		}
	}
	return nil
}

// addSent adds an event that a step of a run has sent, if that is what an id in its output is: it may be anybody's.
// found is false as long as the server may be about to show it.
func (t *tracer) addSent(ctx context.Context, r *tracedRun, id ulid.ULID) (found bool, err error) {
	if t.has(id.String()) || id.Timestamp().Before(r.Queued.Truncate(time.Millisecond)) {
		return true, nil
	}
	e, err := t.s.api.Event(ctx, id.String())
	if errors.Is(err, inngestapi.ErrNotFound) {
		return t.isNoEvent(ctx, id, time.Now())
	}
	if err != nil {
		return false, err
	}
	t.add(e, t.listeners(e.Name, ""))
	return true, nil
}

// isNoEvent says whether an id that the server does not show is no event's, rather than that of one that it is about to
// show. What a tap saw the server accept is an event, however long that takes; of other ids only time tells.
func (t *tracer) isNoEvent(ctx context.Context, id ulid.ULID, now time.Time) (bool, error) {
	if now.Sub(id.Timestamp()) <= inngestapi.VisibleWithin {
		return false, nil
	}
	if t.s.wires.taps != nil {
		if err := t.s.ledger.catchUp(ctx, t.s.wires.taps); err != nil {
			return false, err
		}
	}
	return !t.s.ledger.look(keyRoot(id.String())).taken, nil
}

func (t *tracer) has(id string) bool {
	return slices.ContainsFunc(t.events, func(e *tracedEvent) bool { return e.id == id })
}

func (t *tracer) add(e inngestapi.ReceivedEvent, listeners []TraceFunction) {
	if t.has(e.ID) {
		return
	}
	t.events = append(t.events, &tracedEvent{id: e.ID, ownID: e.OwnID, listeners: listeners})
	t.s.ledger.listen(keyEvent(e.OwnID), t.listener)
}

// ulids finds what looks like an event's id in the output of a step, which is what sending an event from a step
// returns: one id or a list of them.
func ulids(output json.RawMessage) []ulid.ULID {
	var one string
	var list []string
	if json.Unmarshal(output, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(output, &list) != nil {
		var wrapped struct{ IDs []string }
		_ = json.Unmarshal(output, &wrapped) // anything else holds no ids
		list = wrapped.IDs
	}
	var ids []ulid.ULID
	for _, text := range list {
		if id, err := ulid.ParseStrict(text); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

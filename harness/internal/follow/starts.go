package follow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A function that an event triggers may start no run for it, and the dev server keeps no record of that: sim tells, see
// decisions.go. This file finds out why, from what the server would have decided by: the condition of the trigger, the events with the same idempotency key,
// and the flow control of the function with the runs that other events started.

// triggered reports whether a function has a trigger for events of that name, or is the one that the event invokes. NotStarted is
// set if its condition is false.
func triggered(fn inngestapi.Function, e inngestapi.ReceivedEvent) (_ harness.TraceFunction, ok bool) {
	t := harness.TraceFunction{ID: fn.ID, App: fn.App}
	if e.Name == sdk.EventFunctionInvoked {
		c, _ := causeOf(e)
		return t, c.invoked == sdk.FunctionID(fn.App, fn.ID)
	}
	for _, trigger := range fn.Triggers {
		if !sdk.TriggerMatches(trigger.Event, e.Name) {
			continue
		}
		holds, err := evaluate(trigger.Expression, e)
		switch {
		case trigger.Expression == "" || holds == true:
			return harness.TraceFunction{ID: fn.ID, App: fn.App}, true
		case err != nil:
			t.Pending = fmt.Sprintf("starts on the condition %s, which cannot be evaluated here: %v", trigger.Expression, err)
		default:
			t.NotStarted = fmt.Sprintf("its condition %s is false for this event", trigger.Expression)
		}
		ok = true
	}
	if t.Pending != "" {
		t.NotStarted = ""
	}
	return t, ok
}

// evaluate returns the value of an expression for an event.
func evaluate(source string, e inngestapi.ReceivedEvent) (any, error) {
	if e.Data == nil {
		return nil, errors.New("the data of the event are not known")
	}
	compiled, err := expression.Compile(source)
	if err != nil {
		return nil, err
	}
	if compiled.ReadsClock() {
		return nil, errors.New("it depends on the time at which the server evaluated it")
	}
	for _, field := range compiled.Fields() {
		if _, shown := e.Fields()[field]; !shown {
			return nil, fmt.Errorf("the server does not show the field %q of an event", field)
		}
	}
	if value, ok := compiled.Value(e.Fields(), nil); ok {
		return value, nil
	}
	return false, nil // as on the server
}

// bucket returns the value by which flow control tells events apart. ok is false where it cannot be known.
func bucket(key string, e inngestapi.ReceivedEvent) (value string, ok bool) {
	if key == "" {
		return "", true
	}
	v, err := evaluate(key, e)
	if err != nil {
		return "", false
	}
	text, err := json.Marshal(v)
	return string(text), err == nil
}

// explainUnstarted finds out of the functions that have not started why, or what decides whether they will.
func (l *look) explainUnstarted(ctx context.Context) error {
	for _, e := range l.events {
		for i := range e.subscribed {
			t := &e.subscribed[i]
			if known := l.notStarted[e.EventID+" "+sdk.FunctionID(t.App, t.ID)]; known != "" {
				t.NotStarted = known
			}
			fn := slices.IndexFunc(l.registered, func(fn inngestapi.Function) bool { return fn.ID == t.ID && fn.App == t.App })
			if t.NotStarted != "" || fn < 0 || l.started(e, *t) {
				continue
			}
			if known, err := l.readDecision(ctx, e, t); err != nil {
				return err
			} else if known {
				continue
			}
			s := start{l, e, l.registered[fn]}
			t.Pending = cmp.Or(s.pending(), t.Pending)
			if !l.due {
				continue
			}
			why, err := s.whyNot(ctx)
			if err != nil {
				return err
			}
			if why != "" {
				t.NotStarted = why
				l.notStarted[e.EventID+" "+sdk.FunctionID(t.App, t.ID)] = why
			}
		}
	}
	return nil
}

// start is a function that an event triggers and that has not started.
type start struct {
	*look
	event *tracedEvent
	fn    inngestapi.Function
}

// Events wait in memory before they join a batch, and a debounced function starts later than its period says.
const (
	batchLag    = 500 * time.Millisecond
	debounceLag = 1050 * time.Millisecond
)

// together is how far apart the server may receive events that it decides on in another sequence.
const together = time.Second

// batched reports whether the event waits in a batch.
func (s start) batched() bool {
	if s.fn.Batch == nil || s.fn.Batch.If == "" {
		return s.fn.Batch != nil
	}
	holds, err := evaluate(s.fn.Batch.If, s.event.ReceivedEvent)
	return err != nil || holds == true
}

// pending says what decides whether and when the function starts; "" where it starts at once.
func (s start) pending() string {
	at := func(d string, lag time.Duration) string {
		return clock(s.event.Received.Add(duration(d)+lag), s.src.now())
	}
	switch fn := s.fn; {
	case s.batched():
		// The server starts no batch at once that filled up later: it takes that for the start that it has planned already.
		return fmt.Sprintf("collects events in batches of %d: it starts at once when events within %v fill its batch, else %s "+
			"after the first "+
			"event of it, at the latest at %s", fn.Batch.MaxSize, batchLag, fn.Batch.Timeout, at(fn.Batch.Timeout, batchLag))
	case fn.Debounce != nil:
		return fmt.Sprintf("is debounced%s: it starts for the last of several events, %s after it; for this one at %s if there is "+
			"no later one",
			perKey(fn.Debounce), fn.Debounce.Period, at(fn.Debounce.Period, debounceLag))
	case fn.RateLimit != nil:
		return fmt.Sprintf("is limited to %d in %s%s: whether the event is dropped will be known at %s",
			fn.RateLimit.Limit, fn.RateLimit.Period, perKey(fn.RateLimit), clock(s.event.Received.Add(s.src.VisibleWithin), s.src.now()))
	case skips(fn):
		return fmt.Sprintf("is a singleton%s: it starts at once unless it is running", perKey(fn.Singleton))
	}
	return ""
}

func perKey(c *inngestapi.FlowControl) string {
	if c.Key == "" {
		return ""
	}
	return " for each " + c.Key
}

// whyNot says why the function will not start for the event; "" where that is not certain.
func (s start) whyNot(ctx context.Context) (string, error) {
	if s.batched() {
		return "", nil
	}
	if why, err := s.duplicate(ctx); err != nil || why != "" {
		return why, err
	}
	e, fn := s.event, s.fn
	// What the server decides when it receives the event has an effect by now, or has none.
	decided := s.src.idle() || s.src.now().Sub(e.Received) >= s.src.VisibleWithin
	if limit := fn.RateLimit; limit != nil && decided && !s.off(limit) {
		// Of events that come together, the server may have counted a later one first.
		others, err := s.otherRuns(ctx, limit.Key, e.Received.Add(-duration(limit.Period)), e.Received.Add(together))
		if err != nil {
			return "", err
		}
		if usedUp(limit, others, e.Received) {
			last := others[len(others)-1]
			return fmt.Sprintf("its rate limit of %d in %s%s was used up: by the run %s, of the event %s",
				limit.Limit, limit.Period, perKey(limit), last.ID, last.EventID), nil
		}
	}
	if debounce := fn.Debounce; debounce != nil {
		others, err := s.otherRuns(ctx, debounce.Key, e.Received.Add(-duration(debounce.Period)), time.Time{})
		if err != nil {
			return "", err
		}
		for _, o := range others {
			if !o.at.Before(e.At) && !o.Queued.Before(e.Received) {
				return fmt.Sprintf("it was debounced into a later event: the run %s, of the event %s, stands for both", o.ID, o.EventID),
					nil
			}
		}
	}
	if skips(fn) && decided && !s.off(fn.Singleton) {
		others, err := s.otherRuns(ctx, fn.Singleton.Key, e.Received.Add(-keyLifetime), e.Received.Add(s.src.VisibleWithin))
		if err != nil {
			return "", err
		}
		for _, o := range others {
			if o.Status != harness.StatusSkipped && (o.Ended.IsZero() || o.Ended.After(e.Received)) {
				return fmt.Sprintf("it is a singleton%s, and the run %s, of the event %s, was at work", perKey(fn.Singleton), o.ID,
					o.EventID), nil
			}
		}
	}
	return "", nil
}

// off reports whether a rate limit or a singleton does not apply to the event, since the value of its key is false.
func (s start) off(c *inngestapi.FlowControl) bool {
	value, known := bucket(c.Key, s.event.ReceivedEvent)
	return known && value == "false"
}

// skips reports whether a function is a singleton that starts no run while one is at work, rather than cancelling that.
func skips(fn inngestapi.Function) bool {
	return fn.Singleton != nil && !strings.EqualFold(fn.Singleton.Mode, "cancel")
}

// usedUp reports whether a rate limit drops an event received at a time, after the given runs. The server spreads a limit
// of n in a period evenly over it (GCRA), and lets a tenth of the limit come early.
func usedUp(limit *inngestapi.FlowControl, runs []otherRun, at time.Time) bool {
	if limit.Limit <= 0 {
		return false
	}
	interval := duration(limit.Period) / time.Duration(limit.Limit)
	var free time.Time // when the tokens that were taken are all given back
	for _, r := range runs {
		taken := r.received
		if taken.After(at) { // it came together with the event, and was counted first
			taken = at
		}
		if taken.After(free) {
			free = taken
		}
		free = free.Add(interval)
	}
	return free.Sub(at) > interval*time.Duration(limit.Limit/10)
}

// maxOthers bounds the events whose runs are looked at: the latest.
const maxOthers = 40

// otherRun is a run of the function that another event started.
type otherRun struct {
	inngestapi.Run
	EventID      string
	at, received time.Time // of the event
}

// otherRuns finds the runs of the function that other events with the same value of a key started, by the time at which
// the events were received. until may be zero.
func (s start) otherRuns(ctx context.Context, key string, since, until time.Time) ([]otherRun, error) {
	own, ok := bucket(key, s.event.ReceivedEvent)
	if !ok {
		return nil, nil
	}
	events, err := s.triggers(ctx, since, until)
	if err != nil {
		return nil, err
	}
	events = slices.DeleteFunc(events, func(o inngestapi.ReceivedEvent) bool {
		subscribed, ok := triggered(s.fn, o)
		value, known := bucket(key, o)
		return !ok || subscribed.NotStarted != "" || !known || value != own || o.EventID == s.event.EventID
	})
	slices.SortFunc(events, func(a, b inngestapi.ReceivedEvent) int { return a.Received.Compare(b.Received) })
	var found []otherRun
	for _, other := range events[max(0, len(events)-maxOthers):] {
		runs, err := s.runsOf(ctx, other.EventID)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			found = append(found, otherRun{r, other.EventID, other.At, other.Received})
		}
	}
	return found, nil
}

// triggers returns the events received within a time, which may have no end, that may trigger the function, and others.
func (s start) triggers(ctx context.Context, since, until time.Time) ([]inngestapi.ReceivedEvent, error) {
	filter := inngestapi.EventFilter{Since: since, Until: until, Internal: true}
	if !s.src.API.ReadsREST() { // there the events of one name at most can be asked for, or else all
		filter.Names = append(filter.Names, sdk.EventFunctionInvoked)
	}
	for _, t := range s.fn.Triggers {
		filter.Names = append(filter.Names, t.Event)
	}
	if slices.ContainsFunc(filter.Names, func(name string) bool { return name == "" || strings.HasSuffix(name, "*") }) {
		filter.Names = nil
	}
	return s.src.API.Events(ctx, filter)
}

// runsOf returns the runs of the function that an event started.
func (s start) runsOf(ctx context.Context, eventID string) ([]inngestapi.Run, error) {
	runs, err := s.src.API.EventRuns(ctx, eventID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil, nil
	}
	return slices.DeleteFunc(runs, func(r inngestapi.Run) bool { return r.Function != s.fn.ID || r.App != s.fn.App }), err
}

// keyLifetime is how long the server drops events with an idempotency key that it has seen.
const keyLifetime = 24 * time.Hour

// duplicate says which other event with the same idempotency key started the function. Of two that are sent at nearly the
// same time either may have, whatever their order.
func (s start) duplicate(ctx context.Context) (string, error) {
	e := s.event
	if e.IdempotencyKey == e.EventID || e.IdempotencyKey == "" {
		return "", nil
	}
	// The ledger knows the events that were sent through the harness; ask the server for others.
	others := s.src.Ledger.get(keyEvent(e.IdempotencyKey)).accepted
	if s.src.idle() || s.src.now().Sub(e.Received) >= s.src.VisibleWithin {
		// Each function counts a key once, whatever the name of the event.
		same, err := s.triggers(ctx, e.Received.Add(-keyLifetime), e.Received.Add(inngestapi.VisibleWithin))
		if err != nil {
			return "", err
		}
		for _, o := range same {
			if o.IdempotencyKey == e.IdempotencyKey && !slices.Contains(others, o.EventID) {
				others = append(others, o.EventID)
			}
		}
	}
	for _, other := range others {
		if other == e.EventID {
			continue
		}
		if runs, err := s.runsOf(ctx, other); err != nil || len(runs) > 0 {
			e.duplicateOf = other
			return usedBefore(e.IdempotencyKey, other), err
		}
	}
	return "", nil
}

// usedBefore says that another event with the same idempotency key is the one that counts.
func usedBefore(key, other string) string {
	return fmt.Sprintf("the event's id %q was used before: the server starts no run for an id that it has seen within 24 hours; "+
		"the event that counts is %s", key, other)
}

// duration reads a duration as the server does; one that it cannot read is zero.
func duration(text string) time.Duration {
	d, _ := str2duration.ParseDuration(text)
	return d
}

// clock shows a time, with its date where it is more than a day from now.
func clock(at, now time.Time) string {
	if d := at.Sub(now); d > 24*time.Hour || d < -24*time.Hour {
		return at.Local().Format(time.DateTime)
	}
	return at.Local().Format(time.TimeOnly)
}

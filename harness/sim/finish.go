package sim

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// match starts the functions that an event triggers and wakes the runs that wait for it.
func (s *Sim) match(e *event) {
	switch {
	case e.invokes != nil:
		s.start(e.invokes, e)
	case e.unknown != "":
		failed := &Error{Name: "Error", Message: "could not find function with ID: " + e.unknown, refused: true}
		s.invoked(e.correlation, nil, failed)
	default:
		for _, f := range s.ordered {
			for _, t := range f.triggers {
				if sdk.TriggerMatches(t.event, e.name) && (t.when == nil || t.when.holds(e.materialise().fields, nil)) {
					s.start(f, e)
					break // several triggers of one function start it once
				}
			}
		}
	}
	s.wake(e)
}

// fire starts a function whose schedule is due.
func (s *Sim) fire(t *tick) {
	if t.over {
		return
	}
	data := map[string]any{"cron": t.trigger.cron, "scheduledAt": t.due.Format(time.RFC3339), "fireAt": s.clock().UTC().Format(time.RFC3339)}
	e := s.newInternalEvent(EventScheduled, t.due.Format(time.RFC3339), func() map[string]any { return data })
	s.scheduleTick(t)
	s.events.add(e)
	s.start(t.function, e)
}

// start creates a run, unless this event, or one like it, has started the function before. It returns nil then.
func (s *Sim) start(f *function, e *event) *run {
	if e.recurs && !s.dedupe.first(f.id+"\x00"+e.id, s.clock()) {
		return nil
	}
	if f.idempotency != nil {
		value, ok := f.idempotency.value(e.materialise().fields, nil)
		if ok && value != false {
			key, err := json.Marshal(value)
			if err == nil && !s.dedupe.first(f.id+"\x01"+string(key), s.clock()) {
				s.invoked(e.correlation, nil, &Error{Name: "Error", Message: "invoked function is rate limited", refused: true})
				return nil
			}
		}
	}
	s.sequence++
	r := newRun(s.newULID(), f, e, s.clock())
	r.seq = s.sequence
	s.runs.add(r)
	for _, on := range f.cancels {
		expires := s.clock().Add(defaultExpiry)
		if on.timeout != "" {
			if at, err := s.deadline(on.timeout); err == nil { // it was read at registration
				expires = at
			}
		}
		s.addWait(&wait{run: r, event: on.event, when: on.when, expires: expires, born: e.seq, cancels: true})
	}
	s.queue.push(&item{at: s.clock(), kind: kindCall, run: r})
	return r
}

func (s *Sim) complete(r *run, output json.RawMessage) {
	r.output = output
	s.end(r, Completed)
}

func (s *Sim) fail(r *run, err *Error) {
	r.err = err
	s.end(r, Failed)
}

func (s *Sim) cancel(r *run) { s.end(r, Cancelled) }

// end closes a run, tells who waits for it, and publishes the server's events about it.
func (s *Sim) end(r *run, status Status) {
	if r.status.Over() {
		return
	}
	r.status, r.ended = status, s.clock()
	if s.options.Logger.Enabled(context.Background(), slog.LevelInfo) {
		s.options.Logger.Info("run ended", "run", r.text, "function", r.function.id, "status", status, "at", r.ended)
	}
	for _, w := range r.waits {
		if !w.over {
			s.dropWait(w)
		}
	}
	for _, it := range r.items {
		s.queue.remove(it)
	}
	r.items, r.waits, r.jobs, r.pending = nil, nil, index{}, nil
	s.announce(r)
	// What is needed only while a run is at work would outlive it by as long as it is kept.
	r.state, r.known = nil, index{}
	s.runs.ended(r)
}

// announce publishes that the run is over. A run that was itself started by such news publishes none, or there would be
// no end of it.
func (s *Sim) announce(r *run) {
	e := r.event
	if e.name == EventFunctionFailed || e.name == EventFunctionFinished {
		return
	}
	data := func() map[string]any { return finishedData(r) }
	s.publish(s.newInternalEvent(EventFunctionFinished, "", data))
	switch r.status {
	case Failed:
		s.publish(s.newInternalEvent(EventFunctionFailed, r.text, data))
	case Cancelled:
		s.publish(s.newInternalEvent(EventFunctionCancelled, r.text, data))
	}
	if e.correlation == "" {
		return
	}
	switch r.status {
	case Failed:
		s.invoked(e.correlation, nil, r.err)
	default:
		s.invoked(e.correlation, r.output, nil)
	}
}

// finishedData is what the server says of a run that is over.
func finishedData(r *run) map[string]any {
	e := r.event.materialise()
	status := map[Status]string{Completed: "Completed", Failed: "Failed", Cancelled: "Cancelled"}[r.status]
	data := map[string]any{
		"function_id": r.function.id, "run_id": r.text, "event": e.fields, "events": []any{listed(e)},
		metadataKey: map[string]any{"status": status},
	}
	if e.correlation != "" {
		data["correlation_id"] = e.correlation
	}
	if r.err != nil {
		data["error"] = r.err.fields()
		if len(r.err.body) > 0 {
			data["result"] = valueOf(r.err.body)
		}
	} else if r.output != nil {
		data["result"] = valueOf(r.output)
	}
	return data
}

// valueOf is the value that a text encodes as JSON, or else the text.
func valueOf(text []byte) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return string(text)
	}
	return v
}

// listed is how the server lists the events of a run that is over: without an empty user, and with null where one came without data.
func listed(e *event) map[string]any {
	fields := maps.Clone(e.fields)
	if user, _ := fields["user"].(map[string]any); len(user) == 0 {
		delete(fields, "user")
	}
	if e.bare {
		fields["data"] = nil
	}
	return fields
}

// memory remembers keys for [dedupePeriod] of the virtual clock, which may stand still: so no more than the latest [maxKeys].
type memory struct {
	until map[string]time.Time
	order []string
}

const maxKeys = 100_000

// first reports whether the key has not been seen within the period, and remembers it.
func (m *memory) first(key string, now time.Time) bool {
	for len(m.order) > 0 && !m.until[m.order[0]].After(now) {
		m.forgetOldest()
	}
	if _, seen := m.until[key]; seen {
		return false
	}
	if len(m.order) == maxKeys {
		m.forgetOldest()
	}
	m.until[key] = now.Add(dedupePeriod)
	m.order = append(m.order, key)
	return true
}

func (m *memory) forgetOldest() {
	delete(m.until, m.order[0])
	m.order = m.order[1:]
}

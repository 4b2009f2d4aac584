package engine

import (
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// match starts the functions that an event triggers and wakes the runs that wait for it.
func (m *machine) match(e *event) {
	switch {
	case e.invokes != nil:
		m.start(e.invokes, e)
	case e.unknown != "":
		failed := newError("Error", "could not find function with ID: "+e.unknown)
		failed.refused = true
		m.invoked(e.correlation, nil, failed)
	default:
		for _, f := range m.registry.ordered {
			for _, t := range f.triggers {
				if sdk.TriggerMatches(t.Event, e.Name) && t.when.Holds(e.fields, nil) {
					m.start(f, e)
					break // several triggers of one function start it once
				}
			}
		}
	}
	m.wake(e)
}

// fire starts a function whose schedule is due.
func (m *machine) fire(t *tick) {
	if t.over {
		return
	}
	due := t.due.Format(time.RFC3339)
	e := m.internalEvent(sdk.EventScheduled, due, map[string]any{
		"cron": t.trigger.Cron, "scheduledAt": due, "fireAt": m.clock.Now().UTC().Format(time.RFC3339),
	})
	m.scheduleTick(t)
	m.events.add(e)
	m.start(t.function, e)
}

// scheduleTick queues the next time of a schedule.
func (m *machine) scheduleTick(t *tick) {
	// The server reads schedules in UTC unless they name a zone (CRON_TZ=…), which the library does by itself.
	at := t.trigger.schedule.Next(m.clock.Now().UTC())
	if at.IsZero() {
		return // the schedule never comes again, as 30 February
	}
	t.due = at.UTC()
	if t.trigger.jitter > 0 {
		at = at.Add(m.source.jitter(t.trigger.jitter))
	}
	m.queue.push(&item{at: at, kind: kindTick, tick: t})
}

// start starts a run of a function for an event, as far as admission lets it. It returns nil if no run has started.
func (m *machine) start(f *function, e *event) *run {
	now := m.clock.Now()
	if ok, refused := m.admission.admit(f, e, now); !ok {
		if refused != nil {
			m.invoked(e.correlation, nil, refused)
		}
		return nil
	}
	r := newRun(m.source.ulid(), f, e, now)
	m.runs.add(r)
	for _, on := range f.cancels {
		expires := now.Add(defaultExpiry)
		if on.timeout != "" {
			if at, err := deadline(m.clock, on.timeout); err == nil { // it was read at registration
				expires = at
			}
		}
		m.waits.add(&wait{run: r, event: on.event, when: on.when, expires: expires, born: e.seq, cancels: true})
	}
	begin := &item{at: now, kind: kindCall, run: r}
	if e.due.After(now) {
		begin.at = e.due
	}
	if limit := now.Add(f.start); f.start > 0 && begin.at.After(limit) {
		begin = &item{at: limit, kind: kindCancel, run: r}
	}
	m.queue.push(begin)
	return r
}

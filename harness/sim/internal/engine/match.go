package engine

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// match starts the functions that an event triggers and wakes the runs that wait for it.
func (m *machine) match(e *event) {
	switch {
	case e.invokes != nil:
		m.admit(e.invokes, e)
	case e.unknown != "":
		m.refuse(e, "could not find function with ID: "+e.unknown)
	default:
		for _, f := range m.registry.ordered {
			for _, t := range f.triggers {
				if sdk.TriggerMatches(t.Event, e.Name) && t.when.Holds(e.vars(), nil) {
					m.admit(f, e)
					break // several triggers of one function start it once
				}
			}
		}
	}
	m.wake(e)
	if !strings.HasPrefix(e.Name, reservedPrefix) {
		e.compact()
	}
}

// refuse publishes that an invocation starts no run, and tells the run that waits for it.
func (m *machine) refuse(e *event, why string) {
	if e.correlation == "" {
		return
	}
	failed := newError("Error", why)
	failed.refused = true
	finished := m.internalEvent(sdk.EventFunctionFinished, "", map[string]any{
		"correlation_id": e.correlation, "function_id": "", "run_id": "", "error": map[string]any{"name": failed.Name, "message": why},
	}, e.sessions)
	m.publish(finished)
	m.invoked(e.correlation, finished, failed)
}

// fire starts a function whose schedule is due.
func (m *machine) fire(t *tick) {
	if t.over {
		return
	}
	due := t.due.Format(time.RFC3339)
	e := m.internalEvent(sdk.EventScheduled, due, map[string]any{
		"cron": t.trigger.Cron, "scheduledAt": due, "fireAt": m.clock.Now().UTC().Format(time.RFC3339),
	}, nil)
	m.scheduleTick(t)
	m.events.add(e)
	m.admit(t.function, e)
}

// scheduleTick queues the next time of a schedule.
func (m *machine) scheduleTick(t *tick) {
	// The server reads schedules in UTC unless they name a zone (CRON_TZ=…), which the library does by itself.
	at := t.trigger.schedule.Next(m.clock.Now().UTC())
	if at.IsZero() {
		return // the schedule never comes again, as 30 February
	}
	t.due = at.UTC()
	m.queue.push(&item{at: at.Add(t.jitter()), kind: kindTick, subject: t})
}

// jitter returns how much later than due the function starts: for one time always the same.
func (t *tick) jitter() time.Duration {
	if t.trigger.jitter == 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprint(h, t.function.ID, t.trigger.Cron, t.due.Unix())
	return leastJitter + time.Duration(h.Sum64()%uint64(t.trigger.jitter-leastJitter+1))
}

// pushCall queues a call of a run: for now, or for its time if that is still to come, or as late as its priority says.
func (m *machine) pushCall(it *item) {
	if now := m.clock.Now(); it.at.Before(now) {
		it.at = now
	}
	it.kind, it.at = kindCall, it.at.Add(max(-it.run.ahead(), 0))
	m.queue.push(it)
}

// listen lets a run be cancelled by events.
func (m *machine) listen(r *run) {
	now := m.clock.Now()
	for _, on := range r.function.cancels {
		expires := now.Add(defaultExpiry)
		if on.timeout != "" {
			if at, err := deadline(m.clock, on.timeout); err == nil { // it was read at registration
				expires = at
			}
		}
		m.waits.add(&wait{run: r, event: on.event, when: on.when, expires: expires, born: r.event.seq, cancels: true})
	}
}

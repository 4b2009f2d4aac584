package engine

import (
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// admission decides whether, when and with which others an event that matches a function starts a run. What becomes of the
// run's calls is then up to the [gate].
type admission struct {
	seen       memory       // of event ids, by function
	rates      recent[rate] // by function and key, as all that follows
	debounces  map[string]*debounced
	batches    map[string]*batch
	singletons map[string]*run
}

func newAdmission() admission {
	return admission{
		seen: newMemory(), rates: newRecent[rate](maxKeys),
		debounces: map[string]*debounced{}, batches: map[string]*batch{}, singletons: map[string]*run{},
	}
}

// note records what became of an event for a function, in place of what was recorded before. Readers may have the list.
func (m *machine) note(e *event, f *function, text string) {
	m.record(e, Decision{Function: f.ID, Text: text})
}

// notePending records what becomes of an event for a function as things are.
func (m *machine) notePending(e *event, f *function, text string) {
	m.record(e, Decision{Function: f.ID, Text: text, Pending: true})
}

func (m *machine) record(e *event, d Decision) {
	d.At = m.clock.Now()
	others := slices.DeleteFunc(slices.Clone(e.Decisions), func(o Decision) bool { return o.Function == d.Function })
	e.Decisions = append(others, d)
}

// noteRun records what became of a run.
func (m *machine) noteRun(r *run, text string) {
	r.Decisions = append(r.Decisions, Decision{Function: r.function.ID, Run: r.ID, At: m.clock.Now(), Text: text})
}

// shown returns a virtual time as readers see it.
func (m *machine) shown(at time.Time) string { return m.clock.Shown(at).UTC().Format(time.RFC3339) }

// admit takes an event that matches a function through the function's controls, in the server's sequence. It returns the
// run that the event starts at once, if it does.
func (m *machine) admit(f *function, e *event) *run {
	switch {
	case f.batch != nil && e.Name != sdk.EventScheduled && f.batch.when.Holds(e.vars(), nil):
		m.collect(f, e)
	case f.rateLimit != nil && !m.withinRate(f, e):
		m.refuse(e, "invoked function is rate limited")
	case f.debounce != nil:
		m.hold(f, e)
	default:
		return m.schedule(f, e, nil)
	}
	return nil
}

// schedule starts a run of an event, or of a batch of which it is the first, unless another run of a singleton goes first or
// the event has started one before.
func (m *machine) schedule(f *function, e *event, batch []*event) *run {
	now := m.clock.Now()
	single, first := m.single(f, e)
	if first == nil && batch == nil && e.recurs {
		if other, fresh := m.admission.seen.first(f.ID+"\x00"+e.IdempotencyKey, e.internal, now); !fresh {
			m.record(e, Decision{
				Function: f.ID, Text: "dropped: the function ran for an event with the id " + e.IdempotencyKey + " within 24 hours",
				DuplicateOf: other.String(),
			})
			return nil
		}
	}
	r := newRun(m.source.ulidAfter(e.internal), f, e, now)
	r.batch = batch
	for _, by := range r.triggers() {
		if by.DeferredBy != nil {
			by.DeferredBy.deferral.RunID = r.ID
		}
	}
	m.runs.add(r)
	if first != nil {
		m.skip(r, first)
		return nil
	}
	if single != "" {
		r.limited().single = single
		m.admission.singletons[single] = r
	}
	for i := range f.concurrency {
		r.evaluate(f.concurrency[i].key)
	}
	if f.perRun != nil {
		r.evaluate(f.perRun.key)
	}
	if f.throttle != nil {
		r.evaluate(f.throttle.key)
	}
	if w := m.waits.invocations[e.correlation]; w != nil && w.invocation() != nil {
		w.invocation().Run = r.ID
	}
	if ahead := f.ahead(e); ahead != 0 {
		r.limited().ahead = ahead
	}
	m.listen(r)
	if f.start > 0 && batch == nil { // a batch that is late is found when it starts
		m.queue.push(&item{at: now.Add(f.start), kind: kindCancel, run: r})
	}
	begin := &item{run: r}
	if batch == nil {
		begin.at = e.due
	}
	m.pushCall(begin)
	return r
}

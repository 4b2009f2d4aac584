package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// backoffs are the server's delays before the second, third … attempt. Up to 30 s are added at random.
var backoffs = [...]time.Duration{
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour,
}

const backoffJitter = 30 * time.Second

// backoff returns when an attempt that has just failed is made again. failures are those before it.
func (m *machine) backoff(failures int) time.Time {
	now := m.clock.Now()
	if m.options.RetryInterval > 0 {
		return now.Add(m.options.RetryInterval)
	}
	return now.Add(backoffs[min(failures, len(backoffs)-1)] + m.source.jitter(backoffJitter/time.Millisecond)*time.Millisecond)
}

// process does what an item of the queue asks for, up to the call to the app that it may need. The [Driver] makes the
// call and hands the answer to conclude.
func (m *machine) process(it *item) *call {
	if it.run != nil && it.run.Status.Final() {
		m.leave(it)
		return nil
	}
	switch it.kind {
	case kindEvent:
		m.match(it.subject.(*event))
	case kindTick:
		m.fire(it.subject.(*tick))
	case kindCancel:
		m.end(it.run, harness.StatusCancelled)
	case kindExpire:
		m.expire(it.subject.(*wait))
	case kindAnswer:
		m.apply(it, it.subject.(*answer))
		m.leave(it)
	case kindServe:
		return m.serve(it.subject.(*line))
	case kindDebounce:
		m.settle(it.subject.(*debounced))
	case kindBatch:
		m.flush(it.subject.(*batch))
	case kindWake, kindCall:
		return m.begin(it)
	case kindFetch:
		return m.request(it)
	}
	return nil
}

// begin prepares the call to the app that an item asks for, if the gate lets it through. It returns nil if it does not, or
// if no call is needed.
func (m *machine) begin(it *item) *call {
	if !m.enter(it) {
		return nil
	}
	if it.kind == kindWake && it.failures == 0 && !m.wakeUp(it) {
		m.leave(it)
		return nil
	}
	c := m.attempt(it)
	if c == nil {
		m.leave(it)
	}
	return c
}

// wakeUp ends a sleep. It reports whether the run goes on.
func (m *machine) wakeUp(it *item) bool {
	it.run.endStep(it.from, StepCompleted, nil, m.clock.Now())
	othersPending := it.run.save(it.from, orNull(nil))
	if othersPending && !it.race {
		return false
	}
	it.planFirst = it.run.planFirst // the server has read it by the time it resets it
	it.run.planAgain()
	return true
}

// attempt prepares the call to the app that an item asks for. It returns nil if none is needed.
func (m *machine) attempt(it *item) *call {
	r, now := it.run, m.clock.Now()
	if most := m.limits.of(r.function.UUID).steps; len(r.state) >= most {
		m.fail(r, tooManySteps(most))
		return nil
	}
	if r.Started.IsZero() {
		f := m.current(r.function)
		if f.start > 0 && now.Add(r.skipped).Sub(r.Queued) > f.start {
			m.end(r, harness.StatusCancelled)
			return nil
		}
		r.Started, r.Status = now, harness.StatusRunning
		for _, other := range r.items {
			if other.kind == kindCancel { // the start timeout
				m.queue.remove(other)
			}
		}
		if f.finish > 0 {
			m.queue.push(&item{at: now.Add(f.finish), kind: kindCancel, run: r})
		}
	}
	it.began = now
	if a := m.interventions.answer(it, now); a != nil {
		m.apply(it, a)
		return nil
	}
	it.planFirst = it.planFirst || r.planFirst || m.interventions.mustPlan(r.function)
	c, err := m.prepare(it)
	if err != nil {
		m.apply(it, &answer{err: err})
		return nil
	}
	r.Calls++
	m.inflight[c.job] = it
	return c
}

// conclude acts on how a call went. ctx is that of the driver.
func (m *machine) conclude(ctx context.Context, c *call, a *answer) {
	it := c.item
	delete(m.inflight, c.job)
	if ctx.Err() != nil && a.err != nil {
		// The driver gave up, not the app: the attempt is made again when driving goes on.
		m.leave(it)
		it.at = m.clock.Now()
		m.queue.push(it)
		return
	}
	if it.kind == kindFetch {
		m.fetched(it, a)
	} else {
		m.deliver(it, a)
	}
	m.leave(it)
}

// deliver applies an answer, or the [Fault] that is injected for it.
func (m *machine) deliver(it *item, a *answer) {
	ids := []string{it.name}
	for i := range a.ops {
		ids = append(ids, a.ops[i].StepID())
	}
	if ran := m.interventions.ranReplaced(it, a.ops); ran != nil && !it.run.Status.Final() {
		m.fail(it.run, newError("StepNotReplaced", fmt.Sprintf("step %s is to be replaced, but the app has run it: where a call says "+
			"ctx.disable_immediate_execution, an app answers with the opcode StepPlanned, and runs the step that stepId names in a later call", ran.StepID())))
		return
	}
	f := m.interventions.takeFault(it.run.function, ids)
	switch {
	case f == nil:
		m.apply(it, a)
	case f.Lose:
		m.apply(it, &answer{err: errors.New("unable to reach SDK: the answer was lost (a fault of harness replace; in Go, sim.Fault.Lose)")})
	case f.Late > 0:
		late := *it
		late.at, late.kind, late.subject = m.clock.Now().Add(f.Late), kindAnswer, a
		m.queue.push(&late)
		it.held = nil // for the server the call goes on
	default:
		m.apply(it, a)
		if f.Twice && !it.run.Status.Final() {
			second := *a
			second.again = true
			m.apply(it, &second)
		}
	}
}

// discover queues the call that goes on with a run after a step, unless it is blocked: other steps of its plan are pending.
// Items with one job are queued once.
func (m *machine) discover(r *run, from, job string, blocked bool) {
	if blocked {
		return
	}
	r.planAgain()
	if r.once(job) {
		m.pushCall(&item{run: r, from: from})
	}
}

// checkStuck notes when nothing is left by which a run could ever go on. The server would not notice.
func (m *machine) checkStuck(r *run) {
	if r.Status.Final() || r.Stuck != "" {
		return
	}
	for _, other := range r.items {
		if other.index >= 0 && other.kind != kindCancel {
			return
		}
	}
	for _, other := range m.inflight {
		if other.run == r {
			return
		}
	}
	r.Stuck = "nothing is left to do for the run, and it has not ended: the app reported a step that was done before, or none;" +
		" the server, too, leaves such a run as it is"
}

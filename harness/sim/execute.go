package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

const (
	maxSteps     = 1_000
	maxStateSize = 32 << 20
)

// backoffs are the server's delays before the second, third … attempt. Up to 30 s are added at random.
var backoffs = [...]time.Duration{
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour,
}

const backoffJitter = 30 * time.Second

// backoff returns when an attempt that has just failed is tried again.
func (s *Sim) backoff(attempt int) time.Time {
	if s.options.RetryInterval > 0 {
		return s.clock().Add(s.options.RetryInterval)
	}
	jitter := time.Duration(s.rng.Int64N(int64(backoffJitter/time.Millisecond))) * time.Millisecond
	return s.clock().Add(backoffs[min(attempt, len(backoffs)-1)] + jitter)
}

// process does what an item of the queue asks for, up to a call to the app that it may need; whoever drives makes the call
// and hands the answer to conclude. The lock is held.
func (s *Sim) process(it *item) *call {
	if it.run != nil && it.run.status.Over() {
		return nil
	}
	switch it.kind {
	case kindEvent:
		s.match(it.event)
	case kindTick:
		s.fire(it.tick)
	case kindCancel:
		s.cancel(it.run)
	case kindExpire:
		s.expire(it.wait)
	case kindAnswer:
		s.handle(it, it.deferred)
	case kindWake:
		if it.attempt == 0 {
			s.endStep(it.run, it.from, StepCompleted, nil)
			othersOut := it.run.save(it.from, []byte("null"))
			if othersOut && !it.race {
				return nil
			}
			it.planFirst = it.run.planFirst // the server has read it by the time it resets it
			it.run.planAgain()
		}
		return s.attempt(it)
	case kindCall:
		return s.attempt(it)
	}
	return nil
}

// attempt prepares the call to the app that an item asks for. It returns nil if none is needed.
func (s *Sim) attempt(it *item) *call {
	r := it.run
	if len(r.state) >= maxSteps {
		s.fail(r, stepLimit())
		return nil
	}
	if r.started.IsZero() {
		f, now := r.function, s.clock()
		if f.start > 0 && now.Sub(r.queued) > f.start {
			s.cancel(r)
			return nil
		}
		r.started = now
		if f.finish > 0 {
			s.queue.push(&item{at: r.started.Add(f.finish), kind: kindCancel, run: r})
		}
	}
	it.began = s.clock()
	if out := s.outcome(it); out != nil {
		s.handle(it, out)
		return nil
	}
	c := s.prepare(it)
	r.calls++
	s.inflight[c.job] = it
	return c
}

// conclude acts on how a call went. The lock is held.
func (s *Sim) conclude(ctx context.Context, c *call, a *answer) {
	it := c.item
	delete(s.inflight, c.job)
	if ctx.Err() != nil && a.err != nil {
		// Whoever drives the clock gave up, not the app: the attempt is made again when driving goes on.
		it.at = s.clock()
		s.queue.push(it)
		return
	}
	s.deliver(it, a)
}

// deliver hands an answer over, or does to it what an [Answer] fault says.
func (s *Sim) deliver(it *item, a *answer) {
	f := s.faultFor(it, a)
	switch {
	case f == nil:
		s.handle(it, a)
	case f.Lose:
		s.handle(it, &answer{err: errors.New("unable to reach SDK: the answer was lost (sim.Answer.Lose)")})
	case f.Late > 0:
		s.queue.push(&item{at: s.clock().Add(f.Late), kind: kindAnswer, run: it.run, deferred: a,
			attempt: it.attempt, began: it.began, from: it.from, target: it.target, name: it.name, coalesce: it.coalesce, race: it.race})
	default:
		s.handle(it, a)
		if f.Twice && !it.run.status.Over() {
			a.again = true
			s.handle(it, a)
		}
	}
}

// handle acts on an answer. The lock is held.
func (s *Sim) handle(it *item, a *answer) {
	r := it.run
	if r.status.Over() {
		return // the answer came after the end; nobody waits for it
	}
	if a.version != 0 && r.version < 0 && len(a.ops) > 0 {
		r.version = a.version
	}
	defer s.checkStuck(it)
	if reason, shown := a.failure(); reason != "" {
		s.handleFailure(it, a, shown)
		return
	}
	switch {
	case len(a.ops) == 0:
		output, plain := a.Result()
		r.plain = plain
		s.complete(r, output)
	case slices.ContainsFunc(a.ops, func(o sdk.Op) bool { return o.Op != sdk.OpNone || o.ID != "" }):
		s.handleOps(it, a)
	default:
		// Nothing to do and no result: the app is asked again where it stands.
		from := "redrive"
		if n := len(r.state); n > 0 {
			from = r.state[n-1].id
		}
		s.discover(r, from, r.text+"-redrive-"+fmt.Sprint(r.calls), false, false)
	}
}

// checkStuck notes when nothing is left by which the run could ever go on. The server would not notice.
func (s *Sim) checkStuck(it *item) {
	r := it.run
	if r.status.Over() || r.stuck != "" {
		return
	}
	for _, other := range r.items {
		if other.index >= 0 && other.kind != kindCancel {
			return
		}
	}
	for _, other := range s.inflight {
		if other.run == r {
			return
		}
	}
	r.stuck = "nothing is left to do for the run, and it has not ended: the app reported a step that was done before, or none;" +
		" the server, too, leaves such a run as it is"
}

// handleFailure records a call that failed as a whole, and tries again or ends the run.
func (s *Sim) handleFailure(it *item, a *answer, shown *Error) {
	r := it.run
	s.options.Logger.Warn("call failed", "run", r.text, "function", r.function.id, "attempt", it.attempt, "error", shown.Message)
	tried := it.tried(s.clock(), shown)
	if !a.noRetry && it.attempt+1 < r.function.attempts {
		tried.RetryAt = s.retry(it, a)
		s.record(it, tried)
		return
	}
	s.record(it, tried)
	if it.target != "" {
		s.endStep(r, it.target, StepFailed, shown)
	}
	s.fail(r, shown)
}

// tried is the attempt that an item was.
func (it *item) tried(ended time.Time, failed *Error) Attempt {
	return Attempt{Number: it.attempt, At: it.began, Ended: ended, Error: failed}
}

// retry queues the item again and returns for when.
func (s *Sim) retry(it *item, a *answer) time.Time {
	at := a.retryAt
	if at.IsZero() {
		at = s.backoff(it.attempt)
	}
	if a.again {
		return at // the first handling queued it
	}
	next := *it
	next.at, next.attempt, next.planFirst = at, it.attempt+1, false
	s.queue.push(&next)
	return at
}

// record notes an attempt with the step it was of, if the call was for one step, else with the run.
func (s *Sim) record(it *item, tried Attempt) {
	if step := it.run.stepOf(it.target); it.target != "" && step != nil {
		step.Attempts = append(step.Attempts, tried)
		return
	}
	it.run.failed = append(it.run.failed, tried)
}

// plan is what the steps of one answer have in common.
type plan struct {
	coalesce string
}

// handleOps acts on the opcodes of an answer.
func (s *Sim) handleOps(it *item, a *answer) {
	r := it.run
	if len(a.ops) > 1 {
		r.planFirst = true
	}
	if len(a.ops) > maxSteps {
		s.fail(r, stepLimit())
		return
	}
	var p plan
	if len(a.ops) > 1 && r.version >= 2 && slices.ContainsFunc(a.ops, func(o sdk.Op) bool { return o.Op.Plans() }) {
		ids := make([]string, len(a.ops))
		for i, o := range a.ops {
			ids[i] = o.ID
		}
		slices.Sort(ids)
		p.coalesce = fmt.Sprint(ids)
		if r.pending == nil {
			r.pending = map[string]struct{}{}
		}
		for _, id := range ids {
			if r.saved(id) == nil {
				r.pending[id] = struct{}{}
			}
		}
	}
	// Waits first: another step of the same answer may send the very event that one waits for.
	for _, first := range []bool{true, false} {
		for i := range a.ops {
			if o := &a.ops[i]; (o.Op == sdk.OpWaitForEvent) == first && !r.status.Over() {
				if err := s.handleOp(it, a, o, p); err != nil {
					s.opFailed(it, a, err)
					return
				}
			}
		}
	}
}

func (s *Sim) handleOp(it *item, a *answer, o *sdk.Op, p plan) error {
	r, now := it.run, s.clock()
	switch o.Op {
	case sdk.OpNone:
		return nil
	case sdk.OpStep, sdk.OpStepRun:
		return s.stepDone(it, o)
	case sdk.OpStepError:
		step := r.step(o.ID, o.StepID(), OpRun, it.began)
		tried := it.tried(now, errorFrom(o.Error))
		if !o.Error.NoRetry && it.attempt+1 < r.function.attempts {
			tried.RetryAt = s.retry(it, a)
			step.Attempts = append(step.Attempts, tried)
			return nil
		}
		s.stepFailed(it, o)
		return nil
	case sdk.OpStepFailed:
		s.stepFailed(it, o)
		return nil
	case sdk.OpStepPlanned:
		r.step(o.ID, o.StepID(), OpRun, now)
		if r.once(o.ID + "-plan") {
			s.queue.push(&item{at: now, kind: kindCall, run: r, from: it.from, target: o.ID, name: o.StepID(),
				coalesce: p.coalesce, race: race(o)})
		}
		return nil
	case sdk.OpSleep:
		return s.planSleep(it, o)
	case sdk.OpWaitForEvent:
		return s.planWait(it, o, p)
	case sdk.OpInvokeFunction:
		return s.planInvoke(it, o, p)
	case sdk.OpRunComplete:
		s.complete(r, memoOf(o))
		return nil
	case sdk.OpDiscovery:
		s.discover(r, o.ID, o.ID, false, race(o))
		return nil
	}
	s.fail(r, &Error{Name: "NotModelled", Message: fmt.Sprintf(
		"step %s is of kind %s, which sim does not model: test this function on the real server, or give the step a result with Sim.Replace", o.StepID(), o.Op)})
	return nil
}

// opFailed deals with an opcode that the server cannot act on.
func (s *Sim) opFailed(it *item, a *answer, err error) {
	r := it.run
	var early *failEarly
	var long *tooLong
	switch {
	case errors.As(err, &early):
		s.fail(r, early.shown)
	case errors.As(err, &long):
		s.fail(r, &Error{Name: "TimeoutTooLong", Message: long.message})
	case !a.noRetry && it.attempt+1 < r.function.attempts:
		tried := it.tried(s.clock(), &Error{Name: "Error", Message: err.Error()})
		tried.RetryAt = s.retry(it, a)
		r.failed = append(r.failed, tried)
	default:
		// The server drops the job and never hears of the run again.
		r.failed = append(r.failed, it.tried(s.clock(), &Error{Name: "Error", Message: err.Error()}))
		r.stuck = fmt.Sprintf("the server cannot act on what the app answered, and after %d attempts leaves the run as it is: %v", it.attempt+1, err)
	}
}

// failEarly marks an opcode for which the server fails the run at once.
type failEarly struct{ shown *Error }

func (e *failEarly) Error() string { return e.shown.Message }

func stepLimit() *Error {
	return &Error{Name: "InngestErrFunctionOverflowed", Message: fmt.Sprintf("The function run exceeded the step limit of %d steps.", maxSteps)}
}

// stepDone memoises a step that succeeded, and goes on with the run.
func (s *Sim) stepDone(it *item, o *sdk.Op) error {
	r := it.run
	raw := memoOf(o)
	if r.stateSize+len(raw) > maxStateSize {
		return &failEarly{&Error{Name: "InngestErrStateOverflowed", Message: "The function run exceeded the state size limit of 32 MiB."}}
	}
	s.finishStep(it, o)
	othersOut := r.save(o.ID, raw)
	s.discover(r, o.ID, s.jobAfter(it, o.ID), othersOut, it.race || race(o))
	return nil
}

// finishStep records a step that succeeded, unless it is memoised already.
func (s *Sim) finishStep(it *item, o *sdk.Op) {
	r := it.run
	if r.saved(o.ID) != nil {
		return
	}
	now := s.clock()
	step := r.step(o.ID, o.StepID(), OpRun, it.began)
	step.Output = o.Data
	if len(o.Data) == 0 {
		step.Output = []byte("null")
	}
	step.Attempts = append(step.Attempts, it.tried(now, nil))
	step.Status, step.Ended = StepCompleted, now
}

// stepFailed memoises a step that failed for good: the function is given the error.
func (s *Sim) stepFailed(it *item, o *sdk.Op) {
	r := it.run
	if o.Error == nil {
		o.Error = &sdk.Error{Name: "Error", Message: "Step execution error"}
	}
	if r.saved(o.ID) == nil {
		step := r.step(o.ID, o.StepID(), OpRun, it.began)
		step.Attempts = append(step.Attempts, it.tried(s.clock(), errorFrom(o.Error)))
		s.endStep(r, o.ID, StepFailed, errorFrom(o.Error))
	}
	failed := *o
	failed.Op = sdk.OpStepFailed
	othersOut := r.save(o.ID, memoOf(&failed))
	s.discover(r, o.ID, o.ID+"-failure", othersOut, it.race)
}

// endStep closes the record of a step.
func (s *Sim) endStep(r *run, hash string, status StepStatus, err *Error) {
	if step := r.stepOf(hash); step != nil && step.Ended.IsZero() {
		step.Status, step.Error, step.Ended = status, err, s.clock()
		if status == StepCompleted && step.Output == nil {
			step.Output = []byte("null")
		}
	}
}

// jobAfter names the call that follows a step, so that the steps of one plan are followed by one call.
func (s *Sim) jobAfter(it *item, id string) string {
	if it.coalesce != "" && !it.race {
		return it.coalesce + "-discover"
	}
	return id
}

// discover queues the call that goes on with the run after a step, once all steps of its plan are in.
func (s *Sim) discover(r *run, from, job string, othersOut, race bool) {
	if othersOut && !race {
		return
	}
	r.planAgain()
	if r.once(job) {
		s.queue.push(&item{at: s.clock(), kind: kindCall, run: r, from: from})
	}
}

// planAgain lets the app run steps at once again: the parallel ones are in.
func (r *run) planAgain() {
	if r.version >= 2 {
		r.planFirst = false
	}
}

// planSleep puts the run to sleep.
func (s *Sim) planSleep(it *item, o *sdk.Op) error {
	r, now := it.run, s.clock()
	d, err := s.sleep(o)
	if err != nil {
		return err
	}
	step := r.step(o.ID, o.StepID(), OpSleep, now)
	if !r.once(o.ID) {
		return nil
	}
	step.Status = StepWaiting
	if s.replacement(r.function, step.ID) != nil {
		d = 0
		step.Replaced = true
	}
	s.queue.push(&item{at: now.Add(d), kind: kindWake, run: r, from: o.ID, race: race(o)})
	return nil
}

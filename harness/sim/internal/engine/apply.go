package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// application is the application of one answer to the run that was called.
type application struct {
	*machine
	it       *item
	a        *answer
	r        *run
	now      time.Time
	coalesce string    // shared by the steps of a parallel plan
	retried  time.Time // when the item is tried again; zero: it is not, so far
}

// apply acts on an answer.
func (m *machine) apply(it *item, a *answer) {
	r := it.run
	if r.Status.Final() {
		return // the answer came after the end
	}
	if a.version != 0 && r.version < 0 && len(a.ops) > 0 {
		r.version = a.version
	}
	defer m.checkStuck(r)
	on := &application{machine: m, it: it, a: a, r: r, now: m.clock.Now()}
	if failed := a.failure(); failed != nil {
		on.callFailed(failed)
		return
	}
	switch {
	case len(a.ops) == 0:
		output, plain := a.Result()
		r.Plain = plain
		var object map[string]any // which the server decodes: its numbers are doubles
		if r.endpoint == nil && json.Unmarshal(output, &object) == nil && object != nil {
			output, _ = json.Marshal(object) // what was decoded always encodes
		}
		on.returned(output)
	case slices.ContainsFunc(a.ops, func(o sdk.Op) bool { return o.Op != sdk.OpNone || o.ID != "" }):
		on.steps()
	default:
		// Nothing to do and no result: the app is called again where it stands.
		from := "redrive"
		if n := len(r.state); n > 0 {
			from = r.state[n-1].id
		}
		m.discover(r, from, r.ID+"-redrive-"+fmt.Sprint(r.Calls), false)
	}
}

// returned ends the run with what the function returned.
func (on *application) returned(output json.RawMessage) {
	tried := on.it.tried(on.now, nil)
	on.r.Returned = &tried
	on.complete(on.r, output)
}

// callFailed records a call that failed as a whole, and retries it or ends the run.
func (on *application) callFailed(failed *Error) {
	r, it := on.r, on.it
	on.options.Logger.Warn("call failed", "run", r.ID, "function", r.function.ID, "attempt", it.failures+1, "error", failed.Message)
	tried := it.tried(on.now, failed)
	retry := !on.a.noRetry && it.canRetry()
	if retry {
		tried.RetryAt = on.retry()
	}
	if step := r.stepOf(it.target); it.target != "" && step != nil {
		step.Attempts = append(step.Attempts, tried)
	} else {
		r.FailedCalls = append(r.FailedCalls, tried)
	}
	if retry || r.endpoint != nil && on.leftAsItIs(failed) {
		return
	}
	if it.target != "" {
		r.endStep(it.target, StepFailed, failed, on.now)
	}
	on.fail(r, failed)
}

// retry queues the item again and returns for when.
func (on *application) retry() time.Time {
	at := on.a.retryAt
	if at.IsZero() {
		at = on.backoff(on.it.failures)
	}
	if on.a.again {
		return at // the first application queued it
	}
	if !on.retried.IsZero() {
		return on.retried // for another step of the answer
	}
	on.retried = at
	next := *on.it
	next.at, next.failures, next.planFirst, next.held = at, on.it.failures+1, false, nil
	if next.kind == kindAnswer {
		next.kind, next.subject = kindCall, nil
	}
	on.queue.push(&next)
	return at
}

// steps acts on the opcodes of the answer.
func (on *application) steps() {
	r, ops := on.r, on.a.ops
	if len(ops) > maxSteps {
		failed := tooManySteps(maxSteps)
		failed.Reason = failed.Name + ": " + failed.Message
		on.fail(r, failed)
		return
	}
	on.plan()
	for _, first := range []bool{true, false} {
		for i := range ops {
			if o := &ops[i]; o.Op.First() == first && !r.Status.Final() {
				if err := on.step(o); err != nil {
					on.stepRefused(err)
					return
				}
			}
		}
	}
}

// plan notes the steps of a parallel plan, if the answer is one, as pending.
func (on *application) plan() {
	var ids []string
	plans := false
	for _, o := range on.a.ops {
		if !o.Op.Lazy() {
			ids = append(ids, o.ID)
		}
		plans = plans || o.Op.Plans()
	}
	if len(ids) < 2 {
		return
	}
	on.r.planFirst = true
	if on.r.version < 2 || !plans {
		return
	}
	slices.Sort(ids)
	on.coalesce = fmt.Sprint(ids)
	if on.r.pending == nil {
		on.r.pending = map[string]struct{}{}
	}
	for _, id := range ids {
		if !on.r.saved(id) {
			on.r.pending[id] = struct{}{}
		}
	}
}

// step acts on one opcode. An [Error] that it returns fails the run; any other says why the server cannot act on it.
func (on *application) step(o *sdk.Op) error {
	attempt := 0
	if o.Op == sdk.OpStepError && !o.Error.NoRetry && on.it.canRetry() {
		attempt = on.it.failures + 1
	}
	on.r.noteOp(o, attempt, on.now)
	switch o.Op {
	case sdk.OpNone:
	case sdk.OpStep, sdk.OpStepRun:
		return on.stepDone(o)
	case sdk.OpStepError:
		on.stepError(o)
	case sdk.OpStepFailed:
		on.stepFailed(o)
	case sdk.OpStepPlanned:
		on.stepPlanned(o)
	case sdk.OpSleep:
		return on.sleep(o)
	case sdk.OpWaitForEvent:
		return on.waitForEvent(o)
	case sdk.OpInvokeFunction:
		return on.invokeFunction(o)
	case sdk.OpRunComplete:
		on.returned(memoOf(o))
	case sdk.OpSyncRunComplete:
		return on.responded(o)
	case sdk.OpDiscovery:
		on.discover(on.r, o.ID, o.ID, false)
	case sdk.OpWaitForSignal:
		return on.waitForSignal(o)
	case sdk.OpGateway, sdk.OpAIGateway:
		return on.fetch(o)
	case sdk.OpDeferAdd, sdk.OpDeferAbort:
		on.r.deferOp(o)
		if !slices.ContainsFunc(on.a.ops, func(o sdk.Op) bool { return !o.Op.Lazy() }) {
			on.discover(on.r, o.ID, o.ID, false)
		}
	default: // which parseOps has refused
		return fmt.Errorf("unknown opcode: %s", o.Op)
	}
	return nil
}

// stepRefused acts on an error in an opcode: the server fails the run at once for an [Error], and cannot act on any other.
func (on *application) stepRefused(err error) {
	r, it := on.r, on.it
	var atOnce *Error
	if errors.As(err, &atOnce) {
		on.fail(r, atOnce)
		return
	}
	tried := it.tried(on.now, newError("Error", err.Error()))
	if !on.a.noRetry && it.canRetry() {
		tried.RetryAt = on.retry()
	} else {
		// The server drops the job and leaves the run running.
		r.Stuck = fmt.Sprintf("the server cannot act on what the app answered, and after %d attempts leaves the run as it is: %v", it.failures+1, err)
	}
	r.FailedCalls = append(r.FailedCalls, tried)
}

// stepDone memoises a step that succeeded, and goes on with the run.
func (on *application) stepDone(o *sdk.Op) error {
	raw := memoOf(o)
	on.it.finishStep(o, on.now)
	if most := on.limits.of(on.r.function.UUID).bytes; on.r.stateSize+len(raw) > most {
		return tooMuchState(most)
	}
	othersPending := on.r.save(o.ID, raw)
	job := o.ID
	if on.it.coalesce != "" && !on.it.race {
		job = on.it.coalesce + "-discover" // the steps of one plan are followed by one call
	}
	on.discover(on.r, o.ID, job, othersPending && !on.it.race && !race(o))
	return nil
}

// finishStep records a step that succeeded in the item's call, unless it is memoised already.
func (it *item) finishStep(o *sdk.Op, now time.Time) {
	if it.run.saved(o.ID) {
		return
	}
	step := it.run.step(o, sdk.OpStepRun, it.began)
	step.Output, step.Type = orNull(o.Data), typeOf(o)
	step.Attempts = append(step.Attempts, it.tried(now, nil))
	step.Status, step.Ended = StepCompleted, now
}

// typeOf returns what the app says of a step that it ran.
func typeOf(o *sdk.Op) string {
	var opts struct{ Type string }
	_ = o.Options(&opts) // the server acts on none of them here
	return opts.Type
}

// stepError retries a step whose attempt failed, or memoises the failure.
func (on *application) stepError(o *sdk.Op) {
	step := on.r.step(o, sdk.OpStepRun, on.it.began)
	if o.Error.NoRetry || !on.it.canRetry() {
		on.stepFailed(o)
		return
	}
	tried := on.it.tried(on.now, errorFrom(o.Error))
	tried.RetryAt = on.retry()
	step.Attempts = append(step.Attempts, tried)
}

// stepFailed memoises a step that failed for good: the function is given the error.
func (on *application) stepFailed(o *sdk.Op) {
	r := on.r
	if o.Error == nil {
		o.Error = &sdk.Failure{Name: "Error", Message: "Step execution error"}
	}
	if !r.saved(o.ID) {
		step := r.step(o, sdk.OpStepRun, on.it.began)
		step.Attempts = append(step.Attempts, on.it.tried(on.now, errorFrom(o.Error)))
		r.endStep(o.ID, StepFailed, errorFrom(o.Error), on.now)
	}
	othersPending := r.save(o.ID, Wrap("error", o.Error))
	on.discover(r, o.ID, o.ID+"-failure", othersPending && !on.it.race)
}

// stepPlanned queues the call that runs a step which the app has announced.
func (on *application) stepPlanned(o *sdk.Op) {
	on.r.step(o, sdk.OpStepRun, on.now)
	if on.r.once(o.ID + "-plan") {
		on.pushCall(&item{run: on.r, from: on.it.from, target: o.ID, name: o.StepID(),
			coalesce: on.coalesce, race: race(o)})
	}
}

// race reports whether the plan of a step goes on after each of its steps.
func race(o *sdk.Op) bool {
	var opts struct {
		Mode string `json:"parallelMode"`
	}
	return o.Options(&opts) == nil && strings.EqualFold(opts.Mode, "race")
}

// sleep puts the run to sleep.
func (on *application) sleep(o *sdk.Op) error {
	d, err := sleepTime(on.clock, o)
	if err != nil {
		return err
	}
	step := on.r.step(o, sdk.OpSleep, on.now)
	if !on.r.once(o.ID) {
		return nil
	}
	step.Status, step.Job, step.Until = StepWaiting, on.it.job, on.now.Add(d)
	if on.interventions.next(on.r.function, step.ID) != nil {
		d = 0
		step.Replaced = true
	}
	on.queue.push(&item{at: on.now.Add(d), kind: kindWake, run: on.r, from: o.ID, race: race(o)})
	return nil
}

// waitForEvent lets the run wait for an event.
func (on *application) waitForEvent(o *sdk.Op) error {
	var opts struct {
		Timeout string  `json:"timeout"`
		If      *string `json:"if"`
		Event   string  `json:"event"`
	}
	if err := o.Options(&opts); err != nil {
		return err
	}
	opts.Event = cmp.Or(opts.Event, o.Name)
	if opts.Event == "" {
		return fmt.Errorf("step %s: an event name must be provided when waiting for an event", o.StepID())
	}
	w := on.newWait(o, opts.Event, on.now)
	if opts.If != nil {
		e, err := expression.CompileWait(*opts.If)
		if err != nil {
			failed := newError("InvalidExpression", "Wait for event If expression failed to compile")
			failed.Reason, failed.Stack = failed.Name+": "+failed.Message, "error compiling expression: "+err.Error()
			if cause := errors.Unwrap(err); cause != nil {
				failed.Stack = "error compiling expression: " + cause.Error()
			}
			return failed
		}
		if err := expression.Interpolate(*opts.If, on.r.event.vars()); err != nil {
			return fmt.Errorf("error interpolating wait for event expression: %w", err)
		}
		e.Now = on.clock.Now
		w.when = e
	}
	if opts.Timeout != "" { // an empty one is up at once
		at, err := deadline(on.clock, opts.Timeout)
		if err != nil {
			return fmt.Errorf("unable to parse wait for event expires: %w", err)
		}
		if at.Sub(on.now) > longestWait {
			return tooLong(fmt.Sprintf("The wait-for-event timeout %q expires more than one year in the future; timeouts may last at most one year.", opts.Timeout))
		}
		w.expires = at
	}
	on.startWait(o, w)
	if step := on.r.stepOf(o.ID); step.Wait == nil {
		step.Wait = &Wait{Event: opts.Event}
		if opts.If != nil {
			step.Wait.If = *opts.If
		}
	}
	return nil
}

// invokeFunction starts another function and lets the run wait for its end.
func (on *application) invokeFunction(o *sdk.Op) error {
	var opts struct {
		FunctionID string    `json:"function_id"`
		Payload    EventBody `json:"payload"`
		Timeout    string    `json:"timeout"`
	}
	if err := o.Options(&opts); err != nil {
		return err
	}
	w := on.newWait(o, sdk.EventFunctionFinished, on.now.Add(defaultExpiry))
	w.correlation = on.r.ID + "." + o.ID
	if opts.Timeout != "" {
		at, err := deadline(on.clock, opts.Timeout)
		if err != nil {
			return fmt.Errorf("unable to parse invoke function expires: %w", err)
		}
		w.expires = at
	}
	if err := opts.Payload.Meta.sessions().check(); err != nil {
		return newError("Error", fmt.Sprintf("invalid step.invoke sessions: %v", err))
	}
	if step := on.r.stepOf(o.ID); step != nil && step.Status == StepWaiting {
		return nil // reported again: it is already under way
	}
	if on.startWait(o, w) {
		e := on.invoke(opts.FunctionID, w.correlation, &opts.Payload)
		on.r.stepOf(o.ID).Invocation = &Invocation{Function: opts.FunctionID, Event: e.EventID}
	}
	return nil
}

func (on *application) newWait(o *sdk.Op, event string, expires time.Time) *wait {
	return &wait{run: on.r, event: event, step: o.ID, coalesce: on.coalesce, race: race(o), born: on.sequence, expires: expires}
}

// startWait registers a wait. It reports whether the run now waits: not if it waited before, or if the step's result is
// replaced.
func (on *application) startWait(o *sdk.Op, w *wait) bool {
	step := on.r.step(o, o.Op, on.now)
	if !on.r.once(o.ID) {
		return false
	}
	step.Status, step.Job, step.Until = StepWaiting, on.it.job, w.expires
	if rep := on.interventions.next(on.r.function, step.ID); rep != nil {
		step.Replaced = true
		on.resume(w, rep.forWait(o.Op, w.signal), StepCompleted, rep.failure())
		return false
	}
	on.waits.add(w)
	w.timeout = &item{at: w.expires, kind: kindExpire, run: on.r, subject: w}
	on.queue.push(w.timeout)
	return true
}

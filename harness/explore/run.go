package explore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var errBusy = errors.New("something is still to be done at this instant")

// A Schedule is what goes wrong in one execution: nothing, or some faults, each at its hop.
type Schedule struct {
	Faults []Fault `json:"faults"`
}

// String says in a sentence what goes wrong.
func (s Schedule) String() string {
	if len(s.Faults) == 0 {
		return "nothing went wrong"
	}
	says := make([]string, len(s.Faults))
	for i, f := range s.Faults {
		says[i] = f.String()
	}
	return strings.Join(says, "; then ")
}

// losesState reports whether Inngest loses its state: then it may lose a run, and what was recorded.
func (s Schedule) losesState() bool {
	return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Do == RestartInngest })
}

// with returns the schedule with one more fault.
func (s Schedule) with(f Fault) Schedule { return Schedule{append(slices.Clip(s.Faults), f)} }

// without returns the schedule without one of its faults.
func (s Schedule) without(i int) Schedule {
	return Schedule{slices.Delete(slices.Clone(s.Faults), i, i+1)}
}

// An execution is what one schedule did.
type execution struct {
	schedule  Schedule
	missed    []Fault // faults that never acted
	exchanges []tap.Exchange
	hops      []passing
	trace     *harness.Trace
	mail      []*harness.Message
	sent      []sentEvent
	quits     bool  // in the run without faults: the app takes leave of the mail server
	violated  error // what the invariant says
	runHeader string
	took      time.Duration
}

// sentEvent is an event that was sent: its ULID, and when.
type sentEvent struct {
	id string
	at time.Time
}

// running is one schedule while it runs.
type running struct {
	env      env
	options  *Options
	schedule Schedule

	mu       sync.Mutex
	events   []sentEvent // by number; zero for one that is not sent yet
	outlived []*outlived
	kept     []*harness.Message // emails that the mail catcher had before it was killed
	failure  error
	actors   sync.WaitGroup
}

// execute runs a schedule on a clean app. The error says that it could not be run, or the invariant could not be asked.
func execute(ctx context.Context, e env, o *Options, s Schedule) (*execution, error) {
	began := time.Now()
	if err := e.begin(ctx); err != nil {
		return nil, fmt.Errorf("start a clean app: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := setUp(ctx, e, o); err != nil {
		return nil, fmt.Errorf("set up the schedule: %w", err)
	}
	if pause := o.RetryPause; pause > 0 {
		defer delayRetries(e.taps(), pause)()
	}
	since := e.taps().Last()
	r := &running{env: e, options: o, schedule: s, events: make([]sentEvent, o.events())}
	over, end := context.WithCancel(ctx)
	injected, err := r.arm(over)
	var quit *tap.Injection
	if err == nil && len(s.Faults) == 0 {
		// The taps do not record what an app says after an email.
		quit, err = e.taps().Inject(tap.Fault{At: tap.AtQUIT, Do: tap.Delay, For: 1, Times: -1})
		injected = append(injected, quit)
	}
	if err == nil {
		err = r.play(ctx)
	}
	if err == nil && awaitLast(ctx, injected) {
		err = e.run(ctx)
	}
	end()
	for _, i := range injected {
		if i != nil {
			i.Drop()
		}
	}
	r.actors.Wait()
	if err = errors.Join(err, r.failure); err != nil {
		return nil, fmt.Errorf("run the schedule in which %s: %w", s, err)
	}
	x := &execution{schedule: s, sent: r.events, quits: quit != nil && quit.Applied() > 0, runHeader: e.runHeader()}
	for n, i := range injected[:len(s.Faults)] {
		if i != nil && i.Applied() == 0 {
			x.missed = append(x.missed, s.Faults[n])
		}
	}
	for _, c := range e.taps().Exchanges() {
		if c.Seq > since {
			x.exchanges = append(x.exchanges, c)
		}
	}
	x.hops = hopsOf(x.exchanges, s)
	if x.mail, err = e.mail(ctx); err != nil {
		return nil, fmt.Errorf("read the emails: %w", err)
	}
	for _, sent := range x.sent {
		t, err := e.trace(ctx, sent.id, o.Expect.Recipients())
		if err != nil {
			return nil, fmt.Errorf("trace event %s: %w", sent.id, err)
		}
		x.trace = merge(x.trace, t)
	}
	x.remember(r.kept, o.Expect.Recipients())
	if x.violated, err = violated(ctx, e, o); err != nil {
		return nil, fmt.Errorf("ask the invariant: %w", err)
	}
	x.took = time.Since(began)
	return x, nil
}

// lastWait is how long to wait, when nothing is left to do, for what an app does after it has answered: it may still have to take
// leave of the mail server.
const lastWait = 250 * time.Millisecond

// awaitLast waits for faults that have not acted. It reports whether one has meanwhile.
func awaitLast(ctx context.Context, injected []*tap.Injection) (acted bool) {
	deadline := time.After(lastWait)
	for _, i := range injected {
		if i == nil || i.Applied() > 0 {
			continue
		}
		select {
		case <-i.Reached():
			acted = true
		case <-deadline:
			return acted
		case <-ctx.Done():
			return acted
		}
	}
	return acted
}

// maxAttempts is how many attempts the Inngest server makes at most.
const maxAttempts = 21

// delayRetries delays each call that tries again, until the returned function is called.
func delayRetries(taps *tap.Set, pause time.Duration) (end func()) {
	var delays []*tap.Injection
	for attempt := 2; attempt <= maxAttempts; attempt++ {
		i, err := taps.Inject(tap.Fault{Name: "explore: the pause before a retry", At: tap.AtCall, Do: tap.Delay, For: pause, Attempt: attempt, Times: -1})
		if err == nil { // a fault that is valid for one attempt is for all
			delays = append(delays, i)
		}
	}
	return func() {
		for _, i := range delays {
			i.Release()
		}
	}
}

func setUp(ctx context.Context, e env, o *Options) error {
	if o.Setup != nil {
		if err := o.Setup(ctx, e.config()); err != nil {
			return err
		}
	}
	if len(o.SetupCommand) == 0 {
		return nil
	}
	_, err := output(ctx, e, o.SetupCommand)
	return err
}

// violated returns what the app's invariant says.
func violated(ctx context.Context, e env, o *Options) (says, err error) {
	if o.Invariant != nil {
		if says := o.Invariant(ctx, e.config()); says != nil && ctx.Err() != nil {
			return nil, says // it was not answered in time
		} else if says != nil {
			return says, nil
		}
	}
	if len(o.InvariantCommand) == 0 {
		return nil, nil
	}
	printed, err := output(ctx, e, o.InvariantCommand)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return errors.New(cmp.Or(printed, "the invariant's program has exited with status 1")), nil
	}
	return nil, err
}

// output runs a program in the app's environment and returns what it prints, which the error has too.
func output(ctx context.Context, e env, args []string) (string, error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append(os.Environ(), e.environ()...)
	printed, err := c.CombinedOutput()
	says := text.OneLine(string(printed))
	if err != nil {
		err = fmt.Errorf("run %s: %w: %s", strings.Join(args, " "), err, says)
	}
	return says, err
}

// arm injects the faults of the schedule, and starts what acts while the wire waits. An injection is nil where the fault is not
// one of a wire.
func (r *running) arm(ctx context.Context) ([]*tap.Injection, error) {
	injected := make([]*tap.Injection, len(r.schedule.Faults))
	for n, f := range r.schedule.Faults {
		rule, ok := ruleOf(f)
		if !ok {
			return injected, fmt.Errorf("%s cannot happen at %s", f.Do, f.Hop)
		}
		if f.At == atStart {
			continue
		}
		i, err := r.env.taps().Inject(f.onWire(rule, r.skip(n)))
		if err != nil {
			return injected, err
		}
		injected[n] = i
		if rule.tap.Do == tap.Hold || rule.tap.Do == tap.HoldAnswer {
			r.actors.Go(func() {
				select {
				case <-i.Reached():
					if err := r.act(ctx, f, i); err != nil && ctx.Err() == nil {
						r.fail(fmt.Errorf("%s: %w", f, err))
					}
				case <-ctx.Done():
				}
			})
		}
	}
	return injected, nil
}

// skip is how many matching exchanges a fault lets pass. One that an earlier fault has ended does not pass.
func (r *running) skip(n int) int {
	f := r.schedule.Faults[n]
	skip := f.N - 1
	for _, other := range r.schedule.Faults[:n] {
		if rule, _ := ruleOf(other); other.kind() == f.kind() && other.N < f.N && rule.tap.Do != tap.Hold && rule.tap.Do != tap.HoldAnswer {
			skip--
		}
	}
	return max(0, skip)
}

// act does what a fault does while the wire waits for it.
func (r *running) act(ctx context.Context, f Fault, i *tap.Injection) error {
	switch f.Do {
	case Kill:
		return r.env.kill(ctx, i.Drop)
	case Late, Freeze:
		return r.outlive(ctx, f, i)
	case Send:
		if err := r.sendEvent(ctx, f.Number-1); err != nil {
			return err
		}
		if err := r.env.awaitResting(ctx, 1); err != nil {
			return err
		}
	default:
		if f.Do == RestartMail { // the mail catcher forgets what it has
			kept, err := r.env.mail(ctx)
			if err != nil {
				return err
			}
			r.mu.Lock()
			r.kept = append(r.kept, kept...)
			r.mu.Unlock()
		}
		if err := r.env.restart(ctx, f.Do.service()); err != nil {
			return err
		}
	}
	i.Release()
	return nil
}

func (r *running) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = errors.Join(r.failure, err)
}

// play sends the events and lets everything happen that follows.
func (r *running) play(ctx context.Context) error {
	moved := map[int]bool{}
	for _, f := range r.schedule.Faults {
		if f.Do == Send {
			moved[f.Number-1] = true
			if f.At == atStart {
				if err := r.sendAndSettle(ctx, f.Number-1); err != nil {
					return err
				}
			}
		}
	}
	for n := range r.events {
		if !moved[n] {
			if err := r.sendAndSettle(ctx, n); err != nil {
				return err
			}
		}
	}
	if err := r.env.run(ctx); err != nil {
		return err
	}
	for r.thaw() {
		if err := r.env.run(ctx); err != nil {
			return err
		}
	}
	for n, sent := range r.events {
		if sent.id == "" { // the hop at which it was to be sent has not been passed
			if err := r.sendAndSettle(ctx, n); err != nil {
				return err
			}
		}
	}
	return r.env.run(ctx)
}

// An outlived call is one that Inngest has given up and the app is still at work on.
type outlived struct {
	goOn  chan struct{} // closed when it has to go on, because no next attempt comes
	ended chan struct{} // closed when the app has answered
}

// outlive has Inngest give the calls under way up while a fault holds the app. When the next attempt has a result, which Inngest
// has not got yet, the app goes on with the one that was given up.
func (r *running) outlive(ctx context.Context, f Fault, i *tap.Injection) error {
	o := &outlived{make(chan struct{}), make(chan struct{})}
	defer close(o.ended)
	run := r.heldRun(f)
	next, err := r.env.taps().Inject(tap.Fault{Name: "explore: waits for the attempt before", At: tap.AtCall, Do: tap.HoldAnswer, Run: run})
	if err != nil {
		return err
	}
	defer next.Release()
	r.mu.Lock()
	r.outlived = append(r.outlived, o)
	r.mu.Unlock()
	given := r.env.taps().AbandonCalls(run)
	if len(given) == 0 { // the app does it on its own: nothing waits for it
		i.Release()
		return nil
	}
	select {
	case <-next.Reached():
	case <-o.goOn:
	case <-ctx.Done():
	}
	i.Release()
	return poll.Until(ctx, restPoll, func(context.Context) error {
		if slices.ContainsFunc(r.env.taps().OpenCalls(), func(id uint64) bool { return slices.Contains(given, id) }) {
			return errors.New("the app has not answered the call that it went on with")
		}
		return nil
	})
}

// heldRun returns the run whose exchange a fault holds; "" where the exchange does not name one.
func (r *running) heldRun(f Fault) string {
	for _, x := range r.env.taps().Exchanges() {
		switch {
		case x.Over() || !slices.Contains(x.Faults, f.name()):
		case x.Call != nil:
			return x.Call.RunID
		case x.Checkpoint != nil:
			return x.Checkpoint.RunID
		case x.Mail != nil:
			return x.Mail.RunID
		}
	}
	return ""
}

// thaw lets the calls go on for which no next attempt has come. It reports whether there were any.
func (r *running) thaw() bool {
	r.mu.Lock()
	waiting := r.outlived
	r.outlived = nil
	r.mu.Unlock()
	some := false
	for _, o := range waiting {
		select {
		case <-o.ended:
		default:
			some = true
			close(o.goOn)
			<-o.ended
		}
	}
	return some
}

func (r *running) sendAndSettle(ctx context.Context, n int) error {
	if err := r.sendEvent(ctx, n); err != nil {
		return err
	}
	return r.env.settle(ctx)
}

func (r *running) sendEvent(ctx context.Context, n int) error {
	sent := sentEvent{at: time.Now()}
	var err error
	switch {
	case r.options.Trigger == nil:
		sent.id, err = r.env.send(ctx, r.options.Send[n])
	case n > 0:
		sent.id, err = r.env.send(ctx, r.options.Send[n-1])
	default:
		var key string
		if key, err = r.options.Trigger(ctx, r.env.config()); err == nil {
			sent.id, err = r.env.awaitEvent(ctx, key)
		}
	}
	if err != nil {
		return fmt.Errorf("send event %d: %w", n+1, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[n] = sent
	return nil
}

// remember adds emails that the mail catcher has forgotten.
func (x *execution) remember(kept []*harness.Message, recipients []string) {
	if len(kept) == 0 {
		return
	}
	x.mail = append(slices.Clone(kept), x.mail...)
	t := *x.trace
	for _, m := range kept {
		run := m.Header(x.runHeader)
		known := slices.ContainsFunc(t.Runs, func(r harness.TraceRun) bool { return r.ID == run })
		wanted := slices.ContainsFunc(recipients, func(to string) bool { return address.In(to, m.Envelope.To) })
		if known || wanted {
			t.Mail = append(slices.Clip(t.Mail), harness.TraceMail{Message: m, RunID: run, Inferred: !known})
		}
	}
	x.trace = &t
}

// startsNothing reports whether no function is subscribed to the event: it only cancels runs, or is what they wait for.
func startsNothing(t *harness.Trace) bool {
	return t.Event != nil && t.FunctionsUnknown == "" && len(t.Functions)+len(t.Runs) == 0
}

// merge returns what followed from two events as one trace, with the first as its event.
func merge(a, b *harness.Trace) *harness.Trace {
	if a == nil {
		return b
	}
	merged := *a
	hasRun := func(id string) bool {
		return slices.ContainsFunc(merged.Runs, func(r harness.TraceRun) bool { return r.ID == id })
	}
	for _, r := range b.Runs {
		if !hasRun(r.ID) {
			if r.EventID == b.EventID {
				r.EventID = a.EventID // it is drawn below the event
			}
			merged.Runs = append(slices.Clip(merged.Runs), r)
		}
	}
	hasMail := func(m harness.TraceMail) bool {
		return slices.ContainsFunc(merged.Mail, func(o harness.TraceMail) bool { return o.ID == m.ID })
	}
	for _, m := range b.Mail {
		if !hasMail(m) {
			merged.Mail = append(slices.Clip(merged.Mail), m)
		}
	}
	for _, f := range b.Functions {
		if !slices.ContainsFunc(merged.Functions, func(o harness.TraceFunction) bool { return o.ID == f.ID }) {
			merged.Functions = append(slices.Clip(merged.Functions), f)
		}
	}
	merged.Deliveries = append(slices.Clip(merged.Deliveries), b.Deliveries...)
	merged.Evidence = append(slices.Clip(merged.Evidence), b.Evidence...)
	if !b.Quiet && !startsNothing(b) {
		merged.Quiet, merged.Unquiet = false, b.Unquiet
	}
	merged.OtherMail = slices.DeleteFunc(slices.Clone(merged.OtherMail), func(s harness.MailSummary) bool {
		return slices.ContainsFunc(b.Mail, func(m harness.TraceMail) bool { return m.Subject == s.Subject && m.Received.Equal(s.Received) })
	})
	merged.OtherMailCount = len(merged.OtherMail)
	return &merged
}

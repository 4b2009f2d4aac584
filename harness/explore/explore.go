package explore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// Options says what is explored. One of Send and Trigger, and Expect, are required.
type Options struct {
	// Send are the events that every schedule sends, one after the other. Each is sent when nothing is left to do at that
	// instant after the one before; a schedule can send one of the later ones elsewhere.
	Send []harness.Event
	// Trigger makes the app itself send the first event, which then is not in Send, and returns the event's idempotency key. Nil: all are
	// in Send.
	Trigger func(ctx context.Context, app harness.Env) (key string, err error)
	// Expect is what should have happened after the events, taken together, in each schedule. Numbers of attempts are not
	// compared, and copies of emails are judged by AllowCopies.
	Expect harness.Expectation
	// Judge has the goldens and what else the judge needs.
	Judge judge.Options
	// Invariant returns an error if the app's own rules are violated after a schedule. Nil: none. InvariantCommand is the same as a
	// program and its arguments, which gets the app's environment: exit status 1 says that they are violated, and what it
	// prints, why.
	Invariant        func(ctx context.Context, app harness.Env) error
	InvariantCommand []string
	// Setup prepares a schedule once the app is up. Nil: nothing is prepared. SetupCommand is the same as a program.
	Setup        func(ctx context.Context, app harness.Env) error
	SetupCommand []string
	// Services are the servers that schedules also kill and start again: the mail server, the database, Inngest. Empty: none.
	Services []harness.Service

	// AllowCopies and AllowFailed say what faults may change. Zero: CopiesUnrecorded and FailedPermanent.
	AllowCopies Copies
	AllowFailed Failed

	// Depth is the most faults in one schedule. Zero: 2.
	Depth int
	// Schedules is the most schedules of two and more faults, Budget the time after which none is begun. All schedules of one
	// fault are run whatever they say. Zero: 200, and no limit.
	Schedules int
	Budget    time.Duration
	// Seed decides which schedules of two and more are run, among those that promise as much.
	Seed uint64
	// Parallel is how many run side by side. Zero: one for each processor.
	Parallel int
	// Timeout bounds one schedule, by the wall clock. Zero: 1 min.
	Timeout time.Duration
	// RetryPause is how long, by the wall clock, each call that tries again waits on its way to the app. An app whose claims
	// and leases expire by its own clock needs it. Zero: they come at once. A finding that does not show with a pause of 10 s
	// then is none, and the result says that it needs one.
	RetryPause time.Duration

	// Progress is called when schedules are planned and after each, by one goroutine at a time. Nil: it is not.
	Progress func(Progress)
}

// events is how many events a schedule sends.
func (o Options) events() int {
	if o.Trigger != nil {
		return len(o.Send) + 1
	}
	return len(o.Send)
}

// Progress is how far an exploration has come.
type Progress struct {
	// Ran of Planned schedules have run. More may be planned later.
	Ran, Planned int
	Findings     int
	Elapsed      time.Duration
}

func (o Options) withDefaults() (Options, error) {
	o.AllowCopies = cmp.Or(o.AllowCopies, CopiesUnrecorded)
	o.AllowFailed = cmp.Or(o.AllowFailed, FailedPermanent)
	o.Depth = cmp.Or(o.Depth, 2)
	o.Schedules = cmp.Or(o.Schedules, 200)
	o.Parallel = cmp.Or(o.Parallel, runtime.GOMAXPROCS(0))
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	var errs []error
	if len(o.Send) == 0 && o.Trigger == nil {
		errs = append(errs, errors.New("there is no event to send"))
	}
	if !slices.Contains([]Copies{CopiesAny, CopiesNone, CopiesUnrecorded}, o.AllowCopies) {
		errs = append(errs, fmt.Errorf("copies can be allowed as %s, %s or %s, not %q", CopiesNone, CopiesUnrecorded, CopiesAny, o.AllowCopies))
	}
	if !slices.Contains([]Failed{FailedAny, FailedNever, FailedPermanent}, o.AllowFailed) {
		errs = append(errs, fmt.Errorf("failed runs can be allowed as %s, %s or %s, not %q", FailedNever, FailedPermanent, FailedAny, o.AllowFailed))
	}
	return o, errors.Join(append(errs, o.Expect.Validate())...)
}

// BaseError says that the run without faults is not as expected, so that nothing can be explored.
type BaseError struct {
	// Verdict is that of the run without faults. Violations are what else is wrong with it.
	Verdict    *harness.Verdict
	Violations []Violation
}

// Error is the whole verdict.
func (e *BaseError) Error() string {
	says := "the run without faults is not as expected, so there is nothing to explore:\n"
	for _, v := range e.Violations {
		if v.Says != e.Verdict.Why { // which the verdict begins with
			says += v.Says + "\n"
		}
	}
	return says + whatHappened(e.Verdict)
}

// Explore explores the faults of one function, or of several that work together. It returns a [BaseError] if they are not as
// expected without faults, and another error if that cannot be found out. If ctx ends, or a target fails, it returns what was
// found until then with the error.
func Explore(ctx context.Context, target Target, o Options) (*Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("explore: %w", err)
	}
	e := &explorer{target: target, o: o, began: time.Now(), result: &Result{Target: target.Name, Seed: o.Seed}, chance: rand.New(rand.NewPCG(o.Seed, 1))}
	defer e.close(ctx)
	first, err := e.env(ctx)
	if err != nil {
		return nil, fmt.Errorf("explore: %w", err)
	}
	e.can = first.can()
	e.can.services = slices.DeleteFunc(e.can.services, func(s harness.Service) bool { return !slices.Contains(o.Services, s) })
	if len(first.can().services) > 0 && len(o.Services) == 0 {
		e.can.without = append(e.can.without, "the deaths of mail server, database and Inngest: Services (--services) does not name them")
	}
	e.result.NotExplored = append(e.result.NotExplored, e.can.without...)
	err = e.explore(ctx, first)
	e.result.sort()
	e.result.Took = time.Since(e.began)
	if err != nil {
		return e.result, fmt.Errorf("explore: %w", err)
	}
	return e.result, nil
}

// explorer is one exploration.
type explorer struct {
	target Target
	o      Options
	can    abilities
	base   outcome // of the schedule without faults
	began  time.Time
	chance *rand.Rand

	mu      sync.Mutex
	idle    []env
	all     []env
	result  *Result
	planned int
	states  map[string]bool // those that were reached
	tried   map[string]bool // schedules
}

// env returns an open target that is not in use.
func (e *explorer) env(ctx context.Context) (env, error) {
	e.mu.Lock()
	if n := len(e.idle); n > 0 {
		defer e.mu.Unlock()
		last := e.idle[n-1]
		e.idle = e.idle[:n-1]
		return last, nil
	}
	e.mu.Unlock()
	opened, err := e.target.open(ctx)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, opened)
	return opened, nil
}

func (e *explorer) release(v env) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, v)
}

func (e *explorer) close(ctx context.Context) {
	var closing sync.WaitGroup
	for _, v := range e.all {
		closing.Go(func() { _ = v.close(context.WithoutCancel(ctx)) }) // what it did is known
	}
	closing.Wait()
}

// outcome is an execution with its judgement.
type outcome struct {
	*execution
	*judgement
}

// runBase runs the schedule without faults.
func (e *explorer) runBase(ctx context.Context, v env) error {
	base, err := execute(ctx, v, &e.o, Schedule{})
	if err != nil {
		return err
	}
	j, err := judged(base, nil, &e.o)
	if err != nil {
		return err
	}
	if j.verdict.Outcome != harness.Holds || len(j.violations) > 0 {
		return &BaseError{Verdict: j.verdict, Violations: j.violations}
	}
	e.base = outcome{base, j}
	return nil
}

func (e *explorer) explore(ctx context.Context, first env) error {
	if err := e.runBase(ctx, first); err != nil {
		return err
	}
	e.release(first)
	e.states, e.tried = map[string]bool{e.base.state(): true}, map[string]bool{}
	for _, p := range e.base.hops {
		if p.At != tap.AtQUIT || e.base.quits {
			e.result.Hops = append(e.result.Hops, p.Hop)
		}
	}
	singles := e.extend(e.base)
	e.result.Single.Possible = len(singles)
	frontier, err := e.round(ctx, singles, &e.result.Single)
	if err != nil {
		return err
	}
	for depth := 2; depth <= e.o.Depth; depth++ {
		more := e.further(frontier)
		count := Count{Possible: len(more)}
		chosen := more[:min(len(more), max(0, e.o.Schedules-e.result.more()))]
		frontier, err = e.round(ctx, chosen, &count)
		e.result.Further = append(e.result.Further, count)
		if err != nil {
			return err
		}
	}
	return e.conclude(ctx)
}

// extend returns the schedules that have one fault more than an outcome's, at a hop that it passed after its last one. An event
// can come earlier than it did, and not later: what waits for it would have waited in vain.
func (e *explorer) extend(o outcome) (more []Schedule) {
	hops := o.hops
	if !e.base.quits {
		hops = slices.DeleteFunc(slices.Clone(hops), func(p passing) bool { return p.At == tap.AtQUIT })
	}
	if n := len(o.schedule.Faults); n > 0 {
		last := o.schedule.Faults[n-1].Hop
		if i := slices.IndexFunc(hops, func(p passing) bool { return p.Hop == last }); i >= 0 {
			hops = hops[i:]
		}
	} else {
		hops = append([]passing{{Hop: Hop{At: atStart}}}, hops...)
	}
	for _, p := range hops {
		for _, f := range faultsAt(p.Hop, e.can, e.o.events()) {
			s := o.schedule.with(f)
			if o.schedule.conflicts(f) || f.Do == Send && !p.at.Before(o.sent[f.Number-1].at) || e.tried[s.key()] {
				continue
			}
			e.tried[s.key()] = true
			more = append(more, s)
		}
	}
	return more
}

// conflicts reports whether a fault cannot be added: there is one at its hop, or its event is sent elsewhere.
func (s Schedule) conflicts(f Fault) bool {
	return slices.ContainsFunc(s.Faults, func(o Fault) bool { return o.Hop == f.Hop || f.Do == Send && o.Do == Send && o.Number == f.Number })
}

// key is the same for schedules with the same faults.
func (s Schedule) key() string {
	keys := make([]string, len(s.Faults))
	for i, f := range s.Faults {
		keys[i] = fmt.Sprintf("%#v", f)
	}
	slices.Sort(keys)
	return strings.Join(keys, "\n")
}

// further returns the schedules with one more fault than those of outcomes, in the sequence in which to run them: first those
// that begin in a state which no schedule before had reached, each part shuffled.
func (e *explorer) further(outcomes []outcome) []Schedule {
	var fresh, known []Schedule
	for _, o := range outcomes {
		more := e.extend(o)
		if state := o.state(); e.states[state] {
			known = append(known, more...)
		} else {
			e.states[state] = true
			fresh = append(fresh, more...)
		}
	}
	for _, part := range [][]Schedule{fresh, known} {
		e.chance.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return append(fresh, known...)
}

// state is what an execution has come to: what the app did, in sequence, and what the server remembers.
func (x *execution) state() string {
	var s strings.Builder
	for _, p := range x.hops {
		fmt.Fprintln(&s, p.Hop)
	}
	for _, r := range x.trace.Runs {
		fmt.Fprintln(&s, r.Function, r.Status)
	}
	fmt.Fprint(&s, len(x.mail))
	return s.String()
}

// round runs schedules side by side and counts them. It returns those that violated nothing.
func (e *explorer) round(ctx context.Context, schedules []Schedule, count *Count) (held []outcome, err error) {
	if len(schedules) == 0 {
		return nil, nil
	}
	e.mu.Lock()
	e.planned += len(schedules)
	e.progress()
	e.mu.Unlock()
	jobs := make(chan Schedule)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	single := count == &e.result.Single
	go func() {
		defer close(jobs)
		for _, s := range schedules {
			if !single && e.o.Budget > 0 && time.Since(e.began) > e.o.Budget {
				return
			}
			select {
			case jobs <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for range min(e.o.Parallel, len(schedules)) {
		workers.Go(func() {
			v, err := e.env(ctx)
			if err != nil {
				cancel(err)
				return
			}
			defer e.release(v)
			for s := range jobs {
				o, err := e.try(ctx, v, s)
				if err != nil {
					cancel(err)
					return
				}
				if e.take(o, count) {
					e.mu.Lock()
					held = append(held, o)
					e.mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	// The sequence in which they ended must not decide what comes next.
	place := map[string]int{}
	for i, s := range schedules {
		place[s.key()] = i
	}
	slices.SortFunc(held, func(a, b outcome) int { return cmp.Compare(place[a.schedule.key()], place[b.schedule.key()]) })
	return held, context.Cause(ctx)
}

// try runs and judges one schedule.
func (e *explorer) try(ctx context.Context, v env, s Schedule) (outcome, error) {
	x, err := execute(ctx, v, &e.o, s)
	if err != nil {
		if ctx.Err() != nil {
			return outcome{}, context.Cause(ctx)
		}
		return outcome{&execution{schedule: s}, &judgement{unjudged: err.Error()}}, nil
	}
	j, err := judged(x, e.base.execution, &e.o)
	return outcome{x, j}, err
}

// take counts an outcome and keeps what it shows. It reports whether it violates nothing.
func (e *explorer) take(o outcome, count *Count) (holds bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.result.record(o)
	switch {
	case len(o.missed) > 0:
		count.Missed++
	case o.unjudged != "" && len(o.violations) == 0:
		count.Unjudged++
	default:
		count.Ran++
		holds = len(o.violations) == 0
	}
	e.progress()
	return holds
}

// progress reports how far it has come. e.mu is locked.
func (e *explorer) progress() {
	if e.o.Progress != nil {
		e.o.Progress(Progress{Ran: len(e.result.Outcomes), Planned: e.planned, Findings: len(e.result.Findings), Elapsed: time.Since(e.began)})
	}
}

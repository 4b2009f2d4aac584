package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Run works until nothing is left to do: the clock jumps from one thing to the next, over sleeps, retries and timeouts.
// Cron schedules that fall due on the way fire; they alone keep nobody waiting. Work that never ends, as of a function that
// triggers itself, ends with ctx.
func (s *Sim) Run(ctx context.Context) error {
	return s.drive(ctx, func(next *item) bool { return !s.queue.idle() })
}

// Idle reports whether nothing is left to do but cron schedules.
func (s *Sim) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.idle()
}

// Settle does all that is due at this instant and lets no time pass.
func (s *Sim) Settle(ctx context.Context) error { return s.RunUntil(ctx, s.clock()) }

// Advance lets d pass, and does what falls due in it.
func (s *Sim) Advance(ctx context.Context, d time.Duration) error {
	return s.RunUntil(ctx, s.clock().Add(d))
}

// RunUntil moves the clock to a time, and does what falls due until then, that instant included. A time in the past is now.
// A Sim that drives itself does the same with what it is at, and then goes on at its own pace.
func (s *Sim) RunUntil(ctx context.Context, at time.Time) error {
	err := s.drive(ctx, func(next *item) bool { return !next.at.After(at) })
	if errors.Is(err, ErrDriven) {
		return s.jumpTo(ctx, at)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moveTo(at)
	return nil
}

// jumpTo makes a Sim that drives itself jump to a time, one jump at a time.
func (s *Sim) jumpTo(ctx context.Context, at time.Time) error {
	s.mu.Lock()
	for s.arrived != nil {
		other := s.arrived
		s.mu.Unlock()
		if err := s.await(ctx, other); err != nil {
			return err
		}
		s.mu.Lock()
	}
	arrived := make(chan struct{})
	s.goal, s.arrived = at, arrived
	s.mu.Unlock()
	s.signal()
	err := s.await(ctx, arrived)
	if err != nil {
		s.mu.Lock()
		if s.arrived == arrived {
			close(arrived) // for those who wait for their turn
			s.arrived = nil
		}
		s.mu.Unlock()
	}
	return err
}

func (s *Sim) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-s.closed:
		return errors.New("moving the clock: the Sim is closed")
	case <-ctx.Done():
		return fmt.Errorf("moving the clock, at virtual %s: %w", s.clock().Format(time.RFC3339), ctx.Err())
	}
}

// ErrDriven is returned to who would Run a Sim that already drives itself: it ends when it is closed. Its clock can be
// moved all the same.
var ErrDriven = errors.New("the Sim drives itself (Sim.Drive): move its clock with Advance or RunUntil")

// drive does one thing after another, as long as more wants the next.
func (s *Sim) drive(ctx context.Context, more func(next *item) bool) error {
	if s.drivesItself() {
		return ErrDriven
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.driven: // for good: the turn does not come back
		return ErrDriven
	case <-ctx.Done():
		return fmt.Errorf("waiting for the turn to drive: %w", ctx.Err())
	}
	if s.drivesItself() { // since a moment ago; it waits for this turn
		return ErrDriven
	}
	d := &drive{ctx: ctx, more: more, done: make(chan error, 1)}
	if s.unguarded() {
		s.inline.loop(d)
		return <-d.done
	}
	s.mu.Lock()
	if last := len(s.idle) - 1; last >= 0 {
		s.idle[last].jobs <- d
		s.idle = s.idle[:last]
	} else {
		go newWorker(s).work(d)
	}
	s.mu.Unlock()
	return <-d.done
}

func (s *Sim) drivesItself() bool {
	select {
	case <-s.driven:
		return true
	default:
		return false
	}
}

// drive is one request to do one thing after another.
type drive struct {
	ctx  context.Context
	more func(next *item) bool // whether to do the next
	done chan error
}

// worker is a goroutine that drives, one drive after another: the stack that the app's code has grown on it is of use again.
type worker struct {
	caller
	jobs chan *drive
}

func newWorker(s *Sim) *worker { return &worker{caller: caller{sim: s}, jobs: make(chan *drive, 1)} }

// work drives until the Sim is closed, or an app hangs: then another worker goes on.
func (w *worker) work(d *drive) {
	for {
		if !w.loop(d) {
			return
		}
		select {
		case d = <-w.jobs:
		case <-w.sim.closed:
			if w.dismissed() {
				return
			}
			d = <-w.jobs
		}
	}
}

// dismissed takes the worker from those that wait; false: it has been given something to drive.
func (w *worker) dismissed() bool {
	s := w.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.idle, w)
	if i < 0 {
		return false
	}
	s.idle = slices.Delete(s.idle, i, i+1)
	return true
}

// loop does one thing after another and says when it is done. It returns false if an app hangs.
func (w *worker) loop(d *drive) bool {
	defer w.begin(d.ctx)()
	s := w.sim
	s.mu.Lock()
	for {
		next := s.queue.next()
		if err := d.ctx.Err(); err != nil && next != nil && !s.queue.idle() {
			w.end(d, fmt.Errorf("at virtual %s, with %d things still to do: %w", s.clock().Format(time.RFC3339), s.queue.Len(), err))
			return true
		}
		if next == nil || !d.more(next) {
			w.end(d, nil)
			return true
		}
		s.queue.pop()
		s.moveTo(next.at)
		c := s.process(next)
		if c == nil {
			continue
		}
		s.mu.Unlock()
		a, ok := w.do(c, func(a *answer) {
			s.mu.Lock()
			s.conclude(d.ctx, c, a)
			s.mu.Unlock()
			newWorker(s).work(d)
		})
		if !ok {
			return false
		}
		s.mu.Lock()
		s.conclude(d.ctx, c, a)
	}
}

// unguarded reports whether the app may take as long as it likes: nothing then needs a goroutine of its own.
func (s *Sim) unguarded() bool { return s.options.CallTimeout < 0 }

// end says that a drive is over, and waits for another. The lock is held; it is given back.
func (w *worker) end(d *drive, err error) {
	if !w.sim.unguarded() {
		w.sim.idle = append(w.sim.idle, w)
	}
	w.sim.mu.Unlock()
	d.done <- err
}

// Pace says how a Sim that drives itself treats time. Either way its clock goes with the wall clock.
type Pace int

const (
	// WallClock lets time pass as it does: a sleep of a minute takes a minute, unless [Sim.Advance] puts the clock forward.
	WallClock Pace = iota
	// Free puts the clock forward to the next thing to do as soon as no call is under way: sleeps and retries take no time,
	// and neither do timeouts. An event that is to arrive before a timeout must be there before the run waits.
	Free
)

// maxBusy is how many calls a Sim that drives itself has under way at once, as many as the dev server.
const maxBusy = 100

// Drive makes the Sim drive itself from now on until it is closed: events are acted on as they come, calls overlap. This is
// for a Sim that stands in for a server; a test that wants a certain course drives by hand. A second call panics.
func (s *Sim) Drive(p Pace) {
	s.mu.Lock()
	if s.drivesItself() {
		s.mu.Unlock()
		panic("sim: Drive is called a second time: the Sim drives itself already, at the pace of the first call, until it is closed")
	}
	if !s.options.Bubble {
		s.offset.Store(int64(time.Until(s.clock())))
		s.live.Store(true)
	}
	close(s.driven)
	s.mu.Unlock()
	s.turn <- struct{}{} // whoever drives by hand ends first
	s.workers.Add(1)
	go s.driveSelf(p)
}

func (s *Sim) driveSelf(p Pace) {
	defer s.workers.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // of the calls under way
	for {
		wait, ok := s.nextStep(ctx, p)
		if ok {
			continue
		}
		var due <-chan time.Time
		var timer *time.Timer
		if wait > 0 {
			timer = time.NewTimer(wait)
			due = timer.C
		}
		select {
		case <-s.closed:
			return
		case <-s.changed:
		case <-due:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// nextStep starts the next thing to do, or says how long to wait for it: 0 is until something changes.
func (s *Sim) nextStep(ctx context.Context, p Pace) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.queue.next()
	select {
	case <-s.closed:
		return 0, false
	default:
	}
	if s.paused || s.busy >= maxBusy {
		return 0, false
	}
	jumping := s.arrived != nil && s.busy == 0
	if jumping && (next == nil || next.at.After(s.goal)) {
		s.moveTo(s.goal)
		close(s.arrived)
		s.arrived = nil
		return 0, true
	}
	if next == nil {
		return 0, false
	}
	if ahead := next.at.Sub(s.clock()); ahead > 0 {
		if !jumping && (p == WallClock || s.busy > 0 || s.queue.idle()) {
			return ahead, false
		}
		s.moveTo(next.at)
	}
	s.queue.pop()
	c := s.process(next)
	if c == nil {
		return 0, true
	}
	s.busy++
	s.workers.Add(1)
	end := func(a *answer) {
		defer s.workers.Done()
		s.mu.Lock()
		s.conclude(ctx, c, a)
		s.busy--
		s.mu.Unlock()
		s.signal()
	}
	go func() {
		one := &caller{sim: s}
		defer one.begin(ctx)()
		if a, ok := one.do(c, end); ok {
			end(a)
		}
	}()
	return 0, true
}

// signal tells a Sim that drives itself that there may be something to do.
func (s *Sim) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Pause makes a Sim that drives itself begin nothing, until Resume: events are taken, time passes, and nothing comes of it.
func (s *Sim) Pause() { s.pause(true) }

// Resume ends a Pause.
func (s *Sim) Resume() { s.pause(false) }

func (s *Sim) pause(paused bool) {
	s.mu.Lock()
	s.paused = paused
	s.mu.Unlock()
	s.signal()
}

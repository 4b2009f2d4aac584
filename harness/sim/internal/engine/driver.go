package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Driver takes what is due off an Engine's queue, does it, and moves the clock: by hand, one thing at a time, in Run and
// RunUntil, or by itself after Background. It is safe for concurrent use. Close it.
type Driver struct {
	e       *Engine
	turn    chan struct{} // held by the goroutine that drives
	jumps   chan struct{} // has a value unless a jump is under way
	driven  chan struct{} // closed by Background
	closed  chan struct{}
	closing sync.Once
	workers sync.WaitGroup

	// All that follows is guarded by the Engine's lock.
	busy    int // calls under way when driving by itself
	paused  bool
	goal    func(next *item) (reached bool) // until when it jumps, whatever its pace
	arrived chan struct{}                   // closed when the goal is reached; nil: no goal
}

// NewDriver returns the driver of an Engine, which has one.
func NewDriver(e *Engine) *Driver {
	d := &Driver{e: e, turn: make(chan struct{}, 1), jumps: make(chan struct{}, 1), driven: make(chan struct{}), closed: make(chan struct{})}
	d.jumps <- struct{}{}
	return d
}

// ErrClosed is returned for a Driver that is closed.
var ErrClosed = errors.New("the Sim is closed")

// errDriven says that the Driver drives by itself, so that nothing else can.
var errDriven = errors.New("the Sim runs in the background")

// Run works until nothing but cron schedules is left to do.
func (d *Driver) Run(ctx context.Context) error {
	err := d.drive(ctx, func(*item) bool { return !d.e.m.queue.idle() })
	if errors.Is(err, errDriven) {
		return d.jump(ctx, func(*item) bool { return d.e.m.queue.idle() })
	}
	return err
}

// Settle does all that is due at this instant.
func (d *Driver) Settle(ctx context.Context) error {
	later := func(next *item) bool { return next == nil || next.at.After(d.e.m.clock.Now()) }
	err := d.drive(ctx, func(next *item) bool { return !later(next) })
	if errors.Is(err, errDriven) {
		return d.jump(ctx, later)
	}
	return err
}

// Resting reports whether nothing is due at this instant, and no more than a number of calls of apps are in progress.
func (d *Driver) Resting(calls int) bool {
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	next := d.e.m.queue.next()
	return len(d.e.m.inflight) <= calls && (next == nil || next.at.After(d.e.m.clock.Now()))
}

// Idle reports whether nothing but cron schedules is left to do and no call of an app is in progress.
func (d *Driver) Idle() bool {
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	return d.e.m.queue.idle() && len(d.e.m.inflight) == 0
}

// RunUntil moves the clock to a time and does what falls due until then, that instant included.
func (d *Driver) RunUntil(ctx context.Context, at time.Time) error {
	err := d.drive(ctx, func(next *item) bool { return !next.at.After(at) })
	if errors.Is(err, errDriven) {
		return d.jump(ctx, func(next *item) bool {
			if next != nil && !next.at.After(at) {
				return false
			}
			d.e.moveTo(at)
			return true
		})
	}
	if err != nil {
		return err
	}
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	d.e.moveTo(at)
	return nil
}

// drive does one thing after another, as long as more wants the next.
func (d *Driver) drive(ctx context.Context, more func(next *item) bool) error {
	if isClosed(d.driven) {
		return errDriven
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-d.driven: // for good: the turn does not come back
		return errDriven
	case <-ctx.Done():
		return fmt.Errorf("waiting for the turn to drive: %w", ctx.Err())
	}
	if isClosed(d.driven) { // meanwhile; Background waits for this turn
		return errDriven
	}
	e := d.e
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		next := e.m.queue.next()
		if err := ctx.Err(); err != nil && next != nil && !e.m.queue.idle() {
			return fmt.Errorf("at virtual %s, with %d things still to do: %w", e.m.clock.Now().Format(time.RFC3339), e.m.queue.Len(), err)
		}
		if next == nil || !more(next) {
			return nil
		}
		e.m.queue.pop()
		e.moveTo(next.at)
		if c := e.m.process(next); c != nil {
			e.mu.Unlock()
			a := c.make(ctx, e.caller)
			e.mu.Lock()
			e.m.conclude(ctx, c, a)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// jump makes a Driver that drives by itself jump from one thing to the next until a goal is reached and no call is under way.
// Jumps are made one at a time.
func (d *Driver) jump(ctx context.Context, goal func(next *item) bool) error {
	if err := d.await(ctx, d.jumps); err != nil {
		return err
	}
	defer func() { d.jumps <- struct{}{} }()
	arrived := make(chan struct{})
	d.e.mu.Lock()
	d.goal, d.arrived = goal, arrived
	d.e.mu.Unlock()
	d.e.signal()
	err := d.await(ctx, arrived)
	if err != nil {
		d.e.mu.Lock()
		d.arrived = nil
		d.e.mu.Unlock()
	}
	return err
}

func (d *Driver) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-d.closed:
		return fmt.Errorf("moving the clock: %w", ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("moving the clock, at virtual %s: %w", d.e.m.clock.Now().Format(time.RFC3339), ctx.Err())
	}
}

// maxBusy is how many calls a Driver in the background has under way at once, as many as the dev server.
const maxBusy = 100

// Background makes the Driver drive by itself until it is closed, and the clock go with the wall clock. If jump is set,
// the clock is put forward to the next thing to do whenever no call is under way. ok is false if it drives already.
func (d *Driver) Background(jump bool) (ok bool) {
	d.e.mu.Lock()
	if isClosed(d.driven) {
		d.e.mu.Unlock()
		return false
	}
	d.e.m.clock.GoLive()
	close(d.driven)
	d.e.mu.Unlock()
	d.turn <- struct{}{} // driving by hand ends first
	d.workers.Go(func() { d.background(jump) })
	return true
}

func (d *Driver) background(jump bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // of the calls under way
	for {
		wait, ok := d.step(ctx, jump)
		if ok {
			continue
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-d.closed:
			return
		case <-d.e.changed:
		case <-due:
		}
	}
}

// step starts the next thing to do, or returns how long to wait for it: 0 is until something changes.
func (d *Driver) step(ctx context.Context, jump bool) (wait time.Duration, ok bool) {
	e := d.e
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.m.queue.next()
	if isClosed(d.closed) || d.paused || d.busy >= maxBusy {
		return 0, false
	}
	jumping := d.arrived != nil && d.busy == 0
	if jumping && d.goal(next) {
		close(d.arrived)
		d.arrived = nil
		return 0, true
	}
	if (next == nil || next.at.After(e.m.clock.Now())) && e.m.passAll() {
		return 0, true
	}
	if next == nil {
		return 0, false
	}
	if ahead := next.at.Sub(e.m.clock.Now()); ahead > 0 {
		if !jumping && (!jump || d.busy > 0 || e.m.queue.idle()) {
			return ahead, false
		}
		e.moveTo(next.at)
	}
	e.m.queue.pop()
	c := e.m.process(next)
	if c == nil {
		return 0, true
	}
	d.busy++
	d.workers.Go(func() {
		a := c.make(ctx, e.caller)
		e.mu.Lock()
		e.m.conclude(ctx, c, a)
		d.busy--
		e.mu.Unlock()
		e.signal()
	})
	return 0, true
}

// Pause makes a Driver in the background begin nothing until it is resumed: events are accepted, and time passes.
func (d *Driver) Pause(paused bool) {
	d.e.mu.Lock()
	d.paused = paused
	d.e.mu.Unlock()
	d.e.signal()
}

// Closed returns a channel that is closed when the Driver is.
func (d *Driver) Closed() <-chan struct{} { return d.closed }

// Close stops driving in the background, and waits for the calls under way, which it cancels. It can be called twice.
func (d *Driver) Close(ctx context.Context) error {
	d.closing.Do(func() { close(d.closed) })
	done := make(chan struct{})
	go func() { d.workers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing the Sim: calls are still under way: %w", ctx.Err())
	}
}

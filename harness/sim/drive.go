package sim

import (
	"context"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// ErrClosed is returned by whatever moves the clock of a Sim that ran in the background, once it is closed.
var ErrClosed = engine.ErrClosed

// Now returns the virtual time.
func (s *Sim) Now() time.Time { return s.engine.Now() }

// Run works until nothing is left to do: the clock jumps from one thing to the next, over sleeps, retries and timeouts.
// Cron schedules that fall due on the way fire; schedules alone do not keep it going. Work that never ends, as of a
// function that triggers itself, ends with ctx. A Sim that runs in the background does the same, and then goes on at its own
// pace.
func (s *Sim) Run(ctx context.Context) error { return s.driver.Run(ctx) }

// Idle reports whether nothing is left to do but cron schedules.
func (s *Sim) Idle() bool { return s.driver.Idle() }

// Resting reports whether nothing is due at this instant, and no more than a number of calls of apps are in progress: those that
// a test holds back, for example.
func (s *Sim) Resting(calls int) bool { return s.driver.Resting(calls) }

// Settle does all that is due at this instant and lets no time pass.
func (s *Sim) Settle(ctx context.Context) error { return s.driver.Settle(ctx) }

// Advance lets d pass, and does what falls due in it.
func (s *Sim) Advance(ctx context.Context, d time.Duration) error {
	return s.driver.RunUntil(ctx, s.Now().Add(d))
}

// AdvanceRun lets d pass for one run, and for those that descend from it: which it invoked, which the events that its steps
// sent started, and which its end started. What they wait for comes due sooner, one thing after another: sleeps, retries,
// timeouts of waits and of the run, the time (ts) of its event. All else stays as it is: other runs, schedules, and the clock,
// so that times of the run that are shown have nothing in them of what passed. A throttle in whose line it stands, a debounce and
// a batch that hold an event of it come due sooner for the others in them, too; a place under a concurrency limit and in a rate
// limit comes when it comes. now is the time that the run then sees.
func (s *Sim) AdvanceRun(ctx context.Context, runID string, d time.Duration) (now time.Time, err error) {
	return s.driver.SkipFor(ctx, engine.Root{Run: runID}, d)
}

// AdvanceEvent lets d pass for what one event has led to and leads to, as [Sim.AdvanceRun] does for a run: the runs that it
// has started, and a debounce or a batch that holds it.
func (s *Sim) AdvanceEvent(ctx context.Context, eventID string, d time.Duration) (now time.Time, err error) {
	return s.driver.SkipFor(ctx, engine.Root{Event: eventID}, d)
}

// RunUntil moves the clock to a time, and does what falls due until then, that instant included. A time in the past is now.
// A Sim that runs in the background does the same with what it has to do, and then goes on at its own pace.
func (s *Sim) RunUntil(ctx context.Context, at time.Time) error { return s.driver.RunUntil(ctx, at) }

// Pace says how a Sim that runs in the background treats time. Either way its clock goes with the wall clock.
type Pace int

const (
	// WallClock lets time pass as it does: a sleep of a minute takes a minute, unless [Sim.Advance] puts the clock forward.
	WallClock Pace = iota
	// Jump puts the clock forward to the next thing to do as soon as no call is under way: sleeps and retries take no time,
	// and neither do timeouts. An event that is to arrive before a timeout must be there before the run waits.
	Jump
)

// RunInBackground makes the Sim work by itself from now on until it is closed: events are acted on as they come, calls
// overlap. This is for a Sim that stands in for a server; a test that wants a certain course drives by hand. A second call
// panics.
func (s *Sim) RunInBackground(p Pace) {
	if !s.driver.Background(p == Jump) {
		panic("sim: RunInBackground is called a second time: the Sim runs in the background already, at the pace of the first call, until it is closed")
	}
}

// Pause makes a Sim that runs in the background begin nothing, until Resume: events are accepted, time passes, and no app is
// called.
func (s *Sim) Pause() { s.driver.Pause(true) }

// Resume ends a Pause.
func (s *Sim) Resume() { s.driver.Pause(false) }

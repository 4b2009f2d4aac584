// Package clock has the virtual clock of a simulated server.
package clock

import (
	"sort"
	"sync"
	"time"
)

// Clock is a virtual clock. It stands still until it is moved, or goes with the wall clock once it is live. It is safe
// for concurrent use.
type Clock struct {
	bubble bool

	mu     sync.Mutex
	moment time.Time // unless live or in a bubble
	live   bool
	offset time.Duration // of a live clock, from the wall clock
	jumps  jumps         // of a live clock
}

// New returns a clock that shows start. In a testing/synctest bubble it shows the time of the bubble instead.
func New(start time.Time, bubble bool) *Clock {
	return &Clock{bubble: bubble, moment: start.UTC().Round(0)}
}

// Now returns the virtual time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	switch {
	case c.bubble:
		return time.Now()
	case c.live:
		return time.Now().Add(c.offset).Round(0)
	default:
		return c.moment
	}
}

// GoLive makes the clock go with the wall clock from now on. In a bubble it does nothing.
func (c *Clock) GoLive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.bubble {
		c.offset, c.live = time.Until(c.moment), true
	}
}

// Blocks reports whether MoveTo blocks, because it sleeps in a bubble.
func (c *Clock) Blocks() bool { return c.bubble }

// MoveTo moves the clock forward. A time in the past does nothing.
func (c *Clock) MoveTo(at time.Time) {
	if c.bubble {
		time.Sleep(time.Until(at))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	ahead := at.Sub(now)
	switch {
	case ahead <= 0:
	case c.live:
		c.jumps.add(jump{from: now, by: ahead, wall: now.Add(-c.offset)})
		c.offset += ahead
	default:
		c.moment = at.UTC()
	}
}

// FromWall translates a time of the wall clock into the virtual time that is as far away.
func (c *Clock) FromWall(at time.Time) time.Time { return c.Now().Add(time.Until(at)) }

// Shown translates a virtual time into the one that the HTTP API shows. Readers of that API compare its times with
// clocks of the world, such as the times of emails: so a live clock shows wall-clock times, in which a jump took no time.
func (c *Clock) Shown(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.IsZero() || !c.live {
		return at
	}
	return c.jumps.wall(at, c.offset)
}

// jumps are the times at which a live clock was put forward, oldest first.
type jumps []jump

type jump struct {
	from time.Time // virtual
	by   time.Duration
	wall time.Time
}

// maxJumps bounds the memory of jumps. Times before the oldest are shown as if the clock had not been put forward then.
const maxJumps = 10_000

func (j *jumps) add(one jump) {
	if len(*j) == maxJumps {
		*j = append((*j)[:0], (*j)[maxJumps/2:]...)
	}
	*j = append(*j, one)
}

// wall returns when the virtual clock showed a time. offset is how far it is ahead by now.
func (j jumps) wall(at time.Time, offset time.Duration) time.Time {
	later := sort.Search(len(j), func(i int) bool { return j[i].from.After(at) })
	if later == 0 {
		if len(j) > 0 {
			return j[0].wall.Add(at.Sub(j[0].from))
		}
		return at.Add(-offset)
	}
	last := j[later-1]
	return last.wall.Add(max(at.Sub(last.from)-last.by, 0))
}

package sim

import (
	"sort"
	"time"
)

// Now returns the virtual time.
func (s *Sim) Now() time.Time { return s.clock() }

func (s *Sim) clock() time.Time {
	switch {
	case s.options.Bubble:
		return time.Now()
	case s.live.Load():
		return time.Now().Add(time.Duration(s.offset.Load())).Round(0)
	default:
		return time.Unix(0, s.moment.Load()).UTC()
	}
}

// fromApp translates a time that an app named by its own clock, the wall clock, into the virtual time as far away.
func (s *Sim) fromApp(at time.Time) time.Time {
	return s.clock().Add(time.Until(at))
}

// moveTo moves the clock forward. The lock is held, except while a bubble sleeps.
func (s *Sim) moveTo(at time.Time) {
	now := s.clock()
	ahead := at.Sub(now)
	switch {
	case ahead <= 0:
	case s.options.Bubble:
		s.mu.Unlock()
		time.Sleep(ahead)
		s.mu.Lock()
	case s.live.Load():
		s.offset.Add(int64(ahead))
		s.jumps.add(jump{from: now, by: ahead, wall: now.Add(-time.Duration(s.offset.Load() - int64(ahead)))})
	default:
		s.moment.Store(at.UnixNano())
	}
}

// shown is a virtual time as the HTTP API tells it. Whoever reads that API holds it against clocks of the world, such as
// the times of emails: from a Sim that drives itself they get wall-clock times, in which what was jumped over took none.
func (s *Sim) shown(at time.Time) time.Time {
	if at.IsZero() || !s.live.Load() {
		return at
	}
	return s.jumps.wall(at, time.Duration(s.offset.Load()))
}

// jumps are the times that a clock that goes with the wall clock was put forward, oldest first.
type jumps []jump

type jump struct {
	from time.Time // virtual
	by   time.Duration
	wall time.Time
}

// maxJumps bounds the memory of jumps. Times before the oldest are told as if the clock had not been put forward then.
const maxJumps = 10_000

func (j *jumps) add(one jump) {
	if len(*j) == maxJumps {
		*j = append((*j)[:0], (*j)[maxJumps/2:]...)
	}
	*j = append(*j, one)
}

// wall is when the virtual clock showed a time; offset is how far it is ahead by now.
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

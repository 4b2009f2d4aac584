package sim

import (
	"slices"

	"github.com/oklog/ulid/v2"
)

// runStore keeps the runs at work and the latest that ended.
type runStore struct {
	keep    int
	byID    map[ulid.ULID]*run
	byEvent map[ulid.ULID][]*run
	order   []*run // by start; holes are compacted
	done    []*run // ended, in that order
	dropped int    // of order
}

func (s *runStore) add(r *run) {
	s.byID[r.id] = r
	s.byEvent[r.event.internal] = append(s.byEvent[r.event.internal], r)
	s.order = append(s.order, r)
}

// ended notes that a run is over, and forgets the one that ended longest ago if there are too many.
func (s *runStore) ended(r *run) {
	s.done = append(s.done, r)
	if len(s.done) <= s.keep {
		return
	}
	old := s.done[0]
	s.done[0] = nil
	s.done = s.done[1:]
	delete(s.byID, old.id)
	left := slices.DeleteFunc(s.byEvent[old.event.internal], func(r *run) bool { return r == old })
	if len(left) == 0 {
		delete(s.byEvent, old.event.internal)
	} else {
		s.byEvent[old.event.internal] = left
	}
	if s.dropped++; s.dropped > s.keep {
		s.compact()
	}
}

func (s *runStore) compact() {
	kept := make([]*run, 0, len(s.byID))
	for _, r := range s.order {
		if s.byID[r.id] == r {
			kept = append(kept, r)
		}
	}
	s.order, s.dropped = kept, 0
}

func (s *runStore) find(id string) *run {
	parsed, err := ulid.Parse(id)
	if err != nil {
		return nil
	}
	return s.byID[parsed]
}

func (s *runStore) all() []*Run {
	out := make([]*Run, 0, len(s.byID))
	for _, r := range s.order {
		if s.byID[r.id] == r {
			out = append(out, r.public())
		}
	}
	return out
}

// eventStore keeps the latest events.
type eventStore struct {
	keep  int
	byID  map[ulid.ULID]*event
	order []ulid.ULID
}

func (s *eventStore) add(e *event) {
	s.byID[e.internal] = e
	s.order = append(s.order, e.internal)
	if len(s.order) > s.keep {
		delete(s.byID, s.order[0])
		s.order = s.order[1:]
	}
}

// seedCache remembers the ids given to the latest requests that may be repeated.
type seedCache struct {
	ids   map[string]ulid.ULID
	order []string
}

const maxSeeds = 10_000

func (c *seedCache) get(key string) (ulid.ULID, bool) {
	id, ok := c.ids[key]
	return id, ok
}

func (c *seedCache) put(key string, id ulid.ULID) {
	c.ids[key] = id
	c.order = append(c.order, key)
	if len(c.order) > maxSeeds {
		delete(c.ids, c.order[0])
		c.order = c.order[1:]
	}
}

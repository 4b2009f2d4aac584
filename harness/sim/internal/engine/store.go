package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// runStore keeps the runs at work and the latest that ended.
type runStore struct {
	keep    int
	byID    map[ulid.ULID]*run
	byEvent map[ulid.ULID][]*run
	done    []*run // ended, in that sequence
	added   uint64
}

func (s *runStore) add(r *run) {
	s.byID[ulid.MustParse(r.ID)] = r
	for _, e := range r.triggers() {
		s.byEvent[e.internal] = append(s.byEvent[e.internal], r)
	}
	s.added++
	r.seq = s.added
}

// ended notes that a run is over, and drops the one that ended longest ago if there are too many.
func (s *runStore) ended(r *run) {
	s.done = append(s.done, r)
	if len(s.done) <= s.keep {
		return
	}
	old := s.done[0]
	s.done[0] = nil
	s.done = s.done[1:]
	delete(s.byID, ulid.MustParse(old.ID))
	for _, e := range old.triggers() {
		remove(s.byEvent, e.internal, old)
	}
}

// remove takes v out of the values of a key. A key without values is deleted.
func remove[K, V comparable](m map[K][]V, key K, v V) {
	m[key] = slices.DeleteFunc(m[key], func(o V) bool { return o == v })
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

func (s *runStore) find(id string) *run {
	parsed, err := ulid.Parse(id)
	if err != nil {
		return nil
	}
	return s.byID[parsed]
}

// of returns the runs that an event started, oldest first.
func (s *runStore) of(eventID string) []*run {
	id, err := ulid.Parse(eventID)
	if err != nil {
		return nil
	}
	return s.byEvent[id]
}

// all returns the runs that are kept, oldest first.
func (s *runStore) all() []*run {
	return slices.SortedFunc(maps.Values(s.byID), func(a, b *run) int { return cmp.Compare(a.seq, b.seq) })
}

// eventStore keeps the latest events.
type eventStore struct {
	keep  int
	byID  map[ulid.ULID]*event
	order []*event
}

func (s *eventStore) add(e *event) {
	s.byID[e.internal] = e
	s.order = append(s.order, e)
	if len(s.order) > s.keep {
		delete(s.byID, s.order[0].internal)
		s.order = s.order[1:]
	}
}

// recent remembers the latest keys and what they stand for, up to a number of them.
type recent[V any] struct {
	max    int
	values map[string]V
	order  []string
}

func newRecent[V any](most int) recent[V] { return recent[V]{max: most, values: map[string]V{}} }

// put remembers what a key stands for. A key that is known keeps its age.
func (r *recent[V]) put(key string, value V) {
	if _, known := r.values[key]; !known {
		if len(r.order) == r.max {
			r.forgetOldest()
		}
		r.order = append(r.order, key)
	}
	r.values[key] = value
}

func (r *recent[V]) forgetOldest() {
	delete(r.values, r.order[0])
	r.order = r.order[1:]
}

// memory remembers keys for [dedupePeriod] of the virtual clock, which may stand still: so no more than the latest
// [maxKeys].
type memory struct{ recent[seen] }

// seen is the event that brought a key, and until when it is remembered.
type seen struct {
	until time.Time
	event ulid.ULID
}

const maxKeys = 100_000

func newMemory() memory { return memory{newRecent[seen](maxKeys)} }

// first remembers the key of an event, or returns the one that brought it first within the period.
func (m *memory) first(key string, event ulid.ULID, now time.Time) (other ulid.ULID, fresh bool) {
	for len(m.order) > 0 && !m.values[m.order[0]].until.After(now) {
		m.forgetOldest()
	}
	if before, known := m.values[key]; known {
		return before.event, false
	}
	m.put(key, seen{now.Add(dedupePeriod), event})
	return ulid.ULID{}, true
}

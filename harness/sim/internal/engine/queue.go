package engine

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// kind says what an item of the queue is for.
type kind uint8

const (
	kindEvent    kind = iota // match an event with functions and waits
	kindCall                 // call the app: a run starts, goes on, or runs one planned step
	kindWake                 // a sleep is over
	kindExpire               // a wait or an invocation times out
	kindCancel               // a run times out
	kindTick                 // a cron schedule is due
	kindAnswer               // a delayed answer arrives
	kindServe                // a line of the gate has room
	kindDebounce             // no event has come for as long as a function wants
	kindBatch                // a batch is not full in time
	kindFetch                // make the HTTP request of a step
)

// item is one entry of the queue.
type item struct {
	at    time.Time
	tie   uint64 // place among items of one instant: arrival, or drawn from the seed
	seq   uint64 // arrival
	index int    // in the heap; -1 once out of it

	run *run
	// subject is what it is about, by its kind: *event, *wait, *tick, the *answer that comes late, the *line that is served,
	// *batch, *debounced or *fetching. One field for all of them keeps items small: there is one for each run that waits.
	subject any

	waits *waiting   // in a line; nil: it does not
	held  []*counter // of which it has a place

	job      uint64    // the same for all attempts of one call
	failures int       // attempts before this one
	began    time.Time // when the app was called, or when it went on after a checkpoint
	from     string    // hashed id of the step this item leaves from, empty at the start of a run
	target   string    // hashed id of the one step that this call is to run, if any
	name     string    // of the target, for the record
	coalesce string    // shared by the steps of one parallel plan

	kind      kind
	planFirst bool // the app must announce steps in this call, whatever the run says by now
	race      bool // the plan goes on after each of its steps instead of after the last
}

// tried returns the attempt that the item was.
func (it *item) tried(ended time.Time, failed *Error) Attempt {
	return Attempt{Number: it.failures + 1, Job: it.job, At: it.began, Ended: ended, Error: failed}
}

// canRetry reports whether the function allows another attempt.
func (it *item) canRetry() bool { return it.failures+1 < it.run.function.Attempts }

// score is where a job stands in a line: the lower, the sooner. What was put off stands where it is due, all else where its
// run does.
func (it *item) score() time.Time {
	switch r := it.run; {
	case it.kind == kindWake || it.failures > 0:
		return it.at
	case r.Started.IsZero(): // queued, or due by the time of its event
		return it.at.Add(-max(r.ahead(), 0))
	default:
		return r.Queued.Add(-r.ahead())
	}
}

// before reports whether a job goes on before another one.
func (it *item) before(other *item) bool {
	if a, b := it.score(), other.score(); !a.Equal(b) {
		return a.Before(b)
	}
	return it.seq < other.seq
}

// items is the part of a heap that is the same in whatever sequence it is. Each item knows its place.
type items []*item

// Len, Swap, Push and Pop make items part of a [heap.Interface].

func (s items) Len() int { return len(s) }

func (s items) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

func (s *items) Push(x any) {
	it := x.(*item)
	it.index = len(*s)
	*s = append(*s, it)
}

func (s *items) Pop() any {
	last := len(*s) - 1
	it := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	it.index = -1
	return it
}

// jobs are items that wait in a line.
type jobs struct{ items }

// Less makes jobs a [heap.Interface].
func (s jobs) Less(i, j int) bool { return s.items[i].before(s.items[j]) }

// queue holds what is to be done, earliest first.
type queue struct {
	items
	seq   uint64
	rng   *rand.Rand // nil: first in, first out among items of one instant
	ticks int        // items of kindTick: they recur for ever, so they never keep a Run from ending
}

func (q *queue) push(it *item) {
	q.seq++
	it.seq, it.tie = q.seq, q.seq
	it.job = cmp.Or(it.job, it.seq)
	switch {
	case it.kind == kindServe:
		it.tie = math.MaxUint64 // after all that may still come before those in the line
	case q.rng != nil:
		it.tie = q.rng.Uint64()
	}
	if it.kind == kindTick {
		q.ticks++
	}
	heap.Push(q, it)
	if it.run != nil {
		it.run.track(it)
	}
}

// pop takes the earliest item out.
func (q *queue) pop() { q.remove(q.items[0]) }

// remove takes an item out. One that is not in the queue, or nil, does nothing.
func (q *queue) remove(it *item) {
	if it == nil || it.index < 0 {
		return
	}
	heap.Remove(q, it.index)
	if it.kind == kindTick {
		q.ticks--
	}
}

// next returns the earliest item without taking it, or nil.
func (q *queue) next() *item {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// idle reports whether nothing but cron schedules is left.
func (q *queue) idle() bool { return len(q.items) == q.ticks }

// Less makes the queue a [heap.Interface].
func (q *queue) Less(i, j int) bool {
	a, b := q.items[i], q.items[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	if a.tie != b.tie {
		return a.tie < b.tie
	}
	return a.seq < b.seq
}

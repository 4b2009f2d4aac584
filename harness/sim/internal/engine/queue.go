package engine

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// kind says what an item of the queue is for.
type kind uint8

const (
	kindEvent  kind = iota // match an event with functions and waits
	kindCall               // call the app: a run starts, goes on, or runs one planned step
	kindWake               // a sleep is over
	kindExpire             // a wait or an invocation times out
	kindCancel             // a run times out
	kindTick               // a cron schedule is due
	kindAnswer             // a delayed answer arrives
)

// item is one entry of the queue.
type item struct {
	at    time.Time
	tie   uint64 // place among items of one instant: arrival, or drawn from the seed
	seq   uint64 // arrival
	index int    // in the heap; -1 once out of it
	kind  kind

	run      *run
	event    *event
	wait     *wait
	tick     *tick
	deferred *answer // of kindAnswer

	failures  int       // attempts before this one
	began     time.Time // when the app was called, or when it went on after a checkpoint
	from      string    // hashed id of the step this item leaves from, empty at the start of a run
	target    string    // hashed id of the one step that this call is to run, if any
	name      string    // of the target, for the record
	planFirst bool      // the app must announce steps in this call, whatever the run says by now
	coalesce  string    // shared by the steps of one parallel plan
	race      bool      // the plan goes on after each of its steps instead of after the last
}

// tried returns the attempt that the item was.
func (it *item) tried(ended time.Time, failed *Error) Attempt {
	return Attempt{Number: it.failures + 1, At: it.began, Ended: ended, Error: failed}
}

// canRetry reports whether the function allows another attempt.
func (it *item) canRetry() bool { return it.failures+1 < it.run.function.attempts }

// queue holds what is to be done, earliest first.
type queue struct {
	items []*item
	seq   uint64
	rng   *rand.Rand // nil: first in, first out among items of one instant
	ticks int        // items of kindTick: they recur for ever, so they never keep a Run from ending
}

func (q *queue) push(it *item) {
	q.seq++
	it.seq, it.tie = q.seq, q.seq
	if q.rng != nil {
		it.tie = q.rng.Uint64()
	}
	heap.Push(q, it)
	if it.run != nil {
		it.run.track(it)
	}
}

// remove takes an item out. One that is not in the queue, or nil, does nothing.
func (q *queue) remove(it *item) {
	if it != nil && it.index >= 0 {
		heap.Remove(q, it.index)
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

// Len, Less, Swap, Push and Pop make the queue a [heap.Interface].

func (q *queue) Len() int { return len(q.items) }

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

func (q *queue) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	q.items[i].index, q.items[j].index = i, j
}

func (q *queue) Push(x any) {
	it := x.(*item)
	it.index = len(q.items)
	if it.kind == kindTick {
		q.ticks++
	}
	q.items = append(q.items, it)
}

func (q *queue) Pop() any {
	last := len(q.items) - 1
	it := q.items[last]
	q.items[last] = nil
	q.items = q.items[:last]
	it.index = -1
	if it.kind == kindTick {
		q.ticks--
	}
	return it
}

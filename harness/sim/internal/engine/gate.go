package engine

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"slices"
	"time"
)

// gate decides when a call that is due is made: concurrency limits the calls in progress, throttling the runs that start.
// A job, which is an item of the queue that calls the app, waits in the line of the limit that refused it.
//
// Whenever a limit with a line has room, an item of the queue is on its way to serve that line.
type gate struct {
	counters map[string]*counter
	swept    int // counters that were left when those out of use were last dropped
}

// counter counts what is in use under one limit and one value of its key.
type counter struct {
	used  int       // places of a concurrency limit
	due   time.Time // of a throttle's next start
	lines []*line   // one for each function
}

// line is the jobs of one function that wait for one limit, in the sequence in which they go on.
type line struct {
	jobs     jobs
	counter  *counter
	function string
	wake     *item // on its way to serve the line; nil, or out of the queue: none is
}

// waiting is how a job waits.
type waiting struct {
	line  *line
	since time.Time
	limit string // for readers
}

// need is what a job must get of one limit.
type need struct {
	counter  *counter
	most     int       // places
	throttle *throttle // in place of most
	whole    bool      // the place is kept until the run ends
	text     string    // the limit, for readers
}

// at returns the counter of a name.
func (g *gate) at(name string) *counter {
	c := g.counters[name]
	if c == nil {
		c = &counter{}
		g.counters[name] = c
	}
	return c
}

// sweep drops the counters that are out of use, once there are twice as many as were left the last time.
func (g *gate) sweep(now time.Time) {
	if len(g.counters) < 2*max(g.swept, 500) {
		return
	}
	for name, c := range g.counters {
		if c.used == 0 && len(c.lines) == 0 && !c.due.After(now) {
			delete(g.counters, name)
		}
	}
	g.swept = len(g.counters)
}

// line returns a function's line, or nil.
func (c *counter) line(function string) *line {
	for _, l := range c.lines {
		if l.function == function {
			return l
		}
	}
	return nil
}

// free returns from when on there is room for one more. ok is false if that takes another to leave.
func (n need) free(now time.Time) (at time.Time, ok bool) {
	if n.throttle == nil {
		return now, n.counter.used < n.most
	}
	return n.throttle.next(n.counter.due), n.throttle.interval > 0
}

// impossible reports whether there never is room.
func (n need) impossible() bool {
	return n.most <= 0 && (n.throttle == nil || n.throttle.interval == 0)
}

// needs returns what a job must get by the newest configuration of its function.
func (m *machine) needs(it *item) (needs []need) {
	r := it.run
	f := m.current(r.function)
	for i := range f.concurrency {
		if value, ok := r.valueOf(f.concurrency[i].key); ok {
			needs = append(needs, f.concurrency[i].need(&m.gate, "concurrency", f, value))
		}
	}
	if f.perRun != nil && (r.flow == nil || r.flow.held == nil) {
		if value, ok := r.valueOf(f.perRun.key); ok {
			n := f.perRun.need(&m.gate, "run concurrency", f, value)
			n.whole = true
			needs = append(needs, n)
		}
	}
	if f.throttle != nil && r.Started.IsZero() {
		if value, ok := r.valueOf(f.throttle.key); ok {
			needs = append(needs, f.throttle.need(&m.gate, f, value))
		}
	}
	return needs
}

// enter lets a job through to its call if all limits have room for it, of which it then takes a place. Otherwise the job
// waits, and comes back when there is.
func (m *machine) enter(it *item) bool {
	needs, now := m.needs(it), m.clock.Now()
	for _, n := range needs {
		at, ok := n.free(now)
		if ok && !at.After(now) && !n.counter.others(it) {
			continue
		}
		m.wait(it, n)
		if ok {
			m.serveAt(it.waits.line, at)
		}
		return false
	}
	for _, n := range needs {
		switch {
		case n.throttle != nil:
			n.counter.due = n.throttle.after(n.counter.due, now)
		case n.whole:
			n.counter.used++
			it.run.limited().held = n.counter
		default:
			n.counter.used++
			it.held = append(it.held, n.counter)
		}
	}
	if it.waits != nil {
		if waited := now.Sub(it.waits.since).Round(time.Millisecond); waited > 0 {
			m.noteRun(it.run, fmt.Sprintf("admitted after %v: %s", waited, it.waits.limit))
		}
		it.waits, it.run.Stuck = nil, ""
	}
	m.gate.sweep(now)
	return true
}

// others reports whether others of the function go on first.
func (c *counter) others(it *item) bool {
	l := c.line(it.run.function.ID)
	return l != nil && l.jobs.Len() > 0 && l.jobs.items[0].before(it)
}

// wait puts a job in the line of the limit that refused it.
func (m *machine) wait(it *item, n need) {
	l := n.counter.line(it.run.function.ID)
	if l == nil {
		l = &line{counter: n.counter, function: it.run.function.ID}
		n.counter.lines = append(n.counter.lines, l)
	}
	if it.waits == nil {
		it.waits = &waiting{since: m.clock.Now()}
	}
	it.waits.line, it.waits.limit = l, n.text
	heap.Push(&l.jobs, it)
	if n.impossible() {
		it.run.Stuck = "it waits for ever, on the server too: " + n.text
	}
}

// leave gives back the places of a job whose call is over.
func (m *machine) leave(it *item) {
	for _, c := range it.held {
		m.release(c)
	}
	it.held = nil
}

// release gives back a place. Of the functions that share it, the one whose first job is the first goes on.
func (m *machine) release(c *counter) {
	c.used--
	slices.SortStableFunc(c.lines, func(a, b *line) int {
		switch {
		case a.jobs.Len() == 0 || b.jobs.Len() == 0:
			return cmp.Compare(b.jobs.Len(), a.jobs.Len())
		case a.jobs.items[0].before(b.jobs.items[0]):
			return -1
		default:
			return 1
		}
	})
	for _, l := range c.lines {
		m.serveAt(l, m.clock.Now())
	}
}

// serveAt has a line served at a time, or before if that is on its way.
func (m *machine) serveAt(l *line, at time.Time) {
	if l.wake != nil && l.wake.index >= 0 {
		if !l.wake.at.After(at) {
			return
		}
		m.queue.remove(l.wake)
	}
	l.wake = &item{at: at, kind: kindServe, subject: l}
	m.queue.push(l.wake)
}

// serve lets the first of a line try again, and has the line served again unless that one is still in it.
func (m *machine) serve(l *line) (c *call) {
	if l.jobs.Len() > 0 {
		first := heap.Pop(&l.jobs).(*item)
		c = m.begin(first)
		if (first.waits == nil || first.waits.line != l) && l.jobs.Len() > 0 {
			m.serveAt(l, m.clock.Now())
		}
	}
	if l.jobs.Len() == 0 {
		l.counter.lines = slices.DeleteFunc(l.counter.lines, func(o *line) bool { return o == l })
	}
	return c
}

// drop takes an item of a run out of the queue, or of the line in which it waits.
func (m *machine) drop(it *item) {
	if it.waits == nil {
		m.queue.remove(it)
		return
	}
	heap.Remove(&it.waits.line.jobs, it.index)
	it.waits = nil
}

// newLimits has all lines served: the limits may be others.
func (m *machine) newLimits() {
	for _, name := range slices.Sorted(maps.Keys(m.gate.counters)) {
		for _, l := range m.gate.counters[name].lines {
			m.serveAt(l, m.clock.Now())
		}
	}
}

package engine

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// ErrNoRun is returned for a run that is not kept, ErrNoEvent for such an event.
var (
	ErrNoRun   = errors.New("there is no such run, or it ended so long ago that it is no longer kept")
	ErrNoEvent = errors.New("there is no such event, or it came so long ago that it is no longer kept")
)

// Root names a run or an event by its id: what descends from it has its own time. The zero value is all there is.
type Root struct{ Run, Event string }

func (r Root) String() string {
	if r.Run != "" {
		return "run " + r.Run
	}
	return "event " + r.Event
}

// root is the run or the event that a Root names.
type root struct {
	run   *run
	event *event
}

// skipped is how much time has passed for it and not for the clock.
func (r root) skipped() *time.Duration {
	if r.run != nil {
		return &r.run.skipped
	}
	return &r.event.skipped
}

func (m *machine) find(named Root) (root, error) {
	if named.Run != "" {
		if r := m.runs.find(named.Run); r != nil {
			return root{run: r}, nil
		}
		return root{}, fmt.Errorf("%v: %w", named, ErrNoRun)
	}
	if id, err := ulid.Parse(named.Event); err == nil && m.events.byID[id] != nil {
		return root{event: m.events.byID[id]}, nil
	}
	return root{}, fmt.Errorf("%v: %w", named, ErrNoEvent)
}

// passing is time that passes for what descends from a root, and for nothing else: what it waits for comes due sooner by the
// clock, which stays as it is.
type passing struct {
	root root
	left time.Duration
	done chan struct{} // closed once all of it has passed and what fell due in it is done
}

// SkipFor lets d pass for what descends from a run or an event alone, and does what falls due for it in that time. now is the
// time that the run or the event then sees.
func (d *Driver) SkipFor(ctx context.Context, named Root, by time.Duration) (now time.Time, err error) {
	e := d.e
	e.mu.Lock()
	of, err := e.m.find(named)
	if err != nil {
		e.mu.Unlock()
		return now, fmt.Errorf("skipping time for %w", err)
	}
	p := &passing{root: of, left: max(by, 0), done: make(chan struct{})}
	e.m.passings = append(e.m.passings, p)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		now = e.m.clock.Now().Add(*of.skipped())
		e.m.passings = slices.DeleteFunc(e.m.passings, func(o *passing) bool { return o == p })
	}()
	for !isClosed(p.done) {
		err := d.drive(ctx, func(next *item) bool { return !next.at.After(e.m.clock.Now()) })
		if errors.Is(err, errDriven) {
			e.signal()
			return now, d.await(ctx, p.done)
		}
		if err != nil {
			return now, err
		}
		e.mu.Lock()
		e.m.pass(p)
		e.mu.Unlock()
	}
	return now, nil
}

// passAll lets time pass for runs. Nothing is due. It reports whether something may be due by now.
func (m *machine) passAll() (moved bool) {
	for _, p := range m.passings {
		moved = m.pass(p) || moved
	}
	return moved
}

// pass lets time pass up to the next thing that falls due, unless one of the runs is being called. It reports whether any
// passed.
func (m *machine) pass(p *passing) bool {
	f, now := m.family(p.root), m.clock.Now()
	if isClosed(p.done) || m.calling(f.runs) {
		return false
	}
	by, due := p.left, m.dueOf(f)
	for it := range due {
		if by = min(by, it.at.Sub(now)); by <= 0 && !it.at.After(now) {
			return false // it is done first
		}
	}
	if p.left == 0 {
		close(p.done)
		return false
	}
	p.left -= by
	for it := range due {
		it.at = it.at.Add(-by)
		heap.Fix(&m.queue, it.index)
		switch subject := it.subject.(type) {
		case *debounced:
			if !subject.latest.IsZero() {
				subject.latest = subject.latest.Add(-by)
			}
		case *line:
			subject.counter.due = subject.counter.due.Add(-by)
		}
	}
	for r := range f.runs {
		r.skipped += by
		for _, w := range r.waits {
			w.expires = w.expires.Add(-by)
		}
	}
	if e := p.root.event; e != nil {
		e.skipped += by
	}
	return true
}

// calling reports whether one of the runs is being called.
func (m *machine) calling(runs map[*run]bool) bool {
	for _, it := range m.inflight {
		if runs[it.run] {
			return true
		}
	}
	return false
}

// dueOf returns the items for which a family waits: those of its runs, what serves the lines in which they stand, and the
// timers of debounces and batches that hold its events.
func (m *machine) dueOf(f family) map[*item]bool {
	due := map[*item]bool{}
	add := func(it *item) {
		if it != nil && it.index >= 0 {
			due[it] = true
		}
	}
	for r := range f.runs {
		for _, it := range r.items {
			switch {
			case it.waits == nil:
				add(it)
			case it.index >= 0:
				add(it.waits.line.wake)
			}
		}
	}
	for _, d := range m.admission.debounces {
		if f.events[d.event.EventID] {
			add(d.timer)
		}
	}
	for _, b := range m.admission.batches {
		if slices.ContainsFunc(b.events, func(e *event) bool { return f.events[e.EventID] }) {
			add(b.timer)
		}
	}
	return due
}

// TimeOf returns the virtual time that a run or an event sees; of no root, that of the clock.
func (e *Engine) TimeOf(named Root) (time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if named == (Root{}) {
		return e.m.clock.Now(), nil
	}
	of, err := e.m.find(named)
	if err != nil {
		return time.Time{}, err
	}
	return e.m.clock.Now().Add(*of.skipped()), nil
}

// family is what descends from a run or an event, with that itself.
type family struct {
	runs   map[*run]bool
	events map[string]bool // ids of those that its steps sent
}

// family returns what descends from a root: the runs that an event started; and of each run, which it invoked, which events
// that its steps sent started, and which its end started.
func (m *machine) family(root root) family {
	f, ids := family{map[*run]bool{}, map[string]bool{}}, map[string]bool{}
	if root.event != nil {
		f.events[root.event.EventID] = true
	}
	for _, r := range m.runs.all() { // parents come before their children
		if r != root.run && !slices.ContainsFunc(r.triggers(), func(e *event) bool { return f.events[e.EventID] || ids[e.parent()] }) {
			continue
		}
		f.runs[r], ids[r.ID] = true, true
		for i := range r.Steps {
			for _, id := range sentEvents(r.Steps[i].Output) {
				f.events[id] = true
			}
		}
	}
	return f
}

// parent returns the id of the run that an event of the server comes from, as the invocation that it made, or as the news of
// its end; or "".
func (e *event) parent() string {
	if e.correlation != "" {
		id, _, _ := strings.Cut(e.correlation, ".")
		return id
	}
	switch e.Name {
	case sdk.EventFunctionFinished, sdk.EventFunctionFailed, sdk.EventFunctionCancelled:
		data, _ := e.vars()["data"].(map[string]any)
		id, _ := data["run_id"].(string)
		return id
	}
	return ""
}

// sentEvents returns the ids in the output of a step that sends events: one, a list of them, or one in a field.
func sentEvents(output json.RawMessage) (ids []string) {
	var one string
	var wrapped struct{ IDs []string }
	switch {
	case json.Unmarshal(output, &one) == nil:
		return []string{one}
	case json.Unmarshal(output, &ids) != nil:
		_ = json.Unmarshal(output, &wrapped) // any other output holds none
		return wrapped.IDs
	}
	return ids
}

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

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// ErrNoRun is returned for a run that is not kept.
var ErrNoRun = errors.New("there is no such run, or it ended so long ago that it is no longer kept")

// passing is time that passes for one run and those that descend from it, and for no other: what they wait for comes due
// sooner by the clock, which stays as it is.
type passing struct {
	root *run
	left time.Duration
	done chan struct{} // closed once all of it has passed and what fell due in it is done
}

// SkipRun lets d pass for a run and those that descend from it alone, and does what falls due for them in it. now is the
// time that the run then sees.
func (d *Driver) SkipRun(ctx context.Context, runID string, by time.Duration) (now time.Time, err error) {
	e := d.e
	e.mu.Lock()
	p := &passing{root: e.m.runs.find(runID), left: max(by, 0), done: make(chan struct{})}
	if p.root == nil {
		e.mu.Unlock()
		return now, fmt.Errorf("skipping time for run %s: %w", runID, ErrNoRun)
	}
	e.m.passings = append(e.m.passings, p)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		now = e.m.timeOf(p.root)
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
	runs, now := m.family(p.root), m.clock.Now()
	if isClosed(p.done) || m.calling(runs) {
		return false
	}
	by := p.left
	for it := range queued(runs) {
		if by = min(by, it.at.Sub(now)); by <= 0 && !it.at.After(now) {
			return false // it is done first
		}
	}
	if p.left == 0 {
		close(p.done)
		return false
	}
	p.left -= by
	for it := range queued(runs) {
		it.at = it.at.Add(-by)
		heap.Fix(&m.queue, it.index)
	}
	for r := range runs {
		r.skipped += by
		for _, w := range r.waits {
			w.expires = w.expires.Add(-by)
		}
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

// queued yields the items of runs that come due by time. Those in a line of the gate wait for others.
func queued(runs map[*run]bool) func(yield func(*item) bool) {
	return func(yield func(*item) bool) {
		for r := range runs {
			for _, it := range r.items {
				if it.index >= 0 && it.waits == nil && !yield(it) {
					return
				}
			}
		}
	}
}

// timeOf returns the time that a run sees.
func (m *machine) timeOf(r *run) time.Time { return m.clock.Now().Add(r.skipped) }

// TimeOf returns the virtual time that a run sees; without an id, that of the clock.
func (e *Engine) TimeOf(runID string) (time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if runID == "" {
		return e.m.clock.Now(), nil
	}
	r := e.m.runs.find(runID)
	if r == nil {
		return time.Time{}, fmt.Errorf("run %s: %w", runID, ErrNoRun)
	}
	return e.m.timeOf(r), nil
}

// family returns a run and those that descend from it: which it invoked, which events that its steps sent started, and
// which its end started.
func (m *machine) family(root *run) map[*run]bool {
	family, ids, sent := map[*run]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range m.runs.all() { // parents come before their children
		if r != root && !slices.ContainsFunc(r.triggers(), func(e *event) bool { return sent[e.EventID] || ids[e.parent()] }) {
			continue
		}
		family[r], ids[r.ID] = true, true
		for i := range r.Steps {
			for _, id := range sentEvents(r.Steps[i].Output) {
				sent[id] = true
			}
		}
	}
	return family
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

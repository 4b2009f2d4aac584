package engine

import (
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// QueueSize returns how many things are queued for the runs of a function, by its UUID.
func (e *Engine) QueueSize(function string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range e.m.queue.items {
		if it.run != nil && it.run.function.UUID == function {
			n++
		}
	}
	return n
}

// Reset ends all runs at work as cancelled, without telling anyone, and forgets what flow control holds. Apps stay
// registered.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.m.runs.all() {
		e.m.end(r, harness.StatusCancelled)
	}
	for _, it := range slices.Clone(e.m.queue.items) {
		if it.kind != kindTick {
			e.m.leave(it)
			e.m.queue.remove(it)
		}
	}
	e.m.admission = newAdmission()
}

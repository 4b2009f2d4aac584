package engine

import (
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

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
			e.m.queue.remove(it)
		}
	}
	e.m.admission = newAdmission()
}

package engine

import "github.com/odoo-maintenance/inngest-harness/harness/internal/expression"

// setClocks lets the expressions of a function read the virtual clock.
func (p configParser) setClocks(f *function) {
	keys := []*expression.Expression{f.priority}
	for _, t := range f.triggers {
		keys = append(keys, t.when)
	}
	for _, on := range f.cancels {
		keys = append(keys, on.when)
	}
	for _, c := range f.concurrency {
		keys = append(keys, c.key.expr)
	}
	if f.perRun != nil {
		keys = append(keys, f.perRun.key.expr)
	}
	if f.throttle != nil {
		keys = append(keys, f.throttle.key.expr)
	}
	if f.rateLimit != nil {
		keys = append(keys, f.rateLimit.key.expr)
	}
	if f.debounce != nil {
		keys = append(keys, f.debounce.key.expr)
	}
	if f.batch != nil {
		keys = append(keys, f.batch.key.expr, f.batch.when)
	}
	if f.singleton != nil {
		keys = append(keys, f.singleton.key.expr)
	}
	for _, e := range keys {
		if e != nil {
			e.Now = p.clock.Now
		}
	}
}

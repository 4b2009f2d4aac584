package api

import "github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"

// deferrers are the runs that have deferred this one: of a batch several.
func (r runObject) deferrers() (by []engine.Deferrer) {
	for _, e := range r.run.Triggers() {
		if e.DeferredBy != nil {
			by = append(by, *e.DeferredBy)
		}
	}
	return by
}

// Defers returns what the run has deferred.
func (r runObject) Defers() []deferObject { return r.q.defersOf(r.run) }

// SiblingDefers returns what the runs that have deferred this one have deferred in all.
func (r runObject) SiblingDefers() []deferObject {
	out := []deferObject{}
	for _, by := range r.deferrers() {
		if run, ok := r.q.engine.Run(by.RunID); ok {
			out = append(out, r.q.defersOf(run)...)
		}
	}
	return out
}

// DeferredFrom returns the runs that have deferred this one.
func (r runObject) DeferredFrom() []deferredFromObject {
	out := []deferredFromObject{}
	for _, by := range r.deferrers() {
		one := deferredFromObject{RunID: text(by.RunID)}
		if run, ok := r.q.engine.Run(by.RunID); ok {
			one.Run, one.Function = &runObject{r.q, run}, functionObject{r.q, run.Function}
		}
		out = append(out, one)
	}
	return out
}

func (q *query) defersOf(run engine.Run) []deferObject {
	out := []deferObject{}
	for _, d := range run.Defers {
		one := deferObject{HashedDeferID: d.Hash, UserlandDeferID: d.ID, FnSlug: d.Function, Status: string(d.Status)}
		for _, f := range q.engine.Functions() {
			if f.ID == d.Function {
				one.Function = &functionObject{q, f}
			}
		}
		if started, ok := q.engine.Run(d.RunID); ok {
			id := text(d.RunID)
			one.RunID, one.Run = &id, &runObject{q, started}
		}
		out = append(out, one)
	}
	return out
}

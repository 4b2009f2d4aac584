package engine

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// checkpoint memoises steps that an app has run and goes on from, while its call is under way. status is that of the
// server's answer.
func (m *machine) checkpoint(c sdk.Checkpoint) (status int, err error) {
	r := m.runs.find(c.RunID)
	if r == nil || r.Status.Final() {
		return http.StatusBadRequest, fmt.Errorf("checkpointing run %s: the run is over or was never here", c.RunID)
	}
	ids := make([]string, len(c.Steps))
	for i := range c.Steps {
		ids[i] = c.Steps[i].StepID()
	}
	if f := m.interventions.takeFault(r.function, ids); f != nil && f.Lose {
		return http.StatusServiceUnavailable, errors.New("the checkpoint was lost (a fault of harness replace; in Go, sim.Fault.Lose)")
	}
	now := m.clock.Now()
	it := m.inflight[c.QueueItem]
	if it == nil || it.run != r { // the call is over, or was given up
		it = &item{run: r, began: now}
	}
	for i := range c.Steps {
		o := &c.Steps[i]
		switch o.Op {
		case sdk.OpStepPlanned:
			r.step(o, sdk.OpStepRun, now)
			continue
		case sdk.OpDeferAdd, sdk.OpDeferAbort:
			r.deferOp(o)
			continue
		case sdk.OpStepRun, sdk.OpStep:
		default:
			return http.StatusBadRequest, fmt.Errorf("cannot checkpoint opcode: %s", o.Op)
		}
		raw := memoOf(o)
		if len(raw) > maxStepBytes {
			return http.StatusRequestEntityTooLarge, fmt.Errorf("step %s output too large", o.ID)
		}
		if r.stateSize+len(raw) > m.limits.of(r.function.UUID).bytes {
			return http.StatusRequestEntityTooLarge, errors.New("run state size limit exceeded")
		}
		r.noteOp(o, 0, now)
		it.finishStep(o, now)
		if step := r.stepOf(o.ID); step != nil && len(step.Attempts) > 0 {
			step.Attempts[len(step.Attempts)-1].Checkpoint = true
		}
		r.save(o.ID, raw)
		it.failures, it.began = 0, now // what comes after a checkpoint has its own attempts
	}
	return http.StatusOK, nil
}

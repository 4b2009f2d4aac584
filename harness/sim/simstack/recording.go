package simstack

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// ops are the kinds of steps by the names that traces have for them.
var ops = map[string]sim.Op{
	"RUN": sim.OpRun, "SLEEP": sim.OpSleep, "WAIT_FOR_EVENT": sim.OpWaitForEvent, "INVOKE": sim.OpInvoke,
	"WAIT_FOR_SIGNAL": sim.OpWaitForSignal, "AI_GATEWAY": sim.OpFetch,
}

// Recording makes of a run in a trace, from whatever stack, what [sim.Sim.Replay] plays against changed code. An empty
// runID is the first run. A trace holds the data of its own event only: a run that another event started cannot be
// recorded from it. Where the code uses one step id several times, the uses are told apart by when they began; the real
// server's clock tells milliseconds.
func Recording(t *harness.Trace, runID string) (sim.Recording, error) {
	i := slices.IndexFunc(t.Runs, func(r harness.TraceRun) bool { return runID == "" || r.ID == runID })
	if i < 0 || t.Event == nil {
		return sim.Recording{}, fmt.Errorf("the trace of event %s has no run %s", t.EventID, runID)
	}
	r := t.Runs[i]
	if r.EventID != t.EventID {
		return sim.Recording{}, fmt.Errorf("run %s was started by the event %s, whose data the trace of %s does not hold: take the trace of that event", r.ID, r.EventID, t.EventID)
	}
	data := t.Event.Data
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	event, err := json.Marshal(map[string]any{
		"id": t.Event.IdempotencyKey, "name": t.Event.Name, "data": data, "ts": t.Event.Received.UnixMilli(), "user": map[string]any{},
	})
	if err != nil {
		return sim.Recording{}, fmt.Errorf("record run %s: its event: %w", r.ID, err)
	}
	rec := sim.Recording{FunctionID: sdk.FunctionID(r.App, r.Function), Event: event}
	steps := slices.Clone(r.Steps)
	slices.SortStableFunc(steps, func(a, b harness.TraceStep) int { return a.Started.Compare(b.Started) })
	uses := map[string]int{}
	for i, s := range steps {
		if _, ok := ops[s.Op]; !ok {
			return sim.Recording{}, fmt.Errorf("record run %s: step %s is of the kind %s, which sim does not model", r.ID, s.ID, s.Op)
		}
		if n := uses[s.ID]; n > 0 {
			steps[i].ID = fmt.Sprintf("%s:%d", s.ID, n)
		}
		uses[s.ID]++
	}
	steps = slices.DeleteFunc(steps, func(s harness.TraceStep) bool { return s.Ended.IsZero() })
	slices.SortStableFunc(steps, func(a, b harness.TraceStep) int { return a.Ended.Compare(b.Ended) })
	for _, s := range steps {
		step := sim.RecordedStep{ID: s.ID, Op: ops[s.Op], Output: s.Output}
		if s.Status == harness.StatusFailed {
			step.Error = &sim.Error{Failure: sdk.Failure{Name: "Error", Message: s.Error, Data: json.RawMessage("null")}} // the Go SDK reads it
		}
		rec.Steps = append(rec.Steps, step)
	}
	return rec, nil
}

package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

func (m *machine) complete(r *run, output json.RawMessage) {
	r.Output = output
	m.end(r, harness.StatusCompleted)
}

func (m *machine) fail(r *run, err *Error) {
	r.Error = err
	m.end(r, harness.StatusFailed)
}

// end closes a run and publishes the server's events about it. It resumes the run that invoked it.
func (m *machine) end(r *run, status harness.Status) {
	if r.Status.Final() {
		return
	}
	r.Status, r.Ended = status, m.clock.Now()
	if m.options.Logger.Enabled(context.Background(), slog.LevelInfo) {
		m.options.Logger.Info("run ended", "run", r.ID, "function", r.function.ID, "status", status, "at", r.Ended)
	}
	for _, w := range r.waits {
		if !w.over {
			m.dropWait(w)
		}
	}
	for _, it := range r.items {
		if it.kind != kindAnswer && it.kind != kindFetch { // whose call goes on
			m.drop(it)
		}
	}
	if r.flow != nil && r.flow.held != nil {
		m.release(r.flow.held)
	}
	if r.flow != nil && r.flow.single != "" {
		delete(m.admission.singletons, r.flow.single)
	}
	if r.over != nil {
		close(r.over)
	}
	m.startDeferred(r)
	m.announce(r)
	// What only a run at work needs would be kept as long as the run.
	r.items, r.waits, r.jobs, r.pending, r.state, r.flow = nil, nil, nil, nil, nil, nil
	m.runs.ended(r)
}

// announce publishes that a run is over. A run that was itself started by such an event publishes none, or they would
// never end.
func (m *machine) announce(r *run) {
	for i, e := range r.triggers() {
		if e.Name == sdk.EventFunctionFailed || e.Name == sdk.EventFunctionFinished || i > 0 && e.correlation == "" {
			continue // of a batch the first tells, and each that another run waits for
		}
		data := finishedData(r, e)
		finished := m.internalEvent(sdk.EventFunctionFinished, "", data, e.sessions)
		m.publish(finished)
		switch r.Status {
		case harness.StatusFailed:
			m.publish(m.internalEvent(sdk.EventFunctionFailed, r.ID, data, e.sessions))
		case harness.StatusCancelled:
			m.publish(m.internalEvent(sdk.EventFunctionCancelled, r.ID, data, e.sessions))
		}
		if e.correlation != "" {
			m.invoked(e.correlation, finished, r.Error)
		}
	}
}

// finishedData returns what the server's events say of a run that is over, to one of the events that triggered it.
func finishedData(r *run, e *event) map[string]any {
	status := map[harness.Status]string{
		harness.StatusCompleted: "Completed", harness.StatusFailed: "Failed", harness.StatusCancelled: "Cancelled",
	}[r.Status]
	var all []any
	for _, e := range r.triggers() {
		all = append(all, listed(e))
	}
	data := map[string]any{
		"function_id": r.function.ID, "run_id": r.ID, "event": e.vars(), "events": all,
		metadataKey: map[string]any{"status": status},
	}
	if e.correlation != "" {
		data["correlation_id"] = e.correlation
	}
	if r.Error != nil {
		data["error"] = r.Error.Fields()
		if len(r.Error.Body) > 0 {
			data["result"] = valueOf(r.Error.Body)
		}
	} else if r.Output != nil {
		data["result"] = valueOf(r.Output)
	}
	if r.endpoint != nil {
		r.endpoint.tell(data, r)
	}
	return data
}

// valueOf returns the value that a text encodes as JSON, or else the text.
func valueOf(text []byte) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return string(text)
	}
	return v
}

// listed returns an event as the server lists it in those of a run that is over: without an empty user, and with null in
// place of data that did not come.
func listed(e *event) map[string]any {
	fields := maps.Clone(e.vars())
	if user, _ := fields["user"].(map[string]any); len(user) == 0 {
		delete(fields, "user")
	}
	if e.bare {
		fields["data"] = nil
	}
	return fields
}

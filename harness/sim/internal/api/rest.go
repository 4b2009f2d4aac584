package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// dev answers what the server says of itself and its apps.
func (s *server) dev(w http.ResponseWriter, _ *http.Request) {
	functions := []functionConfig{}
	for _, f := range s.engine.Functions() {
		functions = append(functions, configOf(f))
	}
	handlers := []map[string]any{}
	for _, a := range s.engine.Apps() {
		handlers = append(handlers, map[string]any{"sdk": map[string]any{"url": a.URL, "appName": a.ID, "sdk": a.SDK}})
	}
	reply(w, http.StatusOK, map[string]any{
		"version": "sim-" + Version, "authed": s.engine.Signed(), "functions": functions, "handlers": handlers,
		"isSingleNodeService": false, "startOpts": map[string]any{"sqlite_dir": ""},
	})
}

// functionConfig is a function's configuration as the server shows it.
type functionConfig struct {
	ID       string           `json:"id"`
	Slug     string           `json:"slug"`
	Name     string           `json:"name"`
	Triggers []engine.Trigger `json:"triggers"`
	Steps    []map[string]any `json:"steps"`
	*engine.FlowControl
}

func configOf(f engine.Function) functionConfig {
	return functionConfig{
		ID: f.UUID, Slug: f.ID, Name: f.Name, Triggers: f.Triggers, FlowControl: f.Flow, Steps: []map[string]any{{"id": "step", "name": "step", "uri": f.URL}},
	}
}

// ofRun answers with what data returns for the run that the path names.
func (s *server) ofRun(data func(engine.Run) map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		run, ok := s.engine.Run(r.PathValue("run"))
		if !ok {
			reply(w, http.StatusNotFound, map[string]any{"errors": []map[string]string{
				{"code": "not_found", "message": "run " + r.PathValue("run") + " not found"},
			}})
			return
		}
		reply(w, http.StatusOK, map[string]any{"data": data(run)})
	}
}

// state answers with the events or the memoised steps of a run, which an app fetches when they are too large for a call.
func (s *server) state(w http.ResponseWriter, r *http.Request) {
	events, steps, over, ok := s.engine.State(r.PathValue("run"))
	switch {
	case !ok:
		refuseText(w, http.StatusBadRequest, "run "+r.PathValue("run")+" not found")
	case over:
		refuseText(w, http.StatusGone, "run has already ended")
	case strings.HasSuffix(r.URL.Path, "/batch"):
		reply(w, http.StatusOK, events)
	default:
		reply(w, http.StatusOK, steps)
	}
}

func (s *server) run(run engine.Run) map[string]any {
	return map[string]any{
		"id": run.ID, "status": string(run.Status), "queuedAt": s.engine.Shown(run.Queued), "startedAt": s.moment(run.Started), "endedAt": s.moment(run.Ended),
		"output": outputOf(run), "triggerIDs": triggersOf(run),
		"function": map[string]any{"id": run.Function.UUID, "slug": run.Function.ID, "name": run.Function.Name},
		"app":      map[string]any{"externalID": run.Function.App, "name": run.Function.App},
		"trace":    map[string]any{"outputID": run.ID},
	}
}

func (s *server) trace(run engine.Run) map[string]any {
	return map[string]any{"runId": run.ID, "rootSpan": s.span(tree(run, true))}
}

// triggersOf returns the ids of the events that triggered a run.
func triggersOf(r engine.Run) (ids []string) {
	for _, e := range r.Batch {
		ids = append(ids, e.EventID)
	}
	if r.Batch == nil {
		ids = []string{r.Event.EventID}
	}
	return ids
}

// shownError is an error as the server shows it in a run's output, in the sequence of its fields.
type shownError struct {
	Error   any `json:"error"`
	Name    any `json:"name"`
	Message any `json:"message"`
	Stack   any `json:"stack,omitempty"`
	Cause   any `json:"cause,omitempty"`
}

// outputOf returns what the server shows as a run's output, or nil.
func outputOf(r engine.Run) *string {
	var text string
	switch {
	case r.Error != nil && len(r.Error.Body) > 0:
		text = string(r.Error.Body)
	case r.Error != nil:
		f := r.Error.Fields()
		text = string(engine.Wrap("error", shownError{f["error"], f["name"], f["message"], f["stack"], f["cause"]}))
	case r.Plain != "":
		text = r.Plain
	case r.Output != nil:
		text = string(r.Output)
	default:
		return nil
	}
	return &text
}

// moment translates a virtual time; nil for the zero Time.
func (s *server) moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = s.engine.Shown(t)
	return &t
}

// shownSpan is a span as REST shows it.
type shownSpan struct {
	Name      string          `json:"name"`
	Status    string          `json:"status"`
	StepID    string          `json:"stepId,omitempty"`
	StepOp    string          `json:"stepOp,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	StartedAt *time.Time      `json:"startedAt,omitempty"`
	EndedAt   *time.Time      `json:"endedAt,omitempty"`
	Children  []shownSpan     `json:"children,omitempty"`
}

func (s *server) span(from *span) shownSpan {
	out := shownSpan{
		Name: from.name, Status: from.status, StepID: from.stepID, StepOp: from.op, StartedAt: s.moment(from.started), EndedAt: s.moment(from.ended),
	}
	switch {
	case from.output == nil || from.parent == "":
	case from.output.failed != nil:
		out.Output = engine.Wrap("error", from.output.failed.Fields())
	default:
		out.Output = shownValue(from.output.data)
	}
	for _, child := range from.children {
		out.Children = append(out.Children, s.span(child))
	}
	return out
}

// shownValue returns an output as the server's traces have it: what is no object is wrapped into one.
func shownValue(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || raw[0] == '{' {
		return raw
	}
	return slices.Concat(json.RawMessage(`{"data":`), raw, json.RawMessage(`}`))
}

// baseName returns a step's id without the number of its repeated use.
func baseName(r engine.Run, id string) string {
	i := strings.LastIndexByte(id, ':')
	if i < 0 {
		return id
	}
	first := sdk.StepHash(id[:i])
	if _, err := strconv.Atoi(id[i+1:]); err != nil || !slices.ContainsFunc(r.Steps, func(s engine.Step) bool { return s.Hash == first }) {
		return id
	}
	return id[:i]
}

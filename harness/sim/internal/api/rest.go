package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
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
		"features": map[string]bool{"run-details-v4": true, "enable-step-metadata": true}, // what the page shows
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
		ID: f.UUID, Slug: f.ID, Name: f.Name, Triggers: f.Triggers, FlowControl: f.Flow,
		Steps: []map[string]any{{"id": "step", "name": "step", "uri": f.URL}},
	}
}

// state answers with the events or the memoised steps of a run, which an app fetches when they are too large for a call.
func (s *server) state(w http.ResponseWriter, r *http.Request) {
	events, steps, over, ok := s.engine.State(r.PathValue("run"))
	switch {
	case !ok:
		refuseText(w, http.StatusBadRequest, "The run ID specified is invalid")
	case over:
		refuseText(w, http.StatusGone, "runtime state is no longer available for runID: "+r.PathValue("run"))
	case strings.HasSuffix(r.URL.Path, "/batch"):
		reply(w, http.StatusOK, events)
	default:
		reply(w, http.StatusOK, steps)
	}
}

// triggersOf returns the ids of the events that triggered a run.
func triggersOf(r engine.Run) (ids []string) {
	for _, e := range r.Triggers() {
		ids = append(ids, e.EventID)
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

func newShownError(e *engine.Error) shownError {
	f := e.Fields()
	return shownError{f["error"], f["name"], f["message"], f["stack"], f["cause"]}
}

// outputOf returns what the server shows as a run's output, or nil.
func outputOf(r engine.Run) *string {
	var text string
	switch {
	case r.Error != nil && len(r.Error.Body) > 0:
		text = string(r.Error.Body)
	case r.Error != nil && r.Error.Name == engine.FatalServerError:
		raw, _ := json.Marshal(newShownError(r.Error)) // of texts and JSON
		text = string(raw)
	case r.Error != nil:
		text = string(engine.Wrap("error", newShownError(r.Error)))
	case r.Plain != "":
		text = r.Plain
	case r.Output != nil:
		text = string(r.Output)
	default:
		return nil
	}
	return &text
}

// endOf returns what the older parts of the API show as a run's output, or nil: of a run that was cancelled, an empty object.
func endOf(r engine.Run) *string {
	if out := outputOf(r); out != nil || r.Status != harness.StatusCancelled {
		return out
	}
	empty := "{}"
	return &empty
}

// moment translates a virtual time; nil for the zero Time.
func (s *server) moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = s.engine.Shown(t)
	return &t
}

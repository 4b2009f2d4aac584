package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// v1 adds the first version of the REST API. Its GET requests are answered with status 200 even where the body says that
// something is wrong, as by the server.
func (s *server) v1(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/events", s.listEvents)
	mux.HandleFunc("GET /v1/events/{event}", s.ofEvent(func(e engine.Event) any { return s.eventV1(e) }))
	mux.HandleFunc("GET /v1/events/{event}/runs", s.ofEvent(func(e engine.Event) any {
		out := []runV1{}
		for _, r := range s.engine.Runs(e.EventID) {
			if r.Status != harness.StatusSkipped && r.Event.EventID == e.EventID { // of a batch the first event finds it
				out = append(out, s.runV1(r))
			}
		}
		return out
	}))
	mux.HandleFunc("GET /v1/runs/{run}", func(w http.ResponseWriter, r *http.Request) {
		run, ok := s.engine.Run(r.PathValue("run"))
		if !ok {
			replyV1(w, "Unable to load function run: "+r.PathValue("run"), http.StatusInternalServerError)
			return
		}
		foundV1(w, s.runV1(run))
	})
	mux.HandleFunc("GET /v1/runs/{run}/jobs", func(w http.ResponseWriter, r *http.Request) { foundV1(w, []struct{}{}) })
	mux.HandleFunc("DELETE /v1/runs/{run}", func(w http.ResponseWriter, r *http.Request) {
		s.engine.Cancel(r.PathValue("run")) // of a run that is not there nothing is said
	})
	mux.HandleFunc("DELETE /v0/runs/{run}", s.cancelV0)
	mux.HandleFunc("POST /v0/telemetry", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/cancellations", s.cancelMany)
	mux.HandleFunc("GET /v1/cancellations", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	mux.HandleFunc("GET /v1/apps/{app}/functions", s.functionsOfApp)
}

func foundV1(w http.ResponseWriter, data any) {
	reply(w, http.StatusOK, map[string]any{"data": data, "metadata": map[string]any{"fetched_at": time.Now().UTC()}})
}

// replyV1 says in the body what is wrong.
func replyV1(w http.ResponseWriter, text string, status int) {
	reply(w, http.StatusOK, map[string]any{"error": text, "data": nil, "status": status})
}

type eventV1 struct {
	InternalID    string    `json:"internal_id"`
	AccountID     uuid.UUID `json:"account_id"`
	EnvironmentID uuid.UUID `json:"environment_id"`
	Source        string    `json:"source"`
	SourceID      *string   `json:"source_id"`
	ReceivedAt    time.Time `json:"received_at"`
	inputEvent
}

func (s *server) eventV1(e engine.Event) eventV1 {
	return eventV1{InternalID: e.EventID, ReceivedAt: s.engine.Shown(e.At), inputEvent: newInputEvent(e)}
}

// eventsInPage is how many events a list has unless the request says how many.
const eventsInPage = 20

func (s *server) listEvents(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	f := engine.EventFilter{Limit: eventsInPage, After: query.Get("cursor")}
	if n, err := strconv.Atoi(query.Get("limit")); err == nil && n > 0 && n <= 100 {
		f.Limit = n
	}
	if name := query.Get("name"); name != "" {
		f.Names, f.Internal = []string{name}, true
	}
	for field, into := range map[string]*time.Time{"received_after": &f.From, "received_before": &f.Until} {
		if text := query.Get(field); text != "" {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				replyV1(w, "Invalid "+field+": "+err.Error(), http.StatusBadRequest)
				return
			}
			*into = at
		}
	}
	page, _ := s.engine.EventPage(f)
	out := []eventV1{}
	for _, e := range page {
		out = append(out, s.eventV1(e))
	}
	foundV1(w, out)
}

// ofEvent answers with what data returns for the event that the path names.
func (s *server) ofEvent(data func(engine.Event) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := ulid.Parse(r.PathValue("event"))
		if err != nil {
			replyV1(w, "Unable to parse event ID: "+r.PathValue("event"), http.StatusBadRequest)
			return
		}
		e, ok := s.engine.Event(id)
		if !ok {
			replyV1(w, "Event not found", http.StatusNotFound)
			return
		}
		foundV1(w, data(e))
	}
}

type runV1 struct {
	RunID           string          `json:"run_id"`
	RunStartedAt    time.Time       `json:"run_started_at"`
	FunctionID      string          `json:"function_id"`
	FunctionVersion int             `json:"function_version"`
	EnvironmentID   string          `json:"environment_id"`
	EventID         string          `json:"event_id"`
	OriginalRunID   string          `json:"original_run_id,omitempty"`
	Status          string          `json:"status"`
	EndedAt         *time.Time      `json:"ended_at"`
	Output          json.RawMessage `json:"output,omitempty"`
}

var statusesV1 = map[harness.Status]string{
	harness.StatusQueued: "Scheduled", harness.StatusRunning: "Running", harness.StatusCompleted: "Completed",
	harness.StatusFailed: "Failed", harness.StatusCancelled: "Cancelled", harness.StatusSkipped: "Skipped",
}

func (s *server) runV1(r engine.Run) runV1 {
	out := runV1{
		RunID: r.ID, RunStartedAt: s.engine.Shown(r.Queued), FunctionID: r.Function.UUID, EnvironmentID: envID,
		EventID:       r.Event.EventID,
		OriginalRunID: r.Original, Status: statusesV1[r.Status], EndedAt: s.moment(r.Ended),
	}
	if text := endOf(r); text != nil {
		out.Output = asJSON(*text)
	}
	return out
}

// asJSON returns a text that is JSON as it is, and another one as a string.
func asJSON(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	raw, _ := json.Marshal(text) // a text always encodes
	return raw
}

// cancelV0 cancels a run that is at work.
func (s *server) cancelV0(w http.ResponseWriter, r *http.Request) {
	run, ok := s.engine.Run(r.PathValue("run"))
	switch _, err := ulid.Parse(r.PathValue("run")); {
	case err != nil:
		refuseText(w, http.StatusBadRequest, "The run ID specified is invalid")
	case !ok || run.Status.Final():
		refuseText(w, http.StatusNotFound, "A function run with the given ID could not be found")
	default:
		s.engine.Cancel(run.ID)
		w.WriteHeader(http.StatusNoContent)
	}
}

// cancelMany checks a request to cancel the runs of a function. The dev server cannot keep it, and says so.
func (s *server) cancelMany(w http.ResponseWriter, r *http.Request) {
	var c struct {
		AppID         string    `json:"app_id"`
		FunctionID    string    `json:"function_id"`
		StartedBefore time.Time `json:"started_before"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&c); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var missing []error
	for _, field := range []struct {
		name string
		set  bool
	}{{"app_id", c.AppID != ""}, {"function_id", c.FunctionID != ""}, {"started_before", !c.StartedBefore.IsZero()}} {
		if !field.set {
			missing = append(missing, errors.New(field.name+" is required"))
		}
	}
	if len(missing) > 0 {
		refuse(w, http.StatusBadRequest, errors.Join(missing...))
		return
	}
	for _, f := range s.engine.Functions() {
		if f.App == c.AppID && f.ID == c.FunctionID {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	refuseText(w, http.StatusNotFound, "function not found")
}

// functionsOfApp lists the functions of an app, without an envelope.
func (s *server) functionsOfApp(w http.ResponseWriter, r *http.Request) {
	out := []map[string]any{}
	for _, f := range s.engine.Functions() {
		if f.App == r.PathValue("app") {
			out = append(out, map[string]any{
				"internal_id": f.UUID, "env_id": uuid.UUID{}, "app_id": appID(f.App), "id": f.ID, "name": f.Name, "config": configOf(f),
				"archived_at": time.Time{},
			})
		}
	}
	reply(w, http.StatusOK, out)
}

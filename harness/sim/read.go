package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// Version is the version of the server whose behaviour a Sim follows.
const Version = "1.43.0"

// readRoutes adds what the harness reads of the server's API.
func (s *Sim) readRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /dev", s.readDev)
	mux.HandleFunc("POST /v0/gql", s.readGraphQL)
	mux.HandleFunc("GET /api/v2/runs/{run}", s.readRun)
	mux.HandleFunc("GET /api/v2/runs/{run}/trace", s.readTrace)
}

func (s *Sim) readDev(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	functions := []map[string]any{}
	for _, f := range s.ordered {
		triggers := []map[string]any{}
		for _, t := range f.triggers {
			one := map[string]any{}
			if t.cron != "" {
				one["cron"] = t.cron
			} else {
				one["event"] = t.event
			}
			if t.when != nil {
				one["expression"] = t.when.source
			}
			triggers = append(triggers, one)
		}
		functions = append(functions, map[string]any{
			"id": f.uuid.String(), "slug": f.id, "name": f.name, "triggers": triggers,
			"steps": []map[string]any{{"id": "step", "name": f.name, "uri": f.url.String()}},
		})
	}
	handlers := []map[string]any{}
	for _, a := range s.apps {
		handlers = append(handlers, map[string]any{"sdk": map[string]any{"url": a.url, "appName": a.name, "sdk": a.sdk}})
	}
	reply(w, http.StatusOK, map[string]any{
		"version": "sim-" + Version, "authed": s.options.SigningKey != "", "functions": functions, "handlers": handlers,
		"isSingleNodeService": false,
	})
}

func (s *Sim) readGraphQL(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("reading the query: %w", err))
		return
	}
	data, err := s.query(q.Query, q.Variables)
	if err != nil {
		reply(w, http.StatusOK, map[string]any{"data": nil, "errors": []map[string]any{{"message": err.Error()}}})
		return
	}
	reply(w, http.StatusOK, map[string]any{"data": data})
}

func (s *Sim) query(text string, variables map[string]any) (map[string]any, error) {
	sel, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]any{}
	for _, f := range sel {
		argument := func(name string) any { return variables[f.arguments[name]] }
		value, err := s.resolve(f.name, argument)
		if err == nil {
			value, err = f.of.pick(value)
		}
		if err != nil {
			return nil, err
		}
		out[f.name] = value
	}
	return out, nil
}

func (s *Sim) resolve(name string, argument func(string) any) (any, error) {
	switch name {
	case "apps":
		return s.appObjects(), nil
	case "run":
		id, _ := argument("runID").(string)
		if r := s.runs.find(id); r != nil {
			return runObject(r), nil
		}
		return nil, fmt.Errorf("run %s not found", id)
	case "eventV2":
		text, _ := argument("id").(string)
		id, err := ulid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("event id %q: %w", text, err)
		}
		e := s.events.byID[id]
		if e == nil {
			return nil, fmt.Errorf("event %s not found", text)
		}
		return s.eventObject(e), nil
	case "eventsV2":
		filter, _ := argument("filter").(map[string]any)
		first, _ := argument("first").(float64)
		return s.eventObjects(filter, int(first))
	}
	return nil, fmt.Errorf("sim does not answer the query %q", name)
}

func (s *Sim) appObjects() []map[string]any {
	out := []map[string]any{}
	for _, a := range s.apps {
		out = append(out, map[string]any{
			"id": a.name, "externalID": a.name, "name": a.name, "url": a.url, "connected": true, "error": nil, "functionCount": len(a.functions),
		})
	}
	slices.SortFunc(out, func(a, b map[string]any) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
	return out
}

func (s *Sim) eventObject(e *event) map[string]any {
	runs := []map[string]any{}
	for _, r := range s.runs.byEvent[e.internal] {
		runs = append(runs, runObject(r))
	}
	return map[string]any{
		"id": e.internal.String(), "idempotencyKey": e.id, "name": e.name, "raw": string(e.json()), "receivedAt": e.at, "runs": runs,
	}
}

// eventObjects lists events, newest first.
func (s *Sim) eventObjects(filter map[string]any, first int) (any, error) {
	from := time.Time{}
	if text, _ := filter["from"].(string); text != "" {
		var err error
		if from, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
	}
	names, _ := filter["eventNames"].([]any)
	internal, _ := filter["includeInternalEvents"].(bool)
	edges := []map[string]any{}
	for _, id := range slices.Backward(s.events.order) {
		e := s.events.byID[id]
		if len(edges) >= first || e.at.Before(from) {
			break
		}
		if len(names) > 0 && !slices.Contains(names, any(e.name)) || !internal && strings.HasPrefix(e.name, reservedPrefix) {
			continue
		}
		edges = append(edges, map[string]any{"node": s.eventObject(e)})
	}
	return map[string]any{"edges": edges, "totalCount": len(s.events.order)}, nil
}

func runObject(r *run) map[string]any {
	var output any
	switch {
	case r.err != nil && len(r.err.body) > 0:
		output = string(r.err.body)
	case r.err != nil:
		output = string(wrap("error", r.err.fields()))
	case r.plain != "":
		output = r.plain
	case r.output != nil:
		output = string(r.output)
	}
	return map[string]any{
		"id": r.text, "status": string(r.status), "queuedAt": r.queued, "startedAt": timeOrNil(r.started), "endedAt": timeOrNil(r.ended),
		"output": output, "triggerIDs": []string{r.event.internal.String()},
		"function": map[string]any{"id": r.function.uuid.String(), "slug": r.function.id, "name": r.function.name},
		"app":      map[string]any{"externalID": r.function.app.name, "name": r.function.app.name},
	}
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func (s *Sim) readRun(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs.find(r.PathValue("run"))
	if run == nil {
		noRun(w, r)
		return
	}
	reply(w, http.StatusOK, map[string]any{"data": runObject(run)})
}

func (s *Sim) readTrace(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs.find(r.PathValue("run"))
	if run == nil {
		noRun(w, r)
		return
	}
	children := []span{}
	for _, step := range run.steps {
		children = append(children, stepSpan(step))
	}
	if len(run.failed) > 0 || run.status.Over() {
		children = append(children, span{Name: "Finalization", Status: string(run.status), StartedAt: timeOrNil(run.started),
			EndedAt: timeOrNil(run.ended), Children: attemptSpans(run.failed)})
	}
	root := span{Name: run.function.name, Status: string(run.status), StartedAt: timeOrNil(run.started), EndedAt: timeOrNil(run.ended), Children: children}
	reply(w, http.StatusOK, map[string]any{"data": map[string]any{"runId": run.text, "rootSpan": root}})
}

func noRun(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusNotFound, map[string]any{"errors": []map[string]string{
		{"code": "not_found", "message": "run " + r.PathValue("run") + " not found"},
	}})
}

// span is a node of a run's trace.
type span struct {
	Name      string          `json:"name"`
	Status    string          `json:"status"`
	StepID    string          `json:"stepId,omitempty"`
	StepOp    string          `json:"stepOp,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	StartedAt any             `json:"startedAt,omitempty"`
	EndedAt   any             `json:"endedAt,omitempty"`
	Children  []span          `json:"children,omitempty"`
}

var spanOps = map[Op]string{OpRun: "RUN", OpSleep: "SLEEP", OpWaitForEvent: "WAIT_FOR_EVENT", OpInvoke: "INVOKE"}

func stepSpan(s *Step) span {
	status := map[StepStatus]string{
		StepPlanned: "RUNNING", StepWaiting: "WAITING", StepCompleted: "COMPLETED", StepFailed: "FAILED", StepTimedOut: "COMPLETED",
	}[s.Status]
	out := span{Name: s.ID, Status: status, StepID: s.Hash, StepOp: spanOps[s.Op], StartedAt: timeOrNil(s.Started), EndedAt: timeOrNil(s.Ended)}
	switch {
	case s.Error != nil:
		out.Output = wrap("error", s.Error)
	case s.Output != nil:
		out.Output = slices.Concat(json.RawMessage(`{"data":`), s.Output, json.RawMessage(`}`))
	}
	if len(s.Attempts) > 1 {
		out.Children = attemptSpans(s.Attempts)
	}
	return out
}

func attemptSpans(attempts []Attempt) []span {
	var out []span
	for _, a := range attempts {
		one := span{Name: fmt.Sprintf("Attempt %d", a.Number), Status: "COMPLETED", StartedAt: a.At, EndedAt: a.At}
		if a.Error != nil {
			one.Status, one.Output = "FAILED", wrap("error", a.Error)
		}
		out = append(out, one)
	}
	return out
}

package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
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
	functions := []map[string]any{}
	for _, f := range s.ordered {
		functions = append(functions, functionConfig(f))
	}
	handlers := []map[string]any{}
	for _, a := range s.apps {
		handlers = append(handlers, map[string]any{"sdk": map[string]any{"url": a.url, "appName": a.name, "sdk": a.sdk}})
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"version": "sim-" + Version, "authed": s.options.SigningKey != "", "functions": functions, "handlers": handlers,
		"isSingleNodeService": false, "startOpts": map[string]any{"sqlite_dir": ""},
	})
}

func functionConfig(f *function) map[string]any {
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
	return map[string]any{
		"id": f.uuid.String(), "slug": f.id, "name": f.name, "triggers": triggers,
		"steps": []map[string]any{{"id": "step", "name": f.name, "uri": f.url.String()}},
	}
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
	doc, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]any{}
	for _, f := range doc.selection {
		value, err := s.resolve(f.name, func(name string) any { return f.argument(name, variables) })
		if err == nil {
			value, err = doc.pick(f.of, value)
		}
		if err != nil {
			return nil, err
		}
		out[f.alias] = value
	}
	return out, nil
}

func (s *Sim) resolve(name string, argument func(string) any) (any, error) {
	switch name {
	case "apps":
		return s.appObjects(), nil
	case "functions":
		return s.functionObjects(), nil
	case "runTraceSpanOutputByID":
		id, _ := argument("outputID").(string)
		return s.outputObject(id), nil
	case "run":
		id, _ := argument("runID").(string)
		if r := s.runs.find(id); r != nil {
			return s.runObject(r), nil
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
		after, _ := argument("after").(string)
		return s.eventObjects(filter, int(first), after)
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
		runs = append(runs, s.runObject(r))
	}
	return map[string]any{
		"id": e.internal.String(), "idempotencyKey": e.id, "name": e.name, "raw": string(e.object()), "receivedAt": s.shown(e.at), "runs": runs,
	}
}

// eventObjects lists events, newest first.
func (s *Sim) eventObjects(filter map[string]any, first int, after string) (any, error) {
	from, err := instant(filter["from"])
	if err != nil {
		return nil, err
	}
	until, err := instant(filter["until"])
	if err != nil {
		return nil, err
	}
	names, _ := filter["eventNames"].([]any)
	internal, _ := filter["includeInternalEvents"].(bool)
	edges := []map[string]any{}
	for _, id := range slices.Backward(s.events.order) {
		e := s.events.byID[id]
		at := s.shown(e.at)
		if len(edges) >= first || at.Before(from) {
			break
		}
		if !until.IsZero() && at.After(until) {
			continue
		}
		if len(names) > 0 && !slices.Contains(names, any(e.name)) || !internal && strings.HasPrefix(e.name, reservedPrefix) {
			continue
		}
		if after != "" { // the page before this one is passed over
			if id.String() == after {
				after = ""
			}
			continue
		}
		edges = append(edges, map[string]any{"cursor": id.String(), "node": s.eventObject(e)})
	}
	return map[string]any{"edges": edges, "totalCount": len(s.events.order)}, nil
}

// instant reads a time of a filter; one that is not given is zero.
func instant(value any) (time.Time, error) {
	text, _ := value.(string)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("filter: %w", err)
	}
	return at, nil
}

func (s *Sim) runObject(r *run) map[string]any {
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
		"id": r.text, "status": string(r.status), "queuedAt": s.shown(r.queued), "startedAt": s.timeOrNil(r.started), "endedAt": s.timeOrNil(r.ended),
		"output": output, "triggerIDs": []string{r.event.internal.String()},
		"function": map[string]any{"id": r.function.uuid.String(), "slug": r.function.id, "name": r.function.name},
		"app":      map[string]any{"externalID": r.function.app.name, "name": r.function.app.name},
		"trace":    map[string]any{"outputID": r.text},
	}
}

func (s *Sim) functionObjects() []map[string]any {
	out := []map[string]any{}
	for _, f := range s.ordered {
		config, _ := json.Marshal(functionConfig(f)) // made of texts
		out = append(out, map[string]any{
			"id": f.uuid.String(), "slug": f.id, "name": f.name, "url": f.url.String(), "config": string(config),
			"app": map[string]any{"externalID": f.app.name, "name": f.app.name},
		})
	}
	return out
}

// outputObject is the output of a run, named by the run.
func (s *Sim) outputObject(runID string) any {
	r := s.runs.find(runID)
	switch {
	case r == nil:
		return nil
	case r.err != nil:
		return map[string]any{"data": nil, "error": map[string]any{"name": r.err.Name, "message": r.err.Message, "stack": r.err.Stack}}
	default:
		return map[string]any{"data": string(r.output), "error": nil}
	}
}

var spanStatus = map[StepStatus]string{
	StepPlanned: "RUNNING", StepWaiting: "WAITING", StepCompleted: "COMPLETED", StepFailed: "FAILED", StepTimedOut: "COMPLETED",
}

func (s *Sim) timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return s.shown(t)
}

func (s *Sim) readRun(w http.ResponseWriter, r *http.Request) {
	s.answerOf(w, r, func(run *run) map[string]any { return s.runObject(run) })
}

func (s *Sim) readTrace(w http.ResponseWriter, r *http.Request) {
	s.answerOf(w, r, func(run *run) map[string]any {
		return map[string]any{"runId": run.text, "rootSpan": s.rootSpan(run)}
	})
}

// answerOf replies with what about says of the run that a request names. The lock is not held while it is written: the
// reader may be slow.
func (s *Sim) answerOf(w http.ResponseWriter, r *http.Request, about func(*run) map[string]any) {
	s.mu.Lock()
	run := s.runs.find(r.PathValue("run"))
	if run == nil {
		s.mu.Unlock()
		noRun(w, r)
		return
	}
	body := map[string]any{"data": about(run)}
	s.mu.Unlock()
	reply(w, http.StatusOK, body)
}

func (s *Sim) rootSpan(run *run) span {
	children := []span{}
	for _, step := range run.steps {
		children = append(children, s.stepSpans(run, step)...)
	}
	for _, a := range run.failed {
		children = append(children, span{
			Name: "executor.nonstep", Status: "FAILED", Output: wrap("error", a.Error.fields()), StartedAt: s.shown(a.At), EndedAt: s.shown(a.Ended),
		})
	}
	if run.status == Completed {
		children = append(children, span{Name: "executor.nonstep", Status: "COMPLETED", StartedAt: s.shown(run.ended), EndedAt: s.shown(run.ended)})
	}
	return span{Name: run.function.name, Status: string(run.status), StartedAt: s.timeOrNil(run.started), EndedAt: s.timeOrNil(run.ended), Children: children}
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

// stepSpans are a step as the server shows it: a span for each of its attempts.
func (s *Sim) stepSpans(r *run, step *Step) []span {
	base := span{
		Name: baseName(r, step.ID), StepID: step.Hash, StepOp: spanOps[step.Op],
		StartedAt: s.timeOrNil(step.Started), EndedAt: s.timeOrNil(step.Ended),
	}
	if len(step.Attempts) == 0 {
		base.Status, base.Output = spanStatus[step.Status], shownValue(step.Output)
		if step.Error != nil {
			base.Output = wrap("error", step.Error.fields())
		}
		return []span{base}
	}
	var out []span
	for _, a := range step.Attempts {
		one := base
		one.Status, one.Output, one.StartedAt, one.EndedAt = "COMPLETED", shownValue(step.Output), s.shown(a.At), s.shown(a.Ended)
		if a.Error != nil {
			one.Status, one.Output = "FAILED", wrap("error", a.Error.fields())
			if a.RetryAt.IsZero() {
				one.StepOp = "" // the server gives no operation to a failure that is final
			}
		}
		out = append(out, one)
	}
	return out
}

// shownValue is an output as the server's traces have it: what is no object is wrapped into one.
func shownValue(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || raw[0] == '{' {
		return raw
	}
	return slices.Concat(json.RawMessage(`{"data":`), raw, json.RawMessage(`}`))
}

// baseName is a step's id without the number of its repeated use.
func baseName(r *run, id string) string {
	i := strings.LastIndexByte(id, ':')
	if i < 0 {
		return id
	}
	if _, err := strconv.Atoi(id[i+1:]); err != nil || r.stepOf(sdk.StepHash(id[:i])) == nil {
		return id
	}
	return id[:i]
}

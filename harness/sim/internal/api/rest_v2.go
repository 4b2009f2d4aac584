package api

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// v2 adds the second version of the REST API, which has two addresses.
func (s *server) v2(mux *http.ServeMux) {
	born := time.Date(2021, 5, 13, 9, 30, 4, 0, time.UTC) // of the dev server's account
	for pattern, answer := range map[string]func(*http.Request) (any, *problem){
		"GET /health": func(*http.Request) (any, *problem) { return map[string]any{"status": "ok"}, nil },
		"GET /account": func(*http.Request) (any, *problem) {
			return map[string]any{
				"createdAt": born, "email": "dev@inngest.local", "id": accountID, "name": "Dev Server", "updatedAt": born,
			}, nil
		},
		"GET /envs": func(*http.Request) (any, *problem) {
			return []map[string]any{{"createdAt": born, "id": envID, "name": "dev", "type": "TEST"}}, nil
		},
		"GET /keys/{kind}":                             func(*http.Request) (any, *problem) { return []struct{}{}, nil },
		"GET /apps":                                    s.appsV2,
		"GET /apps/{app}":                              s.appsV2,
		"GET /apps/{app}/functions":                    s.functionsV2,
		"GET /apps/{app}/functions/{function}":         s.functionsV2,
		"GET /apps/{app}/functions/{function}/runs":    s.runsV2,
		"POST /apps/{app}/functions/{function}/invoke": s.invokeV2,
		"GET /events/{event}/runs":                     s.runsV2,
		"POST /events":                                 s.sendV2,
		"GET /runs":                                    s.runsV2,
		"GET /runs/{run}":                              s.ofRun(s.oneRunV2),
		"GET /runs/{run}/trace":                        s.ofRun(s.traceV2),
		"POST /runs/{run}/cancel":                      s.ofRun(s.cancelV2),
		"POST /runs/{run}/rerun":                       s.ofRun(s.rerunV2),
	} {
		method, path, _ := strings.Cut(pattern, " ")
		for _, prefix := range []string{"/api/v2", "/v2"} {
			mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
				data, wrong := answer(r)
				if wrong != nil {
					reply(w, wrong.status, map[string]any{"errors": []*problem{wrong}})
					return
				}
				body := map[string]any{"data": data, "metadata": map[string]any{"fetchedAt": time.Now().UTC()}}
				if page, ok := data.(pageV2); ok {
					body["data"], body["page"] = page.items, page
				}
				reply(w, http.StatusOK, body)
			})
		}
	}
}

// problem is why a request is refused.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	status  int
}

func notFound(what string) *problem {
	return &problem{"not_found", what + " not found", http.StatusNotFound}
}

func malformed(why string) *problem {
	return &problem{"invalid_field_format", why, http.StatusBadRequest}
}

// pageV2 is a page of a list.
type pageV2 struct {
	items   any
	Cursor  string `json:"cursor,omitempty"`
	HasMore bool   `json:"hasMore,omitempty"`
	Limit   int    `json:"limit"`
}

// inPage is how many entries a list has unless the request says how many.
const inPage = 20

// paged returns the page of a list that a request asks for. id names an entry.
func paged[T any](r *http.Request, all []T, id func(T) string) pageV2 {
	limit := inPage
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 && n <= 100 {
		limit = n
	}
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		all = all[slices.IndexFunc(all, func(t T) bool { return id(t) == cursor })+1:]
	}
	p := pageV2{Limit: limit, HasMore: len(all) > limit}
	all = all[:min(limit, len(all))]
	if p.HasMore {
		p.Cursor = id(all[limit-1])
	}
	if all == nil {
		all = []T{}
	}
	p.items = all
	return p
}

func (s *server) appsV2(r *http.Request) (any, *problem) {
	type app struct {
		ID            string         `json:"id"`
		Name          string         `json:"name"`
		Method        string         `json:"method"`
		FunctionCount int            `json:"functionCount"`
		LatestSync    map[string]any `json:"latestSync"`
	}
	var all []app
	for _, a := range s.engine.Apps() {
		language, version, _ := strings.Cut(a.SDK, ":")
		one := app{a.ID, a.ID, "SERVE", a.Functions, map[string]any{
			"framework": a.Framework, "sdkLanguage": language, "sdkVersion": version, "url": a.URL,
		}}
		if a.ID == r.PathValue("app") {
			return one, nil
		}
		all = append(all, one)
	}
	if r.PathValue("app") != "" {
		return nil, notFound("App")
	}
	return paged(r, all, func(a app) string { return a.ID }), nil
}

// shortID returns a function's id without the app's.
func shortID(f engine.Function) string { return strings.TrimPrefix(f.ID, f.App+"-") }

func (s *server) functionsV2(r *http.Request) (any, *problem) {
	type trigger struct {
		If    string `json:"if,omitempty"`
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	type function struct {
		App           map[string]any `json:"app"`
		Configuration map[string]any `json:"configuration"`
		ID            string         `json:"id"`
		Name          string         `json:"name"`
		Slug          string         `json:"slug"`
		Triggers      []trigger      `json:"triggers"`
	}
	var all []function
	for _, f := range s.engine.Functions() {
		if f.App != r.PathValue("app") {
			continue
		}
		retries := map[string]any{"isDefault": f.Retries < 0, "value": f.Attempts - 1}
		one := function{map[string]any{"id": f.App}, map[string]any{"retries": retries}, shortID(f), f.Name, shortID(f), nil}
		for _, t := range f.Triggers {
			if t.Cron != "" {
				one.Triggers = append(one.Triggers, trigger{Type: "CRON", Value: t.Cron})
				continue
			}
			one.Triggers = append(one.Triggers, trigger{t.Expression, "EVENT", t.Event})
		}
		if one.ID == r.PathValue("function") {
			return one, nil
		}
		all = append(all, one)
	}
	if r.PathValue("function") != "" {
		return nil, notFound("Function")
	}
	return paged(r, all, func(f function) string { return f.ID }), nil
}

// runV2 is a run as the API shows it.
type runV2 struct {
	ID         string          `json:"id"`
	Status     string          `json:"status"`
	App        map[string]any  `json:"app"`
	Function   map[string]any  `json:"function"`
	QueuedAt   time.Time       `json:"queuedAt"`
	StartedAt  *time.Time      `json:"startedAt,omitempty"`
	EndedAt    *time.Time      `json:"endedAt,omitempty"`
	DurationMS string          `json:"durationMs,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	Trigger    map[string]any  `json:"trigger"`
}

func (s *server) runV2(run engine.Run, r *http.Request) runV2 {
	out := runV2{
		ID: run.ID, Status: string(run.Status),
		QueuedAt: s.engine.Shown(run.Queued), StartedAt: s.moment(run.Started), EndedAt: s.moment(run.Ended),
		App:      map[string]any{"id": run.Function.App},
		Function: map[string]any{"id": shortID(run.Function), "name": run.Function.Name},
		Trigger:  map[string]any{"eventIds": triggersOf(run)},
	}
	if !run.Ended.IsZero() && !run.Started.IsZero() {
		out.DurationMS = strconv.FormatInt(run.Ended.Sub(run.Started).Milliseconds(), 10)
	}
	if text := outputOf(run); text != nil && withOutput(r) {
		out.Output = shownValue(asJSON(*text))
	}
	return out
}

func (s *server) oneRunV2(r *http.Request, run engine.Run) (any, *problem) {
	return s.runV2(run, r), nil
}

func withOutput(r *http.Request) bool { return r.URL.Query().Get("includeOutput") == "true" }

// runsV2 lists the runs of an event, of a function, or all, newest first.
func (s *server) runsV2(r *http.Request) (any, *problem) {
	event := r.PathValue("event")
	if _, err := ulid.Parse(event); event != "" && err != nil {
		return nil, malformed("Event ID must be a valid ULID")
	}
	status, function := r.URL.Query()["status"], r.PathValue("function")
	var all []runV2
	for _, run := range slices.Backward(s.engine.Runs(event)) {
		switch f := run.Function; {
		case run.Status == harness.StatusSkipped,
			function != "" && (f.App != r.PathValue("app") || shortID(f) != function),
			len(status) > 0 && !slices.Contains(status, string(run.Status)):
		default:
			all = append(all, s.runV2(run, r))
		}
	}
	return paged(r, all, func(r runV2) string { return r.ID }), nil
}

// ofRun answers with what data returns for the run that the path names.
func (s *server) ofRun(data func(*http.Request, engine.Run) (any, *problem)) func(*http.Request) (any, *problem) {
	return func(r *http.Request) (any, *problem) {
		run, ok := s.engine.Run(r.PathValue("run"))
		if _, err := ulid.Parse(r.PathValue("run")); err != nil {
			return nil, malformed("Run ID must be a valid ULID")
		}
		if !ok {
			return nil, notFound("Run")
		}
		return data(r, run)
	}
}

func (s *server) cancelV2(_ *http.Request, run engine.Run) (any, *problem) {
	if run.Status.Final() && run.Status != harness.StatusCancelled {
		return nil, &problem{"run_already_ended", "Cannot cancel an ended run", http.StatusConflict}
	}
	s.engine.Cancel(run.ID)
	return map[string]any{"runId": run.ID}, nil
}

func (s *server) rerunV2(r *http.Request, run engine.Run) (any, *problem) {
	var body struct {
		FromStep *struct {
			StepID string          `json:"stepId"`
			Input  json.RawMessage `json:"input"`
		} `json:"fromStep"`
	}
	if wrong := decodeV2(r, &body); wrong != nil {
		return nil, wrong
	}
	var from *engine.FromStep
	if body.FromStep != nil {
		from = &engine.FromStep{Step: body.FromStep.StepID, Input: body.FromStep.Input}
	}
	id, err := s.engine.Rerun(run.ID, from)
	if err != nil {
		return nil, malformed(err.Error())
	}
	return map[string]any{"runId": id}, nil
}

// decodeV2 reads the body of a request, which may be empty.
func decodeV2(r *http.Request, into any) *problem {
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(into); err != nil && err != io.EOF {
		return malformed("the body is not the JSON that is wanted: " + err.Error())
	}
	return nil
}

func (s *server) invokeV2(r *http.Request) (any, *problem) {
	var body engine.EventBody
	if wrong := decodeV2(r, &body); wrong != nil {
		return nil, wrong
	}
	id := r.PathValue("app") + "-" + r.PathValue("function")
	if !slices.ContainsFunc(s.engine.Functions(), func(f engine.Function) bool { return f.ID == id }) {
		return nil, notFound("Function")
	}
	run, err := s.engine.StartFunction(id, body)
	if err != nil {
		return nil, malformed(err.Error())
	}
	return map[string]any{"runId": run}, nil
}

func (s *server) sendV2(r *http.Request) (any, *problem) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	var ids []string
	if err == nil {
		ids, err = s.engine.Ingest(raw, "")
	}
	if err != nil || len(ids) != 1 {
		return nil, &problem{"invalid_event", "one event is wanted", http.StatusBadRequest}
	}
	return map[string]any{"eventId": ids[0]}, nil
}

// spanV2 is a span as REST shows it.
type spanV2 struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Status     string          `json:"status"`
	StepID     string          `json:"stepId,omitempty"`
	StepOp     string          `json:"stepOp,omitempty"`
	Input      json.RawMessage `json:"input,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	QueuedAt   *time.Time      `json:"queuedAt,omitempty"`
	StartedAt  *time.Time      `json:"startedAt,omitempty"`
	EndedAt    *time.Time      `json:"endedAt,omitempty"`
	DurationMS string          `json:"durationMs,omitempty"`
	Children   []spanV2        `json:"children,omitempty"`
}

func (s *server) traceV2(r *http.Request, run engine.Run) (any, *problem) {
	return map[string]any{"runId": run.ID, "rootSpan": s.spanV2(tree(run, true), withOutput(r))}, nil
}

func (s *server) spanV2(from *span, outputs bool) spanV2 {
	out := spanV2{
		ID: from.id, Name: from.name, Status: from.status, StepID: from.stepID, StepOp: from.op,
		QueuedAt: s.moment(from.queued), StartedAt: s.moment(from.started), EndedAt: s.moment(from.ended),
	}
	if !from.ended.IsZero() && !from.started.IsZero() {
		out.DurationMS = strconv.FormatInt(from.ended.Sub(from.started).Milliseconds(), 10)
	}
	if from.output != nil && outputs {
		out.Input = shownValue(from.output.input)
		if out.Output = shownValue(from.output.data); from.output.failed != nil {
			out.Output = engine.Wrap("error", from.output.failed.Fields())
		}
	}
	for _, child := range from.children {
		out.Children = append(out.Children, s.spanV2(child, outputs))
	}
	return out
}

// shownValue returns a value as this API has it: what is no object is wrapped into one.
func shownValue(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || raw[0] == '{' {
		return raw
	}
	if !json.Valid(raw) {
		raw = asJSON(string(raw))
	}
	return slices.Concat(json.RawMessage(`{"data":`), raw, json.RawMessage(`}`))
}

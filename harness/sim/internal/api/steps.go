package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// stepRoutes are the requests that apps make for kinds of steps, and those that set limits of functions.
func (s *server) stepRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/signals", s.signal)
	mux.HandleFunc("POST /v1/runs/{run}/metadata", s.metadata)
	for _, prefix := range []string{"/api/v2", "/v2"} {
		mux.HandleFunc("POST "+prefix+"/runs/{run}/scores", s.scores)
	}
}

// refuseV1 refuses a request to a route of version 1.
func refuseV1(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]any{"data": nil, "error": text, "status": status})
}

func (s *server) signal(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Signal string          `json:"signal"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&body); err != nil {
		refuseV1(w, http.StatusBadRequest, "Invalid signal data")
		return
	}
	if body.Signal == "" {
		refuseV1(w, http.StatusInternalServerError, "Failed to receive signal")
		return
	}
	run, ok := s.engine.SendSignal(body.Signal, body.Data)
	if !ok {
		refuseV1(w, http.StatusNotFound, "No signal found")
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"data": map[string]any{"run_id": run}, "metadata": map[string]any{"fetched_at": s.engine.Shown(s.engine.Now())},
	})
}

// metadata notes what an app says of one of its runs or steps. The server takes it for runs that it does not know, too.
func (s *server) metadata(w http.ResponseWriter, r *http.Request) {
	if _, err := ulid.ParseStrict(r.PathValue("run")); err != nil {
		refuseV1(w, http.StatusBadRequest, "Invalid run ID: "+r.PathValue("run"))
		return
	}
	var body struct {
		Target struct {
			Step    *string `json:"step_id"`
			Index   *int    `json:"step_index"`
			Attempt *int    `json:"step_attempt"`
			Span    *string `json:"span_id"`
		} `json:"target"`
		Metadata []sdk.MetadataUpdate `json:"metadata"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&body)
	target := body.Target
	if err != nil || target.Step == nil && (target.Index != nil || target.Attempt != nil || target.Span != nil) {
		refuseV1(w, http.StatusBadRequest, "Invalid metadata target")
		return
	}
	for _, u := range body.Metadata {
		if engine.CheckMetadata(u) != nil {
			refuseV1(w, http.StatusBadRequest, "Invalid metadata")
			return
		}
	}
	step, attempt, scope := "", 0, "run"
	if target.Step != nil {
		scope, step = "step", *target.Step
		if target.Index != nil && *target.Index > 0 {
			step = fmt.Sprintf("%s:%d", step, *target.Index)
		}
		if target.Attempt != nil {
			attempt = max(*target.Attempt+1, 0)
		}
		if target.Attempt != nil && target.Span != nil {
			scope = "extended_trace"
		}
	}
	switch err := s.engine.AddMetadata(r.PathValue("run"), sdk.StepHash(step), attempt, scope, body.Metadata); {
	case errors.Is(err, engine.ErrMetadataTooLarge):
		refuseV1(w, http.StatusRequestEntityTooLarge, "Metadata span exceeds maximum size of 64KB")
	case err != nil:
		refuseV1(w, http.StatusRequestEntityTooLarge, "Cumulative metadata size exceeds limit")
	}
}

// score is one score of a run, a step, or a variant of an experiment.
type score struct {
	RunID      string          `json:"runId,omitempty"`
	Name       string          `json:"name"`
	Value      json.RawMessage `json:"value"`
	StepID     *string         `json:"stepId,omitempty"`
	Experiment *struct {
		ID      string `json:"id"`
		Variant string `json:"variant"`
	} `json:"experiment,omitempty"`
}

// maxScores is how many scores one request may hold.
const maxScores = 100

func (s *server) scores(w http.ResponseWriter, r *http.Request) {
	invalid := func(status int, code, text string) {
		reply(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": text}}})
	}
	const malformed = "invalid_field_format"
	run := r.PathValue("run")
	var list []score
	err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&list)
	switch _, bad := ulid.ParseStrict(run); {
	case bad != nil:
		invalid(http.StatusBadRequest, malformed, "Run ID must be a valid ULID")
		return
	case err != nil:
		invalid(http.StatusBadRequest, malformed, err.Error())
		return
	case len(list) == 0:
		invalid(http.StatusBadRequest, malformed, "At least one score is required")
		return
	case len(list) > maxScores:
		invalid(http.StatusBadRequest, malformed, fmt.Sprintf("At most %d scores are allowed", maxScores))
		return
	}
	for i := range list {
		list[i].RunID = run
		if why := list[i].invalid(); why != "" {
			invalid(http.StatusBadRequest, malformed, fmt.Sprintf("scores[%d]: %s", i, why))
			return
		}
	}
	for _, one := range list {
		step, scope := "", "run"
		if one.StepID != nil {
			step, scope = *one.StepID, "step"
		}
		if s.engine.AddMetadata(run, sdk.StepHash(step), 0, scope, one.updates()) != nil {
			invalid(http.StatusRequestEntityTooLarge, "validation_error", "Score exceeds the run metadata size limit")
			return
		}
	}
	reply(w, http.StatusOK, map[string]any{"data": list, "metadata": map[string]any{"fetchedAt": s.engine.Shown(s.engine.Now())}})
}

// updates are the metadata that a score is.
func (s score) updates() (updates []sdk.MetadataUpdate) {
	quoted := func(text string) json.RawMessage {
		raw, _ := json.Marshal(text)
		return raw
	}
	if s.Experiment != nil {
		updates = append(updates, sdk.MetadataUpdate{Kind: "inngest.experiment", Values: map[string]json.RawMessage{
			"name": quoted(s.Experiment.ID), "variant": quoted(s.Experiment.Variant),
		}})
	}
	return append(updates, sdk.MetadataUpdate{Kind: "inngest.score", Values: map[string]json.RawMessage{
		s.Name: engine.Wrap("value", s.Value),
	}})
}

// invalid says in the server's words what is wrong with a score.
func (s score) invalid() string {
	blank := func(text string) bool { return strings.TrimSpace(text) == "" }
	const most = 128
	switch value := strings.TrimSpace(string(s.Value)); {
	case blank(s.Name):
		return "Score name is required"
	case value == "":
		return "Score value is required"
	case value != "true" && value != "false" && strings.Trim(value[:1], "-0123456789") != "":
		return "Score value must be a finite number or boolean"
	case s.StepID != nil && blank(*s.StepID):
		return "Step ID must not be empty when provided"
	case s.StepID != nil && s.Experiment != nil:
		return "Experiment scores must be run-scoped"
	}
	for _, u := range s.updates() {
		if engine.CheckMetadata(u) != nil {
			return fmt.Sprintf("Score name or value is invalid; names must be at most %d UTF-8 bytes, must not contain control characters or "+
				"single quotes, and values must be a finite number or boolean", most)
		}
	}
	switch e := s.Experiment; {
	case e == nil:
		return ""
	case blank(e.ID):
		return "Experiment ID is required when experiment is provided"
	case blank(e.Variant):
		return "Experiment variant is required when experiment is provided"
	case len(e.ID) > most:
		return fmt.Sprintf("Experiment ID must be at most %d UTF-8 bytes", most)
	case len(e.Variant) > most:
		return fmt.Sprintf("Experiment variant must be at most %d UTF-8 bytes", most)
	}
	return ""
}

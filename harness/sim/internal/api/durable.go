package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Limits of the server.
const (
	outputToken = time.Hour       // the token for a run's output lasts as long
	outputWait  = 5 * time.Minute // a reader of the output waits as long, by the wall clock
)

// durable adds what apps with durable endpoints, and their callers, ask for. Both prefixes are in use.
func (s *server) durable(mux *http.ServeMux) {
	for _, prefix := range []string{"/v1/checkpoint", "/v1/http/runs"} {
		mux.HandleFunc("POST "+prefix, s.newRun)
		mux.HandleFunc("POST "+prefix+"/{run}/steps", s.checkpointHTTP)
		mux.HandleFunc("POST "+prefix+"/{run}/async", s.checkpoint)
		mux.HandleFunc(prefix+"/{run}/output", s.output)
	}
}

// newRun records a run that began with an HTTP request.
func (s *server) newRun(w http.ResponseWriter, r *http.Request) {
	var n sdk.NewRun
	err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&n)
	var answer sdk.NewRunAnswer
	if err == nil {
		answer, err = s.engine.StartHTTPRun(n)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("invalid request body: %w", err))
		return
	}
	if len(n.Steps) > 0 {
		answer.Token = s.tokens.sign(claims{RunID: n.RunID}, outputToken)
	}
	stream := topic{Kind: "run", Channel: n.RunID, Name: streamTopic}
	answer.RealtimeToken = s.tokens.sign(claims{Topics: []topic{stream}}, streamTimeout+time.Minute)
	reply(w, http.StatusOK, map[string]any{"data": answer, "metadata": map[string]any{"fetched_at": time.Now()}})
}

func (s *server) checkpointHTTP(w http.ResponseWriter, r *http.Request) {
	var c sdk.Checkpoint
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&c); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("invalid request body: %w", err))
		return
	}
	s.engine.CheckpointHTTP(c)
}

// output answers with the output of the run that the token names, once the run is over.
func (s *server) output(w http.ResponseWriter, r *http.Request) {
	claims, err := s.tokens.read(r.URL.Query().Get("token"))
	if err != nil || claims.RunID == "" {
		refuseText(w, http.StatusUnauthorized, "Unable to find run with auth token")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), outputWait)
	defer cancel()
	run, ok := s.engine.AwaitEnd(ctx, claims.RunID)
	w.Header().Set("Content-Type", "application/json")
	if !ok {
		_, _ = io.WriteString(w, `{"status":"running","message":"run did not end within 5 minutes"}`)
		return
	}
	if text := outputOf(run); text != nil && run.Status != harness.StatusCancelled {
		_, _ = io.WriteString(w, *text)
	}
}

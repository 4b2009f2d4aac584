package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// maxBody is the most of a request's body that is read: a full batch of events, within reason.
const maxBody = 64 << 20

// Handler is the server's HTTP front: the event API, registration, checkpoints, and what the harness reads of the API; and
// what [Skip] asks for, which no server has.
// Serve it on loopback, and a [Sim] that drives itself can stand where the dev server stood.
func (s *Sim) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /e/{key}", s.receive)
	mux.HandleFunc("POST /invoke/{slug}", s.receiveInvocation)
	mux.HandleFunc("POST /fn/register", s.receiveRegistration)
	mux.HandleFunc("DELETE /fn/remove", s.receiveRemoval)
	mux.HandleFunc("POST /v1/checkpoint/{run}/async", s.receiveCheckpoint)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"status": http.StatusOK, "message": "OK"})
	})
	mux.HandleFunc("POST "+skipPath, s.receiveSkip)
	s.readRoutes(mux)
	return mux
}

// HTTPClient returns a client that reaches the Sim at [BaseURL] without a socket, for the app to send events with.
func (s *Sim) HTTPClient() *http.Client {
	return &http.Client{Transport: inProcess{s.Handler()}}
}

// inProcess is a round tripper that calls a handler.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.URL.String(), BaseURL) {
		return nil, fmt.Errorf("the Sim's client reaches %s only, not %s: set the app's EventAPIBaseURL", BaseURL, req.URL.Host)
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	defer req.Body.Close()
	w := &recorder{header: http.Header{}}
	t.handler.ServeHTTP(w, req)
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client went away: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]any{"error": err.Error(), "status": status})
}

// receive is the event API.
func (s *Sim) receive(w http.ResponseWriter, r *http.Request) {
	if keys := s.options.EventKeys; len(keys) > 0 && !slices.Contains(keys, r.PathValue("key")) {
		refuse(w, http.StatusUnauthorized, errors.New("Event key not found"))
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("reading events: %w", err))
		return
	}
	s.mu.Lock()
	ids, err := s.ingest(body, r.Header.Get(sdk.HeaderEventIDSeed))
	s.mu.Unlock()
	s.signal()
	if len(ids) == 0 {
		ids = []string{""} // the server always names one
	}
	if err != nil {
		reply(w, http.StatusBadRequest, sdk.SendAnswer{IDs: ids, Status: http.StatusBadRequest, Error: err.Error()})
		return
	}
	reply(w, http.StatusOK, sdk.SendAnswer{IDs: ids, Status: http.StatusOK})
}

func (s *Sim) receiveInvocation(w http.ResponseWriter, r *http.Request) {
	var payload wireEvent
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&payload); err != nil {
		//lint:ignore ST1005 it is the server's own wording
		refuse(w, http.StatusBadRequest, fmt.Errorf("Unable to read post data request: %w", err))
		return
	}
	s.mu.Lock()
	e := s.invoke(r.PathValue("slug"), "", &payload)
	s.mu.Unlock()
	s.signal()
	reply(w, http.StatusOK, map[string]any{"id": e.internal.String(), "status": http.StatusOK})
}

func (s *Sim) receiveRegistration(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = s.register(body, "", nil)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.signal()
	reply(w, http.StatusOK, map[string]any{"ok": true, "modified": true})
}

func (s *Sim) receiveRemoval(w http.ResponseWriter, r *http.Request) {
	url := r.URL.Query().Get("url")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if strings.TrimSuffix(a.url, "?") == strings.TrimSuffix(url, "?") {
			s.uninstall(a)
		}
	}
	reply(w, http.StatusOK, map[string]any{"ok": true})
}

// receiveCheckpoint memoises steps that an app has run and goes on from, while its call is still under way.
func (s *Sim) receiveCheckpoint(w http.ResponseWriter, r *http.Request) {
	var c sdk.Checkpoint
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&c); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("invalid request body: %w", err))
		return
	}
	s.mu.Lock()
	status, err := s.checkpoint(c.RunID, c.QueueItem, c.Steps)
	s.mu.Unlock()
	if err != nil {
		reply(w, status, map[string]any{"error": err.Error(), "status": status, "data": map[string]any{"run_id": c.RunID}})
		return
	}
	reply(w, http.StatusOK, map[string]any{})
}

func (s *Sim) checkpoint(runID, job string, steps []sdk.Op) (status int, err error) {
	run := s.runs.find(runID)
	if run == nil || run.status.Over() {
		return http.StatusBadRequest, fmt.Errorf("checkpointing run %s: the run is over or was never here", runID)
	}
	labels := make([]string, len(steps))
	for i := range steps {
		labels[i] = steps[i].StepID()
	}
	if f := s.takeFault(run.function.id, labels); f != nil && f.Lose {
		return http.StatusServiceUnavailable, errors.New("the checkpoint was lost (sim.Answer.Lose)")
	}
	it := s.inflight[job]
	if it == nil || it.run != run { // the call is over, or was given up
		it = &item{run: run, began: s.clock()}
	}
	for i := range steps {
		o := &steps[i]
		if o.Op != sdk.OpStepRun && o.Op != sdk.OpStep && o.Op != sdk.OpStepPlanned {
			return http.StatusBadRequest, fmt.Errorf("cannot checkpoint opcode: %s", o.Op)
		}
		if o.Op == sdk.OpStepPlanned {
			run.step(o.ID, o.StepID(), OpRun, s.clock())
			continue
		}
		raw := memoOf(o)
		if len(raw) > maxStepBytes {
			return http.StatusRequestEntityTooLarge, fmt.Errorf("step %s output too large", o.ID)
		}
		if run.stateSize+len(raw) > maxStateSize {
			return http.StatusRequestEntityTooLarge, errors.New("run state size limit exceeded")
		}
		s.finishStep(it, o)
		run.save(o.ID, raw)
		it.attempt, it.began = 0, s.clock() // what comes after a checkpoint has its own attempts
	}
	return http.StatusOK, nil
}

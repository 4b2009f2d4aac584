// Package api is the HTTP API of a simulated server: events, registration and checkpoints, which apps use, and what the
// harness reads, by REST and GraphQL.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/nosocket"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/gateway"
)

// BaseURL is the address at which [Client] reaches a handler.
const BaseURL = "http://inngest.sim.invalid"

// Version is the version of the server whose API this is.
const Version = "1.43.0"

// maxBody is the most of a request's body that is read: a full batch of events.
const maxBody = 64 << 20

// Options configure the API.
type Options struct {
	// EventKeys are the keys that the event API accepts. Empty: any.
	EventKeys []string
	// Advance puts the clock forward.
	Advance func(ctx context.Context, d time.Duration) error
	// AdvanceFor lets time pass for what descends from a run or an event, and returns the time that this sees.
	AdvanceFor func(ctx context.Context, of engine.Root, d time.Duration) (time.Time, error)
	// Closed is closed when the server is, which ends subscriptions.
	Closed <-chan struct{}
	// Page has the files of the server's page. Nil: there is none.
	Page fs.FS
}

// server is the API of one Engine.
type server struct {
	engine  *engine.Engine
	options Options
	tokens  tokens
	hub     hub
	gateway *gateway.Gateway
}

// New returns the API of an engine.
func New(e *engine.Engine, o Options) http.Handler {
	s := &server{engine: e, options: o, tokens: newTokens(), hub: hub{subs: map[*subscriber]bool{}}}
	s.gateway = gateway.New(func(registration []byte, app http.Handler) error {
		_, err := e.Register(registration, "", app)
		return err
	}, o.Closed)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /e/{key}", s.events)
	mux.HandleFunc("POST /invoke/{slug}", s.invoke)
	mux.HandleFunc("POST /fn/register", s.register)
	mux.HandleFunc("DELETE /fn/remove", s.remove)
	s.durable(mux)
	s.realtime(mux)
	s.gateway.Routes(mux)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"status": http.StatusOK, "message": "OK"})
	})
	mux.HandleFunc("GET /sim/decisions/{event}", s.decisions)
	mux.HandleFunc("POST "+SkipPath, s.skip)
	mux.HandleFunc("POST "+InterventionsPath, s.intervene)
	mux.HandleFunc("GET /dev", s.dev)
	mux.HandleFunc("GET /v0/runs/{run}/actions", s.state)
	mux.HandleFunc("GET /v0/runs/{run}/batch", s.state)
	mux.Handle("/v0/gql", newGraphQL(e, s.gateway))
	s.v1(mux)
	s.v2(mux)
	s.control(mux)
	s.stepRoutes(mux)
	return withPage(o.Page, mux)
}

// Client returns a client that calls a handler at [BaseURL] without a socket.
func Client(handler http.Handler) *http.Client {
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(req.URL.String(), BaseURL) {
			return nil, fmt.Errorf("the Sim's client reaches %s only, not %s: set the app's EventAPIBaseURL", BaseURL, req.URL.Host)
		}
		return nosocket.Transport{Handler: handler}.RoundTrip(req)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the client went away
}

func refuse(w http.ResponseWriter, status int, err error) { refuseText(w, status, err.Error()) }

func refuseText(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]any{"error": text, "data": nil, "status": status})
}

func (s *server) events(w http.ResponseWriter, r *http.Request) {
	if keys := s.options.EventKeys; len(keys) > 0 && !slices.Contains(keys, r.PathValue("key")) {
		refuseText(w, http.StatusUnauthorized, "Event key not found")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("reading events: %w", err))
		return
	}
	ids, err := s.engine.Ingest(body, r.Header.Get(sdk.HeaderEventIDSeed))
	if len(ids) == 0 {
		ids = []string{""} // the server always names one
	}
	if err != nil {
		reply(w, http.StatusBadRequest, sdk.SendAnswer{IDs: ids, Status: http.StatusBadRequest, Error: err.Error()})
		return
	}
	reply(w, http.StatusOK, sdk.SendAnswer{IDs: ids, Status: http.StatusOK})
}

func (s *server) invoke(w http.ResponseWriter, r *http.Request) {
	var payload engine.EventBody
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&payload); err != nil {
		//lint:ignore ST1005 it is the server's own wording
		refuse(w, http.StatusBadRequest, fmt.Errorf("Unable to read post data request: %w", err))
		return
	}
	reply(w, http.StatusOK, map[string]any{"id": s.engine.Invoke(r.PathValue("slug"), payload), "status": http.StatusOK})
}

func (s *server) register(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	modified := false
	if err == nil {
		modified, err = s.engine.Register(body, "", nil)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"ok": true, "modified": modified})
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) {
	if !s.engine.RemoveAt(r.URL.Query().Get("url")) {
		refuseText(w, http.StatusNotFound, "no app is registered at this URL")
		return
	}
	reply(w, http.StatusOK, map[string]any{"ok": true})
}

func (s *server) checkpoint(w http.ResponseWriter, r *http.Request) {
	var c sdk.Checkpoint
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&c); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("invalid request body: %w", err))
		return
	}
	if status, err := s.engine.Checkpoint(c); err != nil {
		reply(w, status, map[string]any{"error": err.Error(), "status": status, "data": map[string]any{"run_id": c.RunID}})
		return
	}
	reply(w, http.StatusOK, map[string]any{})
}

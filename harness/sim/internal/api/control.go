package api

import (
	"io"
	"net/http"
	"strconv"
)

// control adds what sets limits and resets the server, which suites of the server use.
func (s *server) control(mux *http.ServeMux) {
	mux.HandleFunc("POST /fn/step-limit", s.setLimit(s.engine.LimitSteps, 10_000))
	mux.HandleFunc("DELETE /fn/step-limit", s.setLimit(s.engine.LimitSteps, 0))
	mux.HandleFunc("POST /fn/state-size-limit", s.setLimit(s.engine.LimitState, 32<<20))
	mux.HandleFunc("DELETE /fn/state-size-limit", s.setLimit(s.engine.LimitState, 0))
	mux.HandleFunc("POST /test/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.engine.Reset()
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("GET /test/queue/function-queue-size", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, map[string]any{"count": s.engine.QueueSize(r.FormValue("fnId"))})
	})
	mux.HandleFunc("POST /test/function/runs/cancel", func(_ http.ResponseWriter, r *http.Request) {
		s.engine.Cancel(r.FormValue("runId"))
	})
	// Suites pause a function to see what it leaves in the queue: what was cancelled leaves nothing here.
	mux.HandleFunc("POST /test/function/pause", func(http.ResponseWriter, *http.Request) {})
}

// setLimit answers by setting a function's limit to a number up to most; without most, by taking it away.
func (s *server) setLimit(set func(function string, limit int), most int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		id, limit := query.Get("functionId"), 0
		if most > 0 {
			var err error
			if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit <= 0 || limit > most {
				refuseText(w, http.StatusBadRequest, "limit must be a number from 1 to "+strconv.Itoa(most))
				return
			}
		}
		for _, f := range s.engine.Functions() {
			if f.UUID == id {
				set(id, limit)
				return
			}
		}
		refuseText(w, http.StatusNotFound, "no function has the id "+id)
	}
}

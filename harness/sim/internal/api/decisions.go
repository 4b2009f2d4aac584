package api

import (
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// decision is what flow control did to an event or to one of its runs. No other server tells it.
type decision struct {
	Function    string    `json:"function"`
	Run         string    `json:"run,omitempty"`
	At          time.Time `json:"at,omitzero"`
	Text        string    `json:"text"`
	Pending     bool      `json:"pending,omitempty"`
	DuplicateOf string    `json:"duplicateOf,omitempty"`
}

// decisions answers with the decisions about an event and its runs, and with why a run does not go on.
func (s *server) decisions(w http.ResponseWriter, r *http.Request) {
	id, _ := ulid.Parse(r.PathValue("event"))
	e, _ := s.engine.Event(id)
	all := []decision{}
	add := func(list []engine.Decision) {
		for _, d := range list {
			all = append(all, decision{d.Function, d.Run, s.engine.Shown(d.At), d.Text, d.Pending, d.DuplicateOf})
		}
	}
	add(e.Decisions)
	for _, run := range s.engine.Runs(r.PathValue("event")) {
		add(run.Decisions)
		if run.Stuck != "" {
			all = append(all, decision{Function: run.Function.ID, Run: run.ID, Text: run.Stuck, Pending: true})
		}
	}
	reply(w, http.StatusOK, map[string]any{"decisions": all})
}

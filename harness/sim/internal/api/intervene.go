package api

import (
	"fmt"
	"io"
	"net/http"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// InterventionsPath is where steps are replaced and faults are injected.
const InterventionsPath = "/sim/interventions"

// Intervened is the answer of [InterventionsPath].
type Intervened struct {
	OK     bool     `json:"ok"`
	Error  string   `json:"error"`
	Unused []string `json:"unused"`
}

// intervene reads interventions and carries them out.
func (s *server) intervene(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	var i engine.Interventions
	answer := Intervened{OK: true}
	if err == nil {
		i, err = engine.ParseInterventions(body)
	}
	if err == nil {
		answer.Unused, err = s.engine.Intervene(i)
	}
	if err != nil {
		reply(w, http.StatusBadRequest, Intervened{Error: fmt.Sprintf("reading interventions: %v", err)})
		return
	}
	reply(w, http.StatusOK, answer)
}

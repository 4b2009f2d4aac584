package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// skipPath is where a Sim behind [Sim.Handler] is told to put its clock forward.
const skipPath = "/sim/skip"

type skipped struct {
	Now   time.Time `json:"now"`
	Error string    `json:"error,omitempty"`
}

// receiveSkip advances the clock by the duration in the query and answers with the virtual time.
func (s *Sim) receiveSkip(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("by"))
	if err != nil || d < 0 {
		reply(w, http.StatusBadRequest, skipped{s.Now(), "say by how much, as in ?by=24h"})
		return
	}
	if err := s.Advance(r.Context(), d); err != nil {
		reply(w, http.StatusServiceUnavailable, skipped{s.Now(), err.Error()})
		return
	}
	reply(w, http.StatusOK, skipped{Now: s.Now()})
}

// ErrNoSim is returned by Skip if what is at the address is no Sim.
var ErrNoSim = errors.New("it is no sim, and cannot skip time")

// Skip puts the clock of a Sim forward that another process serves by its Handler, and returns the virtual time: see
// [Sim.Advance].
func Skip(ctx context.Context, baseURL string, d time.Duration) (now time.Time, err error) {
	address := baseURL + skipPath + "?by=" + url.QueryEscape(d.String())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return now, fmt.Errorf("skipping time at %s: %w", baseURL, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return now, fmt.Errorf("skipping time at %s: %w", baseURL, err)
	}
	defer res.Body.Close()
	var said skipped
	switch err := json.NewDecoder(res.Body).Decode(&said); {
	case err != nil || res.StatusCode == http.StatusNotFound || said.Now.IsZero():
		return now, fmt.Errorf("skipping time at %s: %w", baseURL, ErrNoSim)
	case said.Error != "":
		return said.Now, fmt.Errorf("skipping time at %s: %s", baseURL, said.Error)
	}
	return said.Now, nil
}

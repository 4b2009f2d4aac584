package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/api"
)

// ErrNoSim is returned by Skip if the server at the address is no Sim.
var ErrNoSim = errors.New("it is no sim, and cannot skip time")

// Skip puts the clock of a Sim forward that another process serves by its Handler, and returns the virtual time: see
// [Sim.Advance].
func Skip(ctx context.Context, baseURL string, d time.Duration) (now time.Time, err error) {
	address := baseURL + api.SkipPath + "?by=" + url.QueryEscape(d.String())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return now, fmt.Errorf("skipping time at %s: %w", baseURL, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return now, fmt.Errorf("skipping time at %s: %w", baseURL, err)
	}
	defer res.Body.Close()
	var answer api.Skipped
	switch err := json.NewDecoder(res.Body).Decode(&answer); {
	case err != nil || res.StatusCode == http.StatusNotFound || answer.Now.IsZero():
		return now, fmt.Errorf("skipping time at %s: %w", baseURL, ErrNoSim)
	case answer.Error != "":
		return answer.Now, fmt.Errorf("skipping time at %s: %s", baseURL, answer.Error)
	}
	return answer.Now, nil
}

package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/api"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// ErrNoSim is returned for a request to a server that is no Sim.
var ErrNoSim = errors.New("it is no sim, and can neither skip time nor replace steps")

// Skipping says how much time to skip. One of By and Until is required.
type Skipping struct {
	// By is how much time passes.
	By time.Duration
	// Until is the virtual time to which the clock is put forward, or that Run or Event is to see.
	Until time.Time
	// Run is the run for which the time passes: see [Sim.AdvanceRun]. Empty: it passes for all.
	Run string
	// Event is the event for which the time passes, in place of Run: see [Sim.AdvanceEvent].
	Event string
}

// Skip puts the clock of a Sim forward that another process serves by its Handler, and returns the virtual time, or what Run
// or Event sees of it: see [Sim.Advance], [Sim.AdvanceRun] and [Sim.AdvanceEvent].
func Skip(ctx context.Context, baseURL string, s Skipping) (now time.Time, err error) {
	query := url.Values{"run": {s.Run}, "event": {s.Event}, "by": {s.By.String()}}
	if !s.Until.IsZero() {
		query["by"] = nil
		query.Set("until", s.Until.Format(time.RFC3339Nano))
	}
	var answer api.Skipped
	err = post(ctx, baseURL+api.SkipPath+"?"+query.Encode(), nil, &answer, func() bool { return !answer.Now.IsZero() })
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
		for _, unknown := range []error{ErrNoRun, ErrNoEvent} {
			if what, ok := strings.CutSuffix(answer.Error, unknown.Error()); ok {
				err = fmt.Errorf("%s%w", what, unknown)
			}
		}
	}
	if err != nil {
		return answer.Now, fmt.Errorf("skipping time at %s: %w", baseURL, err)
	}
	return answer.Now, nil
}

// ErrNoRun is returned where time is skipped for a run that is not kept, ErrNoEvent for such an event.
var (
	ErrNoRun   = engine.ErrNoRun
	ErrNoEvent = engine.ErrNoEvent
)

// post sends a request that only a Sim answers, with what known then recognizes. Other servers may answer whatever is asked.
func post(ctx context.Context, address string, body io.Reader, answer any, known func() bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil || !known() {
		return ErrNoSim
	}
	return nil
}

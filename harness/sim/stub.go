package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// Stub is the answer to HTTP requests that the server makes for steps: those of step.fetch, and of AI inference.
type Stub = engine.Stub

// Stub answers requests that steps let the server make. Stubs are tried in the sequence given, and before those of earlier calls
// and of [Options].Interventions; one with Times is gone after so many requests. Without stubs, all are taken away.
//
// A request that no stub answers goes to an address on this machine, such as that of an [net/http/httptest.Server]; for any other
// the run fails, unless [Options] allow the network. It takes no virtual time.
func (s *Sim) Stub(stubs ...Stub) error { return s.engine.SetStubs(stubs) }

// ParseStubs reads stubs from JSON: a list, or a single one. Fields that it does not know are errors.
func ParseStubs(text []byte) ([]Stub, error) {
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		text = slices.Concat([]byte("["), text, []byte("]"))
	}
	stubs, err := engine.ParseStubs(text)
	if err != nil {
		return nil, fmt.Errorf("reading stubs: %w", err)
	}
	return stubs, nil
}

// SendSignal sends a signal, as the SDKs' sendSignal does, and returns the id of the run that waited for it. ok is false if none
// did. The run goes on once the Sim is driven.
func (s *Sim) SendSignal(ctx context.Context, signal string, data any) (runID string, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return "", false, fmt.Errorf("sending the signal %s: encoding its data: %w", signal, err)
	}
	runID, ok = s.engine.SendSignal(signal, encoded)
	return runID, ok, nil
}

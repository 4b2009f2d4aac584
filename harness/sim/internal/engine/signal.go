package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// waitForSignal lets the run wait for a signal, which one run at a time can wait for.
func (on *application) waitForSignal(o *sdk.Op) error {
	var opts struct {
		Signal   string `json:"signal"`
		Timeout  string `json:"timeout"`
		Conflict string `json:"conflict"`
	}
	if err := o.Options(&opts); err != nil {
		return err
	}
	if opts.Signal == "" {
		return errors.New("signal name is empty")
	}
	w := on.newWait(o, "", on.now.Add(defaultExpiry))
	w.signal = opts.Signal
	if opts.Timeout != "" {
		at, err := deadline(on.clock, opts.Timeout)
		if err != nil {
			return fmt.Errorf("unable to parse signal expires: %w", err)
		}
		w.expires = at
	}
	other := on.waits.signals[opts.Signal]
	if other != nil && opts.Conflict != "replace" && (other.run != on.r || other.step != o.ID) {
		failed := newError("Error", "Signal conflict; signal wait already exists for another run")
		failed.Reason = failed.Name + ": " + failed.Message
		on.r.step(o, o.Op, on.now)
		on.r.endStep(o.ID, StepFailed, failed, on.now)
		return failed
	}
	on.startWait(o, w)
	return nil
}

// received returns what is memoised for a signal that came.
func received(signal string, data json.RawMessage) json.RawMessage {
	return Wrap("data", map[string]any{"signal": signal, "data": orNull(data)})
}

// SendSignal resumes the run that waits for a signal, and returns its id. ok is false if none waits.
func (e *Engine) SendSignal(name string, data json.RawMessage) (runID string, ok bool) {
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.m.waits.signals[name]
	if w == nil || w.expires.Before(e.m.clock.Now()) {
		return "", false
	}
	e.m.resume(w, received(name, data), StepCompleted, nil)
	return w.run.ID, true
}

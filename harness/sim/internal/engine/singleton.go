package engine

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// singleton lets no more than one run of a function be in progress.
type singleton struct {
	key     key
	cancels bool // a new run cancels the one in progress; otherwise the new one is skipped
}

func parseSingleton(raw json.RawMessage) (*singleton, error) {
	config, err := configured[struct {
		Key  *string `json:"key"`
		Mode *string `json:"mode"`
	}](raw)
	if err != nil || config == nil {
		return nil, err
	}
	s := &singleton{}
	switch {
	case config.Mode == nil || strings.EqualFold(*config.Mode, "skip"):
	case strings.EqualFold(*config.Mode, "cancel"):
		s.cancels = true
	default:
		return nil, fmt.Errorf("mode is %q, want skip or cancel", *config.Mode)
	}
	// The server does not check the key: one that it cannot read restricts nothing.
	if s.key, err = parseKey(config.Key); err != nil {
		return nil, nil
	}
	return s, nil
}

// single makes room for a run of a singleton. name is what the run then holds until its end; empty: it holds nothing. If
// the run in progress goes first, it returns that one.
func (m *machine) single(f *function, e *event) (name string, first *run) {
	if f.singleton == nil {
		return "", nil
	}
	value, set := f.singleton.key.value(e)
	if !set {
		return "", nil
	}
	name = f.ID + "\x00" + value
	r := m.admission.singletons[name]
	if r == nil || !f.singleton.cancels {
		return name, r
	}
	m.noteRun(r, f.singleton.key.named("cancelled: singleton", value)+": event "+e.EventID+" started a run in its place")
	m.end(r, harness.StatusCancelled)
	return name, nil
}

// skip ends a run that does not take place because another one is in progress.
func (m *machine) skip(r, first *run) {
	now := m.clock.Now()
	r.Status, r.Ended, r.SkippedFor = harness.StatusSkipped, now, first.ID
	value, _ := r.function.singleton.key.value(r.event)
	text := r.function.singleton.key.named("skipped: singleton", value) + ": run " + first.ID + " is in progress"
	m.noteRun(r, text)
	m.record(r.event, Decision{Function: r.function.ID, Run: r.ID, Text: text})
	m.runs.ended(r)
}

package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// sessions group the runs that events start, by names of the sender's choice.
type sessions map[string]any // of texts

// Limits of the sessions of an event.
const (
	maxSessions    = 5
	maxSessionKey  = 128
	maxSessionText = 512
)

// eventMeta is the part of an event that holds its sessions: those of the sender, and those that the SDK passes on from the
// run that sends.
type eventMeta struct {
	own, inherited map[string]*string // nil: the sender takes that session off
	ownOnly        bool               // the sender takes all inherited ones off
}

// UnmarshalJSON reads both kinds. A session is a text or a number.
func (m *eventMeta) UnmarshalJSON(raw []byte) error {
	var both struct {
		Own       json.RawMessage `json:"sessions"`
		Inherited json.RawMessage `json:"propagated_sessions"`
	}
	if err := json.Unmarshal(raw, &both); err != nil {
		return err
	}
	m.ownOnly = string(both.Own) == "null"
	var err error
	if m.own, err = readSessions(both.Own, true); err == nil {
		m.inherited, err = readSessions(both.Inherited, false)
	}
	return err
}

func readSessions(raw json.RawMessage, canRemove bool) (map[string]*string, error) {
	var values map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &values); err != nil {
			return nil, err
		}
	}
	out := map[string]*string{}
	for name, value := range values {
		var text string
		var number json.Number
		switch {
		case string(value) == "null" && canRemove:
			out[name] = nil
		case json.Unmarshal(value, &text) == nil && string(value) != "null":
			out[name] = &text
		case json.Unmarshal(value, &number) == nil && number != "":
			text = number.String()
			out[name] = &text
		default:
			return nil, fmt.Errorf("event session %q must be a string or number", name)
		}
	}
	return out, nil
}

// sessions returns the event's sessions: the sender's own, and as many of the others as there is room for.
func (m *eventMeta) sessions() sessions {
	if len(m.own) == 0 && len(m.inherited) == 0 {
		return nil
	}
	out := sessions{}
	for name, text := range m.own {
		if text != nil {
			out[name] = *text
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.inherited)) {
		if _, own := m.own[name]; !own && !m.ownOnly && len(out) < maxSessions {
			out[name] = *m.inherited[name]
		}
	}
	return out
}

func (s sessions) check() error {
	if len(s) > maxSessions {
		return fmt.Errorf("event sessions can include at most %d entries", maxSessions)
	}
	for name, v := range s {
		text, _ := v.(string)
		switch {
		case name == "":
			return errors.New("event session keys cannot be empty")
		case len(name) > maxSessionKey:
			return fmt.Errorf("event session key %q exceeds %d bytes", name, maxSessionKey)
		case text == "":
			return fmt.Errorf("event session %q cannot have an empty ID", name)
		case len(text) > maxSessionText:
			return fmt.Errorf("event session %q exceeds %d bytes", name, maxSessionText)
		}
	}
	return nil
}

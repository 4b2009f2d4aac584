package harness

import (
	"errors"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// An Event is an event to send.
type Event struct {
	// IdempotencyKey is the id that the sender chooses. For 24 hours the server starts runs only for the first event
	// with a given key, also after a run that failed. Empty: every sending counts.
	IdempotencyKey string `json:"id,omitempty"`
	// Name is required.
	Name string `json:"name"`
	// Data is anything that encodes as a JSON object, also a json.RawMessage or []byte. Nil: an empty object.
	Data any `json:"data"`
	// User is anything that encodes as a JSON object. Nil: none.
	User any `json:"user,omitempty"`
	// TS is when it happened, in milliseconds since 1970. Zero: when the server receives it. A time in the future delays
	// the runs until then.
	TS int64 `json:"ts,omitempty"`
	// V is the version of the event's schema. Empty: none.
	V string `json:"v,omitempty"`
}

// ParseEvent reads one event from JSON. It returns an error for unknown and repeated fields, and for what the server would misunderstand.
// A key "$schema", which editors read, is ignored.
func ParseEvent(data []byte) (Event, error) {
	var e Event
	if err := strictjson.Decode(data, &e); err != nil {
		return e, err
	}
	if e.Name == "" {
		return e, errors.New("it has no name")
	}
	for _, field := range []struct {
		name  string
		value any
	}{{"data", e.Data}, {"user", e.User}} {
		if _, object := field.value.(map[string]any); field.value != nil && !object {
			return e, fmt.Errorf("its %s is no JSON object", field.name)
		}
	}
	return e, nil
}

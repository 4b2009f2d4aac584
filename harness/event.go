package harness

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

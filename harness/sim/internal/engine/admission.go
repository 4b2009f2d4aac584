package engine

import (
	"encoding/json"
	"time"
)

// admission decides whether an event that matches a function starts a run: not if it started one before. Concurrency,
// throttling, debouncing and their like belong here too.
type admission struct {
	seen memory // of event ids and of values of idempotency expressions, by function
}

// admit reports whether an event that matches a function starts a run of it. If not, refused is the error for a run that
// invoked the function; nil: it is given none.
func (a *admission) admit(f *function, e *event, now time.Time) (ok bool, refused *Error) {
	if e.recurs && !a.seen.first(f.ID+"\x00"+e.IdempotencyKey, now) {
		return false, nil
	}
	if f.idempotency == nil {
		return true, nil
	}
	value, ok := f.idempotency.Value(e.fields, nil)
	if !ok || value == false {
		return true, nil
	}
	if key, err := json.Marshal(value); err == nil && !a.seen.first(f.ID+"\x01"+string(key), now) {
		refused = newError("Error", "invoked function is rate limited")
		refused.refused = true
		return false, refused
	}
	return true, nil
}

package engine

import (
	"encoding/json"
	"time"
)

// admission decides on the way from "an event matches a function" to "a run is called". It is the one place for what
// holds runs back: today it drops events that started the function before. Concurrency, throttling, debouncing and their
// like belong here: they answer with a later time, at which the match is decided again.
type admission struct {
	seen memory // of event ids and of values of idempotency expressions, by function
}

// decision is what becomes of a match.
type decision struct {
	outcome outcome
	at      time.Time // of held: when it is decided again
	refused *Error    // of dropped: what a run that invoked the function is given; nil: nothing
}

type outcome uint8

const (
	admitted outcome = iota // a run starts now
	held                    // not yet
	dropped                 // never
)

// admit decides whether an event that matches a function starts a run of it now.
func (a *admission) admit(f *function, e *event, now time.Time) decision {
	if e.recurs && !a.seen.first(f.id+"\x00"+e.id, now) {
		return decision{outcome: dropped}
	}
	if f.idempotency == nil {
		return decision{}
	}
	value, ok := f.idempotency.value(e.materialise().fields, nil)
	if !ok || value == false {
		return decision{}
	}
	if key, err := json.Marshal(value); err == nil && !a.seen.first(f.id+"\x01"+string(key), now) {
		refused := newError("Error", "invoked function is rate limited")
		refused.refused = true
		return decision{outcome: dropped, refused: refused}
	}
	return decision{}
}

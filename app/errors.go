package app

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Kind is the class of a failure. It decides whether the run is retried and what happens to the notification. Classify
// returns it.
type Kind int

// The kinds of failure.
const (
	// Transient: any other failure, such as a network error, an unreachable database or a temporary refusal. Retried.
	Transient Kind = iota
	// BadEvent: the event cannot be used. The run ends without retries. If the app sent the event, the notification is
	// marked failed; an event from another sender leaves the notification as it is.
	BadEvent
	// Undeliverable: the email cannot be sent, for example for lack of an address. The run ends without retries, the
	// notification is marked failed with a reason, and a person can requeue it.
	Undeliverable
)

// failure is an error with a permanent kind.
type failure struct {
	kind   Kind
	reason string
	err    error
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.reason
	}
	return f.reason + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// Permanent returns an error of the given kind. Reason is shown to users: a sentence that says what to fix, without
// secrets. Err is the cause for the log; it may be nil.
func Permanent(kind Kind, reason string, err error) error {
	return &failure{kind: kind, reason: reason, err: err}
}

// Classify returns the kind of err and, for the permanent kinds, the reason to show to users.
func Classify(err error) (kind Kind, reason string) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.kind, f.reason
	}
	return Transient, ""
}

// FieldErrors maps each invalid field of an input to its problem.
type FieldErrors map[string]string

// Error lists the problems in the order of the fields' names.
func (f FieldErrors) Error() string {
	lines := make([]string, 0, len(f))
	for _, field := range slices.Sorted(maps.Keys(f)) {
		lines = append(lines, field+" "+f[field])
	}
	return strings.Join(lines, "; ")
}

// Add records a problem of a field that has none yet. An empty problem is ignored.
func (f FieldErrors) Add(field, problem string) {
	if _, has := f[field]; problem != "" && !has {
		f[field] = problem
	}
}

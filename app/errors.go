package app

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Kind sorts failures. Every failure on the way to an email is one of three kinds, and all that react to failures ask
// Sort:
//
//   - BadEvent: the event itself is useless. The run ends without retries. The request that it names, if it names
//     one, owes nothing to it, so its notification stays on its way, unless the event was the app's own.
//   - Undeliverable: this request's notification cannot be sent as things are (no address, refused for good). The
//     run ends without retries, the notification is marked failed with a reason, and a person can requeue it.
//   - Transient: all the rest (network, database away, temporary refusals). Retried.
type Kind int

// The kinds of failure, as explained above.
const (
	Transient Kind = iota
	BadEvent
	Undeliverable
)

// failure is an error whose kind is known where it arises.
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

// Permanent returns an error of the given kind. Reason is a sentence a person can act on and holds no secrets; err,
// which may be nil, is the cause for the log.
func Permanent(kind Kind, reason string, err error) error {
	return &failure{kind: kind, reason: reason, err: err}
}

// Sort tells the kind of err and, for the permanent kinds, the reason to show to people.
func Sort(err error) (kind Kind, reason string) {
	var f *failure
	if errors.As(err, &f) {
		return f.kind, f.reason
	}
	return Transient, ""
}

// FieldErrors says for each bad field of an input what is wrong with it.
type FieldErrors map[string]string

// Error lists the problems in the order of the fields' names.
func (f FieldErrors) Error() string {
	lines := make([]string, 0, len(f))
	for _, field := range slices.Sorted(maps.Keys(f)) {
		lines = append(lines, field+" "+f[field])
	}
	return strings.Join(lines, "; ")
}

// add notes a problem unless there is none, or the field has one already.
func (f FieldErrors) add(field, problem string) {
	if _, has := f[field]; problem != "" && !has {
		f[field] = problem
	}
}

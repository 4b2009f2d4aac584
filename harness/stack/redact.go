package stack

import (
	"encoding/json"
	"os"
	"slices"
	"sync/atomic"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
)

// A Redactor removes the secrets of a stack's app: the values of variables in its environment whose names end in KEY,
// TOKEN, PASS, PASSWORD, SECRET and the like, credentials in URIs, and credentials in SMTP dialogues. It does not know
// secrets that the app reads from elsewhere, such as a file, and ignores values of fewer than four characters. Its methods
// are safe for concurrent use.
type Redactor struct{ secrets atomic.Pointer[secret.Set] }

// learn replaces what is secret: the secrets of this process's environment and of further variables.
func (r *Redactor) learn(env []string) {
	r.secrets.Store(secret.Of(slices.Concat(os.Environ(), env), harness.DevEventKey))
}

// set returns what is secret; nil, which is no secret, for a nil Redactor.
func (r *Redactor) set() *secret.Set {
	if r == nil {
		return nil
	}
	return r.secrets.Load()
}

// Text returns a text without secrets.
func (r *Redactor) Text(text string) string { return r.set().Text(text) }

// JSON returns a JSON value without secrets.
func (r *Redactor) JSON(data json.RawMessage) json.RawMessage { return secret.Redact(r.set(), data) }

// Lines returns a function that removes secrets from consecutive lines of a log.
func (r *Redactor) Lines() func(line string) string { return r.set().Lines() }

// Error returns err, or one that wraps it and has a text without secrets.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	text := r.Text(err.Error())
	if text == err.Error() {
		return err
	}
	return &redactedError{text, err}
}

// A redactedError wraps an error whose own text contains secrets.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// Mail returns an email without secrets. It has no source if it had secrets, because the source may contain them in an
// encoding that is not searched.
func (r *Redactor) Mail(m *harness.Message) *harness.Message {
	redacted := secret.Redact(r.set(), m)
	if redacted == m {
		return m
	}
	message := *redacted
	message.Raw = nil
	message.Problems = append(slices.Clone(message.Problems), "it contains a secret: its source is left out")
	return &message
}

// traceMail is Mail for an email of a trace.
func (r *Redactor) traceMail(m *harness.TraceMail) *harness.TraceMail {
	redacted := r.Mail(m.Message)
	if redacted == m.Message {
		return m
	}
	c := *m
	c.Message = redacted
	return &c
}

func (r *Redactor) trace(t *harness.Trace) *harness.Trace {
	if t == nil {
		return nil
	}
	c := *t
	c.Mail = nil
	c = secret.Redact(r.set(), c)
	for i := range t.Mail {
		c.Mail = append(c.Mail, *r.traceMail(&t.Mail[i]))
	}
	return &c
}

func (r *Redactor) verdict(v *harness.Verdict) *harness.Verdict {
	if v == nil {
		return nil
	}
	c := *v
	c.Trace = nil
	c = secret.Redact(r.set(), c)
	c.Trace = r.trace(v.Trace)
	return &c
}

package stack

import (
	"os"
	"slices"
	"sync/atomic"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
)

// A Redactor removes the secrets of a stack's app: the values of variables in its environment whose names end in KEY,
// TOKEN, PASS, PASSWORD, PWD, PAT, PIN, AUTH, SECRET and the like, credentials in URIs and connection strings, and
// credentials in SMTP dialogues. On an attached stack of a `harness up` it knows those that `up` knows. It does not know
// secrets that the app reads from elsewhere, such as a file, and ignores values of fewer than four characters. Its methods
// are safe for concurrent use.
type Redactor struct {
	others []string // of an attached stack; set before its first use
	known  atomic.Pointer[knownSecrets]
}

type knownSecrets struct {
	values []string
	set    *secret.Set
}

// learn replaces what is secret: the secrets of this process's environment and of further variables, and those of others.
func (r *Redactor) learn(env []string) {
	values := append(secret.Values(slices.Concat(os.Environ(), env), harness.DevEventKey), r.others...)
	r.known.Store(&knownSecrets{values, secret.New(values)})
}

// set returns what is secret; nil, which is no secret, for a nil Redactor.
func (r *Redactor) set() *secret.Set {
	if r == nil || r.known.Load() == nil {
		return nil
	}
	return r.known.Load().set
}

// Secrets returns the values that are secret. It is for a program that shows what concerns the same app.
func (r *Redactor) Secrets() []string { return slices.Clone(r.known.Load().values) }

// Redact returns a value without secrets in its texts, at any depth.
func Redact[T any](r *Redactor, v T) T { return secret.Redact(r.set(), v) }

// Text returns a text without secrets.
func (r *Redactor) Text(text string) string { return r.set().Text(text) }

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
	message.Problems = append(slices.Clone(message.Problems), harness.SourceLeftOut)
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

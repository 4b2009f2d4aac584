package harness

import (
	"os"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
)

// keepSecret makes the stack keep secret what the environment of its app says is, which is this process's, the stack's
// own additions, and extra.
func (s *Stack) keepSecret(extra []string) {
	s.secrets.Store(secret.Of(slices.Concat(os.Environ(), s.options.AppEnv, extra), eventKey))
}

// Redact returns a text with the secrets of the stack's app left out: the values of variables in its environment whose
// names end in KEY, TOKEN, PASS, PASSWORD, SECRET and the like, credentials in URIs, and those in SMTP dialogues. Verdicts,
// traces, logs and errors of the stack have been through it. What the app reads from elsewhere, a file say, is not known
// here; nor are values of fewer than four characters.
func (s *Stack) Redact(text string) string { return s.secrets.Load().Text(text) }

// redactError returns err, or one that says the same without secrets.
func (s *Stack) redactError(err error) error {
	if err == nil {
		return nil
	}
	text := s.Redact(err.Error())
	if text == err.Error() {
		return err
	}
	return &redactedError{text, err}
}

// redactedError is an error whose own text has secrets in it.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

func (s *Stack) redactVerdict(v *Verdict) *Verdict {
	if v == nil {
		return nil
	}
	c := *v
	c.Trace = nil
	c = secret.Redact(s.secrets.Load(), c)
	c.Trace = s.redactTrace(v.Trace)
	return &c
}

func (s *Stack) redactTrace(t *Trace) *Trace {
	if t == nil {
		return nil
	}
	c := *t
	c.Mail = nil
	c = secret.Redact(s.secrets.Load(), c)
	for i := range t.Mail {
		c.Mail = append(c.Mail, *s.redactMail(&t.Mail[i]))
	}
	return &c
}

// RedactMail returns an email as a trace has it: with the secrets that [Stack.Redact] leaves out left out, and without the
// source of one that has some, since there they may be encoded in a way that is not looked through.
func (s *Stack) RedactMail(m *inbox.Message) *inbox.Message {
	redacted := secret.Redact(s.secrets.Load(), m)
	if redacted == m {
		return m
	}
	message := *redacted
	message.Raw = nil
	message.Problems = append(slices.Clone(message.Problems), "there is a secret in it: its source is left out")
	return &message
}

func (s *Stack) redactMail(m *TraceMail) *TraceMail {
	redacted := s.RedactMail(m.Message)
	if redacted == m.Message {
		return m
	}
	c := *m
	c.Message = redacted
	return &c
}

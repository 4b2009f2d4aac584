package stack

import (
	"errors"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongohint"
)

// hint returns the sentence about the database that explains a text; empty where there is none.
func hint(servers harness.Servers, text string) string {
	for _, info := range servers.Describe() {
		if info.Service == harness.ServiceMongo {
			return mongohint.Of(info.Version, text)
		}
	}
	return ""
}

// hintAt sets the hint of a trace: for an error of its runs, or else, where something failed, for what the app printed. On a
// shared stack it may have printed that for another test.
func hintAt(servers harness.Servers, shared bool, t *harness.Trace, failed bool) {
	var errs []string
	for _, r := range t.Runs {
		failed = failed || r.Status == harness.StatusFailed
		errs = append(errs, r.Error)
		for _, s := range r.Steps {
			errs = append(errs, s.Error)
			for _, a := range s.Attempts {
				errs = append(errs, a.Error)
			}
		}
	}
	t.Hint = hint(servers, strings.Join(errs, "\n"))
	if t.Hint == "" && failed && !shared {
		t.Hint = hint(servers, strings.Join(t.Log, "\n"))
	}
}

// hinted returns err, or one that wraps it and ends with a hint.
func hinted(servers harness.Servers, err error) error {
	if err == nil {
		return nil
	}
	if h := hint(servers, err.Error()); h != "" {
		return &hintedError{err, h}
	}
	return err
}

// A hintedError wraps an error that a hint follows.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Error() string { return e.error.Error() + "\n" + e.hint }

// Brief returns the error without what the app printed, where it has that, and the hint.
func (e *hintedError) Brief() string {
	text := e.error.Error()
	if inner, ok := errors.AsType[interface {
		error
		Brief() string
	}](e.error); ok {
		text = inner.Brief()
	}
	return text + "; " + e.hint
}

func (e *hintedError) Unwrap() error { return e.error }

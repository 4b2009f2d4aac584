package stackapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// An Error is an answer that is an error.
type Error struct {
	Failure
	Status int
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Failure.Error }

// The codes of errors, with their statuses.
var statuses = map[string]int{
	"invalid": http.StatusBadRequest, "unauthorized": http.StatusUnauthorized, "refused": http.StatusForbidden,
	"not-found": http.StatusNotFound, "not-allowed": http.StatusMethodNotAllowed, "unsupported": http.StatusConflict, "too-large": http.StatusRequestEntityTooLarge,
	"failed": http.StatusBadGateway,
}

func errorf(code, format string, args ...any) error {
	return &Error{Failure{fmt.Errorf(format, args...).Error(), code}, statuses[code]}
}

func invalidf(format string, args ...any) error     { return errorf("invalid", format, args...) }
func notFoundf(format string, args ...any) error    { return errorf("not-found", format, args...) }
func unsupportedf(format string, args ...any) error { return errorf("unsupported", format, args...) }

// fail answers with an error, without the app's secrets.
func (s *Server) fail(w http.ResponseWriter, err error) {
	var said *Error
	switch {
	case errors.As(err, &said):
	case errors.Is(err, inngestapi.ErrNotFound), errors.Is(err, inbox.ErrNotFound):
		said = &Error{Failure{err.Error(), "not-found"}, http.StatusNotFound}
	case errors.Is(err, inngestapi.ErrRefused):
		said = &Error{Failure{err.Error(), "invalid"}, http.StatusBadRequest}
	case errors.Is(err, sim.ErrNoSim):
		said = &Error{Failure{"the Inngest of this stack is the real server, which can neither skip time nor replace steps: start the stack with `harness up --inngest sim`", "unsupported"}, http.StatusConflict}
	default:
		said = &Error{Failure{err.Error(), "failed"}, http.StatusBadGateway}
	}
	body := said.Failure
	body.Error = s.stack.Redactor().Text(body.Error)
	writeJSON(w, said.Status, body)
}

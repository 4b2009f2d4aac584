package inngestapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Decision is what flow control did to an event, or to a run that it started. Only sim tells.
type Decision struct {
	// Function is a function's id with the app's id in front.
	Function string
	// Run is the run that it is about. Empty: the event starts no run of the function, or none yet.
	Run  string
	At   time.Time
	Text string // such as "admitted after 40s: concurrency 2 of key kim"
	// Pending says that something is still to come.
	Pending bool
	// DuplicateOf is the event with the same idempotency key that the function ran for.
	DuplicateOf string
}

// Of reports whether the decision is about a function of an app.
func (d Decision) Of(app, function string) bool { return d.Function == sdk.FunctionID(app, function) }

// Decisions returns what flow control did to an event and its runs, or nil if the server is no sim: it then is not asked again.
func (c *Client) Decisions(ctx context.Context, eventID string) ([]Decision, error) {
	if c.silent.Load() {
		return nil, nil
	}
	var answer struct{ Decisions []Decision }
	err := c.do(ctx, http.MethodGet, "/sim/decisions/"+url.PathEscape(eventID), nil, &answer)
	refused, _ := errors.AsType[*statusError](err)
	_, noJSON := errors.AsType[*json.SyntaxError](err) // such as a page
	_, otherJSON := errors.AsType[*json.UnmarshalTypeError](err)
	if err != nil && !(refused != nil && refused.code < 500) && !noJSON && !otherJSON {
		return nil, err
	}
	if answer.Decisions == nil {
		c.silent.Store(true)
	}
	return answer.Decisions, nil
}

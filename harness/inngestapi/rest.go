package inngestapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// This file reads what GraphQL tells elsewhere from /v1 and /v2, with the signing key: `inngest start --no-ui` and Inngest
// Cloud have no GraphQL, and a balancer in front of a self-hosted server should not let it through. A client finds out with
// its first query and keeps to it.

// ErrNotShown says that a server without GraphQL does not tell this.
var ErrNotShown = errors.New("the Inngest server does not show this")

// errNoGraphQL says that the server answers no GraphQL query.
var errNoGraphQL = errors.New("the Inngest server answers no GraphQL")

// noGraphQL reports whether an answer to a query is not the one of a server with GraphQL: a refusal, or a page, such as one
// to log in.
func noGraphQL(err error) bool {
	refused, _ := errors.AsType[*statusError](err)
	_, page := errors.AsType[*json.SyntaxError](err)
	return page || refused != nil && refused.code >= 300 && refused.code < 500 && refused.code != http.StatusTooManyRequests
}

// rest reads from a server without GraphQL.
type rest struct{ *Client }

// ReadsREST reports whether the client has found a server without GraphQL.
func (c *Client) ReadsREST() bool { return c.noGraphQL.Load() }

// get reads the data of an answer of /v1. For what is unknown, /v1 answers 200 with another status in the body.
func (c rest) get(ctx context.Context, path string, into any) error {
	var answer struct {
		Data   json.RawMessage
		Error  string
		Status int
	}
	if err := c.find(ctx, http.MethodGet, path, &answer); err != nil {
		return err
	}
	switch {
	case answer.Status == http.StatusNotFound:
		return ErrNotFound
	case answer.Status/100 > 2:
		return fmt.Errorf("the Inngest server at %s answered %d: %s", c.base, answer.Status, answer.Error)
	case len(answer.Data) == 0:
		return nil // an empty list of /v2
	}
	return c.decode(answer.Data, into)
}

// restEvent is an event in /v1.
type restEvent struct {
	InternalID string          `json:"internal_id"`
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Data       json.RawMessage `json:"data"`
	TS         int64           `json:"ts"`
	Received   time.Time       `json:"received_at"`
}

func (e restEvent) export() ReceivedEvent {
	out := ReceivedEvent{EventID: e.InternalID, IdempotencyKey: e.ID, Name: e.Name, Data: text.JSON(e.Data),
		Received: e.Received, At: e.Received}
	if e.TS != 0 {
		out.At = time.UnixMilli(e.TS)
	}
	return out
}

func (c rest) event(ctx context.Context, id string) (ReceivedEvent, error) {
	var e restEvent
	err := c.get(ctx, "/v1/events/"+url.PathEscape(id), &e)
	return e.export(), err
}

// events lists events, 50 a request.
func (c rest) events(ctx context.Context, f EventFilter) ([]ReceivedEvent, error) {
	query := url.Values{"limit": {strconv.Itoa(eventsPage)}, "received_after": {f.Since.UTC().Format(time.RFC3339Nano)}}
	if !f.Until.IsZero() {
		query.Set("received_before", f.Until.UTC().Format(time.RFC3339Nano))
	}
	if len(f.Names) == 1 {
		query.Set("name", f.Names[0]) // it takes one name at most
	}
	var all []ReceivedEvent
	for {
		var page []restEvent
		if err := c.get(ctx, "/v1/events?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, e := range page {
			query.Set("cursor", e.InternalID)
			named := len(f.Names) == 0 || slices.Contains(f.Names, e.Name)
			if !named || !f.Internal && strings.HasPrefix(e.Name, sdk.InternalEvents) {
				continue
			}
			if all = append(all, e.export()); len(all) == f.Limit {
				return all, nil
			}
		}
		if len(page) < eventsPage {
			return all, nil
		}
	}
}

// restRun is a run in /v2.
type restRun struct {
	ID                           string
	Function, App                struct{ ID string }
	Status                       string
	QueuedAt, StartedAt, EndedAt time.Time
	Trigger                      struct{ EventIDs []string }
	Output                       json.RawMessage
}

func (r restRun) export() Run {
	out := Run{
		ID: r.ID, Function: r.Function.ID, App: r.App.ID, Status: status(r.Status), EventIDs: r.Trigger.EventIDs,
		Queued: r.QueuedAt, Started: r.StartedAt,
	}
	if out.Status.Final() {
		out.Ended = r.EndedAt
	}
	// Of a run without an output, such as a cancelled one, the server has the output of its last step there.
	switch out.Status {
	case harness.StatusFailed:
		out.Error = errorText(r.Output)
	case harness.StatusCompleted:
		out.Output = value(returned(unwrap(r.Output)))
	}
	return out
}

// eventRuns lists the runs of an event. It is the one list in which a run that waits for its next attempt is not FAILED.
func (c rest) eventRuns(ctx context.Context, eventID string) ([]restRun, error) {
	query := url.Values{"limit": {"40"}, "includeOutput": {"true"}}
	all := []restRun{}
	for {
		var answer struct {
			Data []restRun
			Page struct {
				HasMore bool
				Cursor  string
			}
		}
		if err := c.find(ctx, http.MethodGet, "/v2/events/"+url.PathEscape(eventID)+"/runs?"+query.Encode(), &answer); err != nil {
			return nil, err
		}
		for _, r := range answer.Data {
			if status(r.Status) == harness.StatusCancelled { // the list adds 10 s to its end, in which steps may still end
				var one restRun
				if err := c.get(ctx, "/v2/runs/"+url.PathEscape(r.ID), &one); err != nil {
					return nil, err
				}
				r.EndedAt = one.EndedAt
			}
			all = append(all, r)
		}
		if !answer.Page.HasMore {
			return all, nil
		}
		query.Set("cursor", answer.Page.Cursor)
	}
}

// run reads a run, whose output may come a moment after its end.
func (c rest) run(ctx context.Context, id string) (Run, error) {
	var one restRun
	if err := c.get(ctx, "/v2/runs/"+url.PathEscape(id), &one); err != nil {
		return Run{}, err
	}
	if len(one.Trigger.EventIDs) == 0 {
		return one.export(), nil
	}
	for began := time.Now(); ; {
		runs, err := c.eventRuns(ctx, one.Trigger.EventIDs[0])
		if err != nil {
			return Run{}, err
		}
		if i := slices.IndexFunc(runs, func(r restRun) bool { return r.ID == id }); i >= 0 {
			one = runs[i]
		} else {
			one.Status = string(harness.StatusQueued) // not listed yet
		}
		done := one.export()
		ended := done.Status == harness.StatusCompleted || done.Status == harness.StatusFailed
		if !ended || len(one.Output) > 0 || time.Since(began) > outputLag {
			return done, nil
		}
		if err := pause(ctx, outputPause); err != nil {
			return Run{}, err
		}
	}
}

// notShown makes [ErrNotShown] of a refusal that no key changes.
func notShown(err error) error {
	if refused, _ := errors.AsType[*statusError](err); refused.is(http.StatusNotImplemented) || refused.is(http.StatusForbidden) {
		return fmt.Errorf("%w: %w", ErrNotShown, err)
	}
	return err
}

func (c rest) apps(ctx context.Context) ([]RegisteredApp, error) {
	query := url.Values{"limit": {"100"}}
	var all []RegisteredApp
	for {
		var answer struct {
			Data []struct {
				ID            string
				FunctionCount int
				LatestSync    struct{ URL, Error string }
			}
			Page struct {
				HasMore bool
				Cursor  string
			}
		}
		if err := c.do(ctx, http.MethodGet, "/v2/apps?"+query.Encode(), nil, &answer); err != nil {
			return nil, notShown(err)
		}
		for _, a := range answer.Data {
			all = append(all, RegisteredApp{
				ID: a.ID, URL: a.LatestSync.URL, Error: a.LatestSync.Error, Connected: a.LatestSync.Error == "",
				FunctionCount: a.FunctionCount,
			})
		}
		if !answer.Page.HasMore {
			return all, nil
		}
		query.Set("cursor", answer.Page.Cursor)
	}
}

// functions lists the functions of all apps, which costs a request for each app.
func (c rest) functions(ctx context.Context) ([]Function, error) {
	apps, err := c.apps(ctx)
	if err != nil {
		return nil, err
	}
	var all []Function
	for _, app := range apps {
		var list []struct {
			ID     string // with the app's id in front
			Config json.RawMessage
		}
		var answer json.RawMessage
		if err := c.do(ctx, http.MethodGet, "/v1/apps/"+url.PathEscape(app.ID)+"/functions", nil, &answer); err != nil {
			return nil, notShown(err)
		}
		var wrapped struct{ Data json.RawMessage }
		if json.Unmarshal(answer, &wrapped) == nil {
			answer = wrapped.Data // the self-hosted server has the bare list
		}
		if err := c.decode(answer, &list); err != nil {
			return nil, err
		}
		for _, f := range list {
			function, err := newFunction(f.ID, app.ID, f.Config)
			if err != nil {
				return nil, err
			}
			all = append(all, function)
		}
	}
	return all, nil
}

package inngestapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// ErrRefused says that the server does not take an event as it is, for its name or its size perhaps. The error has the server's
// reason.
var ErrRefused = errors.New("the server refused")

// Send sends events in one request and returns the ULID that the server gave to each. When the server accepted only some of
// them, the error comes with their ids, and with "" for each of the others.
func (c *Client) Send(ctx context.Context, events ...harness.Event) ([]string, error) {
	if len(events) == 0 {
		return nil, errors.New("send: no event given")
	}
	events = slices.Clone(events)
	for i := range events {
		switch data := events[i].Data.(type) {
		case nil:
			events[i].Data = struct{}{}
		case []byte: // which would be encoded as a string of base64
			events[i].Data = json.RawMessage(data)
		}
	}
	var answer sdk.SendAnswer
	err := c.do(ctx, http.MethodPost, "/e/"+url.PathEscape(c.eventKey), events, &answer)
	refused, _ := errors.AsType[*statusError](err)
	if refused.is(http.StatusBadRequest) {
		_ = json.Unmarshal(refused.body, &answer) // what it says instead is in err
	}
	// The server has empty ids for the events that it did not accept, or none from the first of them on.
	ids := answer.IDs
	accepted := len(slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" }))
	switch {
	case refused.is(http.StatusRequestEntityTooLarge):
		err = fmt.Errorf("%w: it is too large: %w", ErrRefused, err)
	case refused.is(http.StatusUnauthorized):
		err = fmt.Errorf("the server does not take this event key: set %s to a key of it: %w", EnvEventKey, err)
	case refused.is(http.StatusBadRequest):
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	case err != nil:
	case answer.Error != "" || answer.Status/100 != 2:
		err = fmt.Errorf("%w: %s", ErrRefused, answer.Error)
	case accepted != len(events):
		err = fmt.Errorf("the server answered with %d ids for %d events", accepted, len(events))
	}
	switch {
	case err == nil:
		return ids, nil
	case accepted == 0:
		return nil, fmt.Errorf("send %s: %w", names(events), err)
	default:
		ids = append(ids, make([]string, max(0, len(events)-len(ids)))...)
		return ids[:len(events)], fmt.Errorf("send %s: %w", names(events), err)
	}
}

// EventInvoked is the name of the event that the server makes for a function that is invoked.
const EventInvoked = sdk.EventFunctionInvoked

// Invoke starts a function, whatever triggers it, and returns the ULID of the event that the server makes for it. The
// function's id has the app's id and a dash before it; the server does not check that there is one. data is a JSON object;
// nil is an empty one.
func (c *Client) Invoke(ctx context.Context, function string, data json.RawMessage) (string, error) {
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	var answer struct{ ID string }
	err := c.do(ctx, http.MethodPost, "/invoke/"+url.PathEscape(function), map[string]any{"data": data}, &answer)
	if err == nil && answer.ID == "" {
		err = errors.New("the server answered without the id of an event")
	}
	if err != nil {
		return "", fmt.Errorf("invoke %s: %w", function, err)
	}
	return answer.ID, nil
}

func names(events []harness.Event) string {
	if len(events) == 1 {
		return fmt.Sprintf("event %q", events[0].Name)
	}
	return fmt.Sprintf("%d events, the first %q", len(events), events[0].Name)
}

// ReceivedEvent is an event as the server has it.
type ReceivedEvent struct {
	EventID        string `json:"id"` // ULID
	IdempotencyKey string // the sender's id; the ULID again where there was none
	Name           string
	Data           json.RawMessage `json:"-"`
	Received       time.Time       `json:"receivedAt"`
	At             time.Time       `json:"-"` // when it happened, by its sender: see [harness.Event].TS
}

// Fields returns the event as expressions see it, but for its user, which the server does not show.
func (e ReceivedEvent) Fields() map[string]any {
	fields := map[string]any{"name": e.Name, "id": e.IdempotencyKey, "ts": float64(e.At.UnixMilli()), "data": map[string]any{}}
	var data map[string]any
	if json.Unmarshal(e.Data, &data) == nil && data != nil {
		fields["data"] = data
	}
	return fields
}

// receivedEvent is the event in GraphQL: Raw is the JSON that holds its data.
type receivedEvent struct {
	ReceivedEvent
	Raw string
}

const eventFields = "id idempotencyKey name raw receivedAt"

func (e receivedEvent) export() ReceivedEvent {
	var raw struct {
		Data json.RawMessage
		TS   int64
	}
	_ = json.Unmarshal([]byte(e.Raw), &raw) // the server wrote it
	e.Data, e.At = text.JSON(raw.Data), e.Received
	if raw.TS != 0 {
		e.At = time.UnixMilli(raw.TS)
	}
	return e.ReceivedEvent
}

// VisibleWithin is how long after it was sent an event may be missing from what the server shows. On a quiet machine it
// is a fraction of that; under heavy load it can be more.
const VisibleWithin = 3 * time.Second

// Event returns an event by its ULID, or [ErrNotFound], which it also is until the server shows it ([VisibleWithin]).
func (c *Client) Event(ctx context.Context, id string) (ReceivedEvent, error) {
	var data struct{ EventV2 receivedEvent }
	err := c.query(ctx, "query($id:ULID!){eventV2(id:$id){"+eventFields+"}}", map[string]any{"id": id}, &data)
	e := data.EventV2.export()
	if errors.Is(err, errNoGraphQL) {
		e, err = (rest{c}).event(ctx, id)
	}
	if err != nil {
		return ReceivedEvent{}, fmt.Errorf("read event %s: %w", id, err)
	}
	return e, nil
}

// EventFilter chooses events. Since is required.
type EventFilter struct {
	// Since and Until are when they were received. A zero Until means now.
	Since, Until time.Time
	// Names are the names they may have. Empty: any.
	Names []string
	// Internal includes those that the server itself makes, whose names begin with "inngest/".
	Internal bool
	// Limit is the most to return. Zero: all.
	Limit int
}

// eventsPage is how many events the server puts on one page at most. Asked for more than 51 it gives 40.
const eventsPage = 50

// Events returns events, newest first. It costs one request for 50 of them.
func (c *Client) Events(ctx context.Context, f EventFilter) ([]ReceivedEvent, error) {
	filter := map[string]any{"from": f.Since.UTC().Format(time.RFC3339Nano), "includeInternalEvents": f.Internal}
	if !f.Until.IsZero() {
		filter["until"] = f.Until.UTC().Format(time.RFC3339Nano)
	}
	if len(f.Names) > 0 {
		filter["eventNames"] = f.Names
	}
	var all []ReceivedEvent
	for after := ""; ; {
		var data struct {
			EventsV2 struct {
				Edges []struct {
					Node   receivedEvent
					Cursor string
				}
			}
		}
		err := c.query(ctx, "query($n:Int!,$a:String,$f:EventsFilter!){eventsV2(first:$n,after:$a,filter:$f){edges{cursor node{"+eventFields+"}}}}",
			map[string]any{"n": eventsPage, "a": after, "f": filter}, &data)
		if errors.Is(err, errNoGraphQL) {
			if all, err = (rest{c}).events(ctx, f); err != nil {
				return nil, fmt.Errorf("list events: %w", err)
			}
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list events: %w", err)
		}
		for _, e := range data.EventsV2.Edges {
			all = append(all, e.Node.export())
			after = e.Cursor
			if len(all) == f.Limit {
				return all, nil
			}
		}
		if len(data.EventsV2.Edges) < eventsPage {
			return all, nil
		}
	}
}

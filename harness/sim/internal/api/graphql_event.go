package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// shownEvent is an event as the API shows it.
type shownEvent struct {
	Data json.RawMessage `json:"data"`
	ID   string          `json:"id"`
	Name string          `json:"name"`
	TS   int64           `json:"ts"`
	User map[string]any  `json:"user,omitempty"`
	V    *string         `json:"v"`
}

// inputEvent is an event as traces show it.
type inputEvent struct {
	shownEvent
	V *string `json:"v,omitempty"`
}

func newInputEvent(e engine.Event) inputEvent {
	out := shown(e)
	return inputEvent{out, out.V}
}

func shown(e engine.Event) (out shownEvent) {
	_ = json.Unmarshal(e.Raw, &out) // it was made here
	return out
}

// eventV2Object resolves the type EventV2.
type eventV2Object struct{ eventObject }

// eventObject resolves the type Event, and what the newer type has like it.
type eventObject struct {
	q *query
	e engine.Event
}

func (e eventV2Object) Name() string             { return e.e.Name }
func (e eventV2Object) EnvID() text              { return envID }
func (e eventV2Object) IdempotencyKey() *string  { return &e.e.IdempotencyKey }
func (e eventV2Object) ReceivedAt() graphql.Time { return e.q.time(e.e.At) }
func (e eventV2Object) Version() *string         { return shown(e.e).V }
func (e eventV2Object) Source() *sourceObject    { return nil }
func (e eventV2Object) Raw() string              { return rawOf(e.e) }

type sourceObject struct {
	ID         graphql.ID
	Name       *string
	SourceKind string
}

// OccurredAt returns the time that the sender gave it.
func (e eventV2Object) OccurredAt() graphql.Time {
	return graphql.Time{Time: time.UnixMilli(shown(e.e).TS).UTC()}
}

// Runs returns the runs that the event started.
func (e eventV2Object) Runs() (out []runObject) {
	for _, r := range e.q.engine.Runs(e.e.EventID) {
		out = append(out, runObject{e.q, r})
	}
	return out
}

func (e eventObject) ID() text                 { return text(e.e.EventID) }
func (e eventObject) ExternalID() *string      { return &e.e.IdempotencyKey }
func (e eventObject) Name() *string            { return &e.e.Name }
func (e eventObject) CreatedAt() *graphql.Time { return e.q.timeOrNil(e.e.At) }

// Raw returns the event as JSON.
func (e eventObject) Raw() *string {
	raw := rawOf(e.e)
	return &raw
}

func rawOf(e engine.Event) string {
	raw, _ := json.Marshal(shown(e)) // of JSON
	return string(raw)
}

// Payload returns the event's data.
func (e eventObject) Payload() *string {
	data := string(shown(e.e).Data)
	return &data
}

// FunctionRuns returns the runs that the event started, but not those that were skipped.
func (e eventObject) FunctionRuns() *[]oldRun {
	out := []oldRun{}
	for _, r := range (eventV2Object{e}).Runs() {
		if r.run.Status != harness.StatusSkipped {
			out = append(out, oldRun{r})
		}
	}
	return &out
}

// TotalRuns returns how many runs the event started.
func (e eventObject) TotalRuns() *int32 {
	n := int32(len(*e.FunctionRuns()))
	return &n
}

// PendingRuns returns how many of them are not over.
func (e eventObject) PendingRuns() *int32 {
	n := int32(0)
	for _, r := range *e.FunctionRuns() {
		if !r.r.run.Status.Final() {
			n++
		}
	}
	return &n
}

// Status returns what the runs amount to.
func (e eventObject) Status() *string {
	runs, failed, status := *e.FunctionRuns(), 0, "COMPLETED"
	for _, r := range runs {
		if r.r.run.Status == harness.StatusFailed {
			failed++
		}
	}
	switch {
	case len(runs) == 0:
		status = "NO_FUNCTIONS"
	case *e.PendingRuns() > 0:
		status = "RUNNING"
	case failed == len(runs):
		status = "FAILED"
	case failed > 0:
		status = "PARTIALLY_FAILED"
	}
	return &status
}

func (q *query) findEvent(id string) (*eventObject, error) {
	parsed, err := ulid.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("event id %q: %w", id, err)
	}
	e, ok := q.engine.Event(parsed)
	if !ok {
		return nil, fmt.Errorf("event not found: %s", id)
	}
	return &eventObject{q, e}, nil
}

// Event returns an event by its id.
func (q *query) Event(args struct {
	Query struct{ WorkspaceID, EventID graphql.ID }
}) (*eventObject, error) {
	return q.findEvent(string(args.Query.EventID))
}

// EventV2 returns an event by its id.
func (q *query) EventV2(args struct{ ID text }) (*eventV2Object, error) {
	e, err := q.findEvent(string(args.ID))
	if err != nil {
		return nil, err
	}
	return &eventV2Object{*e}, nil
}

// latestEvents is how many events the older list has.
const latestEvents = 100

// Events lists the latest events, but not the server's own.
func (q *query) Events(struct {
	Query struct {
		WorkspaceID graphql.ID
		LastEventID *graphql.ID
	}
}) *[]eventObject {
	out := []eventObject{}
	page, _ := q.engine.EventPage(engine.EventFilter{Limit: latestEvents})
	for _, e := range page {
		out = append(out, eventObject{q, e})
	}
	return &out
}

type streamItem struct {
	ID            graphql.ID
	Trigger, Type string
	CreatedAt     graphql.Time
	Runs          *[]*oldRun
	InBatch       bool
}

// Stream lists events with the runs that they started, newest first.
func (q *query) Stream(args struct {
	Query struct {
		After, Before         *graphql.ID
		Limit                 int32
		IncludeInternalEvents *bool
	}
}) (out []streamItem) {
	internal := args.Query.IncludeInternalEvents
	f := engine.EventFilter{Limit: int(args.Query.Limit), Internal: internal != nil && *internal}
	if args.Query.Before != nil {
		f.After = string(*args.Query.Before)
	}
	page, _ := q.engine.EventPage(f)
	for _, e := range page {
		if args.Query.After != nil && e.EventID == string(*args.Query.After) {
			break
		}
		item := streamItem{ID: graphql.ID(e.EventID), Trigger: e.Name, Type: "EVENT", CreatedAt: q.time(e.At), Runs: &[]*oldRun{}}
		if e.Name == sdk.EventScheduled {
			item.Type = "CRON"
		}
		for _, r := range *(eventObject{q, e}).FunctionRuns() {
			*item.Runs = append(*item.Runs, &r)
			item.InBatch = item.InBatch || r.r.IsBatch()
		}
		out = append(out, item)
	}
	return out
}

type (
	eventsPage struct {
		Edges      []eventEdge
		PageInfo   pageInfo
		TotalCount int32
	}
	eventEdge struct {
		Cursor string
		Node   eventV2Object
	}
)

// EventsV2 lists events, newest first.
func (q *query) EventsV2(args struct {
	First  int32
	After  *string
	Filter struct {
		EventNames            *[]string
		From                  graphql.Time
		IncludeInternalEvents bool
		Query                 *string
		Until                 *graphql.Time
	}
}) eventsPage {
	f := engine.EventFilter{From: args.Filter.From.Time, Internal: args.Filter.IncludeInternalEvents, Limit: pageSize(args.First)}
	if args.Filter.Until != nil {
		f.Until = args.Filter.Until.Time
	}
	if args.Filter.EventNames != nil {
		f.Names = *args.Filter.EventNames
	}
	var last struct{ ID string }
	if args.After != nil {
		raw, _ := base64.StdEncoding.DecodeString(*args.After)
		_ = json.Unmarshal(raw, &last) // what is no cursor is ignored, as by the server
		f.After = last.ID
	}
	page, total := q.engine.EventPage(f)
	out := eventsPage{TotalCount: int32(total), Edges: []eventEdge{}}
	for _, e := range page {
		last.ID = e.EventID
		raw, _ := json.Marshal(last) // made of strings
		out.Edges = append(out.Edges, eventEdge{base64.StdEncoding.EncodeToString(raw), eventV2Object{eventObject{q, e}}})
	}
	if n := len(out.Edges); n > 0 {
		out.PageInfo = pageInfo{n == f.Limit, f.After != "", &out.Edges[0].Cursor, &out.Edges[n-1].Cursor}
	}
	return out
}

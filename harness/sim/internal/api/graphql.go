package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/relay"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

//go:embed schema.graphql
var schema string

// newGraphQL returns the handler of the GraphQL API.
func newGraphQL(e *engine.Engine) http.Handler {
	parsed := sync.OnceValue(func() *graphql.Schema { // most users of a simulated server never query it
		return graphql.MustParseSchema(schema, &query{e}, graphql.UseFieldResolvers(), graphql.MaxDepth(32))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		(&relay.Handler{Schema: parsed()}).ServeHTTP(w, r)
	})
}

// text is a scalar that is a string: ULID, UUID and Bytes.
type text string

// ImplementsGraphQLType implements graphql-go's scalars.
func (text) ImplementsGraphQLType(name string) bool {
	return name == "ULID" || name == "UUID" || name == "Bytes"
}

// UnmarshalGraphQL implements graphql-go's scalars.
func (t *text) UnmarshalGraphQL(input any) error {
	s, ok := input.(string)
	if !ok {
		return fmt.Errorf("a string is wanted, not %T", input)
	}
	*t = text(s)
	return nil
}

// query resolves the type Query.
type query struct{ engine *engine.Engine }

type appObject struct {
	ID               graphql.ID
	ExternalID, Name string
	URL              *string
	Connected        bool
	Error            *string
	FunctionCount    int32
}

func newApp(a engine.App) appObject {
	return appObject{ID: graphql.ID(a.ID), ExternalID: a.ID, Name: a.ID, URL: &a.URL, Connected: true, FunctionCount: int32(a.Functions)}
}

func (q *query) Apps() []appObject {
	var out []appObject
	for _, a := range q.engine.Apps() {
		out = append(out, newApp(a))
	}
	return out
}

type functionObject struct {
	ID, Slug, Name, URL, Config string
	App                         appObject
}

func (q *query) newFunction(f engine.Function) functionObject {
	config, _ := json.Marshal(configOf(f)) // made of strings
	out := functionObject{ID: f.UUID, Slug: f.ID, Name: f.Name, URL: f.URL, Config: string(config), App: newApp(engine.App{ID: f.App})}
	for _, a := range q.engine.Apps() {
		if a.ID == f.App {
			out.App = newApp(a)
		}
	}
	return out
}

func (q *query) Functions() *[]functionObject {
	out := []functionObject{}
	for _, f := range q.engine.Functions() {
		out = append(out, q.newFunction(f))
	}
	return &out
}

func (q *query) time(virtual time.Time) graphql.Time {
	return graphql.Time{Time: q.engine.Shown(virtual)}
}

func (q *query) timeOrNil(virtual time.Time) *graphql.Time {
	if virtual.IsZero() {
		return nil
	}
	t := q.time(virtual)
	return &t
}

// runObject resolves the type FunctionRunV2.
type runObject struct {
	q   *query
	run engine.Run
}

func (r runObject) ID() text                 { return text(r.run.ID) }
func (r runObject) Status() string           { return string(r.run.Status) }
func (r runObject) QueuedAt() graphql.Time   { return r.q.time(r.run.Queued) }
func (r runObject) StartedAt() *graphql.Time { return r.q.timeOrNil(r.run.Started) }
func (r runObject) EndedAt() *graphql.Time   { return r.q.timeOrNil(r.run.Ended) }
func (r runObject) Output() *text            { return (*text)(outputOf(r.run)) }
func (r runObject) IsBatch() bool            { return r.run.Batch != nil }
func (r runObject) Function() functionObject { return r.q.newFunction(r.run.Function) }
func (r runObject) App() appObject           { return r.Function().App }
func (r runObject) Trace(struct{ Preview *bool }) *spanObject {
	span := &spanObject{OutputID: &r.run.ID}
	if r.run.SkippedFor != "" {
		reason := "Singleton"
		span.SkipReason, span.SkipExistingRunID = &reason, &r.run.SkippedFor
	}
	return span
}

// TriggerIDs returns the ids of the events that triggered the run.
func (r runObject) TriggerIDs() (ids []text) {
	for _, id := range triggersOf(r.run) {
		ids = append(ids, text(id))
	}
	return ids
}

type spanObject struct{ OutputID, SkipReason, SkipExistingRunID *string }

func (q *query) Run(args struct{ RunID string }) (*runObject, error) {
	r, ok := q.engine.Run(args.RunID)
	if !ok {
		return nil, fmt.Errorf("run %s not found", args.RunID)
	}
	return &runObject{q, r}, nil
}

type outputObject struct {
	Data  *text
	Error *errorObject
}

type errorObject struct {
	Name    *string
	Message string
	Stack   *string
}

// RunTraceSpanOutputByID returns the output of a run: outputs are named by their runs.
func (q *query) RunTraceSpanOutputByID(args struct{ OutputID string }) *outputObject {
	r, ok := q.engine.Run(args.OutputID)
	switch {
	case !ok:
		return nil
	case r.Error != nil:
		return &outputObject{Error: &errorObject{Name: &r.Error.Name, Message: r.Error.Message, Stack: &r.Error.Stack}}
	default:
		output := text(r.Output)
		return &outputObject{Data: &output}
	}
}

// eventObject resolves the type EventV2.
type eventObject struct {
	q *query
	e engine.Event
}

func (e eventObject) ID() text                 { return text(e.e.EventID) }
func (e eventObject) IdempotencyKey() *string  { return &e.e.IdempotencyKey }
func (e eventObject) Name() string             { return e.e.Name }
func (e eventObject) Raw() string              { return string(e.e.Raw) }
func (e eventObject) ReceivedAt() graphql.Time { return e.q.time(e.e.At) }
func (e eventObject) Runs() []runObject {
	var out []runObject
	for _, r := range e.q.engine.Runs(e.e.EventID) {
		out = append(out, runObject{e.q, r})
	}
	return out
}

func (q *query) EventV2(args struct{ ID text }) (*eventObject, error) {
	id, err := ulid.Parse(string(args.ID))
	if err != nil {
		return nil, fmt.Errorf("event id %q: %w", args.ID, err)
	}
	e, ok := q.engine.Event(id)
	if !ok {
		return nil, fmt.Errorf("event %s not found", args.ID)
	}
	return &eventObject{q, e}, nil
}

type eventsObject struct {
	Edges      []edgeObject
	TotalCount int32
}

type edgeObject struct {
	Cursor string
	Node   eventObject
}

// EventsV2 lists events, newest first.
func (q *query) EventsV2(args struct {
	First  int32
	After  *string
	Filter struct {
		EventNames            *[]string
		From                  graphql.Time
		IncludeInternalEvents bool
		Until                 *graphql.Time
	}
}) eventsObject {
	f := engine.EventFilter{From: args.Filter.From.Time, Internal: args.Filter.IncludeInternalEvents, Limit: int(args.First)}
	if args.Filter.Until != nil {
		f.Until = args.Filter.Until.Time
	}
	if args.Filter.EventNames != nil {
		f.Names = *args.Filter.EventNames
	}
	if args.After != nil {
		f.After = *args.After
	}
	page, total := q.engine.EventPage(f)
	out := eventsObject{TotalCount: int32(total)}
	for _, e := range page {
		out.Edges = append(out.Edges, edgeObject{Cursor: e.EventID, Node: eventObject{q, e}})
	}
	return out
}

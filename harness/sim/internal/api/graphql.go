package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/errors"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/gateway"
)

//go:embed schema.graphql
var schema string

// schemas caches parsed schemas, each bound to its own resolver, for the queries of all Sims: parsing takes as long as many queries.
var schemas = sync.Pool{New: func() any {
	q := &query{}
	return &boundSchema{q, graphql.MustParseSchema(schema, q, graphql.UseFieldResolvers(), graphql.MaxDepth(32))}
}}

// boundSchema is a schema and its resolver, for one query at a time.
type boundSchema struct {
	resolver *query
	schema   *graphql.Schema
}

// newGraphQL returns the handler of the GraphQL API.
func newGraphQL(e *engine.Engine, g *gateway.Gateway) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Query         string
			OperationName string
			Variables     map[string]any
		}
		if r.Method == http.MethodGet {
			q.Query, q.OperationName = r.URL.Query().Get("query"), r.URL.Query().Get("operationName")
		} else if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
			message := "json request body could not be decoded: " + err.Error()
			replyQuery(w, http.StatusBadRequest, &graphql.Response{Errors: []*errors.QueryError{{Message: message}}})
			return
		}
		bound := schemas.Get().(*boundSchema)
		*bound.resolver = query{e, g}
		res := bound.schema.Exec(r.Context(), q.Query, q.OperationName, q.Variables)
		*bound.resolver = query{}
		schemas.Put(bound)
		replyQuery(w, statusOf(res), res)
	})
}

func replyQuery(w http.ResponseWriter, status int, res *graphql.Response) {
	if res.Data == nil {
		res.Data = json.RawMessage("null")
	}
	reply(w, status, res)
}

// statusOf returns the status of an answer, and marks what is wrong with a query as the server does. An error that has no
// place in the result is about the query.
func statusOf(res *graphql.Response) int {
	status := http.StatusOK
	for _, err := range res.Errors {
		if err.ResolverError != nil || len(err.Path) > 0 {
			continue
		}
		status = http.StatusUnprocessableEntity
		code := "GRAPHQL_VALIDATION_FAILED"
		if strings.HasPrefix(err.Message, "syntax error") {
			code = "GRAPHQL_PARSE_FAILED"
		}
		err.Extensions = map[string]any{"code": code}
	}
	return status
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

func texts(all []string) []text {
	out := []text{}
	for _, s := range all {
		out = append(out, text(s))
	}
	return out
}

// textOrNil returns nil for the empty text.
func textOrNil[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}

// object is a scalar that is any value: Map and Unknown.
type object struct{ value any }

// ImplementsGraphQLType implements graphql-go's scalars.
func (object) ImplementsGraphQLType(name string) bool { return name == "Map" || name == "Unknown" }

// UnmarshalGraphQL implements graphql-go's scalars.
func (o *object) UnmarshalGraphQL(input any) error {
	o.value = input
	return nil
}

// MarshalJSON encodes the value.
func (o object) MarshalJSON() ([]byte, error) { return json.Marshal(o.value) }

// fields returns the value if it is an object.
func (o *object) fields() map[string]any {
	if o == nil {
		return nil
	}
	fields, _ := o.value.(map[string]any)
	return fields
}

// query resolves the types Query and Mutation.
type query struct {
	engine  *engine.Engine
	gateway *gateway.Gateway
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

type pageInfo struct {
	HasNextPage, HasPreviousPage bool
	StartCursor, EndCursor       *string
}

// CreateApp asks the app at an address to register.
func (q *query) CreateApp(ctx context.Context, args struct{ Input struct{ URL string } }) (*appObject, error) {
	if err := q.engine.Sync(ctx, args.Input.URL, nil, ""); err != nil {
		return nil, err
	}
	for _, a := range q.engine.Apps() {
		if strings.TrimSuffix(a.URL, "?") == strings.TrimSuffix(args.Input.URL, "?") {
			return &appObject{q, a}, nil
		}
	}
	return nil, fmt.Errorf("the app at %s registered itself from another address", args.Input.URL)
}

// UpdateApp asks the app at another address to register. The server only notes the address, at which it then polls.
func (q *query) UpdateApp(ctx context.Context, args struct{ Input struct{ URL, ID string } }) (*appObject, error) {
	if !slices.ContainsFunc(q.engine.Apps(), func(a engine.App) bool { return appID(a.ID) == args.Input.ID }) {
		return nil, fmt.Errorf("no app has the id %s", args.Input.ID)
	}
	var at struct{ Input struct{ URL string } }
	at.Input.URL = args.Input.URL
	return q.CreateApp(ctx, at)
}

// DeleteApp forgets an app.
func (q *query) DeleteApp(args struct{ ID string }) (string, error) {
	for _, a := range q.engine.Apps() {
		if appID(a.ID) == args.ID {
			q.engine.Remove(a.ID)
			return args.ID, nil
		}
	}
	return "", fmt.Errorf("no app has the id %s", args.ID)
}

// InvokeFunction starts a function. Like the server it does not look whether there is one.
func (q *query) InvokeFunction(args struct {
	Data                       *object
	FunctionSlug               string
	Meta, User                 *object
	DebugSessionID, DebugRunID *text
}) (*bool, error) {
	body := engine.EventBody{Data: args.Data.fields(), User: args.User.fields()}
	if args.Meta != nil {
		raw, _ := json.Marshal(args.Meta) // it came from JSON
		if err := json.Unmarshal(raw, &body.Meta); err != nil {
			return nil, fmt.Errorf("meta: %w", err)
		}
	}
	q.engine.Invoke(args.FunctionSlug, body)
	done := true
	return &done, nil
}

// CancelRun ends a run.
func (q *query) CancelRun(args struct{ RunID text }) (*oldRun, error) {
	r, ok := q.engine.Run(string(args.RunID))
	switch {
	case !ok:
		return nil, errNoRun
	case r.Status.Final() && r.Status != "CANCELLED":
		return nil, fmt.Errorf("cannot cancel an ended run")
	}
	q.engine.Cancel(r.ID)
	r, _ = q.engine.Run(r.ID)
	return &oldRun{runObject{q, r}}, nil
}

// Rerun starts a run of the same function and event as another one.
func (q *query) Rerun(args struct {
	RunID    text
	FromStep *struct {
		StepID string
		Input  *text
	}
	DebugSessionID, DebugRunID *text
}) (text, error) {
	var from *engine.FromStep
	if step := args.FromStep; step != nil {
		from = &engine.FromStep{Step: step.StepID}
		if step.Input != nil {
			from.Input = json.RawMessage(*step.Input)
		}
	}
	id, err := q.engine.Rerun(string(args.RunID), from)
	return text(id), err
}

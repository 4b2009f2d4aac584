package api

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

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
func (r runObject) Function() functionObject { return functionObject{r.q, r.run.Function} }
func (r runObject) FunctionID() text         { return text(r.run.Function.UUID) }
func (r runObject) App() appObject           { return r.Function().App() }
func (r runObject) AppID() text              { return text(appID(r.run.Function.App)) }
func (r runObject) TraceID() string          { return traceID(r.run) }
func (r runObject) SourceID() *string        { return nil }
func (r runObject) TriggerIDs() []text       { return texts(triggersOf(r.run)) }
func (r runObject) EventName() *string       { return eventName(r.run) }
func (r runObject) CronSchedule() *string    { return schedule(r.run) }
func (r runObject) HasAI() bool              { return r.run.HasAI }
func (r runObject) IsDeferred() bool         { return len(r.deferrers()) > 0 }

type (
	deferObject struct {
		HashedDeferID, UserlandDeferID, FnSlug, Status string
		Function                                       *functionObject
		RunID                                          *text
		Run                                            *runObject
	}
	deferredFromObject struct {
		RunID    text
		Function functionObject
		Run      *runObject
	}
)

// BatchCreatedAt returns when the first event of the batch came.
func (r runObject) BatchCreatedAt() *graphql.Time {
	if r.run.Batch == nil {
		return nil
	}
	return r.q.timeOrNil(r.run.Event.At)
}

// Trace returns one of the two trees of the run.
func (r runObject) Trace(args struct{ Preview *bool }) *spanObject {
	preview := args.Preview != nil && *args.Preview
	return &spanObject{r.q, r.run, tree(r.run, preview), preview}
}

func traceID(r engine.Run) string { return hashed(r.ID, 16) }

// eventName returns the name of the event that started a run: none for a schedule and for a batch of several names.
func eventName(r engine.Run) *string {
	for _, e := range r.Batch {
		if e.Name != r.Event.Name {
			return nil
		}
	}
	if r.Event.Name == sdk.EventScheduled {
		return nil
	}
	return &r.Event.Name
}

// schedule returns the schedule that started a run, or nil.
func schedule(r engine.Run) *string {
	if r.Event.Name != sdk.EventScheduled {
		return nil
	}
	cron, _ := r.Event.Data["cron"].(string)
	return &cron
}

// oldRun resolves the type FunctionRun, which is older.
type oldRun struct{ r runObject }

func (o oldRun) ID() graphql.ID            { return graphql.ID(o.r.run.ID) }
func (o oldRun) FunctionID() string        { return o.r.run.Function.UUID }
func (o oldRun) Function() *functionObject { f := o.r.Function(); return &f }
func (o oldRun) StartedAt() *graphql.Time  { return o.r.StartedAt() }
func (o oldRun) FinishedAt() *graphql.Time { return o.r.EndedAt() }
func (o oldRun) Output() *string           { return endOf(o.r.run) }
func (o oldRun) EventID() graphql.ID       { return graphql.ID(o.r.run.Event.EventID) }
func (o oldRun) Cron() *string             { return o.r.CronSchedule() }
func (o oldRun) Event() *eventObject       { return &eventObject{o.r.q, o.r.run.Event} }

// Status returns the run's status. The type has none for a run that is queued.
func (o oldRun) Status() *string {
	status := o.r.Status()
	return &status
}

// Events returns all events of a batch.
func (o oldRun) Events() (out []eventObject) {
	for _, e := range o.r.run.Triggers() {
		out = append(out, eventObject{o.r.q, e})
	}
	return out
}

// errNoRun is the server's message.
var errNoRun = errors.New("error retrieving run: sql: no rows in result set")

func (q *query) find(id string) (runObject, error) {
	r, ok := q.engine.Run(id)
	if !ok {
		return runObject{}, errNoRun
	}
	return runObject{q, r}, nil
}

// Run returns a run by its id.
func (q *query) Run(args struct{ RunID string }) (*runObject, error) {
	r, err := q.find(args.RunID)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// FunctionRun returns a run by its id.
func (q *query) FunctionRun(args struct {
	Query struct{ WorkspaceID, FunctionRunID graphql.ID }
}) (*oldRun, error) {
	r, err := q.find(string(args.Query.FunctionRunID))
	if err != nil {
		return nil, errors.New("function run not found")
	}
	return &oldRun{r}, nil
}

// RunTrace returns the tree of a run that the server's page shows.
func (q *query) RunTrace(args struct{ RunID string }) (*spanObject, error) {
	r, err := q.find(args.RunID)
	if err != nil {
		return nil, err
	}
	return &spanObject{q, r.run, tree(r.run, true), true}, nil
}

// triggerOfRun resolves the type RunTraceTrigger.
type triggerOfRun struct{ runObject }

func (t triggerOfRun) IDs() []text   { return t.TriggerIDs() }
func (t triggerOfRun) Cron() *string { return t.CronSchedule() }

// Timestamp returns when the first event came, as its id has it.
func (t triggerOfRun) Timestamp() graphql.Time {
	id, _ := ulid.Parse(t.run.Event.EventID)
	return graphql.Time{Time: ulid.Time(id.Time())}
}

// Payloads returns the events.
func (t triggerOfRun) Payloads() (out []text) {
	for _, e := range (oldRun{t.runObject}).Events() {
		raw, _ := json.Marshal(newInputEvent(e.e)) // of JSON
		out = append(out, text(raw))
	}
	return out
}

// BatchID returns an id for the batch.
func (t triggerOfRun) BatchID() *text {
	if t.run.Batch == nil {
		return nil
	}
	id, _ := ulid.Parse(t.run.ID)
	_ = id.SetEntropy([]byte(hashed("batch "+t.run.ID, 5))) // ten bytes, as many as it wants
	return textOrNil(text(id.String()))
}

// RunTrigger returns what triggered a run.
func (q *query) RunTrigger(args struct{ RunID string }) (*triggerOfRun, error) {
	r, err := q.find(args.RunID)
	if err != nil {
		return nil, err
	}
	return &triggerOfRun{r}, nil
}

// runsArgs are the arguments of the list of runs.
type runsArgs struct {
	First   int32
	After   *string
	OrderBy []struct{ Field, Direction string }
	Filter  struct {
		From                graphql.Time
		Until               *graphql.Time
		TimeField           string
		Status              *[]string
		FunctionIDs, AppIDs *[]text
		IsDeferred          *bool
		Query               *string
	}
	Preview *bool
}

type (
	runsPage struct {
		Edges    []runEdge
		PageInfo pageInfo
		total    int
	}
	runEdge struct {
		Node   runObject
		Cursor string
	}
)

// TotalCount returns how many runs the filter lets through.
func (p runsPage) TotalCount(struct{ Preview *bool }) int32 { return int32(p.total) }

// Limits of the server's lists.
const (
	mostInPage    = 400
	defaultInPage = 40
)

func pageSize(first int32) int {
	if first <= 0 || first >= mostInPage {
		return defaultInPage
	}
	return int(first)
}

// Runs lists the runs that a filter lets through. Runs that were skipped are in no list.
func (q *query) Runs(args runsArgs) (*runsPage, error) {
	lets, err := q.runsFilter(args)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(q.engine.Runs(""), func(r engine.Run) bool { return !lets(r) })
	compare := func(a, b engine.Run) int {
		for _, by := range args.OrderBy {
			order := runTime(a, by.Field).Compare(runTime(b, by.Field))
			if by.Direction == "DESC" {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return cmp.Compare(a.ID, b.ID)
	}
	slices.SortFunc(found, compare)
	page := &runsPage{total: len(found), Edges: []runEdge{}}
	if args.After != nil {
		if last, ok := parseCursor(*args.After); ok {
			found = slices.DeleteFunc(found, func(r engine.Run) bool { return compare(r, last) <= 0 })
		}
	}
	size := pageSize(args.First)
	for _, r := range found[:min(size, len(found))] {
		page.Edges = append(page.Edges, runEdge{runObject{q, r}, cursorOf(r)})
	}
	if n := len(page.Edges); n > 0 {
		page.PageInfo = pageInfo{n == size, false, &page.Edges[0].Cursor, &page.Edges[n-1].Cursor}
	}
	return page, nil
}

// runsFilter returns whether a run is to be listed.
func (q *query) runsFilter(args runsArgs) (func(engine.Run) bool, error) {
	f := args.Filter
	var conditions []*expression.Expression
	if f.Query != nil {
		for line := range strings.Lines(*f.Query) {
			if strings.TrimSpace(line) == "" {
				continue
			}
			e, err := expression.Compile(line)
			if err != nil {
				return nil, err
			}
			conditions = append(conditions, e)
		}
	}
	has := func(ids *[]text, id string) bool {
		return ids == nil || len(*ids) == 0 || slices.Contains(*ids, text(id))
	}
	return func(r engine.Run) bool {
		at := runTime(r, f.TimeField)
		if at.IsZero() || r.Status == harness.StatusSkipped {
			return false
		}
		at = q.engine.Shown(at)
		switch {
		case at.Before(f.From.Time), f.Until != nil && !at.Before(f.Until.Time):
			return false
		case f.Status != nil && len(*f.Status) > 0 && !slices.Contains(*f.Status, string(r.Status)):
			return false
		case f.IsDeferred != nil && *f.IsDeferred != (runObject{q, r}).IsDeferred():
			return false
		case !has(f.FunctionIDs, r.Function.UUID) || !has(f.AppIDs, appID(r.Function.App)):
			return false
		}
		return len(conditions) == 0 || anyEventHolds(r, conditions)
	}, nil
}

// anyEventHolds reports whether all conditions hold of a run and of one of the events that started it.
func anyEventHolds(r engine.Run, conditions []*expression.Expression) bool {
	var result any
	_ = json.Unmarshal(r.Output, &result) // what is no JSON has no fields
	vars := map[string]any{"output": result}
	if r.Error != nil {
		vars["error"] = r.Error.Fields()
	}
	for _, e := range r.Triggers() {
		var fields map[string]any
		_ = json.Unmarshal(e.Raw, &fields)
		vars["event"] = fields
		if !slices.ContainsFunc(conditions, func(c *expression.Expression) bool { return !c.HoldsOf(vars) }) {
			return true
		}
	}
	return false
}

// runTime returns one of a run's times.
func runTime(r engine.Run, field string) time.Time {
	switch field {
	case "STARTED_AT":
		return r.Started
	case "ENDED_AT":
		return r.Ended
	default:
		return r.Queued
	}
}

// cursor says where in a list a run is, whatever the order.
type cursor struct {
	ID                     string
	Queued, Started, Ended time.Time
}

func cursorOf(r engine.Run) string {
	raw, _ := json.Marshal(cursor{r.ID, r.Queued, r.Started, r.Ended}) // of texts and times
	return base64.StdEncoding.EncodeToString(raw)
}

// parseCursor returns a run that has what lists are ordered by. Like the server it ignores what is no cursor.
func parseCursor(s string) (r engine.Run, ok bool) {
	var c cursor
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return r, false
	}
	r.ID, r.Queued, r.Started, r.Ended = c.ID, c.Queued, c.Started, c.Ended
	return r, true
}

// outputObject resolves the type RunTraceSpanOutput.
type outputObject struct {
	Input, Data *text
	Error       *errorObject
}

type errorObject struct {
	Name    *string
	Message string
	Stack   *string
	Cause   *object
}

// RunTraceSpanOutputByID returns the output of a span of a trace.
func (q *query) RunTraceSpanOutputByID(args struct{ OutputID string }) (*outputObject, error) {
	ref, err := parseSpanRef(args.OutputID)
	if err != nil {
		return nil, err
	}
	r, err := q.find(ref.Run)
	if err != nil {
		return nil, err
	}
	s := tree(r.run, ref.Preview).find(ref.Span)
	if s == nil || s.output == nil {
		return nil, fmt.Errorf("no output found")
	}
	out := &outputObject{Input: textOrNil(text(s.output.input))}
	if failed := s.output.failed; failed != nil {
		if len(failed.Body) > 0 { // what the app said, with nothing in place of what it did not say
			said := engine.Error{}
			if json.Unmarshal(failed.Body, &said) == nil {
				failed = &said
			}
		}
		out.Error = &errorObject{Name: &failed.Name, Message: failed.Message, Stack: &failed.Stack}
		if failed.Stack == "" && failed.Reason != "" && len(failed.Body) == 0 { // the server's own
			stack := string(engine.Wrap("error", newShownError(failed)))
			out.Error.Stack = &stack
		}
		if len(failed.Cause) > 0 {
			out.Error.Cause = &object{failed.Cause}
		}
		return out, nil
	}
	data := text(s.output.data)
	out.Data = &data
	return out, nil
}

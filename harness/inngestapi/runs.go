package inngestapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Statuses of runs and steps. COMPLETED, FAILED, CANCELLED and SKIPPED are final for a run.
const (
	Queued    = "QUEUED"
	Running   = "RUNNING"
	Completed = "COMPLETED"
	Failed    = "FAILED"
	Cancelled = "CANCELLED"
	Skipped   = "SKIPPED"
)

// Run is one execution of a function.
type Run struct {
	ID       string // ULID
	Function string // the function's id, without the app's
	App      string // the app's id
	Status   string
	// Output is what the function returned; of a failed run there is Error instead.
	Output json.RawMessage
	Error  string
	// EventIDs are the ULIDs of the events that started it. [Client.EventRuns] leaves them out.
	EventIDs []string
	// Times are zero as long as they are still to come.
	Queued, Started, Ended time.Time
}

// run is a run in GraphQL.
type run struct {
	ID         string
	Status     string
	QueuedAt   time.Time
	StartedAt  *time.Time
	EndedAt    *time.Time
	Output     *string
	TriggerIDs []string
	Function   struct{ Slug string }
	App        struct{ ExternalID string }
}

const runFields = "id status queuedAt startedAt endedAt output triggerIDs function{slug} app{externalID}"

func (r run) export() Run {
	out := Run{
		ID: r.ID, Status: status(r.Status), App: r.App.ExternalID, EventIDs: r.TriggerIDs, Queued: r.QueuedAt,
		Function: strings.TrimPrefix(r.Function.Slug, r.App.ExternalID+"-"),
	}
	if r.StartedAt != nil {
		out.Started = *r.StartedAt
	}
	// A run that waits for its next attempt has an end too, that of the last one.
	if r.EndedAt != nil && Final(out.Status) {
		out.Ended = *r.EndedAt
	}
	if r.Output != nil && Final(out.Status) {
		out.Output, out.Error = split([]byte(*r.Output), out.Status == Failed)
	}
	return out
}

// Final says whether a run of this status has come to its end.
func Final(status string) bool {
	return status == Completed || status == Failed || status == Cancelled || status == Skipped
}

// status brings the server's several spellings to one.
func status(s string) string {
	switch s = strings.ToUpper(s); s {
	case "CANCELED":
		return Cancelled
	case "SCHEDULED", "PENDING":
		return Queued
	case "WAITING", "SLEEPING":
		return Running
	default:
		return s
	}
}

// EventRuns returns the runs that an event started, in the order in which they were queued. It is empty for an event
// that has not been picked up, that nobody listens for, or whose own id was used before.
func (c *Client) EventRuns(ctx context.Context, eventID string) ([]Run, error) {
	var data struct{ EventV2 struct{ Runs []run } }
	if err := c.query(ctx, "query($id:ULID!){eventV2(id:$id){runs{"+runFields+"}}}", map[string]any{"id": eventID}, &data); err != nil {
		return nil, fmt.Errorf("list the runs of event %s: %w", eventID, err)
	}
	runs := make([]Run, 0, len(data.EventV2.Runs))
	for _, r := range data.EventV2.Runs {
		runs = append(runs, r.export())
	}
	return runs, nil
}

// Run returns a run by its id, or [ErrNotFound].
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	var data struct{ Run *run }
	if err := c.query(ctx, "query($id:String!){run(runID:$id){"+runFields+"}}", map[string]any{"id": id}, &data); err != nil {
		return Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	if data.Run == nil {
		return Run{}, fmt.Errorf("read run %s: %w", id, ErrNotFound)
	}
	return data.Run.export(), nil
}

// Step is one step of a run.
type Step struct {
	ID       string // as in the code
	HashedID string // as on the wire; repeated ids have different ones
	Op       string // RUN, SLEEP, WAIT_FOR_EVENT, INVOKE, …
	Status   string
	// Output is what the step returned; of a failed one there is Error instead.
	Output json.RawMessage
	Error  string
	// Attempts are its tries, in order. A step that was tried once has one.
	Attempts []Attempt
	// Times are zero as long as they are still to come.
	Started, Ended time.Time
}

// Attempt is one try of a step, or of the function's code outside its steps.
type Attempt struct {
	Status         string
	Error          string
	Started, Ended time.Time
}

// span is one node of a run's trace in the v2 API.
type span struct {
	Name      string
	Status    string
	StepID    string
	StepOp    string
	Output    json.RawMessage
	StartedAt *time.Time
	EndedAt   *time.Time
	Children  []span
}

// RunTrace is what happened within a run.
type RunTrace struct {
	// Steps are in the order in which they began.
	Steps []Step
	// Outside are the tries of the function's own code, outside its steps: more than one, or a failed one, where it
	// failed by itself.
	Outside []Attempt
}

// Trace returns what happened within a run so far, or [ErrNotFound].
func (c *Client) Trace(ctx context.Context, runID string) (RunTrace, error) {
	var answer struct {
		Data struct{ RootSpan span }
	}
	err := c.do(ctx, http.MethodGet, "/api/v2/runs/"+runID+"/trace?includeOutput=true", nil, &answer)
	var s *statusError
	if errors.As(err, &s) && s.code == http.StatusNotFound {
		return RunTrace{}, fmt.Errorf("read the trace of run %s: %w", runID, ErrNotFound)
	}
	if err != nil {
		return RunTrace{}, fmt.Errorf("read the trace of run %s: %w", runID, err)
	}
	return readTrace(answer.Data.RootSpan), nil
}

// readTrace makes steps of spans. Without checkpointing the server writes one span for a step as a whole, with a child
// for each attempt where there is more than one, and then one more for each attempt: the first of a step's spans is
// the one to believe.
func readTrace(root span) RunTrace {
	var t RunTrace
	seen := map[string]bool{}
	for _, s := range root.Children {
		switch {
		case s.StepID == "" && s.Name == "Finalization":
			t.Outside = attempts(s)
		case s.StepID == "" || seen[s.StepID]:
		default:
			seen[s.StepID] = true
			t.Steps = append(t.Steps, s.step())
		}
	}
	return t
}

func (s span) step() Step {
	step := Step{ID: s.Name, HashedID: s.StepID, Op: s.StepOp, Status: status(s.Status), Attempts: attempts(s)}
	step.Started, step.Ended = s.times()
	if Final(step.Status) {
		step.Output, step.Error = split(s.Output, step.Status == Failed)
	}
	if step.Error == "" && step.Status == Failed && len(step.Attempts) > 0 {
		step.Error = step.Attempts[len(step.Attempts)-1].Error
	}
	return step
}

func attempts(s span) []Attempt {
	tries := s.Children
	if len(tries) == 0 || !strings.HasPrefix(tries[0].Name, "Attempt ") {
		tries = []span{s}
	}
	var all []Attempt
	for _, try := range tries {
		a := Attempt{Status: status(try.Status)}
		a.Started, a.Ended = try.times()
		if a.Status == Failed {
			_, a.Error = split(try.Output, true)
		}
		all = append(all, a)
	}
	return all
}

func (s span) times() (started, ended time.Time) {
	if s.StartedAt != nil {
		started = *s.StartedAt
	}
	if s.EndedAt != nil {
		ended = *s.EndedAt
	}
	return started, ended
}

// split takes apart what the server calls output: {"data": …} of a step, {"error": {…}} of a run that failed, or the
// fields of an error alone, or the value itself.
func split(output []byte, failed bool) (value json.RawMessage, text string) {
	if len(output) == 0 || string(output) == "null" {
		return nil, ""
	}
	var wrapped map[string]json.RawMessage
	if json.Unmarshal(output, &wrapped) != nil {
		return output, ""
	}
	if failed {
		return nil, errorText(output, wrapped)
	}
	if data, ok := wrapped["data"]; ok && len(wrapped) == 1 {
		return data, ""
	}
	return output, ""
}

func errorText(output []byte, wrapped map[string]json.RawMessage) string {
	if inner, ok := wrapped["error"]; ok && len(inner) > 0 && inner[0] == '{' {
		output = inner
	}
	var e struct{ Name, Message, Error string }
	if json.Unmarshal(output, &e) != nil {
		return string(output)
	}
	return cmp.Or(e.Message, e.Error, e.Name)
}

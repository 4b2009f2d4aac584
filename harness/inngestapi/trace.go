package inngestapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// RunTrace is what happened within a run.
type RunTrace struct {
	// Steps are in the order in which they began. The server's clock has milliseconds: of those that began in the same
	// one, the first is the one that ended first, and where that is the same one too, any may be first.
	Steps []Step
	// Outside are the tries of the function's own code, outside its steps: the last one, which returns, and those that
	// failed by themselves or never reached the app.
	Outside []Attempt
}

// Step is one step of a run.
type Step struct {
	ID       string // as in the code, where the SDK has no other name for it
	HashedID string // as on the wire; repeated ids have different ones
	Op       string // RUN, SLEEP, WAIT_FOR_EVENT, INVOKE, …
	// Status is RUNNING as long as there is another attempt to come.
	Status harness.Status
	// Input is what the code handed to the step, where the SDK tells: in JavaScript the arguments after the function of
	// step.run, as an array. Nil where it does not, as in Go.
	Input json.RawMessage
	// Output is what the step returned, nil for null and for nothing; the server rounds numbers beyond 2⁵³. Of a
	// failed one there is Error instead.
	Output json.RawMessage
	Error  string
	// Attempts are its tries, first to last. A step that was tried once has one.
	Attempts []Attempt
	// Times are zero as long as they are still to come.
	Started, Ended time.Time
}

// Attempt is one try of a step, or of the function's code outside its steps.
type Attempt struct {
	Status         harness.Status
	Error          string
	Started, Ended time.Time
}

// Trace returns what happened within a run so far, or [ErrNotFound], or [ErrNotShown] on a server that has no traces.
//
// It is the one question that /api/v2 answers, in a tenth of the time that GraphQL takes, and it has a price: the server
// wraps an output that is no object as {"data": …}, so that {"data": 1} may be this object or 1. It is taken for 1.
func (c *Client) Trace(ctx context.Context, runID string) (RunTrace, error) {
	var answer struct {
		Data struct{ RootSpan span }
	}
	prefix := "/api"
	if c.noGraphQL.Load() {
		prefix = "" // as in the cloud; a self-hosted server has both
	}
	err := c.find(ctx, http.MethodGet, prefix+"/v2/runs/"+url.PathEscape(runID)+"/trace?includeOutput=true", &answer)
	if err = notShown(err); err != nil {
		return RunTrace{}, fmt.Errorf("read the trace of run %s: %w", runID, err)
	}
	return readTrace(answer.Data.RootSpan), nil
}

// span is one node of a run's trace.
type span struct {
	Name, Status, StepOp, StepID string
	StartedAt, EndedAt           time.Time
	Input, Output                json.RawMessage
	Children                     []span
}

// try is an attempt and what its span says beyond.
type try struct {
	Attempt
	last   bool // the server will not try again
	output json.RawMessage
}

// observed are the spans of one step: those of the calls that the server made again, and those that tell of the step.
type observed struct {
	name            string
	calls, reported []span
}

// readTrace makes steps of spans. What the server writes down differs with and without checkpointing, and it has the
// same thing several times:
//
//   - Every call of the app may be a span, with the step that the call ended in. Calls that were tried again are children
//     named "Attempt 0", "Attempt 1" of a span that sums them up; with checkpointing, where one call makes several
//     steps, the sum has the name of one and the id of another.
//   - Every try of a step that the app reported is a span.
//   - "Finalization" and "executor.nonstep" are the code outside the steps.
//
// So the sums are ignored, the rest is sorted by step, and of failed calls and reported failures the first belongs to the
// first, the second to the second; a step succeeds once.
func readTrace(root span) RunTrace {
	var trace RunTrace
	steps := map[string]*observed{}
	var ids []string
	of := func(s span, name string) *observed {
		if steps[s.StepID] == nil {
			steps[s.StepID] = &observed{name: name}
			ids = append(ids, s.StepID)
		}
		return steps[s.StepID]
	}
	for _, s := range root.Children {
		switch {
		case s.Name == "executor.nonstep":
			trace.Outside = append(trace.Outside, newTry(s, s).Attempt)
		case len(s.Children) > 0 && strings.HasPrefix(s.Children[0].Name, "Attempt "):
			for _, call := range s.Children {
				if call.StepID != "" {
					o := of(call, s.Name)
					o.calls = append(o.calls, call)
				}
			}
		case s.StepID != "":
			o := of(s, s.Name)
			o.name, o.reported = s.Name, append(o.reported, s)
		}
	}
	for _, id := range ids {
		trace.Steps = append(trace.Steps, steps[id].step(id, status(root.Status)))
	}
	slices.SortStableFunc(trace.Steps, inOrder)
	return trace
}

// inOrder compares steps by their begin, then by their end. One that has not ended is the later.
func inOrder(a, b Step) int {
	if byStart := a.Started.Compare(b.Started); byStart != 0 || a.Ended.Equal(b.Ended) {
		return byStart
	}
	if a.Ended.IsZero() || !b.Ended.IsZero() && b.Ended.Before(a.Ended) {
		return 1
	}
	return -1
}

// step is what the spans of one step amount to.
func (o *observed) step(id string, runStatus harness.Status) Step {
	s := Step{ID: o.name, HashedID: id, Op: "RUN"}
	for _, span := range slices.Concat(o.calls, o.reported) {
		if span.StepOp != "" {
			s.Op = span.StepOp
		}
		if s.Input == nil {
			s.Input = unwrap(span.Input)
		}
	}
	if s.Op != "RUN" && len(o.reported) > 0 {
		o.calls = nil // a sleep or a wait is planned in a call and ends by itself
	}
	var tries []try
	for _, outcome := range []harness.Status{harness.StatusFailed, harness.StatusCancelled, harness.StatusSkipped, harness.StatusQueued, harness.StatusRunning} {
		tries = append(tries, pair(having(o.calls, outcome), having(o.reported, outcome))...)
	}
	slices.SortStableFunc(tries, func(a, b try) int { return a.Started.Compare(b.Started) })
	if done := having(slices.Concat(o.reported, o.calls), harness.StatusCompleted); len(done) > 0 {
		// Of a step that was planned earlier one span begins with the plan, and a call may hold more than the step.
		tries = append(tries, newTry(done[0], done[len(done)-1]))
	}
	for _, t := range tries {
		s.Attempts = append(s.Attempts, t.Attempt)
	}
	last := tries[len(tries)-1]
	s.Status, s.Error, s.Started, s.Ended = last.Status, last.Error, s.Attempts[0].Started, last.Ended
	switch retried := s.Op == "RUN" && s.Status == harness.StatusFailed && !last.last; {
	case s.Status == harness.StatusCompleted:
		s.Output = unwrap(last.output)
	case retried && !runStatus.Final():
		s.Status, s.Error, s.Ended = harness.StatusRunning, "", time.Time{}
	case retried && runStatus == harness.StatusCancelled:
		s.Status = harness.StatusCancelled
	}
	return s
}

// having returns the spans with a status, in the order in which they began.
func having(spans []span, wanted harness.Status) []span {
	found := slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return status(s.Status) != wanted })
	slices.SortStableFunc(found, func(a, b span) int { return a.StartedAt.Compare(b.StartedAt) })
	return found
}

// pair makes one try of the i-th call and the i-th reported one, and one of each that is left over.
func pair(calls, reported []span) []try {
	var all []try
	for i, call := range calls {
		other := call
		if i < len(reported) {
			other = reported[i]
		}
		all = append(all, newTry(call, other))
	}
	for _, s := range reported[min(len(calls), len(reported)):] {
		all = append(all, newTry(s, s))
	}
	return all
}

// newTry makes one try of two spans that show it.
func newTry(a, b span) try {
	t := try{
		last:   a.StepOp == "" || b.StepOp == "", // what the server will try again has an operation, StepFailed has none
		output: b.Output,
	}
	if len(t.output) == 0 {
		t.output = a.Output
	}
	t.Status, t.Started, t.Ended = status(b.Status), later(a.StartedAt, b.StartedAt), b.EndedAt
	if t.Ended.Before(t.Started) {
		t.Ended = later(a.EndedAt, b.EndedAt)
	}
	if t.Status == harness.StatusFailed {
		t.Error = errorText(t.output)
	}
	if !t.Status.Final() {
		t.Ended = time.Time{}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// unwrap undoes the wrapping of what is no object. An object in it cannot have been wrapped by the server.
func unwrap(output json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(output, &fields) != nil || len(fields) != 1 || len(fields["data"]) == 0 || fields["data"][0] == '{' {
		return value(output)
	}
	return value(fields["data"])
}

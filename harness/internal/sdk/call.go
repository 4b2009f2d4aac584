package sdk

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
)

// Parameters of the URL of a call.
const (
	QueryFunction = "fnId"
	QueryStep     = "stepId"
)

// AnyStep is the value of [QueryStep] for a call that is to run no step in particular.
const AnyStep = "step"

// TargetStep returns the hashed id of the one step that a call is to run, or "" if it is to run no step in particular.
func TargetStep(query url.Values) string {
	if step := query.Get(QueryStep); step != AnyStep {
		return step
	}
	return ""
}

// Call is the body of a call of a function.
type Call struct {
	// Event and Events are what triggered the run. Events is empty in a call whose state is too large for it.
	Event  json.RawMessage   `json:"event"`
	Events []json.RawMessage `json:"events"`
	// Steps are the memoised results, by hashed step id.
	Steps map[string]json.RawMessage `json:"steps"`
	// Defers are the functions that the run has deferred, by hashed id.
	Defers  map[string]Defer `json:"defers"`
	Context CallContext      `json:"ctx"`
	Version int              `json:"version"` // of the app's protocol; -1 until it is known
	UseAPI  bool             `json:"use_api"`
}

// Defer is a function that is to start when the run has ended.
type Defer struct {
	Abortable bool `json:"abortable"`
}

// CallContext is the part of a call that says where the run stands.
type CallContext struct {
	FunctionID  string  `json:"fn_id"` // a UUID
	RunID       string  `json:"run_id"`
	Env         string  `json:"env"`
	StepID      string  `json:"step_id"`
	Attempt     Attempt `json:"attempt"`
	MaxAttempts int     `json:"max_attempts"`
	Stack       Stack   `json:"stack"`
	// QueueItem ties checkpoints to the call.
	QueueItem string `json:"qi_id"`
	RequestID string `json:"request_id"`
	// PlanFirst: the app must announce steps instead of running them at once.
	PlanFirst bool `json:"disable_immediate_execution"`
	// UseAPI: the state is too large for the call; the app must fetch it.
	UseAPI bool `json:"use_api"`
}

// Stack lists the memoised steps by hashed id, in the sequence of their completion. Current is how many there were when
// the step completed from which this call goes on.
type Stack struct {
	Stack   []string `json:"stack"`
	Current int      `json:"current"`
}

// Attempt counts attempts from 1. On the wire it counts from 0.
type Attempt int

// MarshalJSON writes the attempt as the wire counts it.
func (a Attempt) MarshalJSON() ([]byte, error) { return json.Marshal(int(a) - 1) }

// UnmarshalJSON reads the attempt as the wire counts it. What is no number is the first attempt.
func (a *Attempt) UnmarshalJSON(text []byte) error {
	n, _ := strconv.Atoi(string(text))
	*a = Attempt(n + 1)
	return nil
}

// EventName is an event in a call, without its data.
type EventName struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// ReadCall reads the context and the events of a call's body, and no further: the memoised steps, which can be
// megabytes, come last in what the server sends. Of a body that is no call it returns what it can read.
func ReadCall(body []byte) (ctx CallContext, events []EventName) {
	ctx.Attempt = 1
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ctx, nil
	}
	var single EventName
	for missing := 2; missing > 0 && d.More(); {
		key, err := d.Token()
		if err != nil {
			break
		}
		var skipped json.RawMessage
		into := any(&skipped)
		switch key {
		case "ctx":
			into = &ctx
			missing--
		case "events":
			into = &events
			missing--
		case "event":
			into = &single
		}
		if err := d.Decode(into); err != nil && !isTypeError(err) {
			break
		}
	}
	if len(events) == 0 {
		events = []EventName{single}
	}
	return ctx, events
}

// Checkpoint is the body of a checkpoint: steps that the app reports while its call goes on.
type Checkpoint struct {
	RunID     string `json:"run_id"`
	QueueItem string `json:"qi_id"`
	Steps     []Op   `json:"steps"`
}

var checkpointPath = regexp.MustCompile(`^/v1/(?:checkpoint|http/runs)(?:/([^/]+)/(?:async|steps))?$`)

// CheckpointPath reports whether a URL path is that of a checkpoint, under its public or its older name, and returns the
// run that it names, if any.
func CheckpointPath(path string) (runID string, ok bool) {
	m := checkpointPath.FindStringSubmatch(path)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// SendAnswer is what the server answers to events.
type SendAnswer struct {
	// IDs are ULIDs, one for each event; "" for an event that was refused.
	IDs    []string `json:"ids"`
	Status int      `json:"status"`
	Error  string   `json:"error,omitempty"`
}

package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// span is a node of a run's trace, from which GraphQL and REST are rendered. The server has two trees of them: an older one,
// in which a step is one node with its attempts below, and the one that its page shows ("preview"), in which each attempt is
// a node. Times are virtual.
type span struct {
	name, status string
	id, parent   string
	key          string // what the id is made of
	attempts     int    // the index of the attempt
	op, kind     string
	stepID       string
	group        string
	queued       time.Time
	started      time.Time
	ended        time.Time
	info         any // one of stepInfo
	output       *output
	hidden       bool // it has an output that only the REST API shows
	children     []*span
}

// output is what a span's output id leads to.
type output struct {
	input, data json.RawMessage
	failed      *engine.Error
}

// Statuses of spans. Those of a root are those of its run.
const (
	spanQueued    = "QUEUED"
	spanRunning   = "RUNNING"
	spanWaiting   = "WAITING"
	spanCompleted = "COMPLETED"
	spanFailed    = "FAILED"
)

var stepStatuses = map[engine.StepStatus]string{
	engine.StepPlanned: spanRunning, engine.StepWaiting: spanWaiting, engine.StepCompleted: spanCompleted, engine.StepFailed: spanFailed,
	engine.StepTimedOut: spanCompleted,
}

var spanOps = map[sdk.Opcode]string{
	sdk.OpStepRun: "RUN", sdk.OpSleep: "SLEEP", sdk.OpWaitForEvent: "WAIT_FOR_EVENT", sdk.OpInvokeFunction: "INVOKE",
	sdk.OpWaitForSignal: "WAIT_FOR_SIGNAL", sdk.OpAIGateway: "AI_GATEWAY",
}

// Names that the server gives to spans of the function's code outside its steps.
const (
	nameExecuting = "execute"
	nameReturned  = "function success"
	nameFailed    = "function error"
	nameLast      = "Finalization"
	nameOutside   = "executor.nonstep"
)

// tree returns a run's trace.
func tree(r engine.Run, preview bool) *span {
	var root *span
	if preview {
		root = previewTree(r)
	} else {
		root = legacyTree(r)
	}
	root.identify(r.ID, "")
	return root
}

// identify gives a span and those below it their ids.
func (s *span) identify(runID, parent string) {
	s.id, s.parent = hashed(runID+"/"+s.key, 8), parent
	for i, child := range s.children {
		child.key = s.key + "/" + cmp.Or(child.key, fmt.Sprint(i))
		child.identify(runID, s.id)
	}
}

// find returns the span with an id, or nil.
func (s *span) find(id string) *span {
	if s.id == id {
		return s
	}
	for _, child := range s.children {
		if found := child.find(id); found != nil {
			return found
		}
	}
	return nil
}

func hashed(text string, bytes int) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:bytes])
}

// over reports whether the span is not going to change.
func (s *span) over() bool { return s.status == spanCompleted || s.status == spanFailed }

// spanRef is what an output id says.
type spanRef struct {
	Account, Workspace, App, Function string
	Trace                             string `json:"tid"`
	Span                              string `json:"sid"`
	Run                               string `json:"rid"`
	Preview                           bool   `json:"preview,omitempty"`
}

// MarshalText implements encoding.TextMarshaler.
func (r spanRef) text() string {
	raw, _ := json.Marshal(r) // made of strings
	return base64.StdEncoding.EncodeToString(raw)
}

func parseSpanRef(id string) (r spanRef, err error) {
	raw, err := base64.StdEncoding.DecodeString(id)
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return r, fmt.Errorf("output id %q: %w", id, err)
	}
	return r, nil
}

// outcome returns the output of an attempt: its error, or the value.
func outcome(failed *engine.Error, value json.RawMessage) *output {
	if failed != nil {
		return &output{failed: failed}
	}
	return &output{data: value}
}

// previewTree returns the tree that the server's page shows.
func previewTree(r engine.Run) *span {
	root := &span{
		key: "preview", name: "Run", status: string(r.Status), queued: r.Queued, started: r.Started, ended: r.Ended,
		output: &output{input: eventsOf(r), failed: r.Error, data: resultOf(r)},
	}
	for i := range r.Steps {
		root.children = append(root.children, attemptSpans(r, &r.Steps[i])...)
	}
	for _, a := range r.FailedCalls {
		root.children = append(root.children, outside(a, &output{failed: a.Error}))
	}
	if last := r.Returned; last != nil {
		root.children = append(root.children, outside(*last, &output{data: r.Output}), &span{
			key: "last", name: nameLast, status: spanCompleted, kind: "FINALIZATION", queued: last.At, started: last.At, ended: last.Ended,
		})
	}
	slices.SortStableFunc(root.children, func(a, b *span) int { return a.started.Compare(b.started) })
	return root
}

func outside(a engine.Attempt, out *output) *span {
	status := spanCompleted
	if out.failed != nil {
		status = spanFailed
	}
	return &span{
		name: nameOutside, status: status, attempts: a.Number - 1, kind: "RUN", queued: a.At, started: a.At, ended: a.Ended, output: out,
	}
}

// attemptSpans returns a step as the page shows it: a span for each of its attempts.
func attemptSpans(r engine.Run, step *engine.Step) []*span {
	base := span{
		name: baseName(r, step.ID), stepID: step.Hash, op: spanOps[step.Op], kind: spanOps[step.Op], group: hashed(r.ID+"/"+step.Hash, 16),
		status: stepStatuses[step.Status], queued: step.Started, started: step.Started, ended: step.Ended, info: infoOf(step),
	}
	if len(step.Attempts) == 0 {
		if step.Status == engine.StepTimedOut && step.Op == sdk.OpInvokeFunction {
			base.status = spanFailed
		}
		if step.Output != nil || step.Error != nil {
			base.output = outcome(step.Error, step.Output)
			base.hidden = step.Op == sdk.OpSleep || step.Status == engine.StepTimedOut && step.Error == nil
		}
		return []*span{&base}
	}
	var out []*span
	for _, a := range step.Attempts {
		one := base
		one.status, one.attempts, one.queued, one.started, one.ended = spanCompleted, a.Number-1, a.At, a.At, a.Ended
		one.output = outcome(a.Error, step.Output)
		if a.Error != nil {
			one.status = spanFailed
			if a.RetryAt.IsZero() {
				one.op = "" // the server gives no operation to a failure that is final
			}
		}
		out = append(out, &one)
	}
	return out
}

// legacyTree returns the older tree: one node for each step, whose attempts are below it if there were several.
func legacyTree(r engine.Run) *span {
	root := &span{key: "run", name: r.Function.ID, status: string(r.Status), queued: r.Queued, started: r.Started, ended: r.Ended}
	if r.Status == harness.StatusQueued {
		root.status = spanRunning
	}
	failed := map[uint64][]engine.Attempt{} // by job: attempts that failed outside steps, which have not found their end
	for _, a := range r.FailedCalls {
		failed[a.Job] = append(failed[a.Job], a)
	}
	take := func(job uint64) []engine.Attempt {
		found := failed[job]
		delete(failed, job)
		return found
	}
	for i := range r.Steps {
		step := &r.Steps[i]
		switch {
		case len(step.Attempts) > 0:
			job := step.Attempts[0].Job
			root.children = append(root.children, ranSpan(r, step, append(take(job), step.Attempts...)))
		case step.Op != sdk.OpStepRun:
			root.children = append(root.children, awaitedSpan(r, step, take(step.Job)))
		}
	}
	if last := r.Returned; last != nil {
		before := take(last.Job)
		node := &span{name: nameReturned, status: spanCompleted, queued: last.At, started: last.At, ended: last.Ended, output: &output{data: r.Output}}
		if len(before) > 0 {
			node.nest(append(before, *last), r.Output)
		}
		root.children = append(root.children, node)
	}
	for _, attempts := range failed {
		root.children = append(root.children, executingSpan(r, attempts))
	}
	slices.SortStableFunc(root.children, func(a, b *span) int { return a.started.Compare(b.started) })
	if n := len(root.children); n > 0 && r.Status.Final() {
		root.output = root.children[n-1].output
	} else if n > 0 && root.children[n-1].over() {
		at := root.children[n-1].ended
		root.children = append(root.children, &span{key: "queued", name: "Queued step", status: spanQueued, queued: at})
	}
	return root
}

// nest puts attempts below a span, which then begins with the first of them. Attempts that do not fail lead to the value.
func (s *span) nest(attempts []engine.Attempt, value json.RawMessage) {
	slices.SortStableFunc(attempts, func(a, b engine.Attempt) int { return a.At.Compare(b.At) })
	s.key, s.attempts, s.queued, s.started = fmt.Sprintf("job-%d", attempts[0].Job), len(attempts)-1, attempts[0].At, attempts[0].At
	for i, a := range attempts {
		child := &span{
			name: fmt.Sprintf("Attempt %d", i), attempts: i, op: s.op, status: spanCompleted, queued: a.At, started: a.At, ended: a.Ended,
			output: outcome(a.Error, value),
		}
		if a.Error != nil {
			child.status = spanFailed
		}
		s.children = append(s.children, child)
	}
}

// await adds the attempt that is still to come.
func (s *span) await() {
	s.status, s.ended = spanRunning, time.Time{}
	last := s.children[len(s.children)-1]
	s.children = append(s.children, &span{
		key: "queued", name: fmt.Sprintf("Attempt %d", last.attempts+1), attempts: last.attempts + 1, op: s.op, status: spanQueued, queued: last.ended,
	})
}

// ranSpan returns a step that the app ran.
func ranSpan(r engine.Run, step *engine.Step, attempts []engine.Attempt) *span {
	last := attempts[len(attempts)-1]
	node := &span{
		name: baseName(r, step.ID), stepID: step.Hash, op: "RUN", kind: "RUN", status: spanCompleted, queued: last.At, started: last.At,
		ended: last.Ended, output: outcome(last.Error, step.Output),
	}
	if len(attempts) == 1 && last.Error == nil {
		return node
	}
	node.nest(attempts, step.Output)
	switch {
	case last.Error == nil:
	case step.Status == engine.StepFailed && last.Number == r.Function.Attempts:
		node.status, node.attempts = spanFailed, r.Function.Attempts
	default: // as long as it may be tried again, or does not want to be
		node.output = nil
		node.await()
	}
	return node
}

// awaitedSpan returns a step that the server did: a sleep, a wait or an invocation. before are the attempts that failed until
// the app asked for it.
func awaitedSpan(r engine.Run, step *engine.Step, before []engine.Attempt) *span {
	node := attemptSpans(r, step)[0]
	if node.op == "SLEEP" && !node.over() {
		node.status = spanRunning
	}
	if node.hidden {
		node.output = nil
	}
	if len(before) == 0 {
		return node
	}
	own := *node
	node.nest(before, nil)
	own.name, own.key, own.attempts = fmt.Sprintf("Attempt %d", len(before)), "", 0
	node.attempts, node.children = 0, append(node.children, &own)
	for _, child := range node.children[:len(before)] {
		child.op = ""
	}
	return node
}

// executingSpan returns calls that failed outside steps and led to nothing else.
func executingSpan(r engine.Run, attempts []engine.Attempt) *span {
	node := &span{name: nameExecuting, status: spanFailed}
	node.nest(attempts, nil)
	last := attempts[len(attempts)-1]
	if len(attempts) == 1 && last.RetryAt.IsZero() {
		node.name = nameFailed
	}
	switch {
	case last.Number == r.Function.Attempts || node.name == nameFailed:
		node.ended, node.output = last.Ended, &output{failed: last.Error}
		if node.name != nameFailed || r.Function.Attempts == last.Number {
			node.attempts = r.Function.Attempts
		}
	default:
		node.await()
	}
	return node
}

// eventsOf returns the events that triggered a run, as JSON.
func eventsOf(r engine.Run) json.RawMessage {
	events := r.Batch
	if events == nil {
		events = []engine.Event{r.Event}
	}
	var all []json.RawMessage
	for _, e := range events {
		all = append(all, e.Raw)
	}
	raw, _ := json.Marshal(all) // of JSON
	return raw
}

// resultOf returns what a run's own span shows as its output.
func resultOf(r engine.Run) json.RawMessage {
	if r.Output == nil {
		return json.RawMessage(r.Plain)
	}
	return r.Output
}

// The kinds of information about a step.
type (
	runInfo   struct{ Type *string }
	sleepInfo struct{ until time.Time }
	waitInfo  struct {
		wait  engine.Wait
		until time.Time
		over  *bool // by its time
	}
	invokeInfo struct {
		invocation engine.Invocation
		until      time.Time
		over       *bool
	}
)

func infoOf(step *engine.Step) any {
	var over *bool
	if !step.Ended.IsZero() {
		timedOut := step.Status == engine.StepTimedOut
		over = &timedOut
	}
	switch {
	case step.Op == sdk.OpSleep:
		return sleepInfo{step.Until}
	case step.Wait != nil:
		return waitInfo{*step.Wait, step.Until, over}
	case step.Invocation != nil:
		if step.Status == engine.StepFailed && strings.Contains(step.Error.Name, "Timeout") {
			timedOut := true
			over = &timedOut
		}
		return invokeInfo{*step.Invocation, step.Until, over}
	case step.Op == sdk.OpStepRun:
		return runInfo{}
	default:
		return nil
	}
}

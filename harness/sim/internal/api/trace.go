package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
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
	untimed      bool // the server does not say how long it took
	metadata     []engine.Metadata
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
	sdk.OpWaitForSignal: "WAIT_FOR_SIGNAL", sdk.OpAIGateway: "AI_GATEWAY", sdk.OpGateway: "AI_GATEWAY",
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
	if preview {
		root.note(r.Metadata)
	}
	for _, child := range root.children {
		for _, attempt := range child.children {
			if !preview {
				attempt.parent = root.id // as on the server
			}
		}
	}
	return root
}

// note gives the root the run's metadata, and the spans of its steps theirs: that of an attempt, or the last one of the step.
func (s *span) note(all []engine.Metadata) {
	for _, m := range all {
		at := s
		for _, child := range s.children {
			if m.Step != "" && child.stepID == m.Step && (m.Attempt == 0 || m.Attempt == child.attempts+1) {
				at = child
			}
		}
		if m.Step == "" || at != s {
			at.metadata = append(at.metadata, m)
		}
	}
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

// text returns the output id.
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

// jobs are the attempts that failed outside steps, by job, until what they led to takes them.
type jobs map[uint64][]engine.Attempt

func jobsOf(r engine.Run) jobs {
	all := jobs{}
	for _, a := range r.FailedCalls {
		all[a.Job] = append(all[a.Job], a)
	}
	return all
}

// take returns the attempts of a job, with more that belong to it, in their sequence.
func (j jobs) take(job uint64, more ...engine.Attempt) []engine.Attempt {
	all := slices.Concat(j[job], more)
	delete(j, job)
	slices.SortStableFunc(all, func(a, b engine.Attempt) int { return a.At.Compare(b.At) })
	return all
}

// attemptSpan returns a span that shows one attempt. Attempts that did not fail lead to the value.
func attemptSpan(a engine.Attempt, value json.RawMessage) *span {
	s := &span{status: spanCompleted, attempts: a.Number - 1, queued: a.At, started: a.At, ended: a.Ended, output: outcome(a.Error, value)}
	if a.Error != nil {
		s.status = spanFailed
	}
	return s
}

// nest puts copies of spans, which show attempts, below a span, which then begins with the first and is as the last.
func (s *span) nest(attempts []*span) {
	first, last := attempts[0], attempts[len(attempts)-1]
	s.queued, s.started = first.queued, first.started
	s.status, s.attempts, s.ended, s.output = last.status, last.attempts, last.ended, last.output
	for i, a := range attempts {
		child := *a
		child.name, child.key = fmt.Sprintf("Attempt %d", i), ""
		s.children = append(s.children, &child)
	}
}

// previewTree returns the tree that the server's page shows: a span of each call of the app that led to a step or to the end,
// with its attempts below if it was made several times, and beside it the attempts of the step, or of the code outside steps.
func previewTree(r engine.Run) *span {
	root := &span{
		key: "preview", name: "Run", status: string(r.Status), queued: r.Queued, started: r.Started, ended: r.Ended, group: hashed(r.ID, 16),
		output: &output{input: eventsOf(r), failed: r.Error, data: resultOf(r)},
	}
	add := func(s ...*span) { root.children = append(root.children, s...) }
	failed := jobsOf(r)
	for i := range r.Steps {
		step := &r.Steps[i]
		if asked := len(step.Attempts) > 0; asked && (step.Op == sdk.OpGateway || step.Op == sdk.OpAIGateway) {
			add(requestSpan(r, step))
		} else if asked {
			add(ranSpans(r, step, failed)...)
		} else {
			add(awaitedSpans(r, step, failed)...)
		}
	}
	if last := r.Returned; last != nil {
		add(outsideSpans(r, failed.take(last.Job, *last))...)
	}
	for _, job := range slices.Sorted(maps.Keys(failed)) {
		add(outsideSpans(r, failed.take(job))...)
	}
	slices.SortStableFunc(root.children, func(a, b *span) int { return a.started.Compare(b.started) })
	return root
}

// requestSpan returns a step for which the server made an HTTP request: of several attempts it shows one.
func requestSpan(r engine.Run, step *engine.Step) *span {
	s := attemptSpan(step.Attempts[len(step.Attempts)-1], step.Output)
	s.name, s.stepID, s.group, s.op = step.Name, step.Hash, hashed(r.ID+"/"+step.Hash, 16), spanOps[step.Op]
	return s
}

// ranSpans returns a step that the app ran.
func ranSpans(r engine.Run, step *engine.Step, failed jobs) []*span {
	var own []*span
	for _, a := range step.Attempts {
		s := attemptSpan(a, step.Output)
		s.name, s.stepID, s.group = step.Name, step.Hash, hashed(r.ID+"/"+step.Hash, 16)
		if a.Error == nil || !a.RetryAt.IsZero() { // the server gives no operation to a failure that is final
			s.op, s.kind, s.info = "RUN", cmp.Or(step.Type, "RUN"), runInfo{textOrNil(step.Type)}
		}
		own = append(own, s)
	}
	last := step.Attempts[len(step.Attempts)-1]
	if last.Checkpoint || len(own) == 1 && last.Error != nil && last.RetryAt.IsZero() {
		return own // the server shows no call beside it
	}
	call := *own[len(own)-1]
	call.op, call.kind, call.group, call.untimed = "RUN", "RUN", "", true
	if call.info == nil {
		call.info = runInfo{}
	}
	before := failed.take(last.Job)
	if all := append(outsideAttempts(r, before), own...); len(all) > 1 || last.Error != nil {
		call.nest(all)
	}
	return append(outsideAttempts(r, before), append([]*span{&call}, own...)...)
}

// outsideAttempts returns attempts that ended outside steps.
func outsideAttempts(r engine.Run, attempts []engine.Attempt) (out []*span) {
	for _, a := range attempts {
		s := attemptSpan(a, r.Output)
		s.name, s.group = nameOutside, hashed(fmt.Sprint(r.ID, "/", a.Job), 16)
		out = append(out, s)
	}
	return out
}

// outsideSpans returns a call that led to the end of the run, or as yet to nothing.
func outsideSpans(r engine.Run, attempts []engine.Attempt) []*span {
	own := outsideAttempts(r, attempts)
	call := *own[len(own)-1]
	call.name, call.kind, call.output, call.untimed = nameLast, "FINALIZATION", nil, true
	if len(own) > 1 || call.status == spanFailed {
		call.nest(own)
		call.output, call.group = nil, ""
	}
	return append([]*span{&call}, own...)
}

// awaitedSpans returns a step that the server did.
func awaitedSpans(r engine.Run, step *engine.Step, failed jobs) []*span {
	own := awaitedSpan(r, step)
	before := outsideAttempts(r, failed.take(step.Job))
	if step.Job == 0 || len(before) == 0 {
		return []*span{own}
	}
	own.attempts = len(before)
	call := span{name: nameLast, op: own.op, kind: "FINALIZATION", info: own.info, untimed: true}
	call.nest(append(before, own))
	call.output = nil
	return append([]*span{&call}, append(before, own)...)
}

// awaitedSpan returns a sleep, a wait or an invocation, or a step that the app is yet to run.
func awaitedSpan(r engine.Run, step *engine.Step) *span {
	s := &span{
		name: step.Name, stepID: step.Hash, op: spanOps[step.Op], kind: spanOps[step.Op], group: hashed(r.ID+"/"+step.Hash, 16),
		status: stepStatuses[step.Status], queued: step.Started, started: step.Started, ended: step.Ended, info: infoOf(r, step),
	}
	if step.Op == sdk.OpInvokeFunction && step.Ended.IsZero() {
		s.status = spanRunning
	}
	if step.Output != nil || step.Error != nil {
		s.output = outcome(step.Error, step.Output)
		if step.Error != nil {
			failed := *step.Error
			failed.Body = nil // what another app said
			s.output.failed = &failed
		}
		s.hidden = step.Op == sdk.OpSleep || step.Status == engine.StepTimedOut
	}
	return s
}

// legacyTree returns the older tree: one node for each step, whose attempts are below it if there were several.
func legacyTree(r engine.Run) *span {
	root := &span{key: "run", name: r.Function.ID, status: string(r.Status), queued: r.Queued, started: r.Started, ended: r.Ended}
	if r.Status == harness.StatusQueued {
		root.status = spanRunning
	}
	add := func(s *span) { root.children = append(root.children, s) }
	failed := jobsOf(r)
	for i := range r.Steps {
		step := &r.Steps[i]
		switch {
		case len(step.Attempts) > 0 && step.Attempts[0].Checkpoint: // it is older than those
		case len(step.Attempts) > 0:
			add(legacyStep(r, step, failed.take(step.Attempts[0].Job, step.Attempts...)))
		default:
			add(legacyAwaited(r, step, failed.take(step.Job)))
		}
	}
	if last := r.Returned; last != nil {
		node := attemptSpan(*last, r.Output)
		node.name, node.attempts = nameReturned, 0
		if all := failed.take(last.Job, *last); len(all) > 1 {
			node.nestLegacy(all, r.Output)
			node.children[len(all)-1].output = nil
		}
		add(node)
	}
	for _, job := range slices.Sorted(maps.Keys(failed)) {
		add(legacyFailed(r, failed.take(job)))
	}
	slices.SortStableFunc(root.children, func(a, b *span) int { return a.started.Compare(b.started) })
	if n := len(root.children); n > 0 && r.Status.Final() {
		root.output = root.children[n-1].output
	} else if n > 0 && root.children[n-1].over() {
		root.children = append(root.children, &span{key: "queued", name: "Queued step", status: spanQueued, queued: root.children[n-1].ended})
	}
	return root
}

// nestLegacy puts attempts below a span, which is named after their job.
func (s *span) nestLegacy(attempts []engine.Attempt, value json.RawMessage) {
	var spans []*span
	for i, a := range attempts {
		one := attemptSpan(a, value)
		one.attempts, one.op, one.stepID = i, s.op, s.stepID
		spans = append(spans, one)
	}
	s.nest(spans)
	s.key = fmt.Sprintf("job-%d", attempts[0].Job)
}

// await adds the attempt that is still to come.
func (s *span) await() {
	s.status, s.ended, s.output = spanRunning, time.Time{}, nil
	last := s.children[len(s.children)-1]
	s.children = append(s.children, &span{
		key: "queued", name: fmt.Sprintf("Attempt %d", last.attempts+1), attempts: last.attempts + 1, op: s.op, status: spanQueued, queued: last.ended,
	})
}

// legacyStep returns a step that the app ran.
func legacyStep(r engine.Run, step *engine.Step, attempts []engine.Attempt) *span {
	last := attempts[len(attempts)-1]
	node := attemptSpan(last, step.Output)
	node.name, node.stepID, node.op, node.attempts = step.Name, step.Hash, "RUN", 0
	if len(attempts) == 1 && last.Error == nil {
		return node
	}
	final := last.Error != nil && last.RetryAt.IsZero()
	if final {
		node.op = "" // the server gives no operation to a failure that is final
	}
	node.nestLegacy(attempts, step.Output)
	switch {
	case final && last.Number == r.Function.Attempts:
		node.attempts = r.Function.Attempts
	case last.Error != nil: // to be tried again, or taken for it
		node.await()
	}
	return node
}

// legacyAwaited returns a step that the server did. before are the attempts that failed until the app asked for it.
func legacyAwaited(r engine.Run, step *engine.Step, before []engine.Attempt) *span {
	node := awaitedSpan(r, step)
	node.kind, node.group = "", ""
	if node.op == "SLEEP" && !node.over() {
		node.status = spanRunning
	}
	if in, ok := node.info.(invokeInfo); ok && in.invocation.Returned == "" {
		in.invocation.Run = ""
		node.info = in
	}
	switch {
	case node.hidden:
		node.output = nil
	case node.op == "INVOKE" && node.output != nil && node.output.failed == nil:
		node.output = &output{data: engine.Wrap("data", node.output.data)}
	}
	own := *node
	if len(before) == 0 {
		if r.Status == harness.StatusCancelled && node.op == "SLEEP" && !node.over() {
			own.name = "Attempt 0"
			node.children = []*span{&own}
		}
		return node
	}
	own.stepID = ""
	node.children, node.stepID = nil, ""
	node.nestLegacy(before, nil)
	for _, child := range node.children {
		child.op = ""
	}
	own.name = fmt.Sprintf("Attempt %d", len(before))
	node.children = append(node.children, &own)
	node.status, node.ended, node.output, node.attempts = own.status, own.ended, own.output, 0
	return node
}

// legacyFailed returns calls that failed outside steps and led to nothing else.
func legacyFailed(r engine.Run, attempts []engine.Attempt) *span {
	node := &span{name: nameExecuting}
	last := attempts[len(attempts)-1]
	final := last.RetryAt.IsZero()
	if len(attempts) == 1 && final {
		node.name = nameFailed
	}
	node.nestLegacy(attempts, nil)
	switch {
	case final && last.Number == r.Function.Attempts:
		node.attempts = r.Function.Attempts
	default:
		failed := *node
		node.await()
		if node.name == nameFailed { // the server shows an attempt that does not come
			node.status, node.ended, node.output = failed.status, failed.ended, failed.output
		}
	}
	return node
}

// eventsOf returns the events that triggered a run, as JSON.
func eventsOf(r engine.Run) json.RawMessage {
	var all []json.RawMessage
	for _, e := range r.Triggers() {
		input, _ := json.Marshal(newInputEvent(e)) // of JSON
		all = append(all, input)
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

func infoOf(r engine.Run, step *engine.Step) any {
	var over *bool
	if !step.Ended.IsZero() {
		timedOut := step.Status == engine.StepTimedOut || step.Error != nil && step.Error.Name == engine.InvokeTimeout
		over = &timedOut
	}
	switch {
	case step.Op == sdk.OpSleep:
		return sleepInfo{step.Until}
	case step.Wait != nil:
		wait := *step.Wait
		wait.If = inlined(wait.If, r.Event)
		return waitInfo{wait, step.Until, over}
	case step.Invocation != nil:
		return invokeInfo{*step.Invocation, step.Until, over}
	case step.Op == sdk.OpStepRun:
		return runInfo{textOrNil(step.Type)}
	default:
		return nil
	}
}

// ofEvent matches a field of the event that triggered the run, in an expression. What follows a point is of something else.
var ofEvent = regexp.MustCompile(`(^|[^.\w])event((?:\.\w+)+)`)

// inlined returns an expression with values in place of the fields of the event that triggered the run, where it has them.
func inlined(source string, e engine.Event) string {
	var fields any
	_ = json.Unmarshal(e.Raw, &fields) // it was made here
	return ofEvent.ReplaceAllStringFunc(source, func(found string) string {
		m := ofEvent.FindStringSubmatch(found)
		value := fields
		for name := range strings.SplitSeq(m[2][1:], ".") {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		switch v := value.(type) {
		case nil:
			return found
		case float64:
			text := strconv.FormatFloat(v, 'f', -1, 64)
			if !strings.Contains(text, ".") {
				text += ".0"
			}
			return m[1] + text
		default:
			raw, _ := json.Marshal(v) // it came from JSON
			return m[1] + string(raw)
		}
	})
}

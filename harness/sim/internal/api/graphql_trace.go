package api

import (
	"math"

	"github.com/graph-gophers/graphql-go"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// The one account and environment.
const (
	accountID = "00000000-0000-4000-a000-000000000000"
	envID     = "00000000-0000-4000-b000-000000000000"
)

// spanObject resolves the type RunTraceSpan.
type spanObject struct {
	q       *query
	run     engine.Run
	s       *span
	preview bool
}

func (o spanObject) Name() string               { return o.s.name }
func (o spanObject) Status() string             { return o.s.status }
func (o spanObject) RunID() text                { return text(o.run.ID) }
func (o spanObject) Run() oldRun                { return oldRun{runObject{o.q, o.run}} }
func (o spanObject) AppID() text                { return text(appID(o.run.Function.App)) }
func (o spanObject) FunctionID() text           { return text(o.run.Function.UUID) }
func (o spanObject) SpanID() string             { return o.s.id }
func (o spanObject) TraceID() string            { return traceID(o.run) }
func (o spanObject) GroupID() *string           { return textOrNil(o.s.group) }
func (o spanObject) QueuedAt() graphql.Time     { return o.q.time(o.s.queued) }
func (o spanObject) ScheduledAt() *graphql.Time { return o.q.timeOrNil(o.s.queued) }
func (o spanObject) StartedAt() *graphql.Time   { return o.q.timeOrNil(o.s.started) }
func (o spanObject) EndedAt() *graphql.Time     { return o.q.timeOrNil(o.s.ended) }
func (o spanObject) StepOp() *string            { return textOrNil(o.s.op) }
func (o spanObject) StepID() *string            { return textOrNil(o.s.stepID) }
func (o spanObject) StepType() string           { return o.s.kind }
func (o spanObject) IsRoot() bool               { return o.s.parent == "" }
func (o spanObject) IsUserland() bool           { return false }
func (o spanObject) DebugRunID() *text          { return nil }
func (o spanObject) DebugSessionID() *text      { return nil }
func (o spanObject) DebugPaused() bool          { return false }
func (o spanObject) SkipExistingRunID() *string { return textOrNil(o.run.SkippedFor) }

// UserlandSpan and Response are what sim does not know of a span.

func (o spanObject) UserlandSpan() *userlandSpan { return nil }
func (o spanObject) Response() *spanResponse     { return nil }

// Metadata returns what the app has noted about the run or the step.
func (o spanObject) Metadata() []spanMetadata {
	all := []spanMetadata{}
	for _, m := range o.s.metadata {
		all = append(all, spanMetadata{m.Scope, m.Kind, object{m.Values}, o.q.time(m.Updated)})
	}
	return all
}

type (
	userlandSpan struct {
		SpanName, SpanKind, ServiceName, ScopeName, ScopeVersion *string
		ResourceAttrs, SpanAttrs                                 *text
	}
	spanResponse struct {
		StatusCode int32
		Headers    object
	}
	spanMetadata struct {
		Scope, Kind string
		Values      object
		UpdatedAt   graphql.Time
	}
)

// Attempts returns the index of the attempt.
func (o spanObject) Attempts() *int32 {
	n := int32(o.s.attempts)
	return &n
}

// Duration returns how long it took, in milliseconds; in the older tree, how long it has taken.
func (o spanObject) Duration() *int32 {
	ended := o.s.ended
	if ended.IsZero() && !o.preview {
		ended = o.q.engine.Now()
	}
	if ended.IsZero() || o.s.untimed {
		return nil
	}
	var ms int32
	if !o.s.started.IsZero() {
		ms = int32(min(ended.Sub(o.s.started).Milliseconds(), math.MaxInt32)) // the field holds 25 days
	}
	return &ms
}

// ParentSpanID returns the id of the span above.
func (o spanObject) ParentSpanID() *string {
	if o.s.parent == "" && o.preview {
		return textOrNil("0000000000000000")
	}
	return textOrNil(o.s.parent)
}

// OutputID returns by what to ask for the span's output; nil if it has none.
func (o spanObject) OutputID() *string {
	if o.s.output == nil || o.s.hidden {
		return nil
	}
	id := spanRef{accountID, envID, string(o.AppID()), o.run.Function.UUID, o.TraceID(), o.s.id, o.run.ID, o.preview}.text()
	return &id
}

// ChildrenSpans returns the spans below.
func (o spanObject) ChildrenSpans() []spanObject {
	out := []spanObject{}
	for _, child := range o.s.children {
		out = append(out, spanObject{o.q, o.run, child, o.preview})
	}
	return out
}

// SkipReason returns why the run was skipped.
func (o spanObject) SkipReason() *string {
	if o.run.Status != harness.StatusSkipped {
		return nil
	}
	return textOrNil("Singleton")
}

// StepInfo returns what is known of a step beyond the span.
func (o spanObject) StepInfo() *stepInfo {
	if o.s.info == nil {
		return nil
	}
	return &stepInfo{o.q, o.s.info}
}

// stepInfo resolves the union StepInfo.
type stepInfo struct {
	q    *query
	info any
}

// ToRunStepInfo and the others say which type it is.
func (i stepInfo) ToRunStepInfo() (*runInfo, bool) {
	info, ok := i.info.(runInfo)
	return &info, ok
}

func (i stepInfo) ToSleepStepInfo() (*sleepObject, bool) {
	info, ok := i.info.(sleepInfo)
	return &sleepObject{i.q.time(info.until)}, ok
}

func (i stepInfo) ToWaitForEventStepInfo() (*waitObject, bool) {
	info, ok := i.info.(waitInfo)
	w := info.wait
	return &waitObject{w.Event, textOrNil(w.If), i.q.time(info.until), textOrNil(text(w.Found)), info.over}, ok
}

func (i stepInfo) ToInvokeStepInfo() (*invokeObject, bool) {
	info, ok := i.info.(invokeInfo)
	in := info.invocation
	return &invokeObject{
		text(in.Event), in.Function, i.q.time(info.until), textOrNil(text(in.Returned)), textOrNil(text(in.Run)), info.over,
	}, ok
}

func (i stepInfo) ToWaitForSignalStepInfo() (*signalObject, bool) { return nil, false }

type (
	sleepObject struct{ SleepUntil graphql.Time }
	waitObject  struct {
		EventName    string
		Expression   *string
		Timeout      graphql.Time
		FoundEventID *text
		TimedOut     *bool
	}
	invokeObject struct {
		TriggeringEventID    text
		FunctionID           string
		Timeout              graphql.Time
		ReturnEventID, RunID *text
		TimedOut             *bool
	}
	signalObject struct {
		Signal   string
		Timeout  graphql.Time
		TimedOut *bool
	}
)

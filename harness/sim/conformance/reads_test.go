package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readThrough are the scenarios after which what other programs read of each run is compared, too.
var readThrough = []string{
	"three-steps", "sleep", "step-recovers", "step-exhausted", "step-without-retries", "step-no-retry", "function-recovers", "function-fails",
	"function-no-retry", "wait-for-event", "wait-times-out", "invoke", "invoke-fails", "invoke-times-out", "parallel", "cancel-on",
	"checkpointed-steps", "batch", "raw-proxy-error", "metadata",
}

// reads is what a server tells of a run: its traces, one span a line, and its other answers as JSON.
type reads struct {
	Legacy, Preview []string
	Run, Trigger    any
	OldRun, RESTRun any
}

const spanFields = `fragment F on RunTraceSpan {
	name status attempts isRoot outputID stepOp stepType
	metadata { scope kind values }
	stepInfo {
		__typename
		... on InvokeStepInfo { functionID returnEventID runID invoked: timedOut }
		... on SleepStepInfo { sleepUntil }
		... on WaitForEventStepInfo { eventName expression foundEventID waited: timedOut }
		... on RunStepInfo { type }
	}
}`

const runQuery = spanFields + `query ($id: String!, $old: ID!) {
	run(runID: $id) {
		status isBatch cronSchedule hasAI output
		legacy: trace(preview: false) { ...F childrenSpans { ...F childrenSpans { ...F } } }
		preview: trace(preview: true) { ...F childrenSpans { ...F childrenSpans { ...F } } }
	}
	runTrigger(runID: $id) { eventName payloads isBatch cron }
	functionRun(query: {functionRunId: $old}) { status output }
}`

type gqlSpan struct {
	Name, Status, StepOp, StepType string
	Attempts                       int
	IsRoot                         bool
	OutputID                       *string
	Metadata                       []struct {
		Scope, Kind string
		Values      any
	}
	StepInfo      map[string]any
	ChildrenSpans []gqlSpan
}

// readAll reads what other programs read of a run.
func readAll(t testing.TB, server, id string) *reads {
	var got struct {
		Run struct {
			Status, Output  string
			IsBatch         bool
			CronSchedule    *string
			Legacy, Preview gqlSpan
		}
		RunTrigger struct {
			EventName, Cron *string
			Payloads        []string
			IsBatch         bool
		}
		FunctionRun struct{ Status, Output string }
	}
	require.Empty(t, ask(t, server, runQuery, map[string]any{"id": id, "old": id}, &got))
	out := &reads{
		Run:    fmt.Sprint(got.Run.Status, got.Run.IsBatch, got.Run.CronSchedule != nil),
		OldRun: map[string]any{"status": got.FunctionRun.Status, "output": scrub(decode([]byte(got.FunctionRun.Output)))},
	}
	var events []any
	for _, p := range got.RunTrigger.Payloads {
		events = append(events, scrub(decode([]byte(p))))
	}
	slices.SortFunc(events, byJSON[any])
	out.Trigger = []any{got.RunTrigger.EventName, got.RunTrigger.IsBatch, got.RunTrigger.Cron, events}
	out.Legacy, out.Preview = lines(t, server, got.Run.Legacy), lines(t, server, got.Run.Preview)
	resp, err := http.Get(server + "/v1/runs/" + id)
	require.NoError(t, err)
	defer resp.Body.Close()
	var rest struct {
		Data struct {
			Status string
			Output any
		}
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&rest))
	out.RESTRun = []any{rest.Data.Status, scrub(rest.Data.Output)}
	return out
}

// lines draws a trace. Spans that begin together may come in either order, so each level is sorted.
func lines(t testing.TB, server string, s gqlSpan) []string {
	line := fmt.Sprintf("%s %s attempt %d", scrubText(s.Name), s.Status, s.Attempts)
	for _, more := range []string{s.StepOp, s.StepType} {
		line += " " + more
	}
	if s.StepInfo != nil {
		for k, v := range s.StepInfo {
			if _, ok := v.(string); ok && (strings.HasSuffix(k, "ID") && k != "functionID" || k == "sleepUntil") {
				s.StepInfo[k] = "…"
			}
		}
		info, err := json.Marshal(scrub(s.StepInfo))
		require.NoError(t, err)
		line += " " + string(info)
	}
	var noted []string
	for _, m := range s.Metadata {
		if strings.HasPrefix(m.Kind, "userland.") || m.Kind == "inngest.score" { // others tell how long the server itself took
			noted = append(noted, fmt.Sprintf(" %s %s %v", m.Scope, m.Kind, m.Values))
		}
	}
	slices.Sort(noted)
	line += strings.Join(noted, "")
	if s.OutputID != nil {
		line += " → " + outputOf(t, server, *s.OutputID)
	}
	var below [][]string
	for _, child := range s.ChildrenSpans {
		below = append(below, lines(t, server, child))
	}
	slices.SortFunc(below, slices.Compare)
	out := []string{line}
	for _, child := range below {
		for _, line := range child {
			out = append(out, "  "+line)
		}
	}
	return out
}

// noOutput is the server's error where an output id leads nowhere: to what it has not written down yet, or has dropped.
const noOutput = "no output found"

// outputOf reads what an output id leads to.
func outputOf(t testing.TB, server, id string) string {
	var got struct {
		Output struct {
			Input, Data *string
			Error       *struct{ Name, Message string }
		}
	}
	said := ask(t, server, `query ($id: String!) { output: runTraceSpanOutputByID(outputID: $id) { input data error { name message } } }`, map[string]any{"id": id}, &got)
	if said == noOutput {
		return said
	}
	require.Empty(t, said)
	out := map[string]any{}
	if got.Output.Data != nil {
		out["data"] = scrub(decode([]byte(*got.Output.Data)))
	}
	if got.Output.Error != nil {
		out["error"] = got.Output.Error.Name + ": " + scrubText(got.Output.Error.Message)
	}
	raw, err := json.Marshal(out)
	require.NoError(t, err)
	return string(raw)
}

// ask sends a query and decodes what comes, or returns the message of the server's error.
func ask(t testing.TB, server, query string, variables map[string]any, into any) string {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(t, err)
	resp, err := http.Post(server+"/v0/gql", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	require.NoError(t, json.Unmarshal(raw, &answer), "%s", raw)
	if len(answer.Errors) > 0 {
		return answer.Errors[0].Message
	}
	require.NoError(t, json.Unmarshal(answer.Data, into), "%s", raw)
	return ""
}

package harness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTraceRun_Before(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	r := TraceRun{Steps: []TraceStep{
		{ID: "first", Status: StatusCompleted, Started: at(0), Ended: at(5)},
		{ID: "beside-1", Status: StatusCompleted, Started: at(5), Ended: at(9)},
		{ID: "beside-2", Status: StatusCompleted, Started: at(6), Ended: at(8)},
		{ID: "fails", Status: StatusFailed, Started: at(9), Ended: at(10)},
		{ID: "sleeps", Status: StatusRunning, Started: at(10)},
		{ID: "last", Status: StatusRunning, Started: at(11)},
	}}
	for i, want := range [][]string{nil, {"first"}, {"first"}, {"first", "beside-1", "beside-2"}, {"first", "beside-1", "beside-2"}, {"first", "beside-1", "beside-2"}} {
		var got []string
		for _, s := range r.Before(i) {
			got = append(got, s.ID)
		}
		require.Equal(t, want, got, r.Steps[i].ID)
	}
}

func TestVerdict_PrintsHugeAndHostileTextsShort(t *testing.T) {
	t.Parallel()
	v := &Verdict{
		Outcome: Broken, Why: "a step failed", Differences: []string{"one", "two \x1b[2J"},
		Hops: []Hop{{Text: "step \u202egpj.exe", Detail: []string{strings.Repeat("é", 500_000) + "\n\x1b[31mred\r\n" + strings.Repeat("x\n", 1000)}}},
	}
	printed := v.String()
	require.Less(t, len(printed), 4000)
	for _, want := range []string{"éé…\n", "\\u001b[31mred\n", `two \u001b[2J`, `step \u202egpj.exe`, "… and 802 lines more"} {
		require.Contains(t, printed, want)
	}
	require.NotContains(t, printed, "\x1b")
}

func TestVerdict_SaysWhereItsRunsAreToBeSeen(t *testing.T) {
	t.Parallel()
	v := &Verdict{Outcome: Broken, Why: "no email", Trace: &Trace{Runs: []TraceRun{
		{Function: "notify", URL: "http://127.0.0.1:8288/run?runID=01A"}, {Function: "archive"}, {Function: "notify", URL: "http://127.0.0.1:8288/run?runID=01B"},
	}}}
	const want = "  in Inngest's page:\n    notify  http://127.0.0.1:8288/run?runID=01A\n    notify  http://127.0.0.1:8288/run?runID=01B"
	require.True(t, strings.HasSuffix(v.String(), want), v.String())
	v.Trace.Runs = slices.Repeat(v.Trace.Runs[:1], 7)
	require.Equal(t, 5, strings.Count(v.String(), "runID="))
	v.Outcome = Holds
	require.NotContains(t, v.String(), "runID=")
	v.Outcome, v.Trace.Runs = Broken, []TraceRun{{Function: "notify"}}
	require.NotContains(t, v.String(), "Inngest's page")
}

package timeline_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/timeline"
)

func ms(n int) time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
}

func after(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestOf_ShowsEveryHop(t *testing.T) {
	t.Parallel()
	got := timeline.Of(&harness.Trace{
		Event: &harness.TraceEvent{Name: "a/b", Received: ms(0)},
		Runs: []harness.TraceRun{{
			ID: "R1", Function: "notify", App: "shop", Status: harness.StatusCompleted, Queued: ms(10), Started: ms(20), Ended: ms(100),
			Steps: []harness.TraceStep{{ID: "send", Status: harness.StatusCompleted, Started: ms(30), Ended: ms(90), Attempts: []harness.TraceAttempt{
				{Status: harness.StatusFailed, Error: "451", Started: ms(30), Ended: ms(40)}, {Status: harness.StatusCompleted, Started: ms(80), Ended: ms(90)},
			}}},
		}},
		Deliveries: []harness.Delivery{
			{MailTransaction: harness.MailTransaction{RunID: "R1", Refused: []string{"kim@plant.test"}}, Began: ms(35)},
			{MailTransaction: harness.MailTransaction{RunID: "R1", To: []string{"kim@plant.test"}, Accepted: true, AcceptedAt: ms(88)}, Began: ms(85)},
			{MailTransaction: harness.MailTransaction{RunID: "R2"}, Began: ms(95)},
		},
		Mail: []harness.TraceMail{
			{Message: &harness.Message{Subject: "Press", Received: ms(90), Envelope: harness.Envelope{To: []string{"kim@plant.test"}}}, RunID: "R1"},
			{Message: &harness.Message{Subject: "Fan", Received: ms(96)}},
		},
		Quiet: true, Taken: ms(5000),
	})
	require.Equal(t, &timeline.Timeline{Span: after(100), Rows: []timeline.Row{
		{Kind: "event", Label: "a/b", State: timeline.Completed, Note: "12:00:00.000",
			Bars: []timeline.Bar{{0, 0, timeline.Completed, "received +0s"}}},
		{Depth: 1, Kind: "run", Label: "notify", Detail: "shop", State: timeline.Completed, After: after(10), Took: after(90), Note: "completed in 80ms",
			Bars: []timeline.Bar{{10, 10, timeline.Waiting, "queued for 10ms"}, {20, 80, timeline.Completed, "COMPLETED"}}},
		{Depth: 2, Kind: "step", Label: "send", State: timeline.Completed, After: after(30), Took: after(60), Note: "60ms, 2 attempts",
			Bars: []timeline.Bar{{30, 10, timeline.Failed, "attempt 1 FAILED 451"}, {40, 40, timeline.Waiting, "waits 40ms to try again"}, {80, 10, timeline.Completed, "attempt 2 COMPLETED"}}},
		{Depth: 2, Kind: "delivery", Label: "SMTP to kim@plant.test", State: timeline.Failed, After: after(35), Note: "not accepted",
			Bars: []timeline.Bar{{35, 0, timeline.Failed, "not accepted"}}},
		{Depth: 2, Kind: "delivery", Label: "SMTP to kim@plant.test", State: timeline.Completed, After: after(85), Took: after(3), Note: "accepted after 3ms",
			Bars: []timeline.Bar{{85, 3, timeline.Completed, "accepted after 3ms"}}},
		{Depth: 2, Kind: "mail", Label: "Press", Detail: "kim@plant.test", State: timeline.Completed, After: after(90), Note: "+90ms",
			Bars: []timeline.Bar{{90, 0, timeline.Completed, "in the inbox +90ms"}}},
		{Depth: 2, Kind: "delivery", Label: "SMTP to no recipient", State: timeline.Failed, After: after(95), Note: "not accepted",
			Bars: []timeline.Bar{{95, 0, timeline.Failed, "not accepted"}}},
		{Depth: 2, Kind: "mail", Label: "Fan", State: timeline.Completed, After: after(96), Note: "+96ms",
			Bars: []timeline.Bar{{96, 0, timeline.Completed, "in the inbox +96ms"}}},
	}}, got)
}

func TestOf_DrawsWhatGoesOnUntilNow(t *testing.T) {
	t.Parallel()
	got := timeline.Of(&harness.Trace{
		Event: &harness.TraceEvent{Received: ms(0)}, Taken: ms(1000),
		Runs: []harness.TraceRun{{Function: "notify", Status: harness.StatusRunning, Queued: ms(0), Steps: []harness.TraceStep{{ID: "sleep", Status: harness.StatusRunning, Started: ms(500)}, {ID: "next", Status: harness.StatusQueued}}}},
	})
	require.Equal(t, time.Second, got.Span)
	require.True(t, got.Rows[1].Open)
	require.Equal(t, []timeline.Bar{{50, 50, timeline.Running, "RUNNING"}}, got.Rows[2].Bars)
	require.Equal(t, after(500), got.Rows[2].Took)
	require.Empty(t, got.Rows[3].Bars, "a step that has not begun")
}

func TestOf_AnEventAloneHasASpan(t *testing.T) {
	t.Parallel()
	got := timeline.Of(&harness.Trace{Event: &harness.TraceEvent{Received: ms(0)}, Taken: ms(10)})
	require.Len(t, got.Rows, 1)
	require.Equal(t, time.Millisecond, got.Span)
	require.Nil(t, timeline.Of(&harness.Trace{Taken: ms(10)}), "a trace without times")
}

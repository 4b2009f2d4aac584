package dashboard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func ms(n int) time.Time { return noon.Add(time.Duration(n) * time.Millisecond) }

func TestTheTimelineShowsEveryHop(t *testing.T) {
	t.Parallel()
	m := email("M1", "kim@plant.test")
	m.Received = ms(90)
	lanes, span := lanesOf(&harness.Trace{
		Event: &harness.TraceEvent{Name: "a/b", Received: ms(0)},
		Runs: []harness.TraceRun{{
			ID: "R1", Function: "notify", Status: harness.StatusCompleted, Queued: ms(10), Started: ms(20), Ended: ms(100),
			Steps: []harness.TraceStep{{ID: "send", Status: harness.StatusCompleted, Started: ms(30), Ended: ms(90), Attempts: []harness.TraceAttempt{
				{Status: harness.StatusFailed, Started: ms(30), Ended: ms(40)}, {Status: harness.StatusCompleted, Started: ms(80), Ended: ms(90)},
			}}},
		}},
		Deliveries: []harness.Delivery{
			{MailTransaction: harness.MailTransaction{RunID: "R1", To: []string{"kim@plant.test"}}, Began: ms(35)},
			{MailTransaction: harness.MailTransaction{RunID: "R1", To: []string{"kim@plant.test"}, Accepted: true, AcceptedAt: ms(88)}, Began: ms(85)},
		},
		Mail:  []harness.TraceMail{{Message: m, RunID: "R1"}},
		Quiet: true, Taken: ms(5000),
	})
	require.Equal(t, 100*time.Millisecond, span)
	after := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	require.Equal(t, []lane{
		{Kind: "event", Label: "Event received", State: stateCompleted, Open: false, Bars: []bar{{0, 4, stateCompleted}}},
		{Kind: "run", Label: "notify", State: stateCompleted, After: after(10), Took: after(90), Bars: []bar{{100, 900, stateCompleted}}},
		{Kind: "step", Label: "send", State: stateCompleted, Depth: 1, After: after(30), Took: after(60), Bars: []bar{{300, 100, stateFailed}, {800, 100, stateCompleted}}},
		{Kind: "smtp", Label: "SMTP to kim@plant.test", State: stateFailed, Depth: 1, After: after(35), Bars: []bar{{350, 4, stateFailed}}},
		{Kind: "smtp", Label: "SMTP to kim@plant.test", State: stateCompleted, Depth: 1, After: after(85), Took: after(3), Bars: []bar{{850, 30, stateCompleted}}},
		{Kind: "mail", Label: "In the inbox of kim@plant.test", State: stateCompleted, Depth: 1, After: after(90), Bars: []bar{{900, 4, stateCompleted}}},
	}, lanes)
}

func TestTheTimelineOfWhatGoesOnEndsNow(t *testing.T) {
	t.Parallel()
	lanes, span := lanesOf(&harness.Trace{
		Event: &harness.TraceEvent{Received: ms(0)}, Taken: ms(1000),
		Runs: []harness.TraceRun{{Function: "notify", Status: harness.StatusRunning, Queued: ms(0), Steps: []harness.TraceStep{{ID: "sleep", Status: harness.StatusRunning, Started: ms(500)}, {ID: "next", Status: harness.StatusQueued}}}},
	})
	require.Equal(t, time.Second, span)
	require.True(t, lanes[1].Open)
	require.Equal(t, []bar{{500, 500, stateRunning}}, lanes[2].Bars)
	require.Empty(t, lanes[3].Bars, "what has not begun is no bar")
}

func TestTheTimelineOfAnEventAlone(t *testing.T) {
	t.Parallel()
	lanes, span := lanesOf(&harness.Trace{Event: &harness.TraceEvent{Received: ms(0)}, Taken: ms(10), Mail: []harness.TraceMail{{Message: &harness.Message{Received: ms(0)}}}})
	require.Len(t, lanes, 1)
	require.Equal(t, time.Millisecond, span, "nothing is divided by nothing")
}

func TestTook(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "0 ms", 999 * time.Millisecond: "999 ms", 1500 * time.Millisecond: "1.50 s", 90 * time.Second: "1m30s", -1: ""} {
		require.Equal(t, want, took(d))
	}
}

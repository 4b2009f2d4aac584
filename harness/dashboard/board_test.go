package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/timeline"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func email(id, to string) *harness.Message {
	return &harness.Message{ID: id, Subject: "About " + id, Received: noon.Add(time.Second), Envelope: harness.Envelope{To: []string{to}}}
}

func ids(rows []*row) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.ID)
	}
	return all
}

func TestBoard_SendsEverythingAndThenChanges(t *testing.T) {
	t.Parallel()
	b := newBoard(10)
	c, rev, wake := b.changes(0, "")
	require.True(t, c.Reset)
	require.Empty(t, c.Rows)

	require.True(t, b.event("E1", "own-1", "a/b", []byte(`{}`), noon))
	require.False(t, b.event("E1", "own-1", "a/b", []byte(`{}`), noon), "the second time it is no news")
	<-wake
	c, rev, _ = b.changes(rev, "")
	require.Equal(t, []string{"E1"}, ids(c.Rows))

	b.event("E2", "", "a/c", nil, noon.Add(time.Second))
	c, next, wake := b.changes(rev, "")
	require.Equal(t, []string{"E2"}, ids(c.Rows), "only what has changed")
	require.False(t, c.Reset)
	only, _, _ := b.changes(0, "E1")
	require.Equal(t, []string{"E1"}, ids(only.Rows), "only the row asked for")
	c, _, _ = b.changes(next, "")
	require.True(t, c.empty())
	select {
	case <-wake:
		t.Fatal("nothing has changed")
	default:
	}
}

func TestBoard_FindsTheEventThatNamesAnID(t *testing.T) {
	t.Parallel()
	b := newBoard(10)
	b.event("E0", "", "a/old", []byte(`{"id":"order-7"}`), noon.Add(-time.Hour))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Empty(t, b.awaitMention(ended, "order-7", noon), "what came long before is about another one")

	found := make(chan string)
	go func() { found <- b.awaitMention(t.Context(), "order-7", noon) }()
	b.event("E1", "", "a/other", []byte(`{"id":"order-8"}`), noon)
	b.event("E2", "", "a/created", []byte(`{"id":"order-7"}`), noon)
	require.Equal(t, "E2", <-found)
	b.event("E3", "", "a/followed", []byte(`{"id":"order-7"}`), noon.Add(time.Second))
	require.Equal(t, "E2", b.awaitMention(t.Context(), "order-7", noon), "the first of several")
	b.event("E4", "order-9-1", "a/created", nil, noon)
	require.Equal(t, "E4", b.awaitMention(t.Context(), "order-9", noon), "by its idempotency key")
}

func TestBoard_JoinsEmailAndEventInAnyOrder(t *testing.T) {
	t.Parallel()
	steps := map[string]func(*board){
		"event": func(b *board) { b.event("E1", "own-1", "a/b", nil, noon) },
		"run":   func(b *board) { b.run("R1", "own-1") },
		"mail":  func(b *board) { b.mail(email("M1", "kim@plant.test"), "R1") },
	}
	for _, order := range [][]string{
		{"event", "run", "mail"}, {"event", "mail", "run"}, {"run", "event", "mail"},
		{"run", "mail", "event"}, {"mail", "run", "event"}, {"mail", "event", "run"},
	} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			b := newBoard(10)
			for _, step := range order {
				steps[step](b)
			}
			c, _, _ := b.changes(0, "")
			require.Equal(t, []string{"E1"}, ids(c.Rows), "the email is no row of its own any more")
			require.Len(t, c.Rows[0].Mail, 1)
			require.Equal(t, "kim@plant.test", c.Rows[0].Mail[0].To)
			require.EqualValues(t, 1000, c.Rows[0].Took)
		})
	}
}

func TestBoard_ShowsAnUnattributedEmailAsARow(t *testing.T) {
	t.Parallel()
	b := newBoard(10)
	b.mail(email("M1", "kim@plant.test"), "")
	c, rev, _ := b.changes(0, "")
	require.Equal(t, []string{"mail-M1"}, ids(c.Rows))
	require.Equal(t, stateMail, c.Rows[0].State)
	b.forgetMail(noon)
	c, _, _ = b.changes(rev, "")
	require.True(t, c.empty(), "it came after the inbox was emptied")
	b.forgetMail(noon.Add(time.Minute))
	c, _, _ = b.changes(rev, "")
	require.Equal(t, []string{"mail-M1"}, c.Gone)
}

func TestBoard_DropsTheOldestRows(t *testing.T) {
	t.Parallel()
	b := newBoard(3)
	for _, i := range []int{3, 0, 4, 1, 2} { // whatever their order of arrival
		b.event(fmt.Sprintf("E%d", i), "", "a/b", nil, noon.Add(time.Duration(i)))
	}
	c, _, _ := b.changes(0, "")
	require.Equal(t, []string{"E4", "E3", "E2"}, ids(c.Rows))
}

func TestBoard_ResetsAReaderThatIsFarBehind(t *testing.T) {
	t.Parallel()
	b := newBoard(1)
	b.event("first", "", "a/b", nil, noon)
	_, rev, _ := b.changes(0, "")
	for i := range 2 * keptDepartures {
		b.event(fmt.Sprintf("E%d", i), "", "a/b", nil, noon)
	}
	c, _, _ := b.changes(rev, "")
	require.True(t, c.Reset)
	require.Len(t, c.Rows, 1)
}

func TestBoard_TraceKeepsPushedEmails(t *testing.T) {
	t.Parallel()
	b := newBoard(10)
	b.event("E1", "", "a/b", nil, noon)
	b.run("R1", "E1")
	b.mail(email("M1", "kim@plant.test"), "R1")
	b.trace(&harness.Trace{EventID: "E1", Event: &harness.TraceEvent{Name: "a/b", Received: noon},
		Runs: []harness.TraceRun{{ID: "R1", Function: "f", Status: harness.StatusRunning, Steps: []harness.TraceStep{{ID: "s", Status: harness.StatusCompleted}}}}})
	c, _, _ := b.changes(0, "")
	require.Len(t, c.Rows[0].Mail, 1)
	require.Equal(t, []rowRun{{ID: "R1", Function: "f", State: timeline.Running, Steps: []rowStep{{ID: "s", State: timeline.Completed}}}}, c.Rows[0].Runs)
}

func TestBoard_SettlesAnUnsubscribedEventWithoutATrace(t *testing.T) {
	t.Parallel()
	b := newBoard(10)
	b.event("E1", "own", "a/b", nil, noon)
	no := func(string) bool { return false }
	require.False(t, b.unsubscribed("E1", func(name string) bool { return name == "a/b" }, noon.Add(time.Minute)))
	require.False(t, b.unsubscribed("E1", no, noon), "it is too young to tell")
	require.True(t, b.unsubscribed("E1", no, noon.Add(time.Minute)))
	b.run("R1", "own")
	require.False(t, b.unsubscribed("E1", no, noon.Add(time.Minute)), "a run has started after all")
}

func TestBoard_SendsTheStackWhenItChanges(t *testing.T) {
	t.Parallel()
	b := newBoard(10)
	b.setStack(stackState{Inbox: 1})
	c, rev, _ := b.changes(0, "")
	require.Equal(t, 1, c.Stack.Inbox)
	b.setStack(stackState{Inbox: 1})
	c, _, _ = b.changes(rev, "")
	require.True(t, c.empty())
	b.setStack(stackState{Inbox: 2})
	c, _, _ = b.changes(rev, "")
	require.Equal(t, 2, c.Stack.Inbox)
}

func TestStateOf_NamesTheState(t *testing.T) {
	t.Parallel()
	event := &harness.TraceEvent{Name: "a/b"}
	duplicate := &harness.TraceEvent{Name: "a/b", DuplicateOf: "E0"}
	functions := []harness.TraceFunction{{ID: "f"}}
	run := func(status harness.Status, err string, steps ...harness.TraceStep) []harness.TraceRun {
		r := harness.TraceRun{Status: status, Error: err, Steps: steps}
		if status != harness.StatusRunning {
			r.Ended = noon
		}
		return []harness.TraceRun{r}
	}
	tests := map[string]struct {
		trace harness.Trace
		state timeline.State
		note  string
	}{
		"not started": {
			harness.Trace{Event: event, Functions: []harness.TraceFunction{{ID: "f", NotStarted: "its condition is false"}}, Quiet: true},
			timeline.Completed, "f was not started: its condition is false",
		},
		"completed":   {harness.Trace{Event: event, Functions: functions, Runs: run(harness.StatusCompleted, ""), Quiet: true}, timeline.Completed, ""},
		"failed":      {harness.Trace{Event: event, Functions: functions, Runs: run(harness.StatusFailed, "it broke"), Quiet: true}, timeline.Failed, "it broke"},
		"cancelled":   {harness.Trace{Event: event, Functions: functions, Runs: run(harness.StatusCancelled, "")}, timeline.Failed, "cancelled"},
		"running":     {harness.Trace{Event: event, Functions: functions, Runs: run(harness.StatusRunning, "")}, timeline.Running, ""},
		"tried again": {harness.Trace{Event: event, Functions: functions, Runs: run(harness.StatusRunning, "", harness.TraceStep{Status: harness.StatusRunning, Attempts: []harness.TraceAttempt{{Error: "refused"}}})}, timeline.Running, "refused"},
		"no function": {harness.Trace{Event: event}, stateUnsubscribed, noFunction},
		"not synced":  {harness.Trace{Event: event, SyncError: "connection refused"}, stateUnsubscribed, "connection refused"},
		"duplicate":   {harness.Trace{Event: duplicate, Functions: functions, Quiet: true}, stateDuplicate, "the server has seen its id and starts nothing"},
		"waiting":     {harness.Trace{Event: event, Functions: functions, Unquiet: "f is subscribed and has not started"}, timeline.Waiting, "f is subscribed and has not started"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, note := stateOf(&tt.trace)
			require.Equal(t, tt.state, state)
			require.Equal(t, tt.note, note)
		})
	}
}

func TestBrief_PutsTextBeforeIDs(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"requestId":"6b03e21f8bcac42772f7b3d8","subject":"Pump  is\nloud","type":"corrective"}`: "subject: Pump is loud  type: corrective  requestId: 6b03e21f8bcac42772f7b3d8",
		`{"n":3,"list":[1,2]}`: "list: [1,2]  n: 3",
		`{}`:                   "",
		`null`:                 "",
		`[1]`:                  "",
		`no JSON`:              "",
	} {
		require.Equal(t, want, brief([]byte(data)), data)
	}

	long := brief([]byte(`{"requestId":"6b03e21f8bcac42772f7b3d8","subject":"` + strings.Repeat("loud ", 200) + `"}`))
	require.Regexp(t, "^subject: loud .*…  requestId: 6b03e21f8bcac42772f7b3d8$", long, "a long value pushes no id out of what the filter finds")
}

func TestRow_EncodesItsTime(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(&row{ID: "E1", Name: "a/b", At: noon, State: timeline.Waiting})
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"id":"E1","name":"a/b","state":"waiting","took":0,"at":%d}`, noon.UnixMilli()), string(data))
}

func TestNewService_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.Equal(t, serviceState{Name: "mongo", State: "up", Detail: "v1"}, newService(harness.ServiceMongo, "v1", nil))
	require.Equal(t, serviceState{Name: "mongo", State: "down", Detail: "v1", Problem: "refused"}, newService(harness.ServiceMongo, "v1", errors.New("refused")))
}

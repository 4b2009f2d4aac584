package harness

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// forgetful is a tracer of a stack whose server shows nothing of what it accepts.
func forgetful(t *testing.T) *tracer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"errors":[{"message":"event not found"}]}`))
	}))
	t.Cleanup(server.Close)
	s := &Stack{api: inngestapi.New(server.URL, inngestapi.Options{}), wires: &wires{}, ledger: newLedger(nil)}
	t.Cleanup(s.ledger.close)
	t.Cleanup(s.api.Close)
	return &tracer{s: s, listener: &listener{news: make(chan struct{}, 1)}}
}

func TestAnEventThatATapSawAcceptedIsAwaitedHoweverLate(t *testing.T) {
	t.Parallel()
	tr := forgetful(t)
	anHourAgo := time.Now().Add(-time.Hour)
	sent, other := ulid.MustNew(ulid.Timestamp(anHourAgo), ulid.DefaultEntropy()), ulid.MustNew(ulid.Timestamp(anHourAgo), ulid.DefaultEntropy())
	tr.s.ledger.enter(tap.Crossing{Seq: 1, Began: anHourAgo, Ended: anHourAgo, Dispatch: &tap.Dispatch{Events: []tap.Event{{ServerID: sent.String()}}}})
	run := func(id ulid.ULID) *tracedRun {
		output, err := json.Marshal([]string{id.String()})
		require.NoError(t, err)
		return &tracedRun{TraceRun: TraceRun{Queued: anHourAgo.Add(-time.Minute), Steps: []TraceStep{{ID: "tell", Output: output}}}, over: true}
	}

	told := run(sent)
	require.NoError(t, tr.follow(t.Context(), told))
	require.Equal(t, "the event "+sent.String(), told.awaited, "the server accepted it and does not show it yet")
	tr.event, tr.events, tr.runs = &TraceEvent{}, []*tracedEvent{{listeners: nil}}, []*tracedRun{told}
	require.Contains(t, tr.unquiet(), "the server does not show the event "+sent.String()+" yet")

	stranger := run(other)
	require.NoError(t, tr.follow(t.Context(), stranger))
	require.Empty(t, stranger.awaited, "it is no event's id")
}

func TestAnIDThatNoTapSawIsAnEventsAsLongAsTheServerMayBeAboutToShowIt(t *testing.T) {
	t.Parallel()
	tr := forgetful(t)
	id := ulid.MustNew(ulid.Timestamp(noon), ulid.DefaultEntropy())
	for age, want := range map[time.Duration]bool{
		0: false, 2 * time.Second: false, inngestapi.VisibleWithin: false, inngestapi.VisibleWithin + time.Millisecond: true,
	} {
		got, err := tr.isNoEvent(t.Context(), id, noon.Add(age))
		require.NoError(t, err)
		require.Equal(t, want, got, age)
	}
}

func TestWhoseAnEmailIs(t *testing.T) {
	t.Parallel()
	tr := forgetful(t)
	tr.named = map[string]bool{}
	run := func() string { return ulid.Make().String() }
	called := run()
	tr.s.ledger.enter(tap.Crossing{Seq: 1, Call: &tap.Call{Run: called}})

	now := time.Now()
	for name, test := range map[string]struct {
		run     string
		sent    time.Time
		nobodys bool
		unshown bool
	}{
		"names no run":                          {"", now, true, false},
		"names what is no run's id":             {"no-run", now, true, false},
		"of a run that a tap saw":               {called, now.Add(-time.Hour), false, false},
		"of a run that the server lacks":        {run(), now.Add(-time.Hour), true, false},
		"of a run that the server may yet show": {run(), now.Add(time.Hour), false, true},
	} {
		o := owners{tracer: tr}
		require.Equal(t, test.nobodys, o.hasNone(t.Context(), test.run, test.sent), name)
		require.Equal(t, test.unshown, o.unshown != "", name)
		require.NoError(t, o.err, name)
	}

	o := owners{tracer: tr}
	tr.s.api = inngestapi.New("http://127.0.0.1:0", inngestapi.Options{})
	require.False(t, o.hasNone(t.Context(), run(), now))
	require.ErrorContains(t, o.err, "read run ")
}

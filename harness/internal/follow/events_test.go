package follow

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newForgetful returns a Follower whose server shows nothing of what it accepts.
func newForgetful(t *testing.T) *Follower {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"errors":[{"message":"event not found"}]}`))
	}))
	t.Cleanup(server.Close)
	api, ledger := inngestapi.New(server.URL, inngestapi.Options{}), NewLedger(nil)
	t.Cleanup(ledger.Close)
	t.Cleanup(func() { _ = api.Close(context.Background()) })
	return &Follower{src: Sources{API: api, Ledger: ledger, VisibleWithin: inngestapi.VisibleWithin}, waiter: newWaiter()}
}

func TestFollowRun_AwaitsEventThatTapSawAccepted(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	anHourAgo := time.Now().Add(-time.Hour)
	sent, other := ulid.MustNew(ulid.Timestamp(anHourAgo), ulid.DefaultEntropy()),
		ulid.MustNew(ulid.Timestamp(anHourAgo), ulid.DefaultEntropy())
	f.src.Ledger.add(tap.Exchange{Seq: 1, Began: anHourAgo, Ended: anHourAgo,
		Dispatch: &tap.Dispatch{Events: []tap.Event{{EventID: sent.String()}}}})
	run := func(id ulid.ULID) *tracedRun {
		output, err := json.Marshal([]string{id.String()})
		require.NoError(t, err)
		return &tracedRun{TraceRun: harness.TraceRun{Queued: anHourAgo.Add(-time.Minute),
			Steps: []harness.TraceStep{{ID: "tell", Output: output}}}, over: true}
	}

	reported := run(sent)
	require.NoError(t, f.followRun(t.Context(), reported))
	require.Equal(t, "the event "+sent.String(), reported.awaited, "the server accepted it and does not show it yet")
	f.root, f.events, f.runs = &harness.TraceEvent{}, []*tracedEvent{{}}, []*tracedRun{reported}
	require.Contains(t, f.unquiet(), "the server does not show the event "+sent.String()+" yet")

	unknown := run(other)
	require.NoError(t, f.followRun(t.Context(), unknown))
	require.Empty(t, unknown.awaited, "it is not an event")
}

func TestIsNoEvent_OnlyAfterServerMustShowIt(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	id := ulid.MustNew(ulid.Timestamp(noon), ulid.DefaultEntropy())
	for age, want := range map[time.Duration]bool{
		0: false, 2 * time.Second: false, inngestapi.VisibleWithin: false, inngestapi.VisibleWithin + time.Millisecond: true,
	} {
		require.Equal(t, want, f.isNoEvent(id, noon.Add(age)), age)
	}
}

func TestHeaderRuns_AttributesEmails(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.exist = map[string]bool{}
	run := func() string { return ulid.Make().String() }
	called := run()
	f.src.Ledger.add(tap.Exchange{Seq: 1, Call: &tap.Call{RunID: called}})

	now := time.Now()
	for name, test := range map[string]struct {
		run          string
		sent         time.Time
		unattributed bool
		unshown      bool
	}{
		"names no run":                             {"", now, true, false},
		"names what is not a run id":               {"no-run", now, true, false},
		"names a run that a tap saw":               {called, now.Add(-time.Hour), false, false},
		"names a run that the server lacks":        {run(), now.Add(-time.Hour), true, false},
		"names a run that the server may yet show": {run(), now.Add(time.Hour), false, true},
	} {
		o := headerRuns{Follower: f}
		require.Equal(t, test.unattributed, o.unattributed(t.Context(), test.run, test.sent), name)
		require.Equal(t, test.unshown, o.unshown != "", name)
		require.NoError(t, o.err, name)
	}

	o := headerRuns{Follower: f}
	f.src.API = inngestapi.New("http://127.0.0.1:0", inngestapi.Options{})
	require.False(t, o.unattributed(t.Context(), run(), now))
	require.ErrorContains(t, o.err, "read run ")
}

func TestExplained_NotByRunThatTheEventStarted(t *testing.T) {
	t.Parallel()
	id := ulid.MustNew(ulid.Timestamp(noon), ulid.DefaultEntropy()).String()
	f := newForgetful(t)
	reports := func(seq uint64, run string, of ...tap.Event) {
		f.src.Ledger.add(tap.Exchange{Seq: seq, ID: seq, Began: noon, Ended: noon, HTTP: &tap.HTTP{Status: 206}, Call: &tap.Call{
			RunID: run, Events: of, Ops: []tap.Op{{ID: "step", Op: sdk.OpStepRun, Data: json.RawMessage(`"` + id + `"`)}},
		}})
	}
	explained := func() bool {
		explained, err := (&look{Follower: f}).explained(t.Context(), dispatch{Event: tap.Event{EventID: id}}, map[string]bool{"01RUN": true})
		require.NoError(t, err)
		return explained
	}
	reports(1, "02RUN", tap.Event{IdempotencyKey: id})
	require.False(t, explained(), "its handler returned the id of its event")
	reports(2, "03RUN")
	require.True(t, explained(), "another run sent it")
}

func TestLedger_FirstEventWithAKeyHasTheEarlierULID(t *testing.T) {
	t.Parallel()
	l := NewLedger(nil)
	t.Cleanup(l.Close)
	id := func(ms time.Duration) string {
		return ulid.MustNew(ulid.Timestamp(noon.Add(ms*time.Millisecond)), ulid.DefaultEntropy()).String()
	}
	first, second := id(0), id(1)
	for seq, answered := range []string{second, first} { // the answer to the first was lost on its way for a while
		l.add(tap.Exchange{Seq: uint64(seq + 1), Began: noon, Ended: noon, Dispatch: &tap.Dispatch{Events: []tap.Event{{IdempotencyKey: "once", EventID: answered}}}})
	}
	found, err := l.AwaitKey(t.Context(), "once", nil)
	require.NoError(t, err)
	require.Equal(t, first, found)
	require.Equal(t, []string{first, second}, l.get(keyEvent("once")).accepted)
}

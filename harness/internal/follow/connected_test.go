package follow

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// newConnected returns a look at one run of an app whose calls no tap records.
func newConnected(t *testing.T, status harness.Status) *look {
	taps := tap.New(tap.Options{Connected: true})
	t.Cleanup(func() { _ = taps.Close(t.Context()) })
	f := newForgetful(t)
	f.src.Taps, f.src.Connected, f.since = taps, true, noon
	f.root, f.events = &harness.TraceEvent{}, []*tracedEvent{{}}
	f.runs = []*tracedRun{{TraceRun: harness.TraceRun{ID: "01R", Function: "f", Status: status}, over: true}}
	return &look{Follower: f}
}

func TestConnected_CancelledRunMayGoOn(t *testing.T) {
	t.Parallel()
	require.Empty(t, newConnected(t, harness.StatusCompleted).unquiet())
	require.Contains(t, newConnected(t, harness.StatusCancelled).unquiet(), "the app may still be at work on a call of it")
}

func TestConnected_EvidenceSaysThatCallsAreNotRecorded(t *testing.T) {
	t.Parallel()
	l := newConnected(t, harness.StatusCompleted)
	trace := &harness.Trace{Runs: []harness.TraceRun{l.runs[0].TraceRun}}
	require.Contains(t, l.evidence(trace), "the app is called over its own connection, and its calls are not recorded: that none is open is the server's account")
	l.src.Connected = false
	require.Contains(t, l.evidence(trace), "the app was never called for them")
}

// No call says whether a run sent an event, so every one since the traced event may be of it.
func TestConnected_EventsCannotBeAttributed(t *testing.T) {
	t.Parallel()
	l := newConnected(t, harness.StatusCompleted)
	for seq, at := range []time.Time{noon.Add(-time.Minute), noon.Add(time.Minute)} {
		l.src.Ledger.add(tap.Exchange{Seq: uint64(seq + 1), ID: uint64(seq + 1), Began: at, Ended: at,
			Dispatch: &tap.Dispatch{Events: []tap.Event{{EventID: at.String(), Name: "e"}}}})
	}
	found, alone := l.src.Ledger.sentSince(l.since)
	require.Len(t, found, 1)
	require.Equal(t, noon.Add(time.Minute).String(), found[0].EventID)
	require.Equal(t, []bool{false}, alone)
}

// On a server whose clock was put forward, an event is later than the traced one although the tap's clock says earlier.
func TestConnected_ComparesEventsByTheServersClock(t *testing.T) {
	t.Parallel()
	l := newConnected(t, harness.StatusCompleted)
	for seq, accepted := range []time.Time{noon.Add(-time.Second), noon.Add(time.Second)} {
		began := noon.Add(-24 * time.Hour)
		id := ulid.MustNew(ulid.Timestamp(accepted), ulid.DefaultEntropy()).String()
		l.src.Ledger.add(tap.Exchange{Seq: uint64(seq + 1), ID: uint64(seq + 1), Began: began, Ended: began,
			Dispatch: &tap.Dispatch{Events: []tap.Event{{EventID: id, Name: accepted.String()}}}})
	}
	found, _ := l.src.Ledger.sentSince(l.since)
	require.Len(t, found, 1)
	require.Equal(t, noon.Add(time.Second).String(), found[0].Name)
}

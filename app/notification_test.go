package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
)

var (
	t0   = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	pace = app.Pace{DispatchLease: 10 * time.Second, RedispatchAfter: 8 * time.Minute, ConfirmAfter: time.Minute, SendLease: 30 * time.Second}

	runA = app.Run{ID: "A", Generation: 1}
	runB = app.Run{ID: "B", Generation: 1}
)

func created() app.Notification { return app.NewNotification("<m@x>", t0, pace) }

func dispatched() app.Notification {
	n, _ := created().Dispatch(1, "01E", t0, pace)
	return n
}

// claimed returns a notification that run A claimed at t0, and run A with its claim.
func claimed() (app.Notification, app.Run) {
	n, _ := dispatched().ClaimFor(runA, t0, pace)
	holder := runA
	holder.ClaimedAt = n.Claim.At
	return n, holder
}

func failed() app.Notification {
	n, holder := claimed()
	n, _ = n.Fail(holder, "550 no such user", t0)
	return n
}

func sent() app.Notification {
	n, _ := dispatched().Accept(t0)
	return n
}

func TestNewNotification_IsLeasedToItsCreator(t *testing.T) {
	t.Parallel()
	n := created()
	require.Equal(t, app.Pending, n.State)
	require.Equal(t, 1, n.Generation)
	_, taken := n.TakeForDispatch(t0.Add(pace.DispatchLease-time.Millisecond), pace)
	require.False(t, taken, "taken within the creator's lease")
	n, taken = n.TakeForDispatch(t0.Add(pace.DispatchLease), pace)
	require.True(t, taken)
	require.Equal(t, 1, n.Generation, "a pending notification keeps its generation: the server may have its event")
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	n, ok := created().Dispatch(1, "01E", t0, pace)
	require.True(t, ok)
	require.Equal(t, app.Dispatched, n.State)
	require.Equal(t, t0, n.DispatchedAt)
	require.Equal(t, "01E", n.EventID)
	require.Equal(t, t0.Add(pace.ConfirmAfter), n.NextDispatchAt)

	for name, n := range map[string]app.Notification{"sent": sent(), "failed": failed(), "dispatched": dispatched()} {
		_, ok := n.Dispatch(1, "01E", t0, pace)
		require.False(t, ok, name)
	}
	_, ok = created().Dispatch(2, "01E", t0, pace)
	require.False(t, ok, "another generation")
}

func TestDispatch_KeepsLaterNextDispatchAt(t *testing.T) {
	t.Parallel()
	p := pace
	p.RedispatchAfter = time.Second // shorter than a claim
	n, result := created().ClaimFor(runA, t0, p)
	require.Equal(t, app.Granted, result)
	n, ok := n.Dispatch(1, "01E", t0, p)
	require.True(t, ok)
	require.Equal(t, t0.Add(p.SendLease), n.NextDispatchAt, "redispatched while the claim lasts")
}

func TestDispatchFailed(t *testing.T) {
	t.Parallel()
	n, ok := created().DispatchFailed(1, "connection refused", t0.Add(time.Second))
	require.True(t, ok)
	require.Equal(t, app.Pending, n.State)
	require.Equal(t, "connection refused", n.LastError)
	require.Equal(t, t0.Add(time.Second), n.NextDispatchAt)

	running, _ := created().ClaimFor(runA, t0, pace)
	_, ok = running.DispatchFailed(1, "answer lost", t0.Add(time.Second))
	require.False(t, ok, "a run has claimed it, so the server has the event")
	_, ok = dispatched().DispatchFailed(1, "x", t0)
	require.False(t, ok)
	n, _ = dispatched().TakeForDispatch(t0.Add(pace.RedispatchAfter), pace)
	_, ok = n.DispatchFailed(1, "answer that came late", t0)
	require.False(t, ok, "a later generation is being dispatched")
}

func TestTakeForDispatch_StartsNewGenerationOfLostNotification(t *testing.T) {
	t.Parallel()
	n, _ := claimed()
	due := n.NextDispatchAt
	_, taken := n.TakeForDispatch(due.Add(-time.Millisecond), pace)
	require.False(t, taken)
	n, taken = n.TakeForDispatch(due, pace)
	require.True(t, taken)
	require.Equal(t, app.Pending, n.State)
	require.Equal(t, 2, n.Generation)
	require.Nil(t, n.Claim, "the lost run keeps its claim")

	_, result := n.ClaimFor(runA, due, pace)
	require.Equal(t, app.Superseded, result)
	_, result = n.ClaimFor(app.Run{ID: "C", Generation: 2}, due, pace)
	require.Equal(t, app.Granted, result)
}

func TestTakeForDispatch_StartsNewGenerationAfterUnrecordedDispatch(t *testing.T) {
	t.Parallel()
	n, _ := created().ClaimFor(runA, t0, pace) // the dispatch was never recorded
	n, taken := n.TakeForDispatch(n.NextDispatchAt, pace)
	require.True(t, taken)
	require.Equal(t, 2, n.Generation)
}

func TestTakeForDispatch_WaitsForAttemptInFlight(t *testing.T) {
	t.Parallel()
	n, _ := claimed()
	n.NextDispatchAt = n.Claim.Until.Add(-time.Second)
	_, taken := n.TakeForDispatch(n.NextDispatchAt, pace)
	require.False(t, taken)
	_, taken = n.TakeForDispatch(n.Claim.Until, pace)
	require.True(t, taken)
}

func TestTakeForDispatch_IgnoresFinalNotification(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]app.Notification{"sent": sent(), "failed": failed()} {
		require.True(t, n.NextDispatchAt.IsZero(), name)
		_, taken := n.TakeForDispatch(t0.Add(1000*time.Hour), pace)
		require.False(t, taken, name)
	}
}

func TestDispatch_DoublesTimeOfEachGeneration(t *testing.T) {
	t.Parallel()
	for eventID, after := range map[string]time.Duration{"": pace.RedispatchAfter, "01E": pace.ConfirmAfter} {
		n := dispatched()
		var waits []time.Duration
		for range 6 {
			now := t0.Add(time.Hour)
			n.EventID = ""
			n.State, n.Generation = app.Pending, n.Generation+1
			n, _ = n.Dispatch(n.Generation, eventID, now, pace)
			waits = append(waits, n.NextDispatchAt.Sub(now))
		}
		require.Equal(t, []time.Duration{2 * after, 4 * after, 8 * after, 8 * after, 8 * after, 8 * after}, waits)
	}
}

// A run that has not begun is asked for, and only if there is none does the notification get a new generation.
func TestTakeForDispatch_LeavesUnconfirmedNotificationDispatched(t *testing.T) {
	t.Parallel()
	due := dispatched().NextDispatchAt
	_, taken := dispatched().TakeForDispatch(due.Add(-time.Millisecond), pace)
	require.False(t, taken)
	n, taken := dispatched().TakeForDispatch(due, pace)
	require.True(t, taken)
	require.Equal(t, app.Dispatched, n.State)
	require.Equal(t, 1, n.Generation)
	require.Equal(t, due.Add(pace.DispatchLease), n.NextDispatchAt, "another process asks after the lease")

	begun, ok := n.Begun("01E", pace)
	require.True(t, ok)
	require.Empty(t, begun.EventID)
	require.Equal(t, t0.Add(pace.RedispatchAfter), begun.NextDispatchAt)
	again, _ := begun.TakeForDispatch(begun.NextDispatchAt, pace)
	require.Equal(t, 2, again.Generation, "its run was lost later")

	lost, ok := n.NotBegun("01E", due, pace)
	require.True(t, ok)
	require.Equal(t, app.Pending, lost.State)
	require.Equal(t, 2, lost.Generation)
	require.Empty(t, lost.EventID)
	require.Equal(t, due.Add(pace.DispatchLease), lost.NextDispatchAt)
	_, result := lost.ClaimFor(runA, due, pace)
	require.Equal(t, app.Superseded, result, "a run that begins late after all")

	unknown, ok := n.NotConfirmed("01E", due, pace)
	require.True(t, ok)
	require.Equal(t, due.Add(pace.ConfirmAfter), unknown.NextDispatchAt)
	late := t0.Add(pace.RedispatchAfter - time.Second)
	unknown, _ = unknown.NotConfirmed("01E", late, pace)
	require.Equal(t, t0.Add(pace.RedispatchAfter), unknown.NextDispatchAt)
	unknown, taken = unknown.TakeForDispatch(t0.Add(pace.RedispatchAfter), pace)
	require.True(t, taken)
	require.Equal(t, 2, unknown.Generation, "it counts as lost even if the server never answers")
	require.Empty(t, unknown.EventID)
}

func TestDispatch_IsNotConfirmedOnceARunHasBegun(t *testing.T) {
	t.Parallel()
	running, _ := created().ClaimFor(runA, t0, pace)
	running, _ = running.Dispatch(1, "01E", t0, pace)
	held, holder := claimed()
	rested, _ := dispatched().AttemptFailed(runA, "the database does not answer", t0, pace)
	over, _ := held.RunOver(holder, "451 busy", t0, pace)
	for name, n := range map[string]app.Notification{
		"claimed before the dispatch was recorded": running, "claimed": held, "a step failed": rested, "its run is over": over,
		"sent": sent(), "failed": failed(), "not dispatched": created(),
	} {
		require.Empty(t, n.EventID, name)
		for _, ok := range []bool{
			second(n.Begun("01E", pace)), second(n.NotBegun("01E", t0, pace)), second(n.NotConfirmed("01E", t0, pace)),
			second(n.NotBegun("", t0, pace)),
		} {
			require.False(t, ok, name)
		}
	}
	require.False(t, second(dispatched().NotBegun("another", t0, pace)), "an answer about an earlier event")
}

func second(_ app.Notification, ok bool) bool { return ok }

func TestDispatch_IsNotConfirmedIfThatTakesAsLongAsToCountAsLost(t *testing.T) {
	t.Parallel()
	p := pace
	p.ConfirmAfter = p.RedispatchAfter
	n, _ := created().Dispatch(1, "01E", t0, p)
	require.Equal(t, t0.Add(p.RedispatchAfter), n.NextDispatchAt)
	n, _ = n.TakeForDispatch(n.NextDispatchAt, p)
	require.Equal(t, 2, n.Generation)
}

func TestClaimFor(t *testing.T) {
	t.Parallel()
	held, _ := claimed()
	rested, holder := claimed()
	rested, _ = rested.AttemptFailed(holder, "451 busy", t0.Add(time.Second), pace)
	requeued, _ := failed().Requeue(t0, pace)
	foreign := app.Run{ID: "F"}

	for name, c := range map[string]struct {
		n    app.Notification
		run  app.Run
		at   time.Duration
		want app.ClaimResult
	}{
		"dispatched":                                  {dispatched(), runA, 0, app.Granted},
		"pending, the dispatch not recorded yet":      {created(), runA, 0, app.Granted},
		"an event from another program":               {dispatched(), foreign, 0, app.Granted},
		"sent":                                        {sent(), runA, 0, app.AlreadySent},
		"failed":                                      {failed(), runA, 0, app.HasFailed},
		"failed, an event from another program":       {failed(), foreign, 0, app.HasFailed},
		"claimed by another run":                      {held, runB, 0, app.HeldByOther},
		"claimed by another run, its lease is over":   {held, runB, time.Hour, app.HeldByOther},
		"the same call delivered twice":               {held, runA, 0, app.InFlight},
		"the same run, just before the lease is over": {held, runA, pace.SendLease - 1, app.InFlight},
		"the same run, the lease is over":             {held, runA, pace.SendLease, app.Granted},
		"the same run, its attempt is over":           {rested, runA, time.Second, app.Granted},
		"another run, between attempts of the holder": {rested, runB, time.Hour, app.HeldByOther},
		"a run of an earlier dispatch":                {requeued, runA, 0, app.Superseded},
		"a run of the new dispatch":                   {requeued, app.Run{ID: "C", Generation: 2}, 0, app.Granted},
	} {
		n, got := c.n.ClaimFor(c.run, t0.Add(c.at), pace)
		require.Equal(t, c.want, got, name)
		if got != app.Granted {
			require.Equal(t, c.n, n, "%s: changed without a grant", name)
			continue
		}
		require.Equal(t, c.n.Attempts+1, n.Attempts, name)
		require.Equal(t, c.run.ID, n.Claim.RunID, name)
		require.False(t, n.NextDispatchAt.Before(n.Claim.Until), "%s: due while the claim lasts", name)
	}
}

func TestAccept_SucceedsInEveryStateButSent(t *testing.T) {
	t.Parallel()
	held, _ := claimed()
	redispatched, _ := dispatched().TakeForDispatch(t0.Add(time.Hour), pace)
	for name, n := range map[string]app.Notification{
		"pending": created(), "dispatched": dispatched(), "claimed": held, "failed": failed(), "redispatched": redispatched,
	} {
		n, ok := n.Accept(t0)
		require.True(t, ok, name)
		require.Equal(t, app.Sent, n.State, name)
		require.Equal(t, t0, n.SentAt, name)
		require.Empty(t, n.Reason, name)
		require.Nil(t, n.Claim, name)
		require.True(t, n.NextDispatchAt.IsZero(), name)
	}
	_, ok := sent().Accept(t0.Add(time.Hour))
	require.False(t, ok, "accepted twice")
}

func TestRun_MayReportFailure(t *testing.T) {
	t.Parallel()
	held, holder := claimed()
	redispatched, _ := held.TakeForDispatch(held.NextDispatchAt, pace)
	foreign := app.Run{ID: "F"}

	for name, c := range map[string]struct {
		n    app.Notification
		run  app.Run
		want bool
	}{
		"the holder":                     {held, holder, true},
		"a run before it claims":         {dispatched(), runA, true},
		"a foreign run before it claims": {dispatched(), foreign, true},
		"another run":                    {held, runB, false},
		"a foreign run":                  {held, foreign, false},
		"another call of the holder":     {held, runA, false},
		"a run of an earlier dispatch":   {redispatched, holder, false},
		"after it was sent":              {sent(), runA, false},
		"after it failed":                {failed(), runA, false},
	} {
		_, attemptFailed := c.n.AttemptFailed(c.run, "x", t0, pace)
		_, runOver := c.n.RunOver(c.run, "x", t0, pace)
		_, fail := c.n.Fail(c.run, "x", t0)
		require.Equal(t, []bool{c.want, c.want, c.want}, []bool{attemptFailed, runOver, fail}, name)
	}
}

func TestAttemptFailed_KeepsClaimOfRun(t *testing.T) {
	t.Parallel()
	n, holder := claimed()
	before := *n.Claim
	at := t0.Add(time.Second)
	after, ok := n.AttemptFailed(holder, "451 busy", at, pace)
	require.True(t, ok)
	require.Equal(t, app.Dispatched, after.State)
	require.Equal(t, "451 busy", after.LastError)
	require.Equal(t, "A", after.Claim.RunID)
	require.Equal(t, at, after.Claim.Until)
	require.Equal(t, at.Add(pace.RedispatchAfter), after.NextDispatchAt)
	require.Equal(t, before, *n.Claim, "the receiver has changed")
}

func TestRunOver_IsDueAfterGrowingPause(t *testing.T) {
	t.Parallel()
	var pauses []time.Duration
	n := dispatched()
	for generation := 1; generation <= 5; generation++ {
		n, _ = n.RunOver(app.Run{ID: "A", Generation: generation}, "421 later", t0, pace)
		require.Equal(t, app.Dispatched, n.State)
		require.Nil(t, n.Claim)
		pauses = append(pauses, n.NextDispatchAt.Sub(t0))
		n, _ = n.TakeForDispatch(n.NextDispatchAt, pace)
		require.Equal(t, generation+1, n.Generation)
	}
	require.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 8 * time.Minute}, pauses)
}

func TestFail_StoresReason(t *testing.T) {
	t.Parallel()
	n := failed()
	require.Equal(t, app.Failed, n.State)
	require.Equal(t, "550 no such user", n.Reason)
	require.Equal(t, "550 no such user", n.LastError)
	require.Nil(t, n.Claim)
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	n, ok := failed().Requeue(t0, pace)
	require.True(t, ok)
	require.Equal(t, app.Pending, n.State)
	require.Equal(t, 2, n.Generation)
	require.Empty(t, n.Reason)
	require.Equal(t, "550 no such user", n.LastError, "the last error stays")
	require.Equal(t, 1, n.Attempts)
	for _, n := range []app.Notification{created(), dispatched(), sent()} {
		_, ok := n.Requeue(t0, pace)
		require.False(t, ok, n.State)
	}
}

func TestLastError_IsClippedAtCharacterBoundary(t *testing.T) {
	t.Parallel()
	n, _ := created().DispatchFailed(1, strings.Repeat("é", 1000), t0)
	require.Equal(t, strings.Repeat("é", 250)+"…", n.LastError)
	n, _ = created().DispatchFailed(1, "x"+strings.Repeat("é", 1000), t0)
	require.Equal(t, "x"+strings.Repeat("é", 249)+"…", n.LastError)
}

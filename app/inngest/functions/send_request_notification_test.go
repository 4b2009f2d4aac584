package functions_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
)

func TestTheTechnicianGetsOneEmail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	got := w.runOf(r)

	require.True(t, got.completed, got.err)
	require.Equal(t, 1, got.calls, "with checkpoints a whole run is one call")
	require.Equal(t, r.ID, got.delivery.RequestID)
	require.Equal(t, r.Notification.MessageID, got.delivery.MessageID)
	require.Equal(t, "kim@plant.test", got.delivery.To)
	require.Empty(t, got.delivery.Skipped)

	mails := w.mail.received()
	require.Len(t, mails, 1)
	require.Equal(t, "kim@plant.test", mails[0].to)
	requireContains(t, mails[0].message,
		"Message-ID: "+r.Notification.MessageID, "X-Inngest-Run-Id: 01RUN"+r.ID, "X-Maintenance-Request-Id: "+r.ID,
		"Belt torn", "Press 4", "Lee Park", "plant.example/requests/"+r.ID)

	n := w.notification(r)
	require.Equal(t, app.Sent, n.State)
	require.Equal(t, 1, n.Attempts)
	require.WithinDuration(t, got.delivery.SentAt, n.SentAt, 0)
	require.Empty(t, n.LastError)
}

func TestStepsSaveWhatTheyAreDocumentedTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	w.runOf(r)
	run := "01RUN" + r.ID
	require.JSONEq(t, `{"data":{"requestId":"`+r.ID+`","technicianId":"`+technicianID+`","subject":"Belt torn",
		"type":"corrective","priority":"high","equipment":"Press 4","requester":"Lee Park"}}`,
		w.saved.output(run, functions.StepFetchRequestDetails))
	require.JSONEq(t, `{"data":{"name":"Kim Larsen","email":"kim@plant.test"}}`, w.saved.output(run, functions.StepGetTechnicianEmail))
	require.Contains(t, w.saved.output(run, functions.StepSendEmail), r.Notification.MessageID[1:20])
}

func TestAnEventFromElsewhereWorksAsOneOfTheApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	got := w.run("01X", "sent-by-hand", r.Event().Data)
	require.True(t, got.completed, got.err)
	require.Equal(t, app.Sent, w.notification(r).State)
	require.Len(t, w.mail.received(), 1)
}

func TestATemporaryRefusalIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mail.answers(says(451, "mailbox busy"), says(451, "mailbox busy"))
	r := w.dispatched()
	got := w.runOf(r)
	require.True(t, got.completed, got.err)
	n := w.notification(r)
	require.Equal(t, app.Sent, n.State)
	require.Equal(t, 3, n.Attempts)
	require.Contains(t, n.LastError, "mailbox busy")
	require.Len(t, w.mail.received(), 1)
}

func TestAFinalRefusalFailsTheNotificationAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mail.answers(says(550, "no such user here"))
	r := w.dispatched()
	got := w.runOf(r)
	require.False(t, got.completed)
	require.Contains(t, got.err, "no such user here")
	n := w.notification(r)
	require.Equal(t, app.Failed, n.State)
	require.Equal(t, 1, n.Attempts, "it was tried again")
	require.Equal(t, "the mail server refused the email for good (accept): 550 no such user here", n.Reason)

	// A second event of the same dispatch does not start it again; a person does.
	again := w.run("01AGAIN", r.Event().IdempotencyKey, r.Event().Data)
	require.Equal(t, string(app.HasFailed), again.delivery.Skipped)
	require.Empty(t, w.mail.received())
	r, err := w.memory.Request(t.Context(), r.ID)
	require.NoError(t, err)
	requeued, _, err := app.Update(t.Context(), w.memory, r, func(n app.Notification) (app.Notification, bool) { return n.Requeue(time.Now(), pace) })
	require.NoError(t, err)
	require.True(t, w.run("01REQUEUED", requeued.Event().IdempotencyKey, requeued.Event().Data).completed)
	require.Equal(t, app.Sent, w.notification(r).State)
	require.Len(t, w.mail.received(), 1)
}

func TestWhenEveryAttemptFailsTheDispatcherGetsItBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	busy := says(421, "too busy")
	w.mail.answers(busy, busy, busy, busy, busy)
	r := w.dispatched()
	got := w.runOf(r)
	require.False(t, got.completed)
	n := w.notification(r)
	require.Equal(t, app.Dispatched, n.State, "it is still on its way")
	require.Equal(t, 5, n.Attempts)
	require.Contains(t, n.LastError, "too busy")
	require.Nil(t, n.Claim)
	require.WithinDuration(t, time.Now().Add(pace.RedispatchAfter/8), n.NextDispatchAt, 10*time.Second)

	n, taken := n.TakeForDispatch(n.NextDispatchAt, pace)
	require.True(t, taken)
	r.Notification = n
	require.NoError(t, w.memory.SaveNotification(t.Context(), r.ID, n))
	require.True(t, w.run("01NEXT", r.Event().IdempotencyKey, r.Event().Data).completed)
	require.Equal(t, app.Sent, w.notification(r).State)
}

func TestTwoEventsForOneRequestSendOneEmail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	arrived, answer := make(chan struct{}), make(chan struct{})
	w.mail.answers(func() error { close(arrived); <-answer; return nil })

	first := make(chan result, 1)
	go func() { first <- w.runOf(r) }()
	<-arrived
	second := w.run("01SECOND", "by-hand", r.Event().Data)
	require.True(t, second.completed, second.err)
	require.Equal(t, string(app.HeldByOther), second.delivery.Skipped)
	close(answer)
	require.Empty(t, (<-first).delivery.Skipped)

	third := w.run("01THIRD", "by-hand-again", r.Event().Data)
	require.Equal(t, string(app.AlreadySent), third.delivery.Skipped)
	require.Len(t, w.mail.received(), 1)
}

func TestACallDeliveredTwiceSendsOneEmail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	event := r.Event()
	arrived, answer := make(chan struct{}), make(chan struct{})
	w.mail.answers(func() error { close(arrived); <-answer; return nil })

	first := make(chan reply, 1)
	go func() { first <- w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 0) }()
	<-arrived
	before := w.notification(r)
	twin := w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 0)
	require.Equal(t, http.StatusPartialContent, twin.status)
	require.Equal(t, "StepError", twin.ops[0].Op)
	require.Contains(t, string(twin.ops[0].Error), string(app.InFlight))
	retryAt, err := time.Parse(time.RFC3339, twin.retryAt)
	require.NoError(t, err)
	require.False(t, retryAt.Before(before.Claim.Until), "told to come back while the claim lasts")
	require.Equal(t, before, w.notification(r), "the twin touched the claim")
	close(answer)
	require.Equal(t, http.StatusOK, (<-first).status)

	late := w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 1)
	require.Equal(t, http.StatusOK, late.status)
	require.Len(t, w.mail.received(), 1)
}

func TestAfterALostAnswerNothingIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.saved.refused = true // no checkpoint reaches the server, and the answer is thrown away
	r := w.dispatched()
	event := r.Event()
	for attempt := range 3 {
		w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, attempt)
	}
	require.Equal(t, app.Sent, w.notification(r).State)
	require.Len(t, w.mail.received(), 1)
}

func TestARunOfAnEarlierDispatchLeavesItToTheLaterOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched(func(r *app.Request) { r.Notification.Generation = 3 })
	old := w.run("01OLD", app.IdempotencyKey(r.ID, 2), r.Event().Data)
	require.True(t, old.completed, old.err)
	require.Equal(t, string(app.Superseded), old.delivery.Skipped)
	require.Empty(t, w.mail.received())
	require.True(t, w.runOf(r).completed)
	require.Len(t, w.mail.received(), 1)
}

func TestBadEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	data := func(change func(*app.RequestCreated)) app.RequestCreated {
		d := r.Event().Data
		change(&d)
		return d
	}
	for name, c := range map[string]struct {
		data any
		want string
	}{
		"no request":         {data(func(d *app.RequestCreated) { d.RequestID = "" }), "data.requestId is not an id"},
		"no id":              {data(func(d *app.RequestCreated) { d.RequestID = "{$ne:1}" }), "data.requestId is not an id"},
		"no technician":      {data(func(d *app.RequestCreated) { d.TechnicianID = "" }), "data.technicianId is not an id"},
		"unknown request":    {data(func(d *app.RequestCreated) { d.RequestID = requesterID }), "there is no request " + requesterID},
		"another technician": {data(func(d *app.RequestCreated) { d.TechnicianID = otherTechID }), "is assigned to " + technicianID},
		"wrong types":        {map[string]any{"requestId": 7}, "cannot unmarshal number"},
		"nothing":            {map[string]any{}, "data.requestId is not an id"},
		"null":               {nil, "data.requestId is not an id"},
	} {
		got := w.run("01"+name, "by-hand", c.data)
		require.False(t, got.completed, name)
		require.Contains(t, got.err, c.want, name)
		require.LessOrEqual(t, got.calls, 2, "%s: it was tried again", name)
	}
	require.Empty(t, w.mail.received())
	require.Equal(t, app.Dispatched, w.notification(r).State, "the request suffered from somebody else's event")
	require.True(t, w.runOf(r).completed, "a later good event goes through")
}

func TestTheAppsOwnEventForAnotherTechnicianFailsTheNotification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	data := r.Event().Data
	data.TechnicianID = otherTechID // reassigned in the database since the event was sent
	got := w.run("01RUN", r.Event().IdempotencyKey, data)
	require.False(t, got.completed)
	n := w.notification(r)
	require.Equal(t, app.Failed, n.State)
	require.Equal(t, "the event names technician "+otherTechID+", but request "+r.ID+" is assigned to "+technicianID, n.Reason)
}

func TestWhoCannotBeWrittenToFailsTheNotification(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*world)
		want  string
	}{
		"deleted": {func(w *world) { w.memory.DeleteUser(technicianID) }, "technician " + technicianID + " does not exist"},
		"no address": {func(w *world) {
			require.NoError(w, w.memory.PutWorld(w.Context(), app.World{Users: []app.User{{ID: technicianID, Name: "Kim Larsen"}}}))
		}, "technician Kim Larsen has no email address"},
		"no such address": {func(w *world) {
			require.NoError(w, w.memory.PutWorld(w.Context(), app.World{Users: []app.User{{ID: technicianID, Name: "Kim Larsen", Email: "kim@"}}}))
		}, "the email address of technician Kim Larsen is not a valid one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.dispatched()
			c.spoil(w)
			got := w.runOf(r)
			require.False(t, got.completed)
			require.Contains(t, got.err, c.want)
			n := w.notification(r)
			require.Equal(t, app.Failed, n.State)
			require.Equal(t, c.want, n.Reason)
			require.Empty(t, w.mail.received())
		})
	}
}

func TestWhatIsNoLongerListedIsStillNotified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched(func(r *app.Request) { r.EquipmentID = otherTechID })
	w.memory.DeleteUser(requesterID)
	require.True(t, w.runOf(r).completed)
	requireContains(t, w.mail.received()[0].message, "unknown equipment", "unknown person")
}

func TestADatabaseThatIsAwayIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	event := r.Event()
	w.store.faults(errors.New("no server"), nil)
	got := w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 0)
	require.Equal(t, "StepError", got.ops[0].Op)
	require.False(t, got.noRetry)
	require.Contains(t, string(got.ops[0].Error), "read the request: no server")
	w.store.faults(nil, nil)
	require.Equal(t, http.StatusOK, w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 1).status)
	require.Len(t, w.mail.received(), 1)
}

// TestAnAcceptedEmailIsNotSentAgainOnlyBecauseTheStoreWasAway: the step is saved as done, so that the server knows of
// the acceptance although the store does not.
func TestAnAcceptedEmailIsNotSentAgainOnlyBecauseTheStoreWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	event := r.Event()
	w.store.faults(nil, func(n app.Notification) error {
		if n.State == app.Sent {
			return errors.New("no primary")
		}
		return nil
	})
	first := w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 0)
	require.Equal(t, http.StatusInternalServerError, first.status, "the code after the steps is called again")
	require.False(t, first.noRetry)
	require.Contains(t, w.saved.output("01RUN", functions.StepSendEmail), `"unrecorded":true`)
	require.Equal(t, app.Dispatched, w.notification(r).State)

	w.store.faults(nil, nil)
	require.Equal(t, http.StatusOK, w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 1).status)
	require.Equal(t, app.Sent, w.notification(r).State)
	require.Len(t, w.mail.received(), 1)
}

func TestAFailureThatCannotBeRecordedIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	event := r.Event()
	w.memory.DeleteUser(technicianID)
	w.store.faults(nil, func(n app.Notification) error {
		if n.State == app.Failed {
			return errors.New("no primary")
		}
		return nil
	})
	got := w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 0)
	require.Equal(t, "StepError", got.ops[0].Op)
	require.Contains(t, string(got.ops[0].Error), "(and this could not be recorded: ")
	require.False(t, got.noRetry)
	w.store.faults(nil, nil)
	require.True(t, w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 1).noRetry)
	require.Equal(t, app.Failed, w.notification(r).State)
}

func TestADeliveryIsFinishedWhenTheServerHangsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	event := r.Event()
	ctx, hangUp := context.WithCancel(t.Context())
	w.mail.answers(func() error { hangUp(); return nil })
	w.call(ctx, "01RUN", event.IdempotencyKey, event.Data, 0)
	require.Equal(t, app.Sent, w.notification(r).State)
	require.Len(t, w.mail.received(), 1)
}

func TestAStalledMailServerIsLeftBeforeTheClaimEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.dispatched()
	event := r.Event()
	stall := make(chan struct{})
	t.Cleanup(func() { close(stall) })
	w.mail.answers(func() error { <-stall; return errors.New("too late") })
	start := time.Now()
	got := w.call(t.Context(), "01RUN", event.IdempotencyKey, event.Data, 0)
	require.Less(t, time.Since(start), functions.SendLease(sendTimeout))
	require.Equal(t, "StepError", got.ops[0].Op)
	n := w.notification(r)
	require.False(t, n.Claim.Until.After(time.Now()), "the claim is over with the attempt")
	require.True(t, strings.Contains(n.LastError, "no answer within") || strings.Contains(n.LastError, "not delivered within"), n.LastError)
}

func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mail.answers(says(451, "busy"))
	w.runOf(w.dispatched())
	require.NotEmpty(t, w.log.String())
	require.NotContains(t, w.log.String(), "sig=")
	require.NotContains(t, w.log.String(), "api token")
}

func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	// Per stage 225 s of waits, 120 s of jitter and five attempts of a claim's length, 42 s.
	require.Equal(t, 4*(225+120+5*42)*time.Second, functions.RetrySchedule(30*time.Second))
}

package functions

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	sdkerrors "github.com/inngest/inngestgo/errors"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

// Most of these tests call the bodies of the steps. Runs with retries and an executor are in e2e/functions.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sendTimeout  = 6 * time.Second
	technicianID = "65f000000000000000000a01"
	requesterID  = "65f000000000000000000b01"
	equipmentID  = "65f000000000000000000e01"
)

var pace = app.Pace{DispatchLease: 10 * time.Second, RedispatchAfter: 8 * time.Minute, ConfirmAfter: 8 * time.Minute, SendLease: SendLease(sendTimeout)}

// env holds the dependencies of a run, and a dispatched request.
type env struct {
	*testing.T
	store   *faultyStore
	mailer  *mailer
	log     bytes.Buffer
	request app.Request
}

func newEnv(t *testing.T) *env {
	e := &env{T: t, store: &faultyStore{Memory: storetest.NewMemory()}, mailer: &mailer{}}
	require.NoError(t, e.store.PutWorld(t.Context(), app.World{
		Users: []app.User{
			{ID: technicianID, Name: "Kim Larsen", Email: "kim@plant.test", Role: app.RoleTechnician},
			{ID: requesterID, Name: "Lee Park", Email: "lee@plant.test", Role: "requester"},
		},
		Equipment: []app.Equipment{{ID: equipmentID, Name: "Press 4", Location: "Hall 2"}},
	}))
	id := e.store.NewID()
	e.request = app.Request{
		ID: id, Subject: "Belt torn", Type: app.Corrective, Priority: app.High, Description: "Since Tuesday.",
		EquipmentID: equipmentID, TechnicianID: technicianID, RequestedByID: requesterID, CreatedAt: time.Now(),
		Notification: app.NewNotification(email.MessageID(id, "plant.example"), time.Now(), pace),
	}
	e.request.Notification, _ = e.request.Notification.Dispatch(1, "01E", time.Now(), pace)
	require.NoError(t, e.store.CreateRequest(t.Context(), e.request))
	return e
}

// run returns an attempt of a run of the app's own event.
func (e *env) run(id string, attempt int) *notifyRun {
	base, err := url.Parse("https://plant.example")
	require.NoError(e, err)
	links, err := app.NewLinks(base, "", "an api token of some length")
	require.NoError(e, err)
	logger := slog.New(slog.NewTextHandler(&e.log, nil))
	return &notifyRun{
		Deps: Deps{
			Store: e.store, Mailer: e.mailer, Links: links, Logger: logger,
			From: mail.Address{Name: "Maintenance", Address: "maintenance@plant.example"}, TimeZone: time.UTC,
			SendTimeout: sendTimeout, Pace: pace,
		},
		run: app.Run{ID: id, Generation: 1}, event: e.request.Event().Data, attempt: attempt, log: logger,
	}
}

// send executes the three steps of r.
func (e *env) send(ctx context.Context, r *notifyRun) (Delivery, error) {
	details, err := recordingFailure(r, StepFetchRequestDetails, r.fetchDetails)(ctx)
	require.NoError(e, err)
	technician, err := r.technician(ctx, details.TechnicianID)
	require.NoError(e, err)
	return recordingFailure(r, StepSendEmail, func(ctx context.Context) (Delivery, error) { return r.send(ctx, details, technician) })(ctx)
}

func (e *env) notification() app.Notification {
	r, err := e.store.Memory.Request(context.WithoutCancel(e.Context()), e.request.ID)
	require.NoError(e, err)
	return r.Notification
}

// mailer accepts every message unless answer, if set, returns an error.
type mailer struct {
	answer   func(context.Context) error
	accepted []*email.Message
}

func (m *mailer) Send(ctx context.Context, message *email.Message) error {
	if m.answer != nil {
		if err := m.answer(ctx); err != nil {
			return err
		}
	}
	m.accepted = append(m.accepted, message)
	return nil
}

// faultyStore calls save, if set, before each write of a notification, and read before each read, with the id.
type faultyStore struct {
	*storetest.Memory
	save func(context.Context, app.Notification) error
	read func(id string) error
}

func (s *faultyStore) failure(id string) error {
	if s.read == nil {
		return nil
	}
	return s.read(id)
}

func (s *faultyStore) Request(ctx context.Context, id string) (app.Request, error) {
	if err := s.failure(id); err != nil {
		return app.Request{}, err
	}
	return s.Memory.Request(ctx, id)
}

func (s *faultyStore) User(ctx context.Context, id string) (app.User, error) {
	if err := s.failure(id); err != nil {
		return app.User{}, err
	}
	return s.Memory.User(ctx, id)
}

func (s *faultyStore) Equipment(ctx context.Context, id string) (app.Equipment, error) {
	if err := s.failure(id); err != nil {
		return app.Equipment{}, err
	}
	return s.Memory.Equipment(ctx, id)
}

func (s *faultyStore) SaveNotification(ctx context.Context, id string, n app.Notification) error {
	if s.save != nil {
		if err := s.save(ctx, n); err != nil {
			return err
		}
	}
	return s.Memory.SaveNotification(ctx, id, n)
}

// failsToSave returns a save that fails for one state.
func failsToSave(state app.State) func(context.Context, app.Notification) error {
	return func(_ context.Context, n app.Notification) error {
		if n.State == state {
			return errors.New("no primary")
		}
		return nil
	}
}

func TestSend_SendsOneEmailAndRecordsIt(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	delivery, err := e.send(t.Context(), e.run("A", 1))
	require.NoError(t, err)
	require.Equal(t, e.request.ID, delivery.RequestID)
	require.Equal(t, e.request.Notification.MessageID, delivery.MessageID)
	require.Equal(t, "kim@plant.test", delivery.To)
	require.Empty(t, delivery.Skipped)

	require.Len(t, e.mailer.accepted, 1)
	message := e.mailer.accepted[0]
	require.Equal(t, "kim@plant.test", message.To.Address)
	require.Equal(t, e.request.Notification.MessageID, message.MessageID)
	require.Equal(t, "A", message.Headers["X-Inngest-Run-Id"])
	for _, part := range []string{"Belt torn", "Press 4", "Lee Park", "Since Tuesday.", "plant.example/requests/" + e.request.ID + "?sig="} {
		require.Contains(t, message.Text, part)
	}
	n := e.notification()
	require.Equal(t, app.Sent, n.State)
	require.Equal(t, delivery.SentAt, n.SentAt)

	again, err := e.send(t.Context(), e.run("B", 1))
	require.NoError(t, err)
	require.Equal(t, string(app.AlreadySent), again.Skipped)
	require.Len(t, e.mailer.accepted, 1)
}

func TestSend_DefersCallThatInngestDeliversTwice(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.mailer.answer = func(ctx context.Context) error {
		e.mailer.answer = nil
		before := e.notification()
		_, err := e.send(ctx, e.run("A", 1))
		require.ErrorIs(t, err, errInFlight)
		require.False(t, sdkerrors.IsNoRetryError(err))
		require.False(t, sdkerrors.GetRetryAtTime(err).Before(before.Claim.Until), "retried while the claim lasts")
		require.Equal(t, before, e.notification(), "the second call changed the notification")
		return nil
	}
	_, err := e.send(t.Context(), e.run("A", 1))
	require.NoError(t, err)
	require.Len(t, e.mailer.accepted, 1)
	require.Equal(t, app.Sent, e.notification().State)
}

func TestSend_FinishesDeliveryWhenInngestHangsUp(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	ctx, hangUp := context.WithCancel(t.Context())
	e.mailer.answer = func(ctx context.Context) error {
		hangUp()
		return ctx.Err()
	}
	_, err := e.send(ctx, e.run("A", 1))
	require.NoError(t, err)
	require.Equal(t, app.Sent, e.notification().State)
}

func TestSend_LeavesStalledMailServerBeforeClaimEnds(t *testing.T) {
	t.Parallel()
	for name, saving := range map[string]time.Duration{"claim saved at once": 0, "claim saved slowly": 2 * leaseSlack} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				e.store.save = func(context.Context, app.Notification) error {
					<-time.After(saving) // on the bubble's clock
					e.store.save = nil
					return nil
				}
				var until time.Time
				e.mailer.answer = func(ctx context.Context) error {
					until = e.notification().Claim.Until
					<-ctx.Done()
					return context.Cause(ctx)
				}
				_, err := e.send(t.Context(), e.run("A", 1))
				require.ErrorContains(t, err, "not delivered within 6s")
				require.False(t, sdkerrors.IsNoRetryError(err))
				require.False(t, time.Now().Add(recordTimeout(sendTimeout)).After(until), "no time left to record the outcome")
				n := e.notification()
				require.Equal(t, "not delivered within 6s", n.LastError)
				require.False(t, n.Claim.Until.After(time.Now()), "the claim outlasts the attempt")
			})
		})
	}
}

func TestSend_SucceedsWhenAcceptanceCannotBeStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.store.save = failsToSave(app.Sent)
		r := e.run("A", 1)
		delivery, err := e.send(t.Context(), r)
		require.NoError(t, err)
		require.True(t, delivery.Unrecorded)
		require.Equal(t, app.Dispatched, e.notification().State)
		require.ErrorContains(t, r.recordAcceptance(t.Context(), delivery), "no primary")

		e.store.save = nil
		require.NoError(t, r.recordAcceptance(t.Context(), delivery))
		require.Equal(t, app.Sent, e.notification().State)
		require.Len(t, e.mailer.accepted, 1)
	})
}

func TestSend_StoresAcceptanceWhenStoreIsBackSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		down := time.Now().Add(time.Second)
		e.store.save = func(ctx context.Context, n app.Notification) error {
			if time.Now().Before(down) {
				return failsToSave(app.Sent)(ctx, n)
			}
			return nil
		}
		delivery, err := e.send(t.Context(), e.run("A", 1))
		require.NoError(t, err)
		require.False(t, delivery.Unrecorded)
		require.Equal(t, app.Sent, e.notification().State)
	})
}

// A database that is away says nothing about the technician or the request.
func TestSteps_RetryWhatUnreachableStoreCannotRead(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("read: %w", app.ErrUnavailable)
	for _, what := range []string{"request", equipmentID, requesterID, technicianID} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			if what == "request" {
				what = e.request.ID
			}
			e.store.read = func(id string) error {
				if id == what {
					return away
				}
				return nil
			}
			r := e.run("A", 1)
			_, err := recordingFailure(r, StepFetchRequestDetails, r.fetchDetails)(t.Context())
			if what == technicianID {
				require.NoError(t, err)
				_, err = recordingFailure(r, StepGetTechnicianEmail, func(ctx context.Context) (TechnicianEmail, error) { return r.technician(ctx, technicianID) })(t.Context())
			}
			require.ErrorIs(t, err, app.ErrUnavailable)
			require.False(t, sdkerrors.IsNoRetryError(err))
			require.Equal(t, app.Dispatched, e.notification().State)
		})
	}
}

func TestSendRequestNotification_RunsThreeStepsInOneCall(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	saved := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var checkpoint struct {
			Steps []struct{ ID string }
		}
		_ = json.NewDecoder(r.Body).Decode(&checkpoint)
		for _, s := range checkpoint.Steps {
			saved <- s.ID
		}
	}))
	t.Cleanup(server.Close)
	client, handler, err := inngest.NewClient(t.Context(), inngest.Options{Dev: true, EventURL: server.URL, APIURL: server.URL})
	require.NoError(t, err)
	ids, err := Register(client, e.run("", 1).Deps, All()...)
	require.NoError(t, err)
	require.Equal(t, []string{inngest.AppID + "-" + SendRequestNotificationID}, ids)
	event := e.request.Event()
	body, err := json.Marshal(map[string]any{
		"event": event, "events": []any{event}, "steps": map[string]any{},
		"ctx": map[string]any{
			"fn_id": "7e8f9a00-0000-4000-8000-000000000001", "run_id": "01RUN", "qi_id": "q",
			"stack": map[string]any{"stack": []string{}, "current": 0},
		},
	})
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost,
		inngest.Path+"?fnId="+inngest.AppID+"-"+SendRequestNotificationID+"&stepId=step", bytes.NewReader(body)))
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	var delivery Delivery
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &delivery))
	require.Equal(t, "kim@plant.test", delivery.To)
	require.Equal(t, delivery.SentAt, e.notification().SentAt)
	close(saved)
	for _, step := range []string{StepFetchRequestDetails, StepGetTechnicianEmail, StepSendEmail} {
		require.Equal(t, fmt.Sprintf("%x", sha1.Sum([]byte(step))), <-saved, step)
	}
	require.Empty(t, <-saved, "more than three steps")
}

func TestSteps_SaveDocumentedOutput(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := e.run("A", 1)
	details, err := r.fetchDetails(t.Context())
	require.NoError(t, err)
	technician, err := r.technician(t.Context(), details.TechnicianID)
	require.NoError(t, err)
	for want, output := range map[string]any{
		`{"requestId":"` + e.request.ID + `","technicianId":"` + technicianID + `","subject":"Belt torn",
			"type":"corrective","priority":"high","equipment":"Press 4","requester":"Lee Park"}`: details,
		`{"name":"Kim Larsen","email":"kim@plant.test"}`:                                 technician,
		`{"requestId":"1","messageId":"<m>","to":"k@p","sentAt":"2026-03-04T05:06:07Z"}`: Delivery{RequestID: "1", MessageID: "<m>", To: "k@p", SentAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)},
		`{"requestId":"1","messageId":"<m>","to":"k@p","skipped":"already sent"}`:        Delivery{RequestID: "1", MessageID: "<m>", To: "k@p", Skipped: string(app.AlreadySent)},
	} {
		got, err := json.Marshal(output)
		require.NoError(t, err)
		require.JSONEq(t, want, string(got))
	}
}

func TestFetchDetails_RejectsBadEvents(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for want, change := range map[string]func(*app.RequestCreated){
		"the event's data.requestId is not an id of 24 hexadecimal digits":    func(d *app.RequestCreated) { d.RequestID = "{$ne:1}" },
		"the event's data.technicianId is not an id of 24 hexadecimal digits": func(d *app.RequestCreated) { d.TechnicianID = "" },
		"there is no request " + requesterID:                                  func(d *app.RequestCreated) { d.RequestID = requesterID },
		"the event names technician " + requesterID + ", but request " + e.request.ID + " is assigned to " + technicianID: func(d *app.RequestCreated) {
			d.TechnicianID = requesterID
		},
	} {
		r := e.run("A", 1)
		change(&r.event)
		_, err := r.fetchDetails(t.Context())
		kind, reason := app.Classify(err)
		require.Equal(t, app.BadEvent, kind, want)
		require.Equal(t, want, reason)
	}
}

func TestRecordFailure(t *testing.T) {
	t.Parallel()
	transient := errors.New("connection refused")
	undeliverable := app.Permanent(app.Undeliverable, "there is no such mailbox", transient)
	badEvent := app.Permanent(app.BadEvent, "bad event", nil)
	for name, c := range map[string]struct {
		cause      error
		attempt    int
		foreign    bool // another program sent the event
		unrecorded bool // the store fails
		want       app.State
		reason     string
		nextIn     time.Duration // until NextDispatchAt
		noRetry    bool
	}{
		"transient":                          {cause: transient, attempt: 4, want: app.Dispatched, nextIn: pace.RedispatchAfter},
		"transient, last attempt":            {cause: transient, attempt: 5, want: app.Dispatched, nextIn: pace.RedispatchAfter / 8},
		"transient, not recorded":            {cause: transient, attempt: 5, unrecorded: true, want: app.Dispatched, nextIn: pace.RedispatchAfter},
		"undeliverable":                      {cause: undeliverable, attempt: 1, want: app.Failed, reason: "there is no such mailbox", noRetry: true},
		"undeliverable, not recorded":        {cause: undeliverable, attempt: 1, unrecorded: true, want: app.Dispatched, nextIn: pace.RedispatchAfter},
		"bad event":                          {cause: badEvent, attempt: 1, want: app.Failed, reason: "bad event", noRetry: true},
		"bad event from another program":     {cause: badEvent, attempt: 1, foreign: true, want: app.Dispatched, nextIn: pace.RedispatchAfter, noRetry: true},
		"undeliverable from another program": {cause: undeliverable, attempt: 1, foreign: true, want: app.Failed, reason: "there is no such mailbox", noRetry: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				r := e.run("A", c.attempt)
				if c.foreign {
					r.run.Generation = 0
				}
				if c.unrecorded {
					e.store.save = func(context.Context, app.Notification) error { return errors.New("no primary") }
				}
				err := r.recordFailure(t.Context(), c.cause)
				require.ErrorIs(t, err, c.cause)
				require.Equal(t, c.noRetry, sdkerrors.IsNoRetryError(err))
				n := e.notification()
				require.Equal(t, c.want, n.State)
				require.Equal(t, c.reason, n.Reason)
				if c.nextIn == 0 {
					require.True(t, n.NextDispatchAt.IsZero())
				} else {
					require.WithinDuration(t, time.Now().Add(c.nextIn), n.NextDispatchAt, 0)
				}
			})
		})
	}
}

func TestRecordFailure_OfUnknownRequest(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := e.run("A", 1)
	r.event.RequestID = requesterID
	require.True(t, sdkerrors.IsNoRetryError(r.recordFailure(t.Context(), app.Permanent(app.BadEvent, "unknown", nil))))
}

func TestRecordFailure_RecordsWhenInngestHangsUp(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	ctx, hangUp := context.WithCancel(t.Context())
	e.mailer.answer = func(context.Context) error {
		hangUp()
		return errors.New("451 busy")
	}
	_, err := e.send(ctx, e.run("A", 1))
	require.ErrorContains(t, err, "451 busy")
	n := e.notification()
	require.Equal(t, "451 busy", n.LastError)
	require.False(t, n.Claim.Until.After(time.Now()), "the claim outlasts the attempt, so the next one would have to wait")
}

// A call that a frozen database held would outlast its claim, and block the shutdown.
func TestRecordFailure_GivesUpOnFrozenStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.store.save = func(ctx context.Context, _ app.Notification) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour): // on the bubble's clock
				return nil
			}
		}
		began := time.Now()
		err := e.run("A", 1).recordFailure(t.Context(), app.Permanent(app.Undeliverable, "there is no such mailbox", nil))
		require.ErrorContains(t, err, "this could not be recorded")
		require.False(t, sdkerrors.IsNoRetryError(err), "a later attempt may be able to record it")
		require.Equal(t, recordTimeout(sendTimeout), time.Since(began))
	})
}

// observer counts what became failed.
type observer struct{ failed int }

func (o *observer) Step(ctx context.Context, _ Step) (context.Context, func(error)) {
	return ctx, func(error) {}
}
func (o *observer) Claim(app.ClaimResult) {}
func (o *observer) Failed()               { o.failed++ }

func TestRecordFailure_ReportsEachNotificationOnceThatBecameFailed(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r, o := e.run("01A", 1), &observer{}
	r.Observer = o
	_ = r.recordFailure(t.Context(), errors.New("the database is busy"))
	require.Zero(t, o.failed, "a failure that is tried again")
	for range 2 {
		_ = r.recordFailure(t.Context(), app.Permanent(app.Undeliverable, "no address", nil))
		require.Equal(t, app.Failed, e.notification().State)
	}
	require.Equal(t, 1, o.failed)
}

func TestSend_ReadsTheRequestAgainOnlyIfItsNotificationHasChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change app.Change
		reads  int
	}{
		"unchanged":           {func(n app.Notification) (app.Notification, bool) { return n, false }, 1},
		"confirmed meanwhile": {func(n app.Notification) (app.Notification, bool) { return n.Begun("01E", pace) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			reads := 0
			e.store.read = func(id string) error {
				if id == e.request.ID {
					reads++
				}
				return nil
			}
			r := e.run("01A", 1)
			details, err := r.fetchDetails(t.Context())
			require.NoError(t, err)
			_, _, err = app.Update(t.Context(), e.store.Memory, *r.stored, c.change)
			require.NoError(t, err)
			_, err = r.send(t.Context(), details, TechnicianEmail{Email: "kim@plant.test"})
			require.NoError(t, err)
			require.Equal(t, c.reads, reads)
			require.Equal(t, app.Sent, e.notification().State)
			require.Len(t, e.mailer.accepted, 1)
		})
	}
}

// A request may be deleted after the first step has read it.
func TestSend_FailsForGoodIfTheRequestIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*env){
		"before it is read": func(e *env) {
			e.store.read = func(id string) error {
				if id == e.request.ID {
					return app.ErrNotFound
				}
				return nil
			}
		},
		"before it is claimed": func(e *env) {
			e.store.save = func(context.Context, app.Notification) error { return app.ErrNotFound }
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			r := e.run("01A", 1)
			details, err := r.fetchDetails(t.Context())
			require.NoError(t, err)
			remove(e)
			if e.store.read != nil {
				r = e.run("01A", 1) // another call of the run, which has not read the request
			}
			_, err = r.send(t.Context(), details, TechnicianEmail{Email: "kim@plant.test"})
			require.EqualError(t, err, "there is no request "+e.request.ID)
			kind, _ := app.Classify(err)
			require.Equal(t, app.BadEvent, kind)
			if e.store.read != nil {
				require.True(t, sdkerrors.IsNoRetryError(r.recordFailure(t.Context(), err)), "the run is tried again")
			}
			require.Empty(t, e.mailer.accepted)
		})
	}
}

func TestClassifySendError(t *testing.T) {
	t.Parallel()
	refused := &textproto.Error{Code: 550, Msg: "no such user here"}
	for name, c := range map[string]struct {
		err    error
		kind   app.Kind
		reason string
	}{
		"none":               {nil, app.Transient, ""},
		"not from SMTP":      {context.DeadlineExceeded, app.Transient, ""},
		"temporary refusal":  {&email.SendError{Phase: email.PhaseRcpt, Err: &textproto.Error{Code: 451, Msg: "busy"}}, app.Transient, ""},
		"permanent refusal":  {&email.SendError{Phase: email.PhaseRcpt, Permanent: true, Err: refused}, app.Undeliverable, "the mail server refused the email for good (rcpt): 550 no such user here"},
		"message not usable": {&email.SendError{Phase: email.PhaseMessage, Permanent: true, Err: errors.New("no address")}, app.Undeliverable, "the email cannot be sent: no address"},
	} {
		err := classifySendError(c.err)
		require.ErrorIs(t, err, c.err, name)
		kind, reason := app.Classify(err)
		require.Equal(t, c.kind, kind, name)
		require.Equal(t, c.reason, reason, name)
	}
}

func TestLog_HoldsNoSecret(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.mailer.answer = func(context.Context) error { e.mailer.answer = nil; return errors.New("451 busy") }
	_, err := e.send(t.Context(), e.run("A", 1))
	require.Error(t, err)
	_, err = e.send(t.Context(), e.run("A", 2))
	require.NoError(t, err)
	require.Contains(t, e.log.String(), "451 busy")
	require.Contains(t, e.log.String(), "email accepted")
	require.NotContains(t, e.log.String(), "sig=")
	require.NotContains(t, e.log.String(), "api token")
}

func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	// Per stage 225 s of waits, 120 s of jitter and five attempts of 42 s each.
	require.Equal(t, 4*(225+120+5*42)*time.Second, RetrySchedule(30*time.Second))
}

func TestSendLease_LeavesBusyStoreTimeToRecord(t *testing.T) {
	t.Parallel()
	require.Equal(t, leaseSlack+30*time.Second+10*time.Second, SendLease(30*time.Second))
	require.Equal(t, leaseSlack+time.Second+3*time.Second, SendLease(time.Second), "a third of a short delivery is too little for a busy database")
}

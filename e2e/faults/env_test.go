package faults_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// notify is the function under test, as expectations name it.
const notify = "send-request-notification"

// Steps of the function.
const (
	fetchDetails  = "fetch-request-details"
	getTechnician = "get-technician-email"
	sendEmail     = "send-email"
)

// patience is how long a row waits for what must happen before it gives up. It is generous: the machine may be busy.
const patience = 90 * time.Second

// gaveUpWaiting is part of the error of an app that got no reply to a message in time.
const gaveUpWaiting = "wait for the server to accept the message: no answer within"

// An env is what one row uses: the stack, its requests and its faults.
type env struct {
	*testing.T
	stack    *stack.Stack
	store    app.Store
	observer *observer

	began    uint64 // Seq of the last record of the taps before the row
	requests []accepted
	events   []string // EventIDs of the events that the row sent to Inngest past the app
	faults   []injected
	lostAt   uint64 // Seq of the last record of the taps before Inngest lost its state
}

// accepted is a request that the API has accepted.
type accepted struct {
	draft
	request app.Request
}

// draft is a request before it is created. No other request names its people and equipment.
type draft struct {
	body []byte
	to   string // the technician's address
	// promise replaces the row's for this request, unless it is nil.
	promise *promise
}

// injected is an armed fault with its description.
type injected struct {
	*tap.Injection
	name string
}

func newEnv(t *testing.T, st *stack.Stack) *env {
	t.Helper()
	urls, ok := st.Env()
	require.True(t, ok, "the stack runs no app")
	store, err := mongostore.Open(t.Context(), urls.MongoURI)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close(context.WithoutCancel(t.Context())) })
	return newEnvOn(t, st, store)
}

func newEnvOn(t *testing.T, st *stack.Stack, store app.Store) *env {
	began := st.Taps().Last()
	return &env{T: t, stack: st, store: store, observer: newObserver(t, st.Taps(), began), began: began}
}

// draft stores the people and equipment of one request.
func (e *env) draft() draft {
	e.Helper()
	return e.draftOf(fixtures.Requests()[0], fixtures.World())
}

func (e *env) draftOf(r fixtures.Request, plant fixtures.Plant) draft {
	e.Helper()
	plant = plant.Clone(strings.ToLower(rand.Text()[:12]))
	r = r.In(plant)
	// Store only the people and equipment that the request names.
	named := []string{r.Field("technicianId"), r.Field("requestedById"), r.Field("equipmentId")}
	plant.Users = slices.DeleteFunc(plant.Users, func(u fixtures.User) bool { return !slices.Contains(named, u.ID) })
	plant.Equipment = slices.DeleteFunc(plant.Equipment, func(e fixtures.Equipment) bool { return !slices.Contains(named, e.ID) })
	var world app.World
	require.NoError(e, json.Unmarshal(plant.JSON(), &world))
	require.NoError(e, e.store.PutWorld(e.Context(), world))
	technician, _ := plant.User(r.Field("technicianId")) // none: the API refuses the request
	return draft{body: r.Body, to: technician.Email}
}

// create posts a request that the API must accept.
func (e *env) create(d draft) app.Request {
	e.Helper()
	status, body := e.post(d.body)
	require.Equal(e, http.StatusCreated, status, "%s", body)
	var r app.Request
	require.NoError(e, json.Unmarshal(body, &r))
	e.requests = append(e.requests, accepted{d, r})
	return r
}

func (e *env) post(body []byte) (status int, answer []byte) {
	e.Helper()
	status, answer, err := e.tryPost(body)
	require.NoError(e, err)
	return status, answer
}

// tryPost is post for goroutines other than the test's.
func (e *env) tryPost(body []byte) (status int, answer []byte, err error) {
	urls, _ := e.stack.Env()
	req, err := http.NewRequestWithContext(e.Context(), http.MethodPost, urls.AppURL+"/api/requests", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// inject arms a fault. The row fails if the fault never acts.
func (e *env) inject(f tap.Fault) *tap.Injection {
	e.Helper()
	i, err := e.stack.Taps().Inject(f)
	require.NoError(e, err)
	e.Cleanup(i.Drop)
	e.faults = append(e.faults, injected{i, f.String()})
	return i
}

// waitReached waits until every one of the faults holds something.
func (e *env) waitReached(holds ...*tap.Injection) {
	e.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for _, hold := range holds {
		select {
		case <-hold.Reached():
		case <-timeout.C:
			e.Fatalf("the fault did not act within %v", patience)
		}
	}
}

// waitFor waits for an exchange that is recorded after a Seq.
func (e *env) waitFor(what string, after uint64, is func(tap.Exchange) bool) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	for c, err := range e.stack.Taps().Watch(ctx, after) {
		require.NoError(e, err)
		if is(c) {
			return
		}
	}
	e.Fatalf("within %v the taps did not see %s", patience, what)
}

// kill kills a service.
func (e *env) kill(service harness.Service) {
	e.Helper()
	require.NoError(e, e.stack.Kill(e.Context(), service))
}

// start starts a service again. Inngest then has lost its events and runs. Until the app registers, it also knows no
// function: it accepts an event and starts no run.
func (e *env) start(service harness.Service) {
	e.Helper()
	require.NoError(e, e.stack.Start(e.Context(), service))
	if service != harness.ServiceInngest {
		return
	}
	require.NoError(e, e.observer.upToDate(e.Context(), func() { e.lostAt = e.observer.synced }))
}

// pause freezes a service, with its connections open, until resume.
func (e *env) pause(service harness.Service) {
	e.Helper()
	require.NoError(e, e.stack.Pause(e.Context(), service))
	e.Cleanup(func() { _ = e.stack.Resume(context.WithoutCancel(e.Context()), service) })
}

func (e *env) resume(service harness.Service) {
	e.Helper()
	require.NoError(e, e.stack.Resume(e.Context(), service))
}

// waitNotReady waits until the app reports that it is not ready.
func (e *env) waitNotReady() {
	e.Helper()
	urls, _ := e.stack.Env()
	e.eventually(patience, 50*time.Millisecond, func() error {
		req, err := http.NewRequestWithContext(e.Context(), http.MethodGet, urls.AppURL+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusServiceUnavailable {
			err = fmt.Errorf("the app reports that it is ready: %s", res.Status)
		}
		return errors.Join(err, res.Body.Close())
	})
}

// send sends an event to Inngest past the app.
func (e *env) send(event harness.Event) string {
	e.Helper()
	ids, err := e.stack.Send(e.Context(), event)
	require.NoError(e, err)
	e.events = append(e.events, ids[0])
	return ids[0]
}

// eventually calls f until it returns no error. When the limit is reached the test fails with the last error.
func (e *env) eventually(limit, pause time.Duration, f func() error) {
	e.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			e.Fatalf("after %v: %v", limit, err)
		}
	}
}

// waitSettled waits until every request is sent or failed.
func (e *env) waitSettled() {
	e.Helper()
	open := len(e.requests)
	e.eventually(patience, 50*time.Millisecond, func() error {
		for open > 0 {
			a := &e.requests[open-1]
			stored, err := e.store.Request(e.Context(), a.request.ID)
			if err != nil {
				return fmt.Errorf("read request %s: %w", a.request.ID, err)
			}
			a.request = stored
			if n := stored.Notification; n.State != app.Sent && n.State != app.Failed {
				return fmt.Errorf("request %s is still %s (generation %d, last error %q)", stored.ID, n.State, n.Generation, n.LastError)
			}
			open--
		}
		return nil
	})
}

// crowd is the number of requests from which on waitQuiet waits for the whole stack instead of for each event.
const crowd = 50

// waitQuiet waits until every run that descends from the row's events has ended, so that no further email can come.
func (e *env) waitQuiet() {
	e.Helper()
	if len(e.requests) >= crowd {
		e.waitStackQuiet()
		return
	}
	events := slices.Clone(e.events)
	for _, event := range e.dispatched() {
		events = append(events, event.EventID)
	}
	for _, id := range events {
		v, err := e.stack.Judge(e.Context(), id, harness.Expectation{
			Mail: []harness.MailExpectation{{To: "unknown@plant.test", Absent: true}},
		}, stack.JudgeOptions{Timeout: patience})
		require.NoError(e, err)
		require.NoError(e, v.Err())
	}
}

// outcomes returns the outcome of each request.
func (e *env) outcomes() []outcome {
	e.Helper()
	byRecipient := map[string]*outcome{}
	outcomes := make([]outcome, len(e.requests))
	for i, a := range e.requests {
		outcomes[i].request = a.request
		byRecipient[strings.ToLower(a.to)] = &outcomes[i]
	}
	for _, c := range e.deliveries() {
		for _, to := range slices.Concat(c.Mail.To, c.Mail.Refused) {
			switch o := byRecipient[strings.ToLower(to)]; {
			case o == nil:
			case c.Mail.Accepted:
				o.accepted = append(o.accepted, c.Mail.MessageID)
				if !c.Mail.Reported || c.Ended.Sub(c.Mail.AcceptedAt) >= phase {
					o.unreported++
				}
			default:
				o.refused++
			}
		}
	}
	for i := range outcomes {
		// On a busy machine the app can give up waiting for an acceptance just before it comes. The wire does not show that;
		// the app's error does.
		if strings.Contains(outcomes[i].request.Notification.LastError, gaveUpWaiting) {
			outcomes[i].unreported = max(outcomes[i].unreported, 1)
		}
	}
	return outcomes
}

// logDeliveries logs, if the row has failed, every delivery since the row began. Some may belong to other rows.
func (e *env) logDeliveries() {
	if !e.Failed() {
		return
	}
	const most = 50
	var lines []string
	for _, c := range e.deliveries() {
		lines = append(lines, fmt.Sprintf("%s for %v: to %v, refused %v, accepted %t, reported %t, faults %q, %s",
			c.Began.Format("15:04:05.000"), c.Ended.Sub(c.Began).Round(time.Millisecond),
			c.Mail.To, c.Mail.Refused, c.Mail.Accepted, c.Mail.Reported, c.Faults, c.Err))
	}
	e.Logf("the deliveries:\n%s", strings.Join(lines[:min(len(lines), most)], "\n"))
}

// promiseOf returns the promise for the i-th request.
func (e *env) promiseOf(i int, row promise) promise {
	if own := e.requests[i].promise; own != nil {
		return *own
	}
	return row
}

// nextRequestSucceeds creates one more request, without a fault.
func (e *env) nextRequestSucceeds() {
	e.Helper()
	next := newEnvOn(e.T, e.stack, e.store)
	next.create(next.draft())
	next.waitSettled()
	next.waitQuiet()
	require.NoError(e, sent().check(next.outcomes()[0]), "the next request")
}

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

// gaveUpWaiting is what the app says after it has waited for an acceptance as long as it may.
const gaveUpWaiting = "wait for the server to accept the message: no answer within"

// scene is one row at work: its requests and its faults.
type scene struct {
	*testing.T
	stack   *stack.Stack
	store   app.Store
	witness *witness

	began    uint64 // the last record of the taps before the row
	requests []accepted
	events   []string // ULIDs of the events that the row has sent to Inngest itself
	faults   []injected
	lostAt   uint64 // the last record of the taps before Inngest lost its state
}

// accepted is a request that the API has taken.
type accepted struct {
	draft
	request app.Request
}

// draft is a request about people and things that no other one is about, before it is created.
type draft struct {
	body []byte
	to   string // the technician's address
	// promise, where it is not nil, is made for this request in place of the row's.
	promise *promise
}

// injected is an armed fault with its description.
type injected struct {
	*tap.Injection
	name string
}

func newScene(t *testing.T, st *stack.Stack) *scene {
	t.Helper()
	env, ok := st.Env()
	require.True(t, ok, "the stack runs no app")
	store, err := mongostore.Open(t.Context(), env.MongoURI)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close(context.WithoutCancel(t.Context())) })
	return sceneOn(t, st, store)
}

func sceneOn(t *testing.T, st *stack.Stack, store app.Store) *scene {
	began := st.Taps().Last()
	return &scene{T: t, stack: st, store: store, witness: newWitness(t, st.Taps(), began), began: began}
}

// draft seeds a world for one request.
func (s *scene) draft() draft {
	s.Helper()
	return s.draftOf(fixtures.Requests()[0], fixtures.World())
}

func (s *scene) draftOf(r fixtures.Request, plant fixtures.Plant) draft {
	s.Helper()
	plant = plant.Clone(strings.ToLower(rand.Text()[:12]))
	r = r.In(plant)
	// Only those that the request names.
	named := []string{r.Field("technicianId"), r.Field("requestedById"), r.Field("equipmentId")}
	plant.Users = slices.DeleteFunc(plant.Users, func(u fixtures.User) bool { return !slices.Contains(named, u.ID) })
	plant.Equipment = slices.DeleteFunc(plant.Equipment, func(e fixtures.Equipment) bool { return !slices.Contains(named, e.ID) })
	var world app.World
	require.NoError(s, json.Unmarshal(plant.JSON(), &world))
	require.NoError(s, s.store.PutWorld(s.Context(), world))
	technician, _ := plant.User(r.Field("technicianId")) // none: the API refuses the request
	return draft{body: r.Body, to: technician.Email}
}

// create posts a request that the API takes.
func (s *scene) create(d draft) app.Request {
	s.Helper()
	status, body := s.post(d.body)
	require.Equal(s, http.StatusCreated, status, "%s", body)
	var r app.Request
	require.NoError(s, json.Unmarshal(body, &r))
	s.requests = append(s.requests, accepted{d, r})
	return r
}

func (s *scene) post(body []byte) (status int, answer []byte) {
	s.Helper()
	status, answer, err := s.tryPost(body)
	require.NoError(s, err)
	return status, answer
}

// tryPost is post for any goroutine.
func (s *scene) tryPost(body []byte) (status int, answer []byte, err error) {
	env, _ := s.stack.Env()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, env.AppURL+"/api/requests", bytes.NewReader(body))
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

// inject arms a fault, which the row will have to have met.
func (s *scene) inject(f tap.Fault) *tap.Injection {
	s.Helper()
	i, err := s.stack.Taps().Inject(f)
	require.NoError(s, err)
	s.Cleanup(i.Drop)
	s.faults = append(s.faults, injected{i, f.String()})
	return i
}

// reached waits until a fault has something in its hold.
func (s *scene) reached(holds ...*tap.Injection) {
	s.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for _, hold := range holds {
		select {
		case <-hold.Reached():
		case <-timeout.C:
			s.Fatalf("within %v nothing came to the point of the fault", patience)
		}
	}
}

// sees waits for something that crosses a wire after a record.
func (s *scene) sees(what string, after uint64, is func(tap.Exchange) bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for c, err := range s.stack.Taps().Watch(ctx, after) {
		require.NoError(s, err)
		if is(c) {
			return
		}
	}
	s.Fatalf("within %v the taps did not see %s", patience, what)
}

// kill ends a service at once.
func (s *scene) kill(service harness.Service) {
	s.Helper()
	require.NoError(s, s.stack.Kill(s.Context(), service))
}

// run starts it again. Inngest then knows neither what it was sent before it was killed nor, until the app registers,
// who listens to what it is sent since: it takes such an event and starts nothing.
func (s *scene) run(service harness.Service) {
	s.Helper()
	require.NoError(s, s.stack.Start(s.Context(), service))
	if service != harness.ServiceInngest {
		return
	}
	require.NoError(s, s.witness.look(s.Context(), func() { s.lostAt = s.witness.synced }))
}

// freeze makes a service stop answering, with its connections open, until thaw.
func (s *scene) freeze(service harness.Service) {
	s.Helper()
	require.NoError(s, s.stack.Pause(s.Context(), service))
	s.Cleanup(func() { _ = s.stack.Resume(context.WithoutCancel(s.Context()), service) })
}

func (s *scene) thaw(service harness.Service) {
	s.Helper()
	require.NoError(s, s.stack.Resume(s.Context(), service))
}

// notReady waits until the app says of itself that it is not ready.
func (s *scene) notReady() {
	s.Helper()
	env, _ := s.stack.Env()
	s.eventually(patience, 50*time.Millisecond, func() error {
		req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, env.AppURL+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusServiceUnavailable {
			err = fmt.Errorf("the app says that it is ready: %s", res.Status)
		}
		return errors.Join(err, res.Body.Close())
	})
}

// send sends an event to Inngest past the app.
func (s *scene) send(e harness.Event) string {
	s.Helper()
	ids, err := s.stack.Send(s.Context(), e)
	require.NoError(s, err)
	s.events = append(s.events, ids[0])
	return ids[0]
}

// eventually calls f until it says that all is well. Its last complaint is shown when the limit is reached.
func (s *scene) eventually(limit, pause time.Duration, f func() error) {
	s.Helper()
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
			s.Fatalf("after %v: %v", limit, err)
		}
	}
}

// settle waits until every request has come to its end.
func (s *scene) settle() {
	s.Helper()
	open := len(s.requests)
	s.eventually(patience, 50*time.Millisecond, func() error {
		for open > 0 {
			a := &s.requests[open-1]
			stored, err := s.store.Request(s.Context(), a.request.ID)
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

// crowd is the number of requests from which on it is the whole stack that is awaited, and not the end of each.
const crowd = 50

// quiet waits until every run that descends from the row's events has ended, so that no further email can come.
func (s *scene) quiet() {
	s.Helper()
	if len(s.requests) >= crowd {
		s.stackQuiet()
		return
	}
	events := slices.Clone(s.events)
	for _, e := range s.dispatched() {
		events = append(events, e.EventID)
	}
	for _, id := range events {
		v, err := s.stack.Judge(s.Context(), id, harness.Expectation{
			Mail: []harness.MailExpectation{{To: "nobody@plant.test", Absent: true}},
		}, stack.JudgeOptions{Timeout: patience})
		require.NoError(s, err)
		require.NoError(s, v.Err())
	}
}

// outcomes returns what came of the requests, in their order.
func (s *scene) outcomes() []outcome {
	s.Helper()
	byRecipient := map[string]*outcome{}
	outcomes := make([]outcome, len(s.requests))
	for i, a := range s.requests {
		outcomes[i].request = a.request
		byRecipient[strings.ToLower(a.to)] = &outcomes[i]
	}
	for _, c := range s.deliveries() {
		for _, to := range slices.Concat(c.Mail.To, c.Mail.Refused) {
			switch o := byRecipient[strings.ToLower(to)]; {
			case o == nil:
			case c.Mail.Accepted:
				o.accepted = append(o.accepted, c.Mail.MessageID)
				if !c.Mail.Reported || c.Ended.Sub(c.Mail.AcceptedAt) >= phase {
					o.unheard++
				}
			default:
				o.refused++
			}
		}
	}
	for i := range outcomes {
		// On a busy machine the wait for an acceptance can end before it comes, which no wire shows: the app says so.
		if strings.Contains(outcomes[i].request.Notification.LastError, gaveUpWaiting) {
			outcomes[i].unheard = max(outcomes[i].unheard, 1)
		}
	}
	return outcomes
}

// tellDeliveries logs, when the row has failed, every delivery since it began: there may be those of other rows among
// them.
func (s *scene) tellDeliveries() {
	if !s.Failed() {
		return
	}
	const most = 50
	var lines []string
	for _, c := range s.deliveries() {
		lines = append(lines, fmt.Sprintf("%s for %v: to %v, refused %v, accepted %t, told %t, faults %q, %s",
			c.Began.Format("15:04:05.000"), c.Ended.Sub(c.Began).Round(time.Millisecond),
			c.Mail.To, c.Mail.Refused, c.Mail.Accepted, c.Mail.Reported, c.Faults, c.Err))
	}
	s.Logf("the deliveries:\n%s", strings.Join(lines[:min(len(lines), most)], "\n"))
}

// promised is what is promised for the i-th request.
func (s *scene) promised(i int, row promise) promise {
	if own := s.requests[i].promise; own != nil {
		return *own
	}
	return row
}

// nextGoesThrough creates one more request, to which nothing happens.
func (s *scene) nextGoesThrough() {
	s.Helper()
	next := sceneOn(s.T, s.stack, s.store)
	next.create(next.draft())
	next.settle()
	next.quiet()
	require.NoError(s, sent().check(next.outcomes()[0]), "the next request")
}

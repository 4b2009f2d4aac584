package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// containersTimes is how many times as long as on local an email may take on containers.
const containersTimes = 1.1

// timeout bounds the wait for one email.
const timeout = 15 * time.Second

// env is a stack with the app and a store of requests.
type env struct {
	stack   *stack.Stack
	store   app.Store
	to      string // the recipient of the request's email
	request fixtures.Request
}

func newEnv(ctx context.Context, b harness.Backend, o stack.Options) (*env, error) {
	st, err := testenv.Start(ctx, b, o)
	if err != nil {
		return nil, err
	}
	e, _ := st.Env()
	plant := fixtures.World().Clone("bench")
	store, err := testenv.Seed(ctx, e.MongoURI, plant)
	if err != nil {
		return nil, errors.Join(err, st.Close(ctx))
	}
	request := fixtures.Requests()[0].In(plant)
	var draft app.Request
	err = json.Unmarshal(request.Body, &draft)
	to, _ := plant.User(draft.TechnicianID)
	return &env{st, store, to.Email, request}, err
}

func (e *env) close(ctx context.Context) {
	_ = e.store.Close(context.WithoutCancel(ctx))
	_ = e.stack.Close(context.WithoutCancel(ctx))
}

// outcome sends the event of a request and waits for what is measured.
type outcome func(context.Context, app.Request, harness.Event) error

// timing returns a function that stores a request and measures how long the outcome of its event takes.
func (e *env) timing(ctx context.Context, s *samples, name string, of outcome) func() error {
	return func() error {
		r, err := testenv.StoreUndispatched(ctx, e.store, e.request)
		if err != nil {
			return err
		}
		event := r.Event()
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return s.time(name, func() error {
			return of(ctx, r, harness.Event{IdempotencyKey: event.IdempotencyKey, Name: event.Name, Data: event.Data})
		})
	}
}

// benchEvents measures the time from sending an event to seeing its email: by a bare HTTP call and MailHog's own push on a
// stack without taps, which is the floor, and through the client and the inbox, without taps and with them. It also
// measures the time until the verdict. The floor of all is that of the first backend.
func benchEvents(ctx context.Context, backends []harness.Backend, n int) ([]report.Figure, error) {
	var s samples
	var turns []func() error
	for _, b := range backends {
		tapped, err := newEnv(ctx, b, stack.Options{})
		if err != nil {
			return nil, err
		}
		defer tapped.close(ctx)
		plain, err := newEnv(ctx, b, stack.Options{WithoutTaps: true})
		if err != nil {
			return nil, err
		}
		defer plain.close(ctx)
		push, err := dialPush(ctx, plain.stack.Endpoints().MailHog)
		if err != nil {
			return nil, err
		}
		defer push.CloseNow()
		turns = append(turns,
			plain.timing(ctx, &s, floorOn(b), plain.bareEmail(push)),
			plain.timing(ctx, &s, b.Name()+": event → email through client and inbox", plain.email),
			tapped.timing(ctx, &s, b.Name()+": event → email through client, inbox and taps", tapped.email),
			tapped.timing(ctx, &s, b.Name()+": event → verdict", tapped.verdict))
	}
	for _, b := range backends[1:] {
		if b.Name() == "containers" {
			s.goal(floorOn(b), limit{times: containersTimes, other: floorOn(backends[0])})
		}
	}
	err := alternate(ctx, n, turns...)
	return s.figures(floorOn(backends[0])), err
}

func floorOn(b harness.Backend) string {
	return b.Name() + ": event → email, bare HTTP, MailHog's push, no taps"
}

// email sends the event and waits for its email, through the harness.
func (e *env) email(ctx context.Context, r app.Request, event harness.Event) error {
	if _, err := e.stack.Send(ctx, event); err != nil {
		return err
	}
	_, err := e.stack.Inbox().Wait(ctx, testenv.EmailOf(r))
	return err
}

// bareEmail sends the event by a bare HTTP call, and waits for MailHog's push of its email.
func (e *env) bareEmail(push *websocket.Conn) outcome {
	return func(ctx context.Context, r app.Request, event harness.Event) error {
		body, err := json.Marshal(event)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.stack.Endpoints().Inngest+"/e/bench", bytes.NewReader(body))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		return awaitPush(ctx, push, r.ID)
	}
}

// verdict sends the event and waits for the verdict on its run and email. The server saves runs in batches, up to 100 ms after their end.
func (e *env) verdict(ctx context.Context, _ app.Request, event harness.Event) error {
	ids, err := e.stack.Send(ctx, event)
	if err != nil {
		return err
	}
	v, err := e.stack.Judge(ctx, ids[0], harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: "send-request-notification", Status: harness.StatusCompleted}},
		Mail:        []harness.MailExpectation{{To: e.to, Copies: 1}},
		NoOtherRuns: true, NoOtherMail: true,
	}, stack.JudgeOptions{})
	if err != nil {
		return err
	}
	return v.Err()
}

// dialPush opens MailHog's websocket, on which it pushes each email.
func dialPush(ctx context.Context, mailhog string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(mailhog, "http")+"/api/v2/websocket", nil)
	if err != nil {
		return nil, fmt.Errorf("open MailHog's push: %w", err)
	}
	conn.SetReadLimit(64 << 20)
	return conn, nil
}

// awaitPush reads MailHog's push until an email contains the text.
func awaitPush(ctx context.Context, push *websocket.Conn, text string) error {
	for {
		_, message, err := push.Read(ctx)
		if err != nil || bytes.Contains(message, []byte(text)) {
			return err
		}
	}
}

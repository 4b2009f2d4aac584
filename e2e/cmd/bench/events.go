package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// bed is a stack with the app and requests whose events nobody but the measurement sends.
type bed struct {
	stack *stack.Stack
	store app.Store
	plant fixtures.Plant
	draft app.Request
}

func newBed(ctx context.Context, b harness.Backend, o stack.Options) (*bed, error) {
	st, err := stack.Start(ctx, b, o)
	if err != nil {
		return nil, err
	}
	if err := st.RunHandler(ctx, rig.App); err != nil {
		return nil, errors.Join(err, st.Close(ctx))
	}
	env, _ := st.Env()
	plant, store, err := rig.Seed(ctx, env.MongoURI, fixtures.World(), "bench")
	if err != nil {
		return nil, errors.Join(err, st.Close(ctx))
	}
	on := &bed{stack: st, store: store, plant: plant}
	return on, json.Unmarshal(fixtures.Requests()[0].In(plant).Body, &on.draft)
}

func (b *bed) close(ctx context.Context) error {
	return errors.Join(b.store.Close(ctx), b.stack.Close(ctx))
}

// request stores a request that the app's own dispatcher leaves alone for an hour.
func (b *bed) request(ctx context.Context) (app.Request, error) {
	r := b.draft
	r.ID = b.store.NewID()
	r.CreatedAt = time.Now()
	r.Notification = app.NewNotification("<"+r.ID+"@bench.test>", time.Now(), app.Pace{DispatchLease: time.Hour, RedispatchAfter: time.Hour, SendLease: time.Minute})
	return r, b.store.CreateRequest(ctx, r)
}

// newPair starts one stack with taps and one without, which done closes.
func newPair(ctx context.Context) (tapped, plain *bed, done func(), err error) {
	if tapped, err = newBed(ctx, local.New(local.Options{}), stack.Options{}); err != nil {
		return nil, nil, nil, err
	}
	if plain, err = newBed(ctx, local.New(local.Options{}), stack.Options{WithoutTaps: true}); err != nil {
		return nil, nil, nil, errors.Join(err, tapped.close(context.WithoutCancel(ctx)))
	}
	return tapped, plain, func() {
		_ = plain.close(context.WithoutCancel(ctx))
		_ = tapped.close(context.WithoutCancel(ctx))
	}, nil
}

// benchEvents measures the time from sending an event to seeing its email: through the harness (its client, its
// inbox, the taps in between) and, in turns, on a stack without taps by a bare HTTP call and MailHog's own push. On the
// first it also measures how long a verdict takes once the email is there and the run has ended.
func benchEvents(ctx context.Context, n int) ([]figure, error) {
	tapped, plain, done, err := newPair(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	push, err := listen(ctx, plain.stack.Endpoints().MailHog)
	if err != nil {
		return nil, err
	}
	defer push.CloseNow()

	var through, floor, verdict []time.Duration
	for i := range n {
		pause(ctx)
		d, err := tapped.event(ctx)
		if err != nil {
			return nil, fmt.Errorf("event %d through the harness: %w", i, err)
		}
		through = append(through, d)
		pause(ctx)
		if d, err = plain.bareEvent(ctx, push); err != nil {
			return nil, fmt.Errorf("bare event %d: %w", i, err)
		}
		floor = append(floor, d)
		pause(ctx)
		if d, err = tapped.verdict(ctx); err != nil {
			return nil, fmt.Errorf("verdict %d: %w", i, err)
		}
		verdict = append(verdict, d)
	}
	figures := []figure{
		measured("event → email, harness: taps, client, inbox", through),
		measured("event → email, floor: bare HTTP, MailHog's push, no taps", floor),
		measured("verdict after the email is there and the run is saved", verdict),
	}
	figures[0].Note = fmt.Sprintf("%+.1f ms to the floor (medians)", figures[0].Median-figures[1].Median)
	return figures, nil
}

// benchBackends measures event → email on each backend, event by event in turns, and whose turn is first changes too.
func benchBackends(ctx context.Context, backends []harness.Backend, n int) ([]figure, error) {
	beds := make([]*bed, len(backends))
	for i, b := range backends {
		on, err := newBed(ctx, b, stack.Options{})
		if err != nil {
			return nil, err
		}
		defer on.close(context.WithoutCancel(ctx))
		beds[i] = on
	}
	samples := make([][]time.Duration, len(backends))
	for range n {
		for _, i := range rand.Perm(len(beds)) {
			pause(ctx)
			d, err := beds[i].event(ctx)
			if err != nil {
				return nil, fmt.Errorf("event on %s: %w", backends[i].Name(), err)
			}
			samples[i] = append(samples[i], d)
		}
	}
	var figures []figure
	for i, b := range backends {
		f := measured("event → email on "+b.Name(), samples[i])
		if i > 0 {
			f.Note = fmt.Sprintf("%.2f × %s (medians)", f.Median/figures[0].Median, backends[0].Name())
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// pause waits a random time, the same distribution for each kind: the server looks for new events every 250 ms, so that
// a figure depends on when they come.
func pause(ctx context.Context) {
	select {
	case <-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond):
	case <-ctx.Done():
	}
}

const patience = 15 * time.Second

// event measures one event through the harness.
func (b *bed) event(ctx context.Context) (time.Duration, error) {
	r, err := b.request(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	if _, err := b.stack.Send(ctx, eventOf(r)); err != nil {
		return 0, err
	}
	_, err = b.stack.Inbox().Wait(ctx, inbox.Filter{Header: map[string]string{"X-Maintenance-Request-Id": r.ID}})
	return time.Since(began), err
}

func eventOf(r app.Request) harness.Event {
	e := r.Event()
	return harness.Event{IdempotencyKey: e.IdempotencyKey, Name: e.Name, Data: e.Data}
}

// verdict measures how long after both the email is in MailHog and the end of the run is saved the verdict is there.
// The server saves in batches, up to 100 ms after the end; a second client that asks all the time tells when.
func (b *bed) verdict(ctx context.Context) (time.Duration, error) {
	r, err := b.request(ctx)
	if err != nil {
		return 0, err
	}
	ids, err := b.stack.Send(ctx, eventOf(r))
	if err != nil {
		return 0, err
	}
	saved := make(chan time.Time, 1)
	go func() { saved <- b.savedAt(ctx, ids[0]) }()
	to, _ := b.plant.User(r.TechnicianID)
	v, err := b.stack.Judge(ctx, ids[0], harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: "send-request-notification", Status: harness.StatusCompleted}},
		Mail:        []harness.MailExpectation{{To: to.Email, Copies: 1}},
		NoOtherRuns: true, NoOtherMail: true,
	}, stack.JudgeOptions{})
	if err != nil {
		return 0, err
	}
	now := time.Now()
	if err := v.Err(); err != nil {
		return 0, err
	}
	ready := <-saved
	if m := v.Trace.Mail[0].Received; m.After(ready) {
		ready = m
	}
	return max(now.Sub(ready), 0), nil
}

// savedAt returns when the server first showed the end of an event's run.
func (b *bed) savedAt(ctx context.Context, eventID string) time.Time {
	for ctx.Err() == nil {
		runs, err := b.stack.API().EventRuns(ctx, eventID)
		if err == nil && len(runs) > 0 && runs[0].Status.Final() {
			break
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return time.Now()
}

// listen opens MailHog's push.
func listen(ctx context.Context, mailhog string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(mailhog, "http")+"/api/v2/websocket", nil)
	if err != nil {
		return nil, fmt.Errorf("open MailHog's push: %w", err)
	}
	conn.SetReadLimit(64 << 20)
	return conn, nil
}

// bareEvent measures the floor: one event by a bare HTTP call, the email from MailHog's push.
func (b *bed) bareEvent(ctx context.Context, push *websocket.Conn) (time.Duration, error) {
	r, err := b.request(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(r.Event())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.stack.Endpoints().Inngest+"/e/bench", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	for {
		_, message, err := push.Read(ctx)
		if err != nil {
			return 0, err
		}
		if bytes.Contains(message, []byte(r.ID)) {
			return time.Since(began), nil
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

const (
	// turns is how often each load is measured.
	turns = 3
	// clients is how many requests are created, and how many events are sent, at the same time.
	clients = 8
	// bareEvent triggers the function of the floor.
	bareEvent = "bench/bare"
)

// benchLoad measures how long n requests, created at once, take to become n emails, and how long the stack takes to stop after
// that. The floor is a function of three steps, in the same app, that sends the same email and uses no database. Each time has a
// stack of its own.
func benchLoad(ctx context.Context, b harness.Backend, n int) ([]report.Figure, error) {
	var s samples
	floor := fmt.Sprintf("%s: %d events of a function of three steps → emails", b.Name(), n)
	requests, stopped := fmt.Sprintf("%s: %d requests at once → emails", b.Name(), n), "  then the stack stopped, after requests"
	s.goal(requests, limit{times: 1 / 0.9, other: floor}) // 0.9 × its rate
	s.goal(stopped, limit{most: 2 * time.Second})
	for range turns {
		err := s.load(ctx, b, n, floor, "  then the stack stopped, after events", func(st *stack.Stack) error {
			_, err := st.Send(ctx, harness.Event{Name: bareEvent})
			return err
		})
		if err != nil {
			return nil, err
		}
		err = s.load(ctx, b, n, requests, stopped, func(st *stack.Stack) error {
			env, _ := st.Env()
			_, err := testenv.Create(ctx, env.AppURL, fixtures.Requests()[0])
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return s.figures(floor), nil
}

// load starts a stack, calls one n times, waits for n emails, and stops the stack.
func (s *samples) load(ctx context.Context, b harness.Backend, n int, name, stop string, one func(*stack.Stack) error) error {
	st, err := testenv.Start(ctx, b, stack.Options{}, bare)
	if err != nil {
		return err
	}
	defer st.Close(context.WithoutCancel(ctx))
	err = s.time(name, func() error {
		var g errgroup.Group
		g.SetLimit(clients)
		for range n {
			g.Go(func() error { return one(st) })
		}
		return errors.Join(g.Wait(), awaitMail(ctx, st.Endpoints().MailHog, n))
	})
	if err != nil {
		return err
	}
	return s.time(stop, func() error { return st.Close(ctx) })
}

// awaitMail waits until MailHog has n emails.
func awaitMail(ctx context.Context, mailhog string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var have struct{ Total int }
		err := getJSON(ctx, mailhog+"/api/v2/messages?limit=1", &have)
		switch {
		case err != nil:
			return err
		case have.Total > n:
			return fmt.Errorf("%d emails instead of %d", have.Total, n)
		case have.Total == n:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d emails: %w", have.Total, n, context.Cause(ctx))
		}
	}
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// sameEmail is an email as the app sends it.
var sameEmail = email.Notification{
	To:        mail.Address{Name: "Kim Larsen", Address: "kim@plant.test"},
	RequestID: "66f1a0c2e4b0a1d2c3e4f501", Subject: "Belt slips under full load", Type: "corrective", Priority: "high",
	Equipment: "Conveyor belt 3", Requester: "Dana Ortiz", Technician: "Kim Larsen",
	Description: "The belt slips.\nRetensioning held for an hour.",
	URL:         "https://maintenance.example.com/requests/66f1a0c2e4b0a1d2c3e4f501",
	MessageID:   "<maintenance-request.66f1a0c2e4b0a1d2c3e4f501@plant.test>",
	TimeZone:    time.UTC,
}

// bare is the floor's function.
func bare(c inngestgo.Client, d functions.Deps) (inngestgo.ServableFunction, error) {
	nothing := func(context.Context) (bool, error) { return true, nil }
	return inngestgo.CreateFunction(c, inngestgo.FunctionOpts{ID: "bare"}, inngestgo.EventTrigger(bareEvent, nil),
		func(ctx context.Context, in inngestgo.Input[any]) (any, error) {
			for _, id := range []string{"one", "two"} {
				if _, err := step.Run(ctx, id, nothing); err != nil {
					return nil, err
				}
			}
			return step.Run(ctx, "three", func(ctx context.Context) (bool, error) {
				m, err := email.Render(sameEmail, d.From)
				if err != nil {
					return false, err
				}
				return true, d.Mailer.Send(ctx, m)
			})
		})
}

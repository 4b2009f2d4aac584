package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// shop returns a Sim and a client of the app "shop" on it.
func shop() (*sim.Sim, inngestgo.Client) {
	s := sim.New(sim.Options{Start: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)})
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID:           "shop",
		Dev:             inngestgo.BoolPtr(true),
		SigningKey:      inngestgo.StrPtr(s.SigningKey()),
		EventAPIBaseURL: inngestgo.StrPtr(sim.BaseURL),
		HTTPClient:      s.HTTPClient(),
		Logger:          slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return s, client
}

func Example() {
	ctx := context.Background()
	s, client := shop()
	defer s.Close(context.Background())

	_, err := inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "remind"}, inngestgo.EventTrigger("order/placed", nil),
		func(ctx context.Context, in inngestgo.Input[map[string]any]) (any, error) {
			step.Sleep(ctx, "a-month", 30*24*time.Hour)
			return step.Run(ctx, "send-reminder", func(context.Context) (string, error) { return "reminded", nil })
		})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.RegisterHandler(ctx, client.Serve()); err != nil {
		log.Fatal(err)
	}

	id, err := s.Send(ctx, harness.Event{Name: "order/placed", Data: map[string]any{"order": 7}})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		log.Fatal(err)
	}

	run := s.RunsOf(id)[0]
	fmt.Println(run.Status, string(run.Output), "after", run.Ended.Sub(run.Queued))
	// Output: COMPLETED "reminded" after 720h0m0s
}

// The code of a replaced step is not called: here the mail server is down twice.
func ExampleSim_Replace() {
	ctx := context.Background()
	s, client := shop()
	defer s.Close(context.Background())
	_, err := inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "notify"}, inngestgo.EventTrigger("order/placed", nil),
		func(ctx context.Context, in inngestgo.Input[map[string]any]) (any, error) {
			return step.Run(ctx, "send-email", func(context.Context) (string, error) { return "", errors.New("not in a unit test") })
		})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.RegisterHandler(ctx, client.Serve()); err != nil {
		log.Fatal(err)
	}

	err = s.Replace("shop-notify", "send-email", sim.Outcome{Err: "421 try later"}, sim.Outcome{Err: "421 try later"}, sim.Outcome{Value: "250 queued"})
	if err != nil {
		log.Fatal(err)
	}
	id, err := s.StartFunction(ctx, "shop-notify", harness.Event{})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		log.Fatal(err)
	}
	run, _ := s.FindRun(id)
	email, _ := run.Step("send-email")
	fmt.Println(run.Status, len(email.Attempts), "attempts, first:", email.Attempts[0].Error)
	// Output: COMPLETED 3 attempts, first: 421 try later
}

// What becomes of a run that waits is seen by moving the clock by hand.
func ExampleSim_Advance() {
	ctx := context.Background()
	s, client := shop()
	defer s.Close(context.Background())
	_, err := inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "settle"}, inngestgo.EventTrigger("order/placed", nil),
		func(ctx context.Context, in inngestgo.Input[map[string]any]) (any, error) {
			_, err := step.WaitForEvent[inngestgo.Event](ctx, "payment", step.WaitForEventOpts{Event: "order/paid", Timeout: 7 * 24 * time.Hour})
			if errors.Is(err, step.ErrEventNotReceived) {
				return "cancelled", nil
			}
			return "paid", err
		})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.RegisterHandler(ctx, client.Serve()); err != nil {
		log.Fatal(err)
	}
	id, err := s.Send(ctx, harness.Event{Name: "order/placed"})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Advance(ctx, 6*24*time.Hour); err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.RunsOf(id)[0].Status)
	if err := s.Advance(ctx, 24*time.Hour); err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.RunsOf(id)[0].Status, string(s.RunsOf(id)[0].Output))
	// Output:
	// RUNNING
	// COMPLETED "cancelled"
}

package sim_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"time"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// order is a function that tells the number of its event.
func order(_ context.Context, in inngestgo.Input[map[string]any]) (any, error) {
	return in.Event.Data["order"], nil
}

// serve registers a function with these options on order/placed and sends the event so many times, one a minute.
func serve(s *sim.Sim, client inngestgo.Client, o inngestgo.FunctionOpts, events int) (ids []string) {
	ctx := context.Background()
	if _, err := inngestgo.CreateFunction(client, o, inngestgo.EventTrigger("order/placed", nil), order); err != nil {
		log.Fatal(err)
	}
	if err := s.RegisterHandler(ctx, client.Serve()); err != nil {
		log.Fatal(err)
	}
	for n := range events {
		id, err := s.Send(ctx, harness.Event{Name: "order/placed", Data: map[string]any{"order": n + 1, "user": "kim"}})
		if err != nil {
			log.Fatal(err)
		}
		if err := s.Advance(ctx, time.Minute); err != nil {
			log.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := s.Run(ctx); err != nil {
		log.Fatal(err)
	}
	return ids
}

func show(s *sim.Sim) {
	for _, r := range s.Runs() {
		fmt.Println(r.Status, string(r.Output), "queued after", r.Queued.Sub(s.Events()[0].At))
		for _, d := range r.Decisions {
			fmt.Println(" ", d.Text)
		}
	}
}

// A debounce of an hour takes a millisecond.
func Example_debounce() {
	s, client := shop()
	defer s.Close(context.Background())
	serve(s, client, inngestgo.FunctionOpts{ID: "f", Debounce: &inngestgo.ConfigDebounce{Period: time.Hour}}, 3)
	show(s)
	// Output: COMPLETED 3 queued after 1h2m0s
}

// Calls take no virtual time unless a Fault makes them late: for the server such a call goes on, and keeps its place.
func Example_concurrency() {
	s, client := shop()
	defer s.Close(context.Background())
	s.InjectFault(sim.Fault{Late: 5 * time.Minute, Times: math.MaxInt})
	serve(s, client, inngestgo.FunctionOpts{ID: "f", Concurrency: &inngestgo.ConfigConcurrency{
		Step: []inngestgo.ConfigStepConcurrency{{Limit: 2, Key: inngestgo.StrPtr("event.data.user")}},
	}}, 3)
	show(s)
	// Output:
	// COMPLETED 1 queued after 0s
	// COMPLETED 2 queued after 1m0s
	// COMPLETED 3 queued after 2m0s
	//   admitted after 3m0s: concurrency 2 of key kim
}

func Example_throttle() {
	s, client := shop()
	defer s.Close(context.Background())
	serve(s, client, inngestgo.FunctionOpts{ID: "f", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: 24 * time.Hour}}, 2)
	show(s)
	// Output:
	// COMPLETED 1 queued after 0s
	// COMPLETED 2 queued after 1m0s
	//   admitted after 23h59m0s: throttle 1 per 24h0m0s
}

func Example_rateLimit() {
	s, client := shop()
	defer s.Close(context.Background())
	serve(s, client, inngestgo.FunctionOpts{ID: "f", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Hour}}, 2)
	show(s)
	fmt.Println(s.Events()[2].Name, s.Events()[2].Decisions[0].Text)
	// Output:
	// COMPLETED 1 queued after 0s
	// order/placed dropped: rate limit 1 per 1h0m0s
}

func Example_idempotency() {
	s, client := shop()
	defer s.Close(context.Background())
	serve(s, client, inngestgo.FunctionOpts{ID: "f", Idempotency: inngestgo.StrPtr("event.data.user")}, 2)
	show(s)
	fmt.Println(s.Events()[2].Name, s.Events()[2].Decisions[0].Text)
	// Output:
	// COMPLETED 1 queued after 0s
	// order/placed dropped: idempotency of key kim
}

func Example_batch() {
	s, client := shop()
	defer s.Close(context.Background())
	serve(s, client, inngestgo.FunctionOpts{ID: "f", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 10, Timeout: time.Hour}}, 3)
	show(s)
	fmt.Println("a batch of", len(s.Runs()[0].Batch))
	// Output:
	// COMPLETED 1 queued after 1h0m0s
	// a batch of 3
}

// Of the runs that wait for a place, the one with the higher priority goes first.
func Example_priority() {
	s, client := shop()
	defer s.Close(context.Background())
	s.InjectFault(sim.Fault{Late: 10 * time.Minute, Times: math.MaxInt})
	serve(s, client, inngestgo.FunctionOpts{
		ID: "f", Concurrency: &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{{Limit: 1}}},
		Priority: &inngestgo.ConfigPriority{Run: inngestgo.StrPtr("event.data.order == 3.0 ? 120 : 0")},
	}, 3)
	show(s)
	// Output:
	// COMPLETED 1 queued after 0s
	// COMPLETED 2 queued after 1m0s
	//   admitted after 19m0s: concurrency 1
	// COMPLETED 3 queued after 2m0s
	//   admitted after 8m0s: concurrency 1
}

func Example_singleton() {
	s, client := shop()
	defer s.Close(context.Background())
	s.InjectFault(sim.Fault{Late: 10 * time.Minute, Times: math.MaxInt})
	serve(s, client, inngestgo.FunctionOpts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonCancel}}, 2)
	first, second := s.Runs()[0], s.Runs()[1]
	fmt.Println(first.Status, second.Status)
	// Output: CANCELLED COMPLETED
}

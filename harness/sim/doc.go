// Package sim is an Inngest executor in the test's own process, with a virtual clock.
//
// A durable function sleeps for a day, retries for two hours, waits a week for an event. On a real server a test of that
// takes a day, two hours, a week. A [Sim] speaks the server's side of the SDK protocol to the app's real handler, called
// in process without a socket, and moves its own clock: the same test takes milliseconds and always takes the same course.
//
//	s := sim.New(sim.Options{})
//	defer s.Close(ctx)
//
//	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
//		AppID:           "shop",
//		Dev:             inngestgo.BoolPtr(true),
//		SigningKey:      inngestgo.StrPtr(s.SigningKey()), // lets the functions be registered without a socket
//		EventAPIBaseURL: inngestgo.StrPtr(sim.BaseURL),    // events that the app sends …
//		HTTPClient:      s.HTTPClient(),                   // … reach s without one too
//	})
//	// … inngestgo.CreateFunction(client, …)
//
//	err = s.RegisterHandler(ctx, client.Serve())
//	id, err := s.Send(ctx, harness.Event{Name: "order/paid", Data: order})
//	err = s.Run(ctx)                // until nothing is left to do; sleeps and retries take no time
//	run := s.RunsOf(id)[0]          // what happened: status, output, steps, attempts
//
// # What drives it
//
// By default nothing happens until the test says so: [Sim.Run] works until nothing is left, [Sim.Settle] does what is
// due at this instant, [Sim.Advance] and [Sim.RunUntil] move the clock. One thing is done at a time, in a sequence that
// depends on nothing but the inputs and [Options.Seed]. As a stand-in for the dev server, over HTTP, it can run by itself:
// see [Sim.RunInBackground] and [Sim.Handler]. Package simstack puts it into a stack.Stack, and has a workbench on which a
// harness.Expectation is judged in process.
//
// # What it speaks
//
// The server's side of the SDK protocol as specified in https://github.com/inngest/inngest/blob/main/docs/SDK_SPEC.md
// and as the dev server v1.43.0 behaves where the specification is silent. A conformance suite runs the same scenarios on
// both and compares; docs/sim.md lists what is known to differ. What is not modelled (a few operations) ends a run with
// an error that says so: it is never ignored in silence.
package sim

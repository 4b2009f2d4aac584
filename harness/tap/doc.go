// Package tap sits on the three wires between an app, its Inngest server and its mail server: it records what
// crosses them, and breaks them on request.
//
//	Inngest → app      [Set.Calls]   function calls and their answers, sync
//	app → Inngest      [Set.API]     events, checkpoints, registration, the rest of the API
//	app → mail server  [Set.SMTP]    deliveries
//
// A [Set] holds what the three have in common: one ordered, bounded log of [Exchange] values, read with [Set.Watch],
// and the faults that are armed, added with [Set.Inject].
//
//	taps := tap.New(tap.Options{})
//	defer taps.Close(ctx)
//	calls, err := taps.Calls("127.0.0.1:0", "http://127.0.0.1:3000")
//	…                                       // sync the app under calls.URL()
//	lost, err := taps.Inject(tap.Fault{At: tap.AtDot, Do: tap.DropAnswer, To: "kim@plant.test"})
//	<-lost.Reached()                        // the mail server has the email, the app does not know
//	for c, err := range taps.Watch(ctx, 0) { … }
//
// # What a tap changes
//
// Nothing, unless a fault says so. Bodies pass byte by byte, so signatures hold; the Host header is kept, because
// SDKs derive the URL that they register from it; no forwarding header is added, nothing is retried. When the far
// side cannot be reached the near side's connection is closed without an answer, and the exchange says why: a tap
// that has accepted a connection can no longer refuse it. Credentials are never kept: not AUTH exchanges, not
// headers, not the event key in an event's URL.
//
// The HTTP taps are an [httputil.ReverseProxy]. The SMTP tap follows the dialogue on the wire itself, one command
// and one reply at a time (RFC 5321), instead of ending it in a server library and beginning another one behind it:
// only so do the app and the mail server hear each other's own words, and only so is there, before and after every
// command and inside a message, a point at which to hold or cut the connection. Pipelined commands wait their turn in
// the tap. After STARTTLS has been granted it sees no more than bytes.
//
// # Where a fault can act, and what it can match
//
// A [Fault] acts at a [Point]: before the request is passed on, or, with the actions that end in "-answer", after the
// far side has answered and before the near side gets the answer. It can match only what is known at its point.
// [Rules] lists, for each point, the actions and what can be matched.
//
// [AtStep] is the one point that is not a message of its own. Before a step begins, Inngest calls the function with the
// step before it as the last one saved or, with checkpointing, answers the checkpoint of the step before it. No message
// names the next step, so a fault there names the step before it in After. When a step has ended, its result is sent in
// a checkpoint or in the answer to a call. A fault at a step acts on the first of these messages, so the same fault works
// with checkpointing and without. [DropAnswer] at a step means that the server never gets the result: the connection of
// the checkpoint is closed, and so is that of the call.
//
// The messages between server and SDK are specified in docs/SDK_SPEC.md of github.com/inngest/inngest.
package tap

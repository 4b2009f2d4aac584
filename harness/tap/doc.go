// Package tap puts recording proxies, called taps, on the three wires between an app, its Inngest server and its mail
// server. It records the exchanges on them and injects faults into them.
//
//	Inngest → app      [Set.Calls]   function calls and their answers, sync
//	app → Inngest      [Set.API]     events, checkpoints, registration, the rest of the API
//	app → mail server  [Set.SMTP]    deliveries
//
// A [Set] holds what the three have in common: a bounded log of [Exchange] values, read with [Set.Watch], and the faults
// that are armed, added with [Set.Inject].
//
//	taps := tap.New(tap.Options{})
//	defer taps.Close(ctx)
//	calls, err := taps.Calls("127.0.0.1:0", "http://127.0.0.1:3000")
//	…                                       // sync the app under calls.URL()
//	lost, err := taps.Inject(tap.Fault{At: tap.AtDot, Do: tap.DropAnswer, To: "kim@plant.test"})
//	<-lost.Reached()                        // the mail server has accepted the email, the app does not know
//	for c, err := range taps.Watch(ctx, 0) { … }
//
// # What a tap changes
//
// Without a fault, nothing but commands to the mail server that it may not be able to read: a line end is CRLF, also where
// the app sent LF alone. MailHog also gets another address in place of an empty or quoted path, which package inbox turns
// back, brackets around a path without them, and a line end before the dot that ends an empty message. Bodies pass byte by byte, so signatures stay valid. The Host header is kept, because SDKs
// derive from it the URL that they register. No forwarding header is added, and nothing is retried. If the far side
// cannot be reached, the tap closes the near side's connection without an answer and records why: it cannot refuse a
// connection that it has accepted. Credentials are never recorded: neither AUTH, nor headers, nor the event key in the URL
// of an event.
//
// An HTTP tap is an [httputil.ReverseProxy]. The SMTP tap is not a mail server and a mail client back to back: it relays
// the dialogue itself, one command and one reply at a time (RFC 5321). So the app and the mail server get each other's
// own lines, and a fault can hold or cut the connection before and after every command and within a message. Pipelined
// commands wait in the tap. After STARTTLS has been agreed the tap passes on bytes that it cannot read.
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

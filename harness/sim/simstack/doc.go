// Package simstack is the backend that replaces the Inngest server of another backend by a [sim.Sim]. That backend starts the
// database and MailHog, so a [stack.Stack] on it is like any other: the same taps, expectations, dashboard
// and reports.
//
//	backend := simstack.New(local.New(local.Options{}), simstack.Options{})
//	stack, err := stack.Start(ctx, backend, stack.Options{})
//
// By default the clock follows the wall clock. A test advances it:
//
//	err = backend.Sim(stack).Advance(ctx, 24*time.Hour) // returns when everything due by then is done
//
// or lets it jump, so that sleeps and retries take no time: Options.Pace. The stack reports times of the wall clock in any case,
// since traces compare them with the times of emails.
//
// Where not even a database is needed, a [Workbench] has a Sim, a mailbox and the taps in the test's own process: expectations
// of an app's functions are then judged within milliseconds. [Recording] lets a trace, from whatever stack, be replayed against
// changed code.
package simstack

// Package simstack is the backend that puts a [sim.Sim] where another backend would start the Inngest server. Database
// and MailHog are that backend's, so a [stack.Stack] on it is like any other: the same taps, expectations, dashboard
// and reports.
//
//	backend := simstack.New(local.New(local.Options{}), simstack.Options{})
//	stack, err := stack.Start(ctx, backend, stack.Options{})
//
// By default the clock goes with the wall clock, which suits a person who watches. A test puts it forward:
//
//	err = backend.Sim(stack).Advance(ctx, 24*time.Hour) // what falls due in it is done before this returns
//
// or lets it jump by itself, so that no sleep and no retry takes time: Options.Pace. Times that the stack tells stay those
// of the wall clock either way, since traces hold them against the times of emails: what was jumped over takes none.
//
// Where not even a database is needed, a [Workbench] has a Sim, a mailbox and the taps in the test's own process: expectations
// of an app's functions are then judged within milliseconds. [Recording] lets a trace, from whatever stack, be replayed against
// changed code.
package simstack

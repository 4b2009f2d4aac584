// Package engine executes durable functions as the Inngest server does, by a virtual clock: it holds what apps have
// registered, events, runs, and a queue of what is to be done, and calls apps.
//
// The way of an event: [Engine.Ingest] records it and queues it; matching finds the functions that it triggers and the
// runs that wait for it; [admission] decides whether, when and with which others a match becomes a run (rate limit, debounce,
// batch, singleton); the run's calls are queued, let through by the [gate] (concurrency, throttle), made, and their answers
// applied by [application], which queues what follows. A [Driver] takes items off the queue and moves
// the clock.
//
// One lock, the [Engine]'s, guards all state; only its exported methods and the Driver take it. It is never held while an
// app is called, so that the app can send events and checkpoints meanwhile.
package engine

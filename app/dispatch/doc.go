// Package dispatch sends the events of pending notifications to Inngest. The API offers it new and requeued requests. It
// scans the store for the others: those of a process that died, those that could not be sent, and those whose run is
// lost.
//
// It works in the background, since sending takes seconds when the server is away. After a failed round it tries one
// event at a time, at growing intervals. Several processes may each run a dispatcher: compare-and-set gives a due
// notification to one of them, and sending an event twice is harmless, since its idempotency key is the same.
package dispatch

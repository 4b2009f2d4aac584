// Package dispatch sends the events of notifications that owe one: those just created or requeued, which are offered
// to it, and those that the store says are due, because a process died, the server was away, or a run was lost.
//
// It works off the requests' path, since sending takes seconds when the server is away. While it is, the dispatcher
// tries one event at a time, at growing intervals. Several processes may run one each: who takes a due notification is
// decided by compare-and-set, and sending an event twice is harmless, since its id is the same.
package dispatch

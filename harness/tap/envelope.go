package tap

import (
	"context"
	"regexp"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// envelopes are those with which messages were delivered, by the ids that the mail server gave to the messages. They are safe for
// concurrent use.
type envelopes struct {
	mu   sync.Mutex
	byID map[string]harness.Envelope
	// open holds, of each message whose end has been passed on, a channel that is closed once the mail server has answered.
	open map[chan struct{}]bool
}

// queued is how Mailpit, as Postfix, names in its answer the id of a message that it has accepted.
var queued = regexp.MustCompile(`queued as (\S+)`)

// begin says that the end of a message is about to be passed on. The caller calls answered once, with the mail server's answer or
// with none.
func (e *envelopes) begin() (answered func(r reply, of harness.Envelope)) {
	over := make(chan struct{})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open == nil {
		e.open, e.byID = map[chan struct{}]bool{}, map[string]harness.Envelope{}
	}
	e.open[over] = true
	return func(r reply, of harness.Envelope) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if id := queued.FindStringSubmatch(r.text()); r.positive() && id != nil {
			e.byID[id[1]] = of
		}
		delete(e.open, over)
		close(over)
	}
}

// get returns the envelope of a message, and the messages whose answer is still awaited.
func (e *envelopes) get(id string) (of harness.Envelope, ok bool, open []chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of, ok = e.byID[id]
	for over := range e.open {
		open = append(open, over)
	}
	return of, ok, open
}

// Envelope returns the envelope of a message by the id that the mail server gave to it in its answer, as Mailpit does. A message
// may be seen at the mail server before the answer has come: where it is not known, Envelope waits for the answers that were
// awaited at the moment of the call. ok is false where the message did not come through a tap, and when ctx ends.
func (s *Set) Envelope(ctx context.Context, id string) (of harness.Envelope, ok bool) {
	of, ok, open := s.envelopes.get(id)
	for _, over := range open {
		if ok {
			break
		}
		select {
		case <-over:
			of, ok, _ = s.envelopes.get(id)
		case <-ctx.Done():
			return harness.Envelope{}, false
		}
	}
	return of, ok
}

package inbox

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Wait returns the first message that matches, at once when it is there, and else within a millisecond of its delivery.
// It goes on waiting while MailHog is away and when it is restarted. When ctx ends first, the error is a *WaitError.
func (c *Client) Wait(ctx context.Context, f Filter) (*harness.Message, error) {
	start := time.Now()
	for m, err := range c.Watch(ctx, f) {
		if err == nil {
			return m, nil
		}
		if c.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, c.waitError(err, f, time.Since(start))
	}
	return nil, ErrClosed
}

// Watch yields the messages that match: first those that are there, then each new one as it is delivered, none left out
// and none twice, in the order in which MailHog received them (messages delivered at the same moment on different
// connections may swap). It ends, with an error as its last value, when ctx or the client does. A slow loop delays
// nothing else: what it has not read yet stays in the client's index.
//
//	for m, err := range box.Watch(ctx, inbox.Filter{}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
func (c *Client) Watch(ctx context.Context, f Filter) iter.Seq2[*harness.Message, error] {
	return func(yield func(*harness.Message, error) bool) {
		if !c.feed.start() {
			yield(nil, ErrClosed)
			return
		}
		var seq uint64
		for {
			found, added := c.index.after(f.key(), seq)
			for _, e := range found {
				seq = e.seq
				if m := c.decode(e); f.Matches(m, c.index.runHeader) && !yield(m, nil) {
					return
				}
			}
			select {
			case <-added:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			case <-c.ctx.Done():
				yield(nil, ErrClosed)
				return
			}
		}
	}
}

// WaitError says that no matching message came, and what there was instead.
type WaitError struct {
	// Filter is what was looked for, Waited for how long.
	Filter Filter
	Waited time.Duration
	// Count is how many messages are known.
	Count int
	// Nearest is the message that comes closest, the newest of several, and Misses says in what it differs; nil when
	// there is none.
	Nearest *harness.Message
	Misses  []string
	// Disconnected says why there was no connection to MailHog in the end; nil if there was one.
	Disconnected error
	// Err is why the wait ended: context.DeadlineExceeded, context.Canceled, or the context's cause.
	Err error
}

func (e *WaitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no email %sin %s", strings.TrimLeft(e.Filter.String()+" ", " "), e.Waited.Round(time.Millisecond))
	switch {
	case e.Count == 0:
		b.WriteString("; the inbox is empty")
	case e.Nearest != nil:
		fmt.Fprintf(&b, "; the inbox holds %s, the nearest to %s, subject %q, received %s: %s", text.Count(e.Count, "other", "others"),
			recipients(e.Nearest), e.Nearest.Subject, e.Nearest.Received.Local().Format("15:04:05.000"),
			strings.Join(e.Misses, "; "))
	}
	if e.Disconnected != nil {
		fmt.Fprintf(&b, "; %v", e.Disconnected)
	}
	if !errors.Is(e.Err, context.DeadlineExceeded) { // the time is said
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *WaitError) Unwrap() error { return e.Err }

func (c *Client) waitError(err error, f Filter, waited time.Duration) error {
	we := &WaitError{Filter: f, Waited: waited, Err: err, Disconnected: c.feed.disconnected()}
	we.Count, _, _ = c.index.size()
	we.Nearest, we.Misses = c.nearest(f)
	return we
}

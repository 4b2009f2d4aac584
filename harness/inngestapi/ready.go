package inngestapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	// readyEvent is the name of the events that Ready sends. No function has it as a trigger.
	readyEvent = "harness/ready"

	readyPause = 2 * time.Millisecond
	// readyLooks is how often the server is asked for an event before it is taken for lost.
	readyLooks = 25
)

// Ready returns when the server works: when it not only answers, but ingests what is sent to it. For some milliseconds
// after a start it accepts events, answers with an id, and loses them, because nothing in it is subscribed yet. So Ready sends
// events named "harness/ready" until the server shows one: the one sign in its API. It takes a quarter of a second, since
// the server polls its events four times a second. The server's log has a cheaper sign: after the line
// "subscribing to events" none is lost.
func (c *Client) Ready(ctx context.Context) error {
	for last := errors.New("it was not queried"); ; {
		err := c.ingestsEvents(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // once the time is over, every question fails for that alone
		}
		if err := pause(ctx, readyPause); err != nil {
			return fmt.Errorf("wait for the Inngest server to be ready: %w: %w", err, last)
		}
	}
}

// ingestsEvents sends an event and returns nil once the server shows it.
func (c *Client) ingestsEvents(ctx context.Context) error {
	if err := c.do(ctx, http.MethodGet, "/health", nil, nil); err != nil {
		return err
	}
	ids, err := c.Send(ctx, harness.Event{Name: readyEvent})
	if err != nil {
		return err
	}
	for range readyLooks {
		if _, err := c.Event(ctx, ids[0]); !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := pause(ctx, readyPause); err != nil {
			return err
		}
	}
	return errors.New("it accepts events and does not show them")
}

// pause returns after d, or with the reason when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

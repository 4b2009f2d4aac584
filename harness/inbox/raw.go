package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
)

const (
	// quietTime is how long nothing may have been delivered before MailHog is asked for a message by its id.
	quietTime = 20 * time.Millisecond
	// quietTimeout bounds the wait for such a time.
	quietTimeout = time.Second
)

// replaced is what JSON turns every byte into that is not UTF-8.
var replaced = []byte(string(utf8.RuneError))

// raw returns the message as it came. MailHog's JSON damages 8-bit text in charsets other than UTF-8; where it may have
// done so, the body is fetched in the one form that it leaves alone.
func (c *Client) raw(e *entry) (raw []byte, problem string) {
	raw = []byte(e.stored.Raw.Data)
	if c.source != nil || !bytes.Contains(raw, replaced) {
		return raw, ""
	}
	header, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if bytes.Contains(body, replaced) {
		original, err := c.originalBody(c.ctx, e.ID)
		if err != nil {
			return raw, fmt.Sprintf("bytes that are not UTF-8 were lost in MailHog's JSON: %v", err)
		}
		raw = bytes.Join([][]byte{header, original}, []byte("\r\n\r\n"))
	}
	if bytes.Contains(header, replaced) {
		problem = "the header holds bytes that are not UTF-8, which were lost in MailHog's JSON: encode them (RFC 2047)"
	}
	return raw, problem
}

// originalBody downloads a body while nothing is delivered. MailHog looks a message up in a map that deliveries write
// and nothing guards: when the two meet, Go's runtime ends it, which takes a tenth of a second of lookups in a burst.
func (c *Client) originalBody(ctx context.Context, id string) ([]byte, error) {
	c.lookup.Lock()
	defer c.lookup.Unlock()
	if err := c.awaitQuiet(ctx); err != nil {
		return nil, err
	}
	return c.api.body(ctx, id)
}

func (c *Client) awaitQuiet(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	before := ^uint64(0)
	return poll.Until(bounded, quietTime, func(context.Context) error {
		if err := c.refresh(ctx); err != nil {
			return err
		}
		_, _, now := c.index.size()
		if now != before {
			before = now
			return errors.New("deliveries did not pause, and MailHog can be asked for them only then")
		}
		return nil
	})
}

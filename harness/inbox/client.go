package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

var (
	// ErrNotFound says that the mailbox has no message with this id.
	ErrNotFound = errors.New("the mailbox has no such message")
	// ErrNoMailbox says that no mailbox is named.
	ErrNoMailbox = errors.New("no mailbox is named: set HARNESS_MAIL_URL to the URL of MailHog or Mailpit, or to an imaps:// address")
	// ErrReadOnly says that a mailbox of a mail server is never changed.
	ErrReadOnly = errors.New("this mailbox is read and never changed: emails are deleted from MailHog and Mailpit only")
	// ErrClosed says that the client has been closed.
	ErrClosed = errors.New("the inbox client is closed")
)

// Options configures a client. The zero value is ready to use.
type Options struct {
	// RunHeader is the header that holds the id of the Inngest run that sent an email. Empty means [harness.DefaultRunHeader].
	RunHeader string
	// Envelope returns the envelope with which a message was delivered to a Mailpit, by the id that Mailpit gave it; ok is false
	// where it is not known. It may wait for a delivery that is about to end. Mailpit itself keeps only the sender, and the
	// recipients in the headers, to which it adds those that none names. Nil: nothing more is known.
	Envelope func(ctx context.Context, id string) (e harness.Envelope, ok bool)
}

// Client reads one MailHog, Mailpit or IMAP mailbox. It is safe for concurrent use, and meant to be shared: its index makes the second
// question cheap. Close it when done.
type Client struct {
	api       api // of a mailbox that has an HTTP address
	transport *http.Transport
	envelope  func(ctx context.Context, id string) (harness.Envelope, bool)

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	index *index
	feed  *feed
	lags  bool

	detecting sync.Mutex
	source    source // nil before detect

	walking sync.Mutex // held while the inbox is read
	walker  walker

	mu   sync.Mutex
	next *round // the refresh that has not begun to read yet
}

// New returns a client of the MailHog or Mailpit whose page is at baseURL, as in "http://127.0.0.1:8025", or of the IMAP
// mailbox at imaps://USER:PASSWORD@HOST/MAILBOX. Credentials in the URL are used for HTTP basic authentication. New sends no
// request: if nothing is there, the first question fails. An IMAP mailbox is never changed, and only its
// messages since yesterday are read; it knows no envelope: its recipients are those that the last mail server has written into
// Delivered-To, X-Original-To or Envelope-To, else those in the headers.
func New(baseURL string, o Options) *Client {
	baseURL = strings.TrimRight(baseURL, "/")
	transport := &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
	c := &Client{
		api: api{
			name: unknownName, base: withoutUser(baseURL), url: baseURL,
			client: &http.Client{Timeout: requestTimeout, Transport: transport},
		},
		envelope:  o.Envelope,
		transport: transport,
		index:     newIndex(cmp.Or(o.RunHeader, harness.DefaultRunHeader)),
	}
	c.source = newIMAP(baseURL)
	c.lags = c.source != nil
	c.walker.index, c.feed = c.index, &feed{client: c}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// BaseURL is the mailbox's address, without credentials.
func (c *Client) BaseURL() string { return c.api.base }

// Lags reports whether an email may reach the mailbox some time after the app's mail server has accepted it, as with IMAP.
// MailHog and Mailpit are the mail server themselves.
func (c *Client) Lags() bool { return c.lags }

// Close ends the connection to the mailbox and every call under way, which return ErrClosed, and waits until they have ended.
// It returns an error if ctx ends first. It may be called more than once.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() { c.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("close the inbox client: %w", context.Cause(ctx))
	}
	c.detecting.Lock()
	defer c.detecting.Unlock()
	if c.source != nil {
		c.source.close()
	}
	c.transport.CloseIdleConnections()
	return nil
}

// ReadToEnd returns when the client knows every message that the mailbox had accepted at the moment of the call. After it,
// what Find does not find was not there: a test that expects no email relies on this instead of waiting.
//
// It costs one small request, of Mailpit two, when there is nothing new, whatever the size of the inbox.
func (c *Client) ReadToEnd(ctx context.Context) error { return c.refresh(ctx) }

// List returns all messages, in the order in which the mailbox received them.
func (c *Client) List(ctx context.Context) ([]*harness.Message, error) { return c.Find(ctx, Filter{}) }

// Find returns the messages that match a filter, in order; none is not an error. It sees all that the mailbox had accepted
// at the moment of the call. A filter with a recipient or a run looks only at the messages that have it.
func (c *Client) Find(ctx context.Context, f Filter) ([]*harness.Message, error) {
	if err := c.refresh(ctx); err != nil {
		return nil, err
	}
	var found []*harness.Message
	matching, _ := c.index.after(f.key(), 0)
	for _, e := range matching {
		if m := c.decode(e); f.Matches(m, c.index.runHeader) {
			found = append(found, m)
		}
	}
	return found, nil
}

// Get returns the message with this id, or ErrNotFound.
func (c *Client) Get(ctx context.Context, id string) (*harness.Message, error) {
	e := c.index.get(id)
	if e == nil {
		if err := c.refresh(ctx); err != nil {
			return nil, err
		}
		e = c.index.get(id)
	}
	if e == nil {
		return nil, fmt.Errorf("message %q: %w", id, ErrNotFound)
	}
	return c.decode(e), nil
}

// Count returns how many messages the mailbox has.
func (c *Client) Count(ctx context.Context) (int, error) {
	if err := c.refresh(ctx); err != nil {
		return 0, err
	}
	known, _, _ := c.index.size()
	return known, nil
}

// Delete removes one message from a MailHog or Mailpit, or returns ErrNotFound. For another mailbox it returns [ErrReadOnly].
func (c *Client) Delete(ctx context.Context, id string) error {
	source, err := c.detect(ctx)
	if err == nil && c.index.get(id) == nil {
		if err = c.refresh(ctx); err == nil && c.index.get(id) == nil {
			err = ErrNotFound
		}
	}
	if err == nil {
		err = source.remove(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("delete message %q: %w", id, err)
	}
	c.index.remove(func(e *entry) bool { return e.ID == id })
	return nil
}

// Clear removes all messages from a MailHog or Mailpit. Tests that share one must not call it. From Mailpit it removes what it had
// accepted at the moment of the call; of MailHog, which cannot be told which messages to remove, also what comes meanwhile. For
// another mailbox it returns [ErrReadOnly].
func (c *Client) Clear(ctx context.Context) error {
	source, err := c.detect(ctx)
	if err != nil {
		return fmt.Errorf("clear the inbox: %w", err)
	}
	_, _, before := c.index.size()
	err = source.clear(ctx, func() ([]string, error) {
		if err := c.refresh(ctx); err != nil {
			return nil, err
		}
		_, _, before = c.index.size()
		var ids []string
		all, _ := c.index.after("", 0)
		for _, e := range all {
			if e.seq <= before {
				ids = append(ids, e.ID)
			}
		}
		return ids, nil
	})
	if err != nil {
		return fmt.Errorf("clear the inbox: %w", err)
	}
	c.index.remove(func(e *entry) bool { return e.seq <= before })
	return c.refresh(ctx) // a message that came meanwhile may have been cleared or not
}

// refresh brings the index up to date: when it returns nil, every message that the mailbox had received before the call is in
// the index, and what was deleted before the call is not. Calls may overlap; those that come while one is under way
// share the next one.
func (c *Client) refresh(ctx context.Context) error {
	if c.BaseURL() == "" {
		return ErrNoMailbox
	}
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return ErrClosed
	}
	r := c.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		c.next = r
		c.running.Go(func() { c.run(r) })
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("read the inbox: %w", context.Cause(ctx))
	}
}

// round is one refresh, which several callers may wait for.
type round struct {
	done chan struct{}
	err  error
}

func (c *Client) run(r *round) {
	defer close(r.done)
	c.walking.Lock()
	defer c.walking.Unlock()
	c.mu.Lock()
	c.next = nil // a later caller may need something newer than this round will see
	c.mu.Unlock()
	if r.err = c.update(); r.err != nil && c.ctx.Err() != nil {
		r.err = ErrClosed
	}
}

func (c *Client) update() error {
	source, err := c.detect(c.ctx)
	if err != nil {
		return err
	}
	c.walker.source = source
	return c.walker.update(c.ctx)
}

// decode returns the decoded message, which is made once.
func (c *Client) decode(e *entry) *harness.Message {
	e.once.Do(func() {
		source, err := c.detect(c.ctx) // it has been detected: the message comes from it
		raw, problem := []byte(e.stored.Raw.Data), ""
		if err == nil {
			raw, problem = source.raw(c.ctx, e.stored)
		}
		m := Decode(raw)
		m.ID, m.Received = e.ID, e.Created
		m.Envelope = harness.Envelope{From: e.stored.Raw.From, To: e.stored.Raw.To, Helo: e.stored.Raw.Helo}
		if problem != "" {
			m.Problems = append(m.Problems, problem)
		}
		e.decoded = m
	})
	return e.decoded
}

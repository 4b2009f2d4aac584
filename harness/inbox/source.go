package inbox

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A source is a mailbox: a MailHog, a Mailpit, or one that is read by IMAP. Its methods are safe for concurrent use, but for page
// and load, which are not called concurrently.
type source interface {
	// name is what messages call it.
	name() string
	// page lists messages, the newest first, after skipping the start newest ones: limit of them at most. One without pages
	// lists all.
	page(ctx context.Context, start, limit int) (*page, error)
	// appends reports whether a new message always comes first in the list. Otherwise it may also come some places further down,
	// and removals must tell of what was removed.
	appends() bool
	// removals returns a number that grows with each removal of a message. It is 0 where pages alone tell.
	removals(ctx context.Context) (uint64, error)
	// load returns listed messages whole, without those that have been removed since.
	load(ctx context.Context, listed []stored) ([]stored, error)
	// raw returns a message byte for byte, and what of it may have been lost.
	raw(ctx context.Context, m stored) (raw []byte, problem string)
	// watch keeps the client's index up to date with what arrives, until ctx ends or the connection breaks. It calls
	// connected once the index is up to date.
	watch(ctx context.Context, c *Client, connected func()) error
	// remove removes a message. Where the mail catcher says that there is none, it returns ErrNotFound. clear removes all of them; known lists those that the client knows, after
	// it has looked. Both return ErrReadOnly where the mailbox is never changed.
	remove(ctx context.Context, id string) error
	clear(ctx context.Context, known func() ([]string, error)) error
	close()
}

// page is one page of a list, newest message first.
type page struct {
	Total int      `json:"total"`
	Start int      `json:"start"`
	Items []stored `json:"items"`

	size int // bytes of JSON
}

// stored is a message as a mailbox has it.
type stored struct {
	ID      string
	Created time.Time
	Raw     struct {
		From string
		To   []string
		Data string
		Helo string
	}
}

// detect returns the client's source. For an HTTP address it finds out, once, whether MailHog or Mailpit answers. MailHog does not
// know the path. Any other answer, such as 503, is an error, and the next call asks again.
func (c *Client) detect(ctx context.Context) (source, error) {
	c.detecting.Lock()
	defer c.detecting.Unlock()
	if c.source != nil {
		return c.source, nil
	}
	var info struct{ Version string }
	_, err := c.api.get(ctx, mailpitInfo, &info)
	a := c.api
	switch {
	case hasStatus(err, http.StatusNotFound) || err == nil && info.Version == "":
		a.name = harness.MailHog.Title()
		c.source = &mailHog{api: a, client: c}
	case err != nil:
		return nil, err
	default:
		a.name = harness.Mailpit.Title()
		c.source = &mailpit{api: a, envelope: c.envelope}
	}
	return c.source, nil
}

// newIMAP returns the source at a URL whose scheme is IMAP's; nil for another.
func newIMAP(address string) source {
	if u, err := url.Parse(address); err == nil && (u.Scheme == "imap" || u.Scheme == "imaps") {
		return &imapSource{url: u}
	}
	return nil
}

// headersOf returns the headers of a message, which may be large, without its body.
func headersOf(raw string) *harness.Message {
	headers, _ := parseHeaders(raw, func(string) bool { return false }, func(string, ...any) {})
	return &harness.Message{Headers: headers}
}

// returnPath returns the address that a mail server has written down as the sender; empty where there is none.
func returnPath(m *harness.Message) string { return withoutAngles(m.Header("Return-Path")) }

// addressesOf returns the recipients in the headers of a message.
func addressesOf(m *harness.Message) []string {
	ignore := func(string, ...any) {}
	var all []string
	for _, a := range slices.Concat(addresses(m.Headers, "To", ignore), addresses(m.Headers, "Cc", ignore), addresses(m.Headers, "Bcc", ignore)) {
		if !slices.Contains(all, a.Address) {
			all = append(all, a.Address)
		}
	}
	return all
}

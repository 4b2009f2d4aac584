package inbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// ErrReadOnly says that emails are deleted from a MailHog only.
var ErrReadOnly = errors.New("this mailbox is read and never changed: emails are deleted from a MailHog only")

// errGone says that a message was removed after it was listed.
var errGone = errors.New("the message has been removed")

// sinceYesterday is how far back a mailbox is read.
const sinceYesterday = 24 * time.Hour

// A source is a mailbox other than MailHog. It is polled, and never changed. Its methods are not called concurrently.
type source interface {
	// list returns the ids of the messages, the newest first.
	list(ctx context.Context) ([]string, error)
	// fetch returns a message of the list, or errGone.
	fetch(ctx context.Context, id string) (stored, error)
	// interval is how often the mailbox is looked at while something waits for an email.
	interval() time.Duration
	close()
}

// newSource returns the source at a URL, if its scheme names one.
func newSource(address string) source {
	if u, err := url.Parse(address); err == nil && (u.Scheme == "imap" || u.Scheme == "imaps") {
		return &imapSource{url: u}
	}
	return nil
}

// detect finds out, once, whether a Mailpit answers at an HTTP address. MailHog does not know the path. Any other answer, such as
// 503, is an error, and the next call asks again.
func (c *Client) detect(ctx context.Context) error {
	c.detecting.Lock()
	defer c.detecting.Unlock()
	if c.detected || c.source != nil {
		return nil
	}
	body, err := c.api.do(ctx, http.MethodGet, "/api/v1/info")
	if answer, ok := errors.AsType[*statusError](err); ok && answer.code == http.StatusNotFound {
		err = nil
	}
	if err != nil {
		return err
	}
	var info struct{ Version string }
	if json.Unmarshal(body, &info) == nil && info.Version != "" {
		c.source = newMailpit(c.api)
	}
	c.detected = true
	return nil
}

// pull brings the index up to date with a source.
func (c *Client) pull(ctx context.Context) error {
	known, _, before := c.index.size()
	ids, err := c.source.list(ctx)
	if err != nil {
		return err
	}
	found := &walked{total: len(ids), end: true}
	for _, id := range ids {
		m := stored{}
		if e := c.index.get(id); e != nil {
			m = e.stored
		} else if m, err = c.source.fetch(ctx, id); errors.Is(err, errGone) {
			continue
		} else if err != nil {
			return err
		}
		found.items = append(found.items, m)
	}
	c.index.merge(found, before, known)
	return nil
}

// poll keeps the index up to date with a source until the client is closed.
func (f *feed) poll() {
	for f.client.ctx.Err() == nil {
		f.setDisconnected(f.client.refresh(f.client.ctx))
		select {
		case <-time.After(f.client.source.interval()):
		case <-f.client.ctx.Done():
		}
	}
}

// newStored makes a message of its source and of what is known of its envelope. Where the recipients are not, they are those
// that the last mail server has written down, else those in the headers.
func newStored(id string, received time.Time, raw []byte, from string, to []string) stored {
	m := stored{ID: id, Created: received}
	m.Raw.Data, m.Raw.From, m.Raw.To = string(raw), from, to
	if len(to) > 0 {
		return m
	}
	decoded := Decode(raw)
	for _, name := range []string{"Delivered-To", "X-Original-To", "Envelope-To"} {
		if m.Raw.To = append(m.Raw.To, decoded.HeaderValues(name)...); len(m.Raw.To) > 0 {
			break
		}
	}
	if len(m.Raw.To) == 0 {
		m.Raw.To = addressesOf(decoded)
	}
	if path, err := mail.ParseAddress(decoded.Header("Return-Path")); err == nil {
		m.Raw.From = cmp.Or(m.Raw.From, path.Address)
	}
	return m
}

// addressesOf returns the recipients in the headers of a message.
func addressesOf(m *harness.Message) []string {
	var all []string
	lists := [][]*mail.Address{m.To, m.Cc}
	for _, value := range m.HeaderValues("Bcc") {
		bcc, _ := mail.ParseAddressList(value) // what cannot be read names nobody
		lists = append(lists, bcc)
	}
	for _, a := range slices.Concat(lists...) {
		if !slices.Contains(all, a.Address) {
			all = append(all, a.Address)
		}
	}
	return all
}

// mailpit reads the messages since yesterday of a Mailpit by its API. It asks for the source of a message, which does not mark it
// as read.
type mailpit struct {
	api     api
	created map[string]time.Time // when the messages of the last list arrived
}

func newMailpit(a api) mailpit { return mailpit{a, map[string]time.Time{}} }

// mailpitPage is how many messages are listed at once.
const mailpitPage = 500

func (m mailpit) list(ctx context.Context) ([]string, error) {
	var ids []string
	clear(m.created)
	since := time.Now().Add(-sinceYesterday)
	for start := 0; ; {
		body, err := m.api.do(ctx, http.MethodGet, fmt.Sprintf("/api/v1/messages?start=%d&limit=%d", start, mailpitPage))
		if err != nil {
			return nil, err
		}
		var page struct {
			Total    int
			Messages []struct {
				ID      string
				Created time.Time
			}
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("%s does not answer as Mailpit does: %w", m.api.base, err)
		}
		for _, one := range page.Messages { // the newest first
			if one.Created.Before(since) {
				return ids, nil
			}
			m.created[one.ID] = one.Created
			if !slices.Contains(ids, one.ID) { // a delivery between two pages shifts them
				ids = append(ids, one.ID)
			}
		}
		if start += len(page.Messages); len(page.Messages) == 0 || start >= page.Total {
			return ids, nil
		}
	}
}

func (m mailpit) fetch(ctx context.Context, id string) (stored, error) {
	raw, err := m.api.do(ctx, http.MethodGet, "/api/v1/message/"+url.PathEscape(id)+"/raw")
	if answer, ok := errors.AsType[*statusError](err); ok && answer.code == http.StatusNotFound {
		return stored{}, errGone
	}
	if err != nil {
		return stored{}, err
	}
	// Mailpit puts headers before the message, of which Received is the last, and recipients that no header names into Bcc.
	whole := Decode(raw)
	from, to := "", addressesOf(whole)
	if path, err := mail.ParseAddress(whole.Header("Return-Path")); err == nil {
		from = path.Address
	}
	return newStored(id, m.created[id], withoutMailpit(raw), from, to), nil
}

// withoutMailpit removes the headers that Mailpit has added.
func withoutMailpit(raw []byte) []byte {
	text := string(raw)
	header, _, _ := strings.Cut(text, "\r\n\r\n")
	at := strings.Index(header, " (Mailpit) with ")
	if at < 0 {
		return raw
	}
	for rest := text[at:]; ; {
		line, next, ok := strings.Cut(rest, "\r\n")
		if !ok {
			return raw
		}
		at += len(line) + 2
		if rest = next; !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\t") {
			return raw[at:]
		}
	}
}

func (mailpit) interval() time.Duration { return time.Second }
func (mailpit) close()                  {}

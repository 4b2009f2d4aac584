package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
)

const (
	// maxPage is the most messages that MailHog puts on one page.
	maxPage = 250
	// maxPageBytes is about how big a page may get: one holds each message several times over, attachments included.
	maxPageBytes = 16 << 20
	// requestTimeout bounds one request: a page of maxPageBytes from a busy machine.
	requestTimeout = 30 * time.Second
)

// api speaks MailHog's HTTP API, as far as this package needs it.
type api struct {
	base   string // without a trailing slash or credentials, for messages
	url    string // with the credentials, which package net/http sends as basic authentication
	client *http.Client
}

// page is one page of a list, newest message first.
type page struct {
	Total int      `json:"total"`
	Start int      `json:"start"`
	Items []stored `json:"items"`

	size int // bytes of JSON
}

// stored is a message as MailHog has it. What MailHog parsed is left out: it overwrites repeated headers and decodes
// nothing.
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

// messages reads one page: limit messages, after skipping the start newest ones.
func (a *api) messages(ctx context.Context, start, limit int) (*page, error) {
	query := url.Values{"start": {strconv.Itoa(start)}, "limit": {strconv.Itoa(limit)}}
	body, err := a.do(ctx, http.MethodGet, "/api/v2/messages?"+query.Encode())
	if err != nil {
		return nil, err
	}
	p := &page{size: len(body)}
	if err := json.Unmarshal(body, p); err != nil {
		return nil, fmt.Errorf("%s does not answer as MailHog does (is it MailHog's address?): %w", a.base, err)
	}
	return p, nil
}

// UnmarshalJSON undoes what MailHog and the tap before it did to the message: MailHog removes the line end before the final
// dot, which belongs to the message (RFC 5321, 4.1.1.4), and the tap encodes paths that MailHog cannot read.
func (s *stored) UnmarshalJSON(data []byte) error {
	type plain stored // without methods
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	if s.Raw.Data != "" {
		s.Raw.Data += "\r\n"
	}
	s.Raw.From = address.Decode(s.Raw.From)
	for i, to := range s.Raw.To {
		s.Raw.To[i] = address.Decode(to)
	}
	return nil
}

// body returns a message's body byte for byte, which a list cannot: JSON has no way to say what is not UTF-8.
func (a *api) body(ctx context.Context, id string) ([]byte, error) {
	message, err := a.do(ctx, http.MethodGet, "/api/v1/messages/"+url.PathEscape(id)+"/download")
	if err != nil {
		return nil, err
	}
	_, body, found := bytes.Cut(message, []byte("\r\n\r\n"))
	if !found {
		return nil, errors.New("MailHog's download has no body")
	}
	return append(body, "\r\n"...), nil
}

// delete removes one message, or all of them when id is empty.
func (a *api) delete(ctx context.Context, id string) error {
	path := "/api/v1/messages"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	_, err := a.do(ctx, http.MethodDelete, path)
	return err
}

// statusError is an answer other than 200.
type statusError struct {
	status string
	code   int
}

func (e *statusError) Error() string { return "it answered " + e.status }

// errTorn says that MailHog broke off an answer. Its lists are not locked: one that shrinks while it is read ends the
// request in the middle.
var errTorn = errors.New("MailHog broke off its answer")

func (a *api) do(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("MailHog's address %q: %w", a.base, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: %w", errTorn, err)
		}
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // "Get http://…:" in front says nothing that the sentence does not
		}
		return nil, fmt.Errorf("MailHog at %s cannot be reached (is it running?): %w", a.base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask MailHog at %s: %w", a.base, &statusError{resp.Status, resp.StatusCode})
	}
	return body, nil
}

// withoutUser returns a URL without its credentials.
func withoutUser(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.User == nil {
		return base
	}
	u.User = nil
	return u.String()
}

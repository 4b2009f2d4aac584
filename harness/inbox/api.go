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
	"time"

	"github.com/coder/websocket"
)

// requestTimeout bounds one request: a page of maxPageBytes from a busy machine.
const requestTimeout = 30 * time.Second

// unknownName is what messages call a mailbox before it has answered.
const unknownName = "the mail catcher"

// api speaks the HTTP API of a mail catcher.
type api struct {
	name   string // MailHog or Mailpit; unknownName before it has answered
	base   string // without a trailing slash or credentials, for messages
	url    string // with the credentials, which package net/http sends as basic authentication
	client *http.Client
}

// statusError is an answer other than 200.
type statusError struct {
	status string
	code   int
}

func (e *statusError) Error() string { return "it answered " + e.status }

// hasStatus reports whether an error is an answer with this status.
func hasStatus(err error, code int) bool {
	answer, ok := errors.AsType[*statusError](err)
	return ok && answer.code == code
}

// errTorn says that a list does not fit together, or that its answer was broken off. MailHog's lists are not locked: one
// that shrinks while it is read ends the request in the middle.
var errTorn = errors.New("it broke off its answer")

// do sends a request, with v as JSON unless it is nil, and returns the body of the answer.
func (a *api) do(ctx context.Context, method, path string, v any) ([]byte, error) {
	var content io.Reader
	if v != nil {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return nil, fmt.Errorf("the address %q of %s: %w", a.base, a.name, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%s: %w: %w", a.name, errTorn, err)
		}
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // "Get http://…:" in front says nothing that the sentence does not
		}
		return nil, fmt.Errorf("%s at %s cannot be reached (is it running?): %w", a.name, a.base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", a.name, errTorn, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s at %s: %w", a.name, a.base, &statusError{resp.Status, resp.StatusCode})
	}
	return body, nil
}

// get reads JSON into v.
func (a *api) get(ctx context.Context, path string, v any) (size int, err error) {
	body, err := a.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return 0, fmt.Errorf("%s does not answer as %s does (is it the address of %s?): %w", a.base, a.name, a.name, err)
	}
	return len(body), nil
}

// connectTimeout bounds the handshake of a connection, and the wait until it is among the receivers.
const connectTimeout = 10 * time.Second

// dial opens a websocket.
func (a *api) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	// The client's own timeout would end the connection, not only the handshake.
	client := *a.client
	client.Timeout = 0
	conn, _, err := websocket.Dial(ctx, a.url+path, &websocket.DialOptions{HTTPClient: &client})
	if err != nil {
		return nil, fmt.Errorf("%s's websocket at %s cannot be reached (is %s running?): %w", a.name, a.base, a.name, err)
	}
	conn.SetReadLimit(-1) // messages may be of any length
	return conn, nil
}

// registered returns when a connection is among the receivers of what is pushed. MailHog and Mailpit answer the handshake before
// they add it to them, but read from it only afterwards: so the answer to a ping proves it.
func (a *api) registered(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("%s's websocket at %s does not answer: %w", a.name, a.base, err)
	}
	return nil
}

func (a *api) broke(err error) error {
	return fmt.Errorf("the connection to %s's websocket at %s broke: %w", a.name, a.base, err)
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

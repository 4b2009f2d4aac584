package inngestapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// The variables in which people keep the keys of a server in production mode, as SDKs read them.
const (
	EnvEventKey   = "INNGEST_EVENT_KEY"
	EnvSigningKey = "INNGEST_SIGNING_KEY"
)

// Options configures a [Client]. The zero value is ready to use.
type Options struct {
	// EventKey is sent along with events. Empty: "test", which a dev server takes like any other.
	EventKey string
	// SigningKey authorises reading from a server in production mode. A dev server needs none.
	SigningKey string
	// HTTPClient is used for all requests. Nil: one of the client's own, with a timeout of 10 s.
	HTTPClient *http.Client
}

// Client asks one server. It is safe for concurrent use. It has many methods because it has one for each question, and
// servers with and without GraphQL are asked in different ways.
type Client struct {
	base       string
	eventKey   string
	signingKey string
	http       *http.Client
	events     string        // base URL for events
	silent     atomic.Bool   // the server tells no decisions
	noGraphQL  atomic.Bool   // the server has none
	asking     chan struct{} // holds a token for each question under way
}

// maxAsking is how many questions are under way at a time. Each takes as much of the server as a step of a run: asked by
// hundreds of verdicts at once, it would hardly come to its runs.
const maxAsking = 4

// ErrNotFound says that the server knows nothing under that id.
var ErrNotFound = errors.New("the Inngest server knows no such thing")

// Inngest Cloud takes events at another address than questions.
const (
	cloudURL       = "https://api.inngest.com"
	cloudEventsURL = "https://inn.gs"
)

// requestTimeout bounds one request of a client of one's own.
const requestTimeout = 10 * time.Second

// New returns a client of the server at a base URL. It connects to nothing yet.
func New(baseURL string, o Options) *Client {
	c := &Client{
		base:       strings.TrimRight(baseURL, "/"),
		eventKey:   cmp.Or(o.EventKey, "test"),
		signingKey: o.SigningKey,
		http:       o.HTTPClient,
		asking:     make(chan struct{}, maxAsking),
	}
	if c.events = c.base; c.base == cloudURL {
		c.events = cloudEventsURL
	}
	if c.http == nil {
		c.http = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}}
	}
	return c
}

// BaseURL is the server's.
func (c *Client) BaseURL() string { return c.base }

// Close closes idle connections. It needs no time and returns nil; the client can still be used.
func (c *Client) Close(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// statusError is an answer that is not 2xx.
type statusError struct {
	code    int
	status  string
	sdk     bool // it is an SDK's
	handled bool // it says only that it is an SDK's, as it does where the SDK cannot work
	body    []byte
}

// is reports whether e is an answer with this status code; nil is none.
func (e *statusError) is(code int) bool { return e != nil && e.code == code }

func (e *statusError) Error() string {
	if text := e.text(); text != "" {
		return fmt.Sprintf("it answered %s: %s", e.status, text)
	}
	return "it answered " + e.status
}

// text is what the answer says, however it says it.
func (e *statusError) text() string {
	var said struct {
		Error   string `json:"error"`
		Message string `json:"message"`
		Errors  []struct{ Message string }
	}
	if json.Unmarshal(e.body, &said) == nil {
		if len(said.Errors) > 0 {
			return said.Errors[0].Message
		}
		if text := cmp.Or(said.Error, said.Message); text != "" {
			return text
		}
	}
	const enough = 300
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(e.body[:min(len(e.body), enough)]), "")), " ")
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// do sends a request to the server and decodes the JSON of its answer into into, if that is not nil.
func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	var r io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		r = bytes.NewReader(data)
	}
	base, sending := c.base, strings.HasPrefix(path, "/e/")
	if sending {
		base = c.events
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, r)
	if err != nil {
		return fmt.Errorf("the Inngest server's address %q: %w", c.base, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.signingKey != "" && !sending {
		req.Header.Set("Authorization", "Bearer "+c.signingKey)
	}
	if method == http.MethodGet || path == graphQLPath {
		select {
		case c.asking <- struct{}{}:
			defer func() { <-c.asking }()
		case <-ctx.Done():
			return c.late(ctx)
		}
	}
	_, answer, err := roundTrip(c.http, req)
	if err != nil {
		if answer, answered := errors.AsType[*statusError](err); answered {
			if answer.is(http.StatusUnauthorized) && !sending {
				return fmt.Errorf("%s: the Inngest server at %s: %w", unauthorized(c.signingKey), c.base, err)
			}
			return fmt.Errorf("the Inngest server at %s: %w", c.base, err)
		}
		if ctx.Err() != nil {
			return c.late(ctx)
		}
		return fmt.Errorf("the Inngest server at %s cannot be reached (is it running?): %w", c.base, reason(err))
	}
	if into == nil {
		return nil
	}
	return c.decode(answer, into)
}

// late is the error of a question whose time is up.
func (c *Client) late(ctx context.Context) error {
	return fmt.Errorf("the Inngest server at %s has not answered in time: %w", c.base, context.Cause(ctx))
}

// unauthorized says why the server refuses to tell, and what to do.
func unauthorized(key string) string {
	if key == "" {
		return "it needs the signing key: set " + EnvSigningKey
	}
	return "the server does not take the signing key in " + EnvSigningKey
}

func (c *Client) decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s does not answer as an Inngest server of version 1.43 does (is it one?): %w", c.base, err)
	}
	return nil
}

// find is do, except that the answer 404 is ErrNotFound.
func (c *Client) find(ctx context.Context, method, path string, into any) error {
	err := c.do(ctx, method, path, nil, into)
	if answer, _ := errors.AsType[*statusError](err); answer.is(http.StatusNotFound) {
		return ErrNotFound
	}
	return err
}

// roundTrip returns a 2xx answer; any other is a *statusError.
func roundTrip(client *http.Client, req *http.Request) (http.Header, []byte, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, nil, &statusError{res.StatusCode, res.Status, res.Header.Get(sdk.HeaderSDK) != "", res.Header.Get(sdk.HeaderHandled) != "", body}
	}
	return res.Header, body, nil
}

// reason takes the wrapping off an error of net/http that repeats the URL, which may hold a key.
func reason(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return syscall.ECONNREFUSED
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

const graphQLPath = "/v0/gql"

// query asks GraphQL and decodes the data into into. An error that says "not found" becomes ErrNotFound. Where there is no
// GraphQL the error is errNoGraphQL.
func (c *Client) query(ctx context.Context, query string, variables map[string]any, into any) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if c.noGraphQL.Load() {
		return errNoGraphQL
	}
	if err := c.do(ctx, http.MethodPost, graphQLPath, map[string]any{"query": query, "variables": variables}, &answer); noGraphQL(err) {
		c.noGraphQL.Store(true)
		return errNoGraphQL
	} else if err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		text := answer.Errors[0].Message
		if strings.Contains(text, "not found") || strings.Contains(text, "no rows") || strings.Contains(text, "no root span found") {
			return fmt.Errorf("%w: %s", ErrNotFound, text)
		}
		return fmt.Errorf("the Inngest server refused a query: %s", text)
	}
	return c.decode(answer.Data, into)
}

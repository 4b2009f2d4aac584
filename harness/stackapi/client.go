package stackapi

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

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/nosocket"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// Client asks the API of a stack. It is safe for concurrent use. An answer that is an error is an [Error].
type Client struct {
	base, token string
	http        *http.Client
}

// NewClient returns a client of the API that a state file names.
func NewClient(api statefile.API) *Client {
	return &Client{base: api.URL, token: api.Token, http: &http.Client{Transport: &http.Transport{}}}
}

// InProcess returns a client of a server in this process.
func InProcess(s *Server) *Client {
	return &Client{base: "http://127.0.0.1" + Prefix, http: &http.Client{Transport: nosocket.Transport{Handler: s}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// do sends a request and decodes the JSON of the answer. A body of raw JSON is sent as it is.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	data, err := c.fetch(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the answer of the stack's API to %s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) fetch(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	var sent io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(data)
	}
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var refused *url.Error
		errors.As(err, &refused) // all errors of a client are
		return nil, fmt.Errorf("the stack's API at %s does not answer: %w", c.base, refused.Err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("the stack's API at %s: %w", c.base, err)
	}
	if res.StatusCode/100 != 2 {
		said := &Error{Status: res.StatusCode}
		if json.Unmarshal(data, &said.Failure) != nil || said.Failure.Error == "" {
			said.Failure = Failure{fmt.Sprintf("the stack's API at %s answered %s", c.base, res.Status), "failed"}
		}
		return nil, said
	}
	return data, nil
}

// Send sends events and returns their ids.
func (c *Client) Send(ctx context.Context, events ...harness.Event) (sent []SentEvent, err error) {
	return sent, c.do(ctx, http.MethodPost, "/events", nil, events, &sent)
}

// Events returns the latest events. all includes those of the server.
func (c *Client) Events(ctx context.Context, limit int, all bool) (events []Event, err error) {
	return events, c.do(ctx, http.MethodGet, "/events", url.Values{"limit": {strconv.Itoa(limit)}, "all": {strconv.FormatBool(all)}}, nil, &events)
}

// Event returns one event, with the steps of its runs.
func (c *Client) Event(ctx context.Context, id string) (e Event, err error) {
	return e, c.do(ctx, http.MethodGet, "/events/"+url.PathEscape(id), nil, nil, &e)
}

// Invoke starts a function.
func (c *Client) Invoke(ctx context.Context, i Invocation) (e SentEvent, err error) {
	return e, c.do(ctx, http.MethodPost, "/invoke", nil, i, &e)
}

// Stack returns where everything is, once an app that is being started anew is up, after wait at the latest.
func (c *Client) Stack(ctx context.Context, wait time.Duration) (s Stack, err error) {
	return s, c.do(ctx, http.MethodGet, "/stack", url.Values{"wait": {wait.String()}}, nil, &s)
}

// Judge asks for a verdict.
func (c *Client) Judge(ctx context.Context, q Question) (a Answer, err error) {
	return a, c.do(ctx, http.MethodPost, "/judge", nil, q, &a)
}

// mailValues returns a filter as parameters.
func mailValues(f inbox.Filter) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"to": f.To, "from": f.From, "subject": f.Subject, "run": f.RunID} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range f.Header {
		q.Add("header", name+":"+value)
	}
	return q
}

// Mail returns emails, the oldest first. wait, such as 10s, is how long to wait for the first; empty: not at all.
func (c *Client) Mail(ctx context.Context, f inbox.Filter, wait string) (all []*harness.Message, err error) {
	q := mailValues(f)
	if wait != "" {
		q.Set("wait", wait)
	}
	return all, c.do(ctx, http.MethodGet, "/mail", q, nil, &all)
}

// OneMail returns one email.
func (c *Client) OneMail(ctx context.Context, id string) (m *harness.Message, err error) {
	return m, c.do(ctx, http.MethodGet, "/mail/"+url.PathEscape(id), nil, nil, &m)
}

// Source returns the source of an email.
func (c *Client) Source(ctx context.Context, id string) ([]byte, error) {
	return c.fetch(ctx, http.MethodGet, "/mail/"+url.PathEscape(id)+"/raw", nil, nil)
}

// ClearMail removes emails and returns how many.
func (c *Client) ClearMail(ctx context.Context, f inbox.Filter) (removed int, err error) {
	var answer Removed
	err = c.do(ctx, http.MethodDelete, "/mail", mailValues(f), nil, &answer)
	return answer.Removed, err
}

// Skip puts the clock of sim forward.
func (c *Client) Skip(ctx context.Context, s Skip) (answer Skipped, err error) {
	return answer, c.do(ctx, http.MethodPost, "/skip", nil, s, &answer)
}

// Replace puts interventions in place.
func (c *Client) Replace(ctx context.Context, i sim.Interventions) (answer Replaced, err error) {
	return answer, c.do(ctx, http.MethodPost, "/replace", nil, i, &answer)
}

// InjectFaults injects faults into the wires.
func (c *Client) InjectFaults(ctx context.Context, faults ...tap.Fault) ([]Fault, error) {
	all := make([]Fault, len(faults))
	for i, f := range faults {
		if err := c.do(ctx, http.MethodPost, "/faults", nil, f, &all[i]); err != nil {
			return all[:i], err
		}
	}
	return all, nil
}

// Faults returns the faults that were injected.
func (c *Client) Faults(ctx context.Context) (all []Fault, err error) {
	return all, c.do(ctx, http.MethodGet, "/faults", nil, nil, &all)
}

// DropFaults disarms faults, and closes what they hold.
func (c *Client) DropFaults(ctx context.Context, ids ...string) ([]Fault, error) {
	all := make([]Fault, len(ids))
	for i, id := range ids {
		if err := c.do(ctx, http.MethodDelete, "/faults/"+url.PathEscape(id), nil, nil, &all[i]); err != nil {
			return all[:i], err
		}
	}
	return all, nil
}

// EndTest records how a test ended.
func (c *Client) EndTest(ctx context.Context, t TestEnd) error {
	return c.do(ctx, http.MethodPost, "/tests", nil, t, &Done{})
}

// IsNotFound reports whether an error says that there is no such thing.
func IsNotFound(err error) bool {
	said, ok := errors.AsType[*Error](err)
	return ok && said.Code == "not-found"
}

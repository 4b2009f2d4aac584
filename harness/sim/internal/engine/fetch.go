package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A step may ask the server to make an HTTP request: any, or one for AI inference. The server makes it as a part of the call that
// the step came in, and so tries it again by calling the app again.

// fetching is one HTTP request of a step.
type fetching struct {
	on    *application // of the answer that asks for it
	op    *sdk.Op
	req   *http.Request
	began time.Time
}

// fetch makes the HTTP request that an opcode asks for, or has a stub answer it.
func (on *application) fetch(o *sdk.Op) error {
	req, err := requestOf(o)
	if err != nil {
		return err
	}
	function := on.r.function
	step := on.r.step(o, o.Op, on.now)
	on.r.HasAI = on.r.HasAI || o.Op == sdk.OpAIGateway
	f := &fetching{on: on, op: o, req: req, began: on.now}
	if rep := on.interventions.next(function, step.ID); rep != nil {
		step.Replaced = true
		return f.done(rep.encoded, rep.failure())
	}
	if a := on.interventions.stubbed(function, step.ID, req.URL); a != nil {
		return f.answered(a)
	}
	if !on.options.Network && !isLoopback(req.URL) {
		on.fail(on.r, newError("NoStub", fmt.Sprintf("step %s asks the server for %s %s, and nothing answers that in this test: give "+
			"it an answer (harness replace; in Go, Sim.Stub), or let sim call other machines (in Go, sim.Options.Network)", step.ID, req.Method, req.URL.Redacted())))
		return nil
	}
	on.queue.push(&item{at: on.now, kind: kindFetch, run: on.r, name: step.ID, subject: f, held: on.it.held})
	on.it.held = nil // the request is a part of the call, and keeps its places
	return nil
}

// requestOf returns the HTTP request that an opcode asks for.
func requestOf(o *sdk.Op) (*http.Request, error) {
	var opts struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
		AuthKey string            `json:"auth_key"`
		Format  string            `json:"format"`
	}
	if err := o.Options(&opts); err != nil {
		return nil, err
	}
	u, err := url.Parse(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("step %s: error creating gateway request: %w", o.StepID(), err)
	}
	header := http.Header{}
	method, body := http.MethodPost, []byte(opts.Body)
	if o.Op == sdk.OpAIGateway {
		header.Set("Content-Type", "application/json")
		switch opts.Format {
		case "gemini":
			q := u.Query()
			q.Add("key", opts.AuthKey)
			u.RawQuery = q.Encode()
		case "bedrock":
			header.Set("Authorization", opts.AuthKey)
		case "anthropic":
			header.Set("X-Api-Key", opts.AuthKey)
		default:
			header.Set("Authorization", "Bearer "+opts.AuthKey)
		}
	} else {
		method = cmp.Or(opts.Method, method)
		var text string
		if err := json.Unmarshal(opts.Body, &text); err != nil && len(opts.Body) > 0 {
			return nil, fmt.Errorf("step %s: error parsing gateway step: %w", o.StepID(), err)
		}
		if body = []byte(text); text != "" && !json.Valid(body) {
			body = opts.Body // the server sends what is no JSON as a string of it
		}
	}
	for k, v := range opts.Headers {
		header.Add(k, v)
	}
	header.Add("User-Agent", "Inngest")
	req, err := http.NewRequest(method, u.String(), strings.NewReader(string(body)))
	if err != nil {
		return nil, fmt.Errorf("step %s: error creating gateway request: %w", o.StepID(), err)
	}
	req.Header = header
	return req, nil
}

// stayHere follows redirects, as the server does, on this machine alone unless the network is allowed.
func stayHere(network bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		switch {
		case !network && !isLoopback(req.URL):
			return fmt.Errorf("it is redirected to %s, and sim may not call other machines (in Go, sim.Options.Network)", req.URL.Redacted())
		case len(via) >= 10:
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
}

// isLoopback reports whether an address is on this machine.
func isLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip.IsLoopback() || ip.IsUnspecified()
}

// request hands the driver the HTTP request of a step.
func (m *machine) request(it *item) *call {
	job := fmt.Sprint(it.run.ID, "-fetch-", it.seq)
	f := it.subject.(*fetching)
	f.began = m.clock.Now()
	m.inflight[job] = it
	return &call{item: it, job: job, req: f.req}
}

// make makes the call.
func (c *call) make(ctx context.Context, by *caller) *answer {
	if c.item.kind == kindFetch {
		return by.fetch(ctx, c.req)
	}
	return by.do(ctx, c.req, c.handler, c.read)
}

// fetch makes the HTTP request of a step.
func (c *caller) fetch(ctx context.Context, req *http.Request) *answer {
	if c.timeout >= 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	again := req.Clone(ctx) // it may be made again
	if req.GetBody != nil {
		again.Body, _ = req.GetBody() // of a text: it cannot fail
	}
	resp, err := c.fetcher.Do(again)
	if err != nil {
		if strings.Contains(err.Error(), "connection refused") || errors.Is(err, io.EOF) {
			//lint:ignore ST1005 it is the server's own wording
			return &answer{err: errors.New(unreachable)}
		}
		return &answer{err: fmt.Errorf("error performing request: %w", err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		//lint:ignore ST1005 it is the server's own wording
		err = errors.New("Your server reset the connection while we were reading the reply: Unexpected ending response")
	case len(body) > maxResponse:
		err = errors.New("http response size is greater than the limit")
	}
	return &answer{Answer: sdk.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, err: err}
}

// fetched acts on how the HTTP request of a step went.
func (m *machine) fetched(it *item, a *answer) {
	f := it.subject.(*fetching)
	on := f.on
	on.now = m.clock.Now()
	if on.r.Status.Final() {
		return
	}
	defer m.checkStuck(on.r)
	if err := f.answered(a); err != nil {
		on.stepRefused(err)
	}
}

// answered acts on the answer to a request.
func (f *fetching) answered(a *answer) error {
	if f.op.Op == sdk.OpAIGateway {
		return f.inferred(a)
	}
	if a.err != nil {
		return f.done(nil, newError("GatewayError", fmt.Sprintf("Error making gateway request: %s", a.err)))
	}
	headers := map[string]string{}
	for k, v := range a.Header {
		headers[k] = strings.Join(v, ",")
	}
	result, err := json.Marshal(map[string]any{
		"url": f.req.URL.String(), "headers": headers, "body": string(a.Body), "status_code": a.Status,
	})
	if err != nil {
		return fmt.Errorf("error wrapping gateway result in map: %w", err)
	}
	return f.done(result, nil)
}

// inferred acts on the answer to an AI request, of which the server takes no status over 299.
func (f *fetching) inferred(a *answer) error {
	f.noteInference(a)
	if a.err == nil && a.Status <= 299 {
		if !json.Valid(a.Body) {
			return errors.New("error wrapping ai result in map: the answer is not JSON")
		}
		return f.done(a.Body, nil)
	}
	body := a.Body
	if len(body) == 0 {
		body = []byte(`{"error":"Error making AI request"}`)
	}
	why := a.err
	if why == nil {
		why = fmt.Errorf("unsuccessful status code: %d", a.Status)
	}
	failed := newError("AIGatewayError", fmt.Sprintf("Error making AI request: %s", why))
	failed.Stack = string(body)
	if json.Valid(body) {
		failed.Data = body
	}
	return f.done(nil, failed)
}

// done memoises the result of a request, or tries again what failed.
func (f *fetching) done(result json.RawMessage, failed *Error) error {
	on, o := f.on, f.op
	step := on.r.step(o, o.Op, f.began)
	tried := Attempt{Number: on.it.failures + 1, At: f.began, Ended: on.now, Error: failed}
	if failed != nil && on.it.canRetry() && !failed.NoRetry {
		tried.RetryAt = on.retry()
		step.Attempts = append(step.Attempts, tried)
		return nil
	}
	if !on.r.saved(o.ID) {
		step.Attempts = append(step.Attempts, tried)
	}
	raw, status := slices.Concat(json.RawMessage(`{"data":`), orNull(result), json.RawMessage(`}`)), StepCompleted
	if failed != nil {
		raw, status = Wrap("error", failed.Failure), StepFailed
	} else {
		step.Output = result
	}
	on.r.endStep(o.ID, status, failed, on.now)
	othersPending := on.r.save(o.ID, raw)
	job := o.ID
	if on.coalesce != "" && !race(o) {
		job = on.coalesce + "-discover"
	}
	on.discover(on.r, o.ID, job, othersPending && !race(o))
	return nil
}

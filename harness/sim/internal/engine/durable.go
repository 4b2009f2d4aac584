package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// endpoint is what a run of a durable endpoint has more than other runs. The app runs it while it answers an HTTP request,
// and reports its steps; once something is left to wait for or to retry, the server makes the same request again.
type endpoint struct {
	sdk.EndpointCall
	repeats bool            // the server also repeats the body, its type and the query
	told    json.RawMessage // the result, as the server's events have it; nil: the app's last answer
}

// StartHTTPRun records a run that began with an HTTP request to a durable endpoint, and the steps that it took so far. A run
// that is known is not recorded again. A step that cannot be recorded is in the log: the app is not told.
func (e *Engine) StartHTTPRun(n sdk.NewRun) (sdk.NewRunAnswer, error) {
	id, err := ulid.Parse(n.RunID)
	if err != nil {
		return sdk.NewRunAnswer{}, fmt.Errorf("run id %q: %w", n.RunID, err)
	}
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	f, err := e.m.endpointFunction(&n)
	if err != nil {
		return sdk.NewRunAnswer{}, err
	}
	e.m.startHTTPRun(f, id, &n)
	return sdk.NewRunAnswer{FunctionID: f.UUID, AppID: appUUID(f.App), RunID: n.RunID}, nil
}

// CheckpointHTTP records further steps of a run that began with an HTTP request.
func (e *Engine) CheckpointHTTP(c sdk.Checkpoint) {
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.m.runs.find(c.RunID); r != nil && r.endpoint != nil {
		e.m.checkpointHTTP(r, c.Steps)
	}
}

// AwaitEnd waits until a run is over, and returns it. ok is false if no such run is kept, or ctx ended first.
func (e *Engine) AwaitEnd(ctx context.Context, runID string) (r Run, ok bool) {
	e.mu.Lock()
	found := e.m.runs.find(runID)
	if found == nil {
		e.mu.Unlock()
		return Run{}, false
	}
	if found.over == nil {
		found.over = make(chan struct{})
		if found.Status.Final() {
			close(found.over)
		}
	}
	over := found.over
	e.mu.Unlock()
	select {
	case <-over:
		return e.Run(runID)
	case <-ctx.Done():
		return Run{}, false
	}
}

func appUUID(app string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(app)).String() }

// endpointFunction returns the function of an endpoint. The first request to it registers it, with the app at its domain.
func (m *machine) endpointFunction(n *sdk.NewRun) (*function, error) {
	d := &n.Event.Data
	u, err := url.Parse(d.Domain)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the domain %q of the endpoint is not an HTTP address", d.Domain)
	}
	again := url.URL{Scheme: u.Scheme, Host: u.Host, Path: d.Path, RawQuery: d.Query}
	if _, err := http.NewRequest(d.Method, again.String(), nil); err != nil {
		return nil, fmt.Errorf("the request cannot be repeated: %w", err)
	}
	slug := cmp.Or(d.Function, d.Method+" "+d.Path)
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(d.Domain+"\x00"+slug)).String()
	a := m.registry.apps[d.Domain]
	if a == nil {
		a = &app{id: d.Domain, url: d.Domain, endpoints: true}
		m.registry.apps[a.id] = a
	}
	f := m.registry.endpoints[id]
	if f == nil {
		f = &function{
			Function: Function{ID: slug, Name: slug, UUID: id, App: a.id, URL: d.Domain, Triggers: []Trigger{}}, app: a, url: u,
		}
		a.functions = append(a.functions, f)
		m.registry.endpoints[id] = f
	}
	f.Retries, f.Attempts = n.Retries, min(n.Retries, maxRetries)+1
	if n.Retries < 0 {
		f.Attempts = defaultRetries + 1
	}
	return f, nil
}

func (m *machine) startHTTPRun(f *function, id ulid.ULID, n *sdk.NewRun) {
	var fields struct{ Data map[string]any }
	raw, _ := json.Marshal(n.Event) // made of strings
	_ = json.Unmarshal(raw, &fields)
	body := EventBody{Name: n.Event.Name, Data: fields.Data, User: n.Event.User, Version: n.Event.V, TS: n.Event.TS}
	if n.Event.ID != nil {
		body.IdempotencyKey = *n.Event.ID
	}
	e := m.newEvent(&body, ulid.ULID{})
	m.publish(e)
	r := m.runs.byID[id]
	if r == nil {
		now := m.clock.Now()
		r = newRun(id, f, e, now)
		r.endpoint = &endpoint{EndpointCall: n.Event.Data, repeats: n.Event.Name == sdk.EventHTTPRequest}
		r.Status, r.Started = harness.StatusRunning, now
		if n.Version != nil {
			r.version = *n.Version
		}
		m.runs.add(r)
	}
	m.checkpointHTTP(r, n.Steps)
}

// checkpointHTTP records steps that an app took, or asks for, while it answers the request. Each stands for itself: those
// that are planned together are not followed by one call.
func (m *machine) checkpointHTTP(r *run, ops []sdk.Op) {
	if r.Status.Final() || r.endpoint == nil || len(ops) == 0 {
		return
	}
	now := m.clock.Now()
	on := &application{machine: m, it: &item{kind: kindCall, run: r, began: now}, a: &answer{ops: ops}, r: r, now: now}
	defer func() { r.planFirst = r.planFirst || len(ops) > 1 }()
	for _, first := range []bool{true, false} { // waits first, as in an answer
		for i := range ops {
			if o := &ops[i]; (o.Op == sdk.OpWaitForEvent) == first && !r.Status.Final() {
				if err := on.endpointStep(o); err != nil {
					m.options.Logger.Warn("checkpoint not recorded", "run", r.ID, "step", o.StepID(), "error", err)
					return
				}
			}
		}
	}
}

func (on *application) endpointStep(o *sdk.Op) error {
	switch o.Op {
	case sdk.OpStep, sdk.OpStepRun:
		raw := memoOf(o)
		if len(raw) > maxStepBytes || on.r.stateSize+len(raw) > maxStateSize {
			return fmt.Errorf("the output of %d bytes is too large", len(raw))
		}
		on.it.finishStep(o, on.now)
		on.r.save(o.ID, raw)
	case sdk.OpStepError:
		if o.Error == nil {
			return fmt.Errorf("%s without an error", o.Op)
		}
		on.it.failures = 0
		if on.it.canRetry() && !o.Error.NoRetry {
			on.retryEndpoint(o)
			return nil
		}
		on.stepFailed(o)
	case sdk.OpRunComplete:
		on.respond(o.Data)
	default:
		return on.step(o)
	}
	return nil
}

// leftAsItIs reports whether the server leaves the run as it is after the last attempt: it does when an endpoint answers with
// an error that it would have tried again.
func (on *application) leftAsItIs(failed *Error) bool {
	if on.a.noRetry || on.a.err != nil {
		return false
	}
	on.r.Stuck = fmt.Sprintf("the server neither calls the endpoint again nor ends the run, as the last of %d attempts failed: %s",
		on.it.failures+1, failed.Message)
	return true
}

// retryEndpoint queues the call that makes the second attempt of a step.
func (on *application) retryEndpoint(o *sdk.Op) {
	at := on.backoff(1) // as if it were the second that failed
	step := on.r.step(o, sdk.OpStepRun, on.now)
	step.Attempts = append(step.Attempts, Attempt{Number: 1, At: on.now, Ended: on.now, Error: errorFrom(o.Error), RetryAt: at})
	if on.r.once(o.ID + "-sync-retry") {
		on.queue.push(&item{at: at, kind: kindCall, run: on.r, failures: 1})
	}
}

// respond ends the run with the endpoint's response. One that tells of an error of the app's is a failure.
func (on *application) respond(data json.RawMessage) {
	var result sdk.EndpointResult
	if err := json.Unmarshal(data, &result); err != nil {
		on.options.Logger.Warn("response of an endpoint", "run", on.r.ID, "error", err)
	}
	on.r.endpoint.told, _ = json.Marshal(result)
	on.r.Output, on.r.Plain = sdk.Answer{Body: []byte(result.Body)}.Result()
	status := harness.StatusCompleted
	if result.Status >= http.StatusInternalServerError {
		status = harness.StatusFailed
	}
	on.end(on.r, status)
}

// responded acts on the response of an endpoint in an answer, where it is wrapped.
func (on *application) responded(o *sdk.Op) error {
	var wrapped struct{ Data json.RawMessage }
	if err := json.Unmarshal(o.Data, &wrapped); err != nil {
		return fmt.Errorf("%s: %w", o.Op, err)
	}
	if on.r.endpoint == nil {
		return fmt.Errorf("%s: the run did not begin with an HTTP request", o.Op)
	}
	on.respond(wrapped.Data)
	return nil
}

// reenter builds the call that goes on with a run of an endpoint: the request that began it, once more.
func (m *machine) reenter(it *item, job string) *call {
	r := it.run
	u := *r.function.url
	u.Path = r.endpoint.Path
	contentType, body := "application/json", []byte(nil)
	if r.endpoint.repeats {
		u.RawQuery, body = r.endpoint.Query, r.endpoint.Body
		contentType = cmp.Or(r.endpoint.ContentType, contentType)
	}
	req, err := http.NewRequest(cmp.Or(r.endpoint.Method, http.MethodPost), u.String(), bytes.NewReader(body))
	if err != nil {
		panic(fmt.Sprintf("engine: calling %s: %v", &u, err)) // the method is the app's own
	}
	set := req.Header.Set
	set("Content-Type", contentType)
	set(sdk.HeaderRunID, r.ID)
	set(sdk.HeaderRequestID, job)
	set(sdk.HeaderJobID, job)
	set(sdk.HeaderRequestVersion, strconv.Itoa(r.version))
	set(sdk.HeaderSignature, "") // SDKs look for it, whatever it is
	if m.options.SigningKey != "" {
		set(sdk.HeaderSignature, sdk.Sign(m.options.SigningKey, body, time.Now()))
	}
	if it.planFirst {
		set(sdk.HeaderForceStepPlan, "true")
	}
	if it.target != "" {
		set(sdk.HeaderStepID, it.target)
	}
	return &call{item: it, job: job, req: req, read: (*answer).understandEndpoint}
}

// understandEndpoint reads an endpoint's answer: a list has opcodes, whatever the status; anything else is its result, or an
// error.
func (a *answer) understandEndpoint(c *clock.Clock) {
	if a.err != nil || a.tooLarge() {
		return
	}
	a.Body = sdk.Decompress(a.Header, a.Body)
	a.readHeader(c)
	switch list := bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("[")); {
	case a.lacksSDK():
	case list:
		a.Status = http.StatusPartialContent
		a.ops, a.err = parseOps(a.Body, a.noRetry)
	case a.Status == http.StatusPartialContent:
		a.Status = http.StatusOK
	}
}

// tell makes what the server's events say of a run that is over what they say of one of an endpoint: its response, or the
// app's last answer, not decoded.
func (e *endpoint) tell(data map[string]any, r *run) {
	body := []byte(cmp.Or(r.Plain, string(r.Output)))
	if r.Error != nil {
		body = r.Error.Body
		said := r.Error.Fields()
		said["message"] = cmp.Or(string(body), r.Error.Message)
		data["error"] = said
	}
	switch {
	case e.told != nil:
		data["result"] = valueOf(e.told)
	case len(body) > 0:
		data["result"] = base64.StdEncoding.EncodeToString(body)
	}
}

// uninstallEndpoints forgets the endpoints of an app.
func (g *registry) uninstallEndpoints(a *app) {
	maps.DeleteFunc(g.endpoints, func(_ string, f *function) bool { return f.app == a })
}

// listed returns the functions in the sequence in which the API lists them: those of endpoints last.
func (g *registry) listed() []*function {
	return slices.Concat(g.ordered, slices.SortedFunc(maps.Values(g.endpoints), func(a, b *function) int { return cmp.Compare(a.ID, b.ID) }))
}

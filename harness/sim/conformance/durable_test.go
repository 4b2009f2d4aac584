package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/inngest/inngestgo/step"
	"github.com/inngest/inngestgo/stephttp"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// endpointScenario is one request to a durable endpoint, played on both servers.
type endpointScenario struct {
	name string
	// first is what the app does until it answers the request, and again what it answers each time that the server repeats
	// it; the last stands.
	first []sdk.Op
	again []said
	// goSDK is an endpoint with the Go SDK, in place of both.
	goSDK http.HandlerFunc
	// retries of steps; 0 is none.
	retries int
	get     bool // the request is a GET without a body
	unended bool
	// attempts says that the servers show attempts of steps differently: docs/sim.md says how.
	attempts bool
}

func opRun(id string) sdk.Op {
	return sdk.Op{Op: sdk.OpStepRun, ID: sdk.StepHash(id), Userland: &sdk.Userland{ID: id}, DisplayName: &id, Data: json.RawMessage(`"` + id + `!"`)}
}

func opSleep(id string) sdk.Op {
	return sdk.Op{Op: sdk.OpSleep, ID: sdk.StepHash(id), Userland: &sdk.Userland{ID: id}, DisplayName: &id, Name: "1s"}
}

func opFails(op sdk.Opcode, id string) sdk.Op {
	return sdk.Op{Op: op, ID: sdk.StepHash(id), Userland: &sdk.Userland{ID: id}, DisplayName: &id, Error: &sdk.Failure{Name: "Error", Message: "out of order"}}
}

func opResponse(status int, body string) sdk.Op {
	data, _ := json.Marshal(sdk.EndpointResult{Status: status, Headers: map[string]string{"X-Kind": "test"}, Body: body, Duration: "7"})
	return sdk.Op{Op: sdk.OpRunComplete, ID: sdk.StepHash("complete"), Data: data}
}

// saysOps is an answer with opcodes.
func saysOps(ops ...sdk.Op) said {
	body, _ := json.Marshal(ops)
	return said{status: http.StatusPartialContent, body: string(body)}
}

var endpointScenarios = []endpointScenario{
	{name: "one-step", first: []sdk.Op{opRun("a"), opResponse(200, `{"n":1}`)}},
	{name: "text", first: []sdk.Op{opRun("a"), opResponse(200, "text")}},
	{name: "not-found", first: []sdk.Op{opRun("a"), opResponse(404, `{"n":1}`)}},
	{name: "server-error", first: []sdk.Op{opRun("a"), opResponse(500, `{"sorry":true}`)}},
	{name: "no-steps", unended: true},
	{name: "sleep", first: []sdk.Op{opRun("a"), opSleep("nap")}, again: []said{saysOps(opRun("b")), {status: 200, body: `{"up":true}`}}},
	{name: "sleep-alone", first: []sdk.Op{opSleep("nap")}, again: []said{{status: 201, body: `{"up":true}`}}},
	{name: "get", get: true, first: []sdk.Op{opSleep("nap")}, again: []said{{status: 200, body: `{"up":true}`}}},
	{name: "sleep-twice", first: []sdk.Op{opSleep("nap")}, again: []said{saysOps(opSleep("nap 2")), {status: 200, body: `"up"`}}},
	{name: "result-as-object", first: []sdk.Op{opSleep("nap")}, again: []said{{status: 206, body: `{"op":"RunComplete","id":"x","data":"up"}`}}},
	{name: "list-with-200", first: []sdk.Op{opSleep("nap")}, again: []said{{status: 200, body: saysOps(opRun("a")).body}, {status: 200, body: `"up"`}}},
	{name: "failed-at-once", attempts: true, first: []sdk.Op{opRun("a"), opFails(sdk.OpStepFailed, "b")}, again: []said{{status: 200, body: `"caught"`}}},
	{name: "error-without-retries", attempts: true, first: []sdk.Op{opRun("a"), opFails(sdk.OpStepError, "b")}, again: []said{{status: 200, body: `"caught"`}}},
	{name: "error-recovers", attempts: true, retries: 2, first: []sdk.Op{opRun("a"), opFails(sdk.OpStepError, "b")}, again: []said{saysOps(opRun("b")), {status: 200, body: `"fine"`}}},
	{name: "error-exhausted", attempts: true, retries: 1, first: []sdk.Op{opFails(sdk.OpStepError, "b")}, again: []said{saysOps(opFails(sdk.OpStepError, "b")), {status: 200, body: `"caught"`}}},
	{name: "function-fails", unended: true, retries: 1, first: []sdk.Op{opSleep("nap")}, again: []said{{status: 500, body: `{"name":"Error","message":"always"}`}}},
	{name: "function-no-retry", retries: 1, first: []sdk.Op{opSleep("nap")}, again: []said{
		{status: 400, body: `{"name":"Error","message":"never"}`, header: http.Header{sdk.HeaderNoRetry: {"true"}}},
	}},
	{name: "go-sdk", goSDK: func(w http.ResponseWriter, r *http.Request) {
		s, err := say(r.Context(), "a")
		_, _ = fmt.Fprint(w, s, err)
	}},
	{name: "go-sdk-sleeps", goSDK: func(w http.ResponseWriter, r *http.Request) {
		if _, err := say(r.Context(), "a"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		step.Sleep(r.Context(), "nap", time.Second)
		_, _ = io.WriteString(w, `{"up":true}`)
	}},
}

// endpointAccount is what happened, without what may differ.
type endpointAccount struct {
	Account  account
	Answered string // to the first request
	Output   string // what the address for it answers
}

func TestConformance_DurableEndpoints(t *testing.T) {
	t.Parallel()
	for _, sc := range endpointScenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			takeSlot(t)
			onSim := callEndpoint(t, sc, newSimWorld, nil)
			var onServer endpointAccount
			onServer.Account = recorded(t, onSim.Account, func() account {
				onServer = callEndpoint(t, sc, newRealWorld, &onSim.Account)
				return onServer.Account
			})
			require.Empty(t, cmp.Diff(onServer, onSim, asJSON), "the real server (-) and sim (+) differ")
		})
	}
}

// callEndpoint makes the request on one server and waits until the run is over. wanted is the account of the other server.
func callEndpoint(t testing.TB, sc endpointScenario, newWorld func(testing.TB) world, wanted *account) endpointAccount {
	calls := 0
	if wanted != nil {
		calls = wanted.calls()
	}
	began := time.Now()
	w := newWorld(t)
	e := &endpointApp{t: t, sc: sc, w: w, name: "endpoint-" + sc.name}
	var app http.Handler = e
	if sc.goSDK != nil {
		app = stephttp.Setup(stephttp.SetupOpts{Optional: stephttp.OptionalSetupOpts{BaseURL: w.url()}}).ServeHTTP(sc.goSDK)
	}
	rec := newRecorder(app, w, 0)
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	method, body := http.MethodPost, io.Reader(strings.NewReader(`{"n":1}`))
	if sc.get {
		method, body = http.MethodGet, http.NoBody
	}
	req, err := http.NewRequest(method, srv.URL+"/"+e.name+"?x=1", body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	req.RequestURI, req.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
	app.ServeHTTP(answer, req) // not by the recorder: it is no call
	id := answer.Header().Get("X-Run-Id")
	rec.adopt(id, method+" /"+e.name)
	a := endpointAccount{Answered: scrubTokens(fmt.Sprint(answer.Code, " ", answer.Body, " ", answer.Header().Get("Location")))}
	if sc.unended {
		w.finish(rec, 0, calls)
	} else {
		w.finish(rec, 1, calls)
		a.Output = scrubTokens(e.output(answer.Header().Get("Location"), answer.Body.Bytes()))
	}
	read := func() account {
		a := rec.account(func(id string) runAccount { return readRun(t, w.client(), id) }, false)
		listed, err := w.client().Events(t.Context(), inngestapi.EventFilter{Since: began, Internal: true})
		require.NoError(t, err)
		a.Events = rec.events(e.name, listed)
		if sc.unended { // the real server calls it queued, or running
			a.Runs[0].Status = ""
		}
		for i := range a.Runs[0].Steps {
			if sc.attempts {
				a.Runs[0].Steps[i].Attempts = nil
			}
		}
		return a
	}
	a.Account = readUntil(read, equals(wanted))
	return a
}

// adopt makes a run known that begins without a call.
func (r *recorder) adopt(run, function string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.runs[run]; !known {
		r.order = append(r.order, run)
		r.runs[run] = nil
	}
	r.slugs[run] = function
}

// noteEntry writes down that the server called an endpoint again.
func (r *recorder) noteEntry(req *http.Request, body []byte, rec *httptest.ResponseRecorder) {
	h := req.Header
	_, signed := h[sdk.HeaderSignature]
	ops, _ := sdk.ParseOps(rec.Body.Bytes())
	one := callAccount{Status: rec.Code, PlanFirst: h.Get(sdk.HeaderForceStepPlan) == "true", Request: fmt.Sprintf(
		"%s %s %s %s version %s, signature %t, step %s", req.Method, req.URL.RequestURI(), h.Get("Content-Type"), body,
		h.Get(sdk.HeaderRequestVersion), signed, h.Get(sdk.HeaderStepID))}
	for _, o := range ops {
		one.Answer = append(one.Answer, string(o.Op)+" "+o.CodeID())
	}
	id := h.Get(sdk.HeaderRunID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.runs[id]; !known {
		r.order = append(r.order, id)
	}
	r.runs[id] = append(r.runs[id], one)
}

// scrubTokens takes out what differs each time.
func scrubTokens(s string) string {
	s = scrubText(s)
	before, after, ok := strings.Cut(s, "eyJ")
	if !ok {
		return s
	}
	return before + "TOKEN" + strings.TrimLeft(after, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
}

// endpointApp is a durable endpoint that speaks the protocol by itself. It answers with a token for the output.
type endpointApp struct {
	t    testing.TB
	sc   endpointScenario
	w    world
	name string

	mu    sync.Mutex
	calls int
}

func (e *endpointApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(sdk.HeaderSDK, "test:v0.0.1")
	w.Header().Set(sdk.HeaderRequestVersion, "2")
	if r.Header.Get(sdk.HeaderRunID) == "" {
		e.begin(w, r)
		return
	}
	e.mu.Lock()
	a := e.sc.again[min(e.calls, len(e.sc.again)-1)]
	e.calls++
	e.mu.Unlock()
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// begin reports the run and its steps.
func (e *endpointApp) begin(w http.ResponseWriter, r *http.Request) {
	id := ulid.MustNew(ulid.Now(), ulid.DefaultEntropy()).String()
	w.Header().Set("X-Run-Id", id)
	body, err := io.ReadAll(r.Body)
	require.NoError(e.t, err)
	version := 2
	steps := slices.Clone(e.sc.first)
	for i := range steps {
		steps[i].Timing = sdk.Timing{Start: time.Now().UnixNano(), Duration: int64(time.Millisecond)}
	}
	n := sdk.NewRun{RunID: id, Steps: steps, Version: &version, Retries: e.sc.retries}
	n.Event.Name = sdk.EventHTTPRequest
	n.Event.Data = sdk.EndpointCall{
		Domain: "http://" + r.Host, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, IP: "192.0.2.1",
		ContentType: r.Header.Get("Content-Type"), Body: body,
	}
	raw, err := json.Marshal(n)
	require.NoError(e.t, err)
	resp, err := http.Post(e.w.url()+"/v1/checkpoint", "application/json", bytes.NewReader(raw))
	require.NoError(e.t, err)
	defer resp.Body.Close()
	var answer struct{ Data sdk.NewRunAnswer }
	require.NoError(e.t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(e.t, id, answer.Data.RunID)
	require.NotEmpty(e.t, answer.Data.RealtimeToken)
	require.NoError(e.t, json.NewEncoder(w).Encode(map[string]string{"token": answer.Data.Token}))
}

// output returns what the server gives to those who wait for the run.
func (e *endpointApp) output(location string, body []byte) string {
	if location == "" {
		var a struct{ Token string }
		if json.Unmarshal(body, &a) != nil || a.Token == "" {
			return ""
		}
		location = e.w.url() + "/v1/http/runs/any/output?token=" + a.Token
	}
	resp, err := http.Get(location)
	require.NoError(e.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	return fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type"), " ", string(text))
}

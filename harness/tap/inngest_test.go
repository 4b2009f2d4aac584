package tap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// An env is an app on the real SDK, a server that implements Inngest's part of the protocol, and the taps between them.
type env struct {
	t     testing.TB
	set   *tap.Set
	calls *tap.Wire
	api   *tap.Wire

	client inngestgo.Client
	app    *httptest.Server

	mu         sync.Mutex
	ran        []string                              // the steps that ran, in sequence
	saved      map[string]map[string]json.RawMessage // run → hashed step → output
	order      map[string][]string                   // run → hashed steps in the sequence of saving
	events     []string                              // bodies
	registered int
	duringStep func(name string, run string) error
}

const (
	eventKey   = "event-key-4711-secret"
	signingKey = "signkey-test-deadbeefdeadbeef0815"
	function   = "plant-notify"
)

// newEnv starts an app whose function notify has the steps fetch, look-up and send.
func newEnv(t testing.TB, o tap.Options, change func(*inngestgo.ClientOpts)) *env {
	t.Helper()
	p := emptyEnv(t, o)
	server := httptest.NewServer(http.HandlerFunc(p.serveInngest))
	t.Cleanup(server.Close)
	p.start(server.URL, change)
	return p
}

func emptyEnv(t testing.TB, o tap.Options) *env {
	return &env{
		t: t, set: newSet(t, o), saved: map[string]map[string]json.RawMessage{}, order: map[string][]string{},
		duringStep: func(string, string) error { return nil },
	}
}

// start starts the app with its taps, in front of the Inngest server at a URL.
func (p *env) start(inngestURL string, change func(*inngestgo.ClientOpts)) {
	t := p.t
	t.Helper()
	var err error
	p.api, err = p.set.API("127.0.0.1:0", inngestURL)
	require.NoError(t, err)

	key, sign, dev, url := eventKey, signingKey, true, p.api.URL()
	opts := inngestgo.ClientOpts{
		AppID: "plant", EventKey: &key, SigningKey: &sign, Dev: &dev, APIBaseURL: &url, EventAPIBaseURL: &url,
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opts)
	}
	p.client, err = inngestgo.NewClient(opts)
	require.NoError(t, err)
	_, err = inngestgo.CreateFunction(p.client, inngestgo.FunctionOpts{ID: "notify"}, inngestgo.EventTrigger(opts.AppID+"/broken", nil), p.notify)
	require.NoError(t, err)
	p.app = httptest.NewServer(p.client.Serve())
	t.Cleanup(p.app.Close)
	p.calls, err = p.set.Calls("127.0.0.1:0", p.app.URL)
	require.NoError(t, err)
}

func checkpointing(o *inngestgo.ClientOpts) { o.Checkpoint = &checkpoint.Config{} }

func (p *env) notify(ctx context.Context, in inngestgo.Input[map[string]any]) (any, error) {
	for _, name := range []string{"fetch", "look-up", "send"} {
		_, err := step.Run(ctx, name, func(context.Context) (string, error) {
			if err := p.duringStep(name, in.InputCtx.RunID); err != nil {
				return "", err
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.ran = append(p.ran, name)
			return name + " done", nil
		})
		if err != nil {
			return nil, err
		}
	}
	return map[string]string{"sent": "yes"}, nil
}

// serveInngest serves what the app requests of Inngest.
func (p *env) serveInngest(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/checkpoint/"):
		var b struct {
			Run   string `json:"run_id"`
			Steps []opcode
		}
		_ = json.Unmarshal(body, &b)
		for _, op := range b.Steps {
			p.save(b.Run, op)
		}
	case strings.HasPrefix(r.URL.Path, "/e/"):
		p.events = append(p.events, string(body))
		_, _ = fmt.Fprint(w, `{"ids":["01EVENT"],"status":200}`)
	case r.URL.Path == "/fn/register":
		p.registered++
		_, _ = fmt.Fprint(w, `{"ok":true,"modified":true}`)
	default:
		_, _ = fmt.Fprintf(w, "other %s %s", r.Method, r.URL.Path)
	}
}

type opcode struct {
	Op, ID string
	Data   json.RawMessage
}

// save needs p.mu. A step is saved once, as the server does it.
func (p *env) save(run string, op opcode) {
	if p.saved[run] == nil {
		p.saved[run] = map[string]json.RawMessage{}
	}
	if _, ok := p.saved[run][op.ID]; !ok && op.Op == "StepRun" {
		p.saved[run][op.ID] = op.Data
		p.order[run] = append(p.order[run], op.ID)
	}
}

// callBody is what the server sends for the next call of a run.
func (p *env) callBody(run string, attempt int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	steps := map[string]any{}
	for id, data := range p.saved[run] {
		steps[id] = map[string]any{"data": data}
	}
	event := map[string]any{"name": "plant/broken", "id": "event-" + run, "data": map[string]any{}}
	body, err := json.Marshal(map[string]any{
		"event": event, "events": []any{event}, "steps": steps,
		"ctx": map[string]any{
			"fn_id": "7e2d58a4-1dd3-4d41-9c09-7c3b34c0dd22", "run_id": run, "attempt": attempt, "max_attempts": 4,
			"qi_id": "item-" + run, "stack": map[string]any{"stack": append([]string{}, p.order[run]...), "current": 0},
		},
	})
	require.NoError(p.t, err)
	return body
}

// call calls the function once, and saves what it answers.
func (p *env) call(ctx context.Context, run string, attempt int) (int, error) {
	body := p.callBody(run, attempt)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.calls.URL()+"/api/inngest?fnId="+function+"&stepId=step", bytes.NewReader(body))
	require.NoError(p.t, err)
	sig, err := inngestgo.Sign(ctx, time.Now(), []byte(signingKey), body)
	require.NoError(p.t, err)
	req.Header.Set("X-Inngest-Signature", sig)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	status := resp.StatusCode
	if status == http.StatusCreated {
		var stream struct {
			Status int
			Body   json.RawMessage
		}
		require.NoError(p.t, json.Unmarshal(answer, &stream))
		status, answer = stream.Status, stream.Body
	}
	if status == http.StatusPartialContent {
		var ops []opcode
		require.NoError(p.t, json.Unmarshal(answer, &ops))
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, op := range ops {
			p.save(run, op)
		}
	}
	return status, nil
}

// finish calls the function until it has a result, and tries again when a call fails.
func (p *env) finish(run string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	attempt := 0
	for range 20 {
		switch status, err := p.call(ctx, run, attempt); {
		case err != nil || status >= 400:
			require.NoError(p.t, ctx.Err(), "the run does not end")
			attempt++
		case status == http.StatusOK:
			return
		default:
			attempt = 0
		}
	}
	require.FailNow(p.t, "the run does not end")
}

func (p *env) steps() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.ran...)
}

// client gives every request a connection of its own, as the Inngest server does, and never asks for compression.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}

func onCalls(c tap.Exchange) bool { return c.Call != nil && c.Over() }

func over(s *tap.Set, kind func(tap.Exchange) bool) (found []tap.Exchange) {
	for _, c := range s.Exchanges() {
		if c.Over() && kind(c) {
			found = append(found, c)
		}
	}
	return found
}

func TestRecords_RunWithoutCheckpointing(t *testing.T) {
	t.Parallel()
	signed := func(o *inngestgo.ClientOpts) { dev := false; o.Dev = &dev } // this way the SDK checks signatures
	p := newEnv(t, tap.Options{}, signed)
	p.finish("01RUN")
	require.Equal(t, []string{"fetch", "look-up", "send"}, p.steps())

	all := over(p.set, onCalls)
	require.Len(t, all, 4)
	ids := []string{"", sdk.StepHash("fetch"), sdk.StepHash("look-up"), sdk.StepHash("send")}
	for i, c := range all {
		call := *c.Call
		require.Equal(t, tap.InngestToApp, c.Wire)
		require.Equal(t, []any{function, "01RUN", 1, 4, "", i, ids[i], false, inngestgo.HeaderValueSDK},
			[]any{call.FunctionID, call.RunID, call.Attempt, call.MaxAttempts, call.Step, call.Memoised, call.After, call.Checkpointed, call.SDK})
		require.Equal(t, []tap.Event{{Name: "plant/broken", IdempotencyKey: "event-01RUN"}}, call.Events)
		require.Equal(t, "/api/inngest", c.HTTP.Path)
		require.Equal(t, call.Status, c.HTTP.Status)
		require.Positive(t, c.HTTP.RequestBytes)
		require.Positive(t, c.HTTP.AnswerBytes)
		if i == 3 {
			require.Equal(t, 200, call.Status)
			require.JSONEq(t, `{"sent":"yes"}`, string(call.Result))
			continue
		}
		require.Equal(t, 206, call.Status)
		require.Len(t, call.Ops, 1)
		op := call.Ops[0]
		require.Equal(t, []any{sdk.OpStepRun, ids[i+1]}, []any{op.Op, op.ID})
		require.JSONEq(t, fmt.Sprintf("%q", p.steps()[i]+" done"), string(op.Data))
		require.False(t, op.Began.Before(c.Began.Add(-time.Second)) || op.Ended.After(c.Ended))
	}
}

func TestRecords_RunWithCheckpointing(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, checkpointing)
	p.finish("01RUN")
	require.Equal(t, []string{"fetch", "look-up", "send"}, p.steps())
	calls := over(p.set, onCalls)
	require.Len(t, calls, 1)
	require.True(t, calls[0].Call.Checkpointed)
	saves := over(p.set, func(c tap.Exchange) bool { return c.Checkpoint != nil })
	require.Len(t, saves, 3)
	for i, c := range saves {
		require.Equal(t, tap.AppToInngest, c.Wire)
		require.Equal(t, "/v1/checkpoint/01RUN/async", c.HTTP.Path)
		require.Equal(t, 200, c.HTTP.Status)
		cp := c.Checkpoint
		require.Equal(t, []any{"01RUN", calls[0].ID, function, 1}, []any{cp.RunID, cp.Call, cp.FunctionID, cp.Attempt})
		require.Len(t, cp.Steps, 1)
		require.Equal(t, sdk.StepHash(p.steps()[i]), cp.Steps[0].ID)
		require.Equal(t, p.steps()[i], cp.Steps[0].Name)
		require.JSONEq(t, fmt.Sprintf("%q", p.steps()[i]+" done"), string(cp.Steps[0].Data))
	}
}

func TestRecords_StreamedAnswers(t *testing.T) {
	t.Parallel()
	for _, do := range []tap.Action{"", tap.DropAnswer} {
		p := newEnv(t, tap.Options{}, func(o *inngestgo.ClientOpts) { o.UseStreaming = true })
		if do != "" {
			inject(t, p.set, tap.Fault{At: tap.AtStep, Step: "fetch", Do: do})
		}
		p.finish("01RUN")
		all := over(p.set, onCalls)
		last := all[len(all)-1]
		require.Equal(t, []int{201, 200}, []int{last.HTTP.Status, last.Call.Status})
		require.JSONEq(t, `{"sent":"yes"}`, string(last.Call.Result))
		if do == "" {
			require.Equal(t, []string{"fetch", "look-up", "send"}, p.steps())
		} else {
			require.Equal(t, []string{"fetch", "fetch", "look-up", "send"}, p.steps(), "the first answer was lost inside the stream")
			require.Zero(t, all[0].HTTP.Status)
			require.Equal(t, 206, all[0].Call.Status)
		}
	}
}

func TestRecords_FailedSteps(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, nil)
	fail := map[string]error{
		"first":     errors.New("mail server away"),
		"permanent": inngestgo.NoRetryError(errors.New("no address")),
	}
	p.duringStep = func(_, run string) error { return fail[run] }
	for run, want := range map[string]tap.Op{
		"first":     {Op: "StepError", Error: &tap.Failure{Name: "Step error", Message: "mail server away"}},
		"permanent": {Op: "StepFailed", Error: &tap.Failure{Name: "Step failed", Message: "no address"}},
	} {
		_, err := p.call(t.Context(), run, 0)
		require.NoError(t, err)
		got := await(t, p.set, "the call", func(c tap.Exchange) bool { return onCalls(c) && c.Call.RunID == run })
		require.Equal(t, run == "permanent", got.Call.NoRetry)
		require.Len(t, got.Call.Ops, 1)
		require.Equal(t, []any{want.Op, *want.Error}, []any{got.Call.Ops[0].Op, *got.Call.Ops[0].Error})
	}
}

func TestRecords_Sync(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, nil)
	put := func() int {
		req, err := http.NewRequest(http.MethodPut, p.calls.URL()+"/api/inngest", nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 200, put())
	all := over(p.set, func(c tap.Exchange) bool { return c.Sync != nil })
	require.Len(t, all, 2)
	register, sync := all[0], all[1]
	require.Equal(t, tap.AppToInngest, register.Wire)
	require.Equal(t, &tap.Sync{
		App: "plant", URL: p.calls.URL() + "/api/inngest", SDK: inngestgo.HeaderValueSDK, Functions: []string{function},
	}, register.Sync, "the app registers the tap's address, since the Host header is kept")
	require.Equal(t, tap.InngestToApp, sync.Wire)

	inject(t, p.set, tap.Fault{At: tap.AtRegister, Do: tap.Reply, Code: 503, Text: `{"error":"not now"}`})
	require.Equal(t, 500, put())
	failed := await(t, p.set, "the failed sync", func(c tap.Exchange) bool { return c.Sync != nil && c.HTTP.Status == 500 })
	require.Equal(t, "error registering functions: not now", failed.Sync.Message)
	require.Equal(t, 1, p.registered)
	inject(t, p.set, tap.Fault{At: tap.AtSync, Do: tap.Reply, Code: 502})
	require.Equal(t, 502, put())
	require.Equal(t, 200, put())
}

func TestRecords_Events(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{MaxPayload: 30}, nil)
	id, err := p.client.Send(t.Context(), inngestgo.Event{ID: inngestgo.StrPtr("req-1"), Name: "plant/broken", Data: map[string]any{"n": 1}})
	require.NoError(t, err)
	require.Equal(t, "01EVENT", id)
	_, err = p.client.Send(t.Context(), inngestgo.Event{Name: "plant/large", Data: map[string]any{"text": strings.Repeat("x", 100)}})
	require.NoError(t, err)
	all := over(p.set, func(c tap.Exchange) bool { return c.Dispatch != nil })
	require.Len(t, all, 2)
	require.Equal(t, []tap.Event{{Name: "plant/broken", IdempotencyKey: "req-1", EventID: "01EVENT", Data: json.RawMessage(`{"n":1}`), Size: 7}}, all[0].Dispatch.Events)
	require.Equal(t, []tap.Event{{Name: "plant/large", EventID: "01EVENT", Size: 111}}, all[1].Dispatch.Events)
	require.Equal(t, tap.HTTP{Method: "POST", Path: "/e/***", Status: 200, RequestBytes: all[0].HTTP.RequestBytes, AnswerBytes: 32}, *all[0].HTTP)
}

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// ask sends a request to the server's API and notes the answer.
func (p *play) ask(method, path string, body any) {
	encoded, err := json.Marshal(body)
	require.NoError(p.t, err)
	req, err := http.NewRequest(method, p.w.url()+path, strings.NewReader(string(encoded)))
	require.NoError(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	noted, _ := json.Marshal(scrub(decode(text)))
	p.errs = append(p.errs, fmt.Sprintf("%s %s → %d %s", method, scrubText(path), resp.StatusCode, noted))
}

// signals sends the scenario's signal.
func signals(d any) func(*play) {
	return func(p *play) { p.ask(http.MethodPost, "/v1/signals", data{"signal": p.app, "data": d}) }
}

// waitForSignal is a function that waits for the scenario's signal and tells what came.
func (p *play) waitForSignal(conflict step.SignalConfict, timeout time.Duration) body {
	return func(c ctx, in input) (any, error) {
		got, err := step.WaitForSignal[any](c, "wait", step.WaitForSignalOpts{Signal: p.app, Timeout: timeout, OnConflict: conflict})
		if err != nil {
			return "none: " + err.Error(), nil
		}
		return got, nil
	}
}

// third is a server that is no part of Inngest. It answers its requests one after the other; the last answer stands.
func (p *play) third(answers ...said) (url string) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answers[min(int(calls.Add(1)), len(answers))-1]
		w.Header()["Date"] = nil
		asked, _ := io.ReadAll(r.Body)
		for k, v := range a.header {
			w.Header()[k] = v
		}
		w.WriteHeader(a.status)
		text := strings.NewReplacer("METHOD", r.Method, "QUERY", r.URL.RawQuery, "KIND", r.Header.Get("Content-Type"), "AGENT", r.UserAgent(),
			"AUTH", r.Header.Get("Authorization"), "ASKED", strings.ReplaceAll(string(asked), `"`, `'`)).Replace(a.body)
		_, _ = io.WriteString(w, text) // the server may have hung up
	}))
	p.t.Cleanup(s.Close)
	return s.URL
}

// fetches is a function that has the server make a request and tells what came of it.
func fetches(o step.FetchOpts) body {
	return func(c ctx, in input) (any, error) {
		got, err := step.Fetch[any](c, "fetch", o)
		if err != nil {
			return "failed: " + err.Error(), nil
		}
		return got, nil
	}
}

// infers is a function that has the server make an AI request.
func (p *play) infers(url string) body {
	return func(c ctx, in input) (any, error) {
		o := step.InferOpts[data]{Opts: step.InferOpenAIOpts(inngestgo.StrPtr("secret"), &url), Body: data{"model": "small", "n": in.Event.Data["n"]}}
		got, err := step.Infer[data, data](c, "infer", o)
		if err != nil {
			return "failed: " + err.Error(), nil
		}
		return got, nil
	}
}

const completion = `{"model": "small-1", "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "choices": [{"message": {"content": "KIND AUTH ASKED"}}]}`

// deferring is an app that defers function with these opcodes beside its first step, and then ends. Its second function starts when
// the event says so.
func deferring(ops string, then ...string) func(*play) *rawApp {
	return func(p *play) *rawApp {
		ops := strings.ReplaceAll(ops, "CHILD", p.app+"-child")
		a := &rawApp{p: p}
		a.more = []map[string]any{a.function("child", map[string]any{
			"event": sdk.EventDeferred, "expression": fmt.Sprintf(`event.data._inngest.fn_slug == "%s-child"`, p.app),
		})}
		answers := append([]string{`[{"op":"StepRun","id":"aa","name":"a","data":1},` + ops + `]`}, then...)
		var parent atomic.Int32
		a.answer = func(_ int, w http.ResponseWriter, r *http.Request) {
			var call struct {
				Event struct {
					Data map[string]any `json:"data"`
				} `json:"event"`
				Defers json.RawMessage `json:"defers"`
			}
			text, _ := io.ReadAll(r.Body)
			require.NoError(p.t, json.Unmarshal(text, &call))
			if strings.HasSuffix(r.URL.Query().Get(sdk.QueryFunction), "-child") {
				_ = json.NewEncoder(w).Encode(call.Event.Data["n"])
				return
			}
			n := int(parent.Add(1)) - 1
			if n < len(answers) {
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, strings.ReplaceAll(answers[n], "CHILD", p.app+"-child"))
				return
			}
			_, _ = w.Write(call.Defers)
		}
		return a
	}
}

// configured is an app whose function has something configured, and returns at once.
func configured(what string, value any) func(*play) *rawApp {
	return func(p *play) *rawApp {
		return &rawApp{p: p, config: data{what: value}, answer: func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"done"`) }}
	}
}

// megabytes is a text of so many, and a little more.
func megabytes(n float64) string { return strings.Repeat("x", int(n*(1<<20))) }

// limits gives the scenario's function a limit of the server's.
func (p *play) limits(path string, limit int) {
	resp, err := http.Get(p.w.url() + "/dev")
	require.NoError(p.t, err)
	defer resp.Body.Close()
	var dev struct {
		Functions []struct{ ID, Slug string }
	}
	require.NoError(p.t, json.NewDecoder(resp.Body).Decode(&dev))
	for _, f := range dev.Functions {
		if f.Slug == p.app+"-f" {
			p.ask(http.MethodPost, fmt.Sprintf("%s?functionId=%s&limit=%d", path, f.ID, limit), nil)
		}
	}
}

var stepScenarios = []scenario{
	{name: "signal", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, p.waitForSignal("", time.Minute)) },
		act: then(data{"n": 1}, signals(data{"yes": true}))},
	{name: "signal-without-data", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, p.waitForSignal("", time.Minute)) },
		act: then(data{"n": 1}, func(p *play) { p.ask(http.MethodPost, "/v1/signals", data{"signal": p.app}) })},
	{name: "signal-times-out", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, p.waitForSignal("", time.Second)) }},
	{name: "signal-to-none", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, echo) }, act: func(p *play) {
		signals(1)(p)
		p.ask(http.MethodPost, "/v1/signals", "garbage")
		p.send("go", data{"n": 1})
	}},
	{name: "signal-conflict", runs: 2, differs: "failure-of-the-protocol", build: func(p *play) {
		p.on("go", opts{ID: "f"}, p.waitForSignal("", time.Minute))
		p.on("again", opts{ID: "g"}, p.waitForSignal("", time.Minute))
	}, act: func(p *play) {
		p.send("go", data{"n": 1})
		p.settle(1)
		p.send("again", data{"n": 2})
		p.settle(2)
		signals("first")(p)
	}},
	{name: "signal-replaced", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f"}, p.waitForSignal("", 6*time.Second))
		p.on("again", opts{ID: "g"}, p.waitForSignal(step.SignalConflictReplace, time.Minute))
	}, act: func(p *play) {
		p.send("go", data{"n": 1})
		p.settle(1)
		p.send("again", data{"n": 2})
		p.settle(2)
		signals("second")(p)
	}},
	{name: "signal-parallel", runs: 1, loose: true, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { return p.waitForSignal("", time.Minute)(c, in) },
			)
			return results[1].Value, results.AnyError()
		})
	}, act: func(p *play) {
		p.send("go", data{"n": 1})
		p.settle(2)
		signals(7)(p)
	}},

	{name: "fetch", runs: 1, build: func(p *play) {
		url := p.third(said{200, `{"was": "METHOD QUERY KIND AGENT ASKED"}`, http.Header{"X-One": {"1"}, "X-Two": {"a", "b"}, "Content-Type": {"application/json"}}})
		p.on("go", opts{ID: "f"}, fetches(step.FetchOpts{URL: url + "/at?x=1", Body: `{"a": 1}`, Headers: map[string]string{"Content-Type": "application/json"}}))
	}},
	{name: "fetch-text", runs: 1, build: func(p *play) {
		url := p.third(said{200, `METHOD KIND ASKED`, http.Header{"Content-Type": {"text/plain"}}})
		p.on("go", opts{ID: "f"}, fetches(step.FetchOpts{URL: url, Body: "plain text", Method: http.MethodPut}))
	}},
	{name: "fetch-get", runs: 1, build: func(p *play) {
		url := p.third(said{404, `nothing for METHOD ASKED`, http.Header{"Content-Type": {"text/plain"}}})
		p.on("go", opts{ID: "f"}, fetches(step.FetchOpts{URL: url, Method: http.MethodGet}))
	}},
	{name: "fetch-unreachable", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, fetches(step.FetchOpts{URL: "http://127.0.0.1:1/at"}))
	}},
	{name: "fetch-then-step", runs: 1, build: func(p *play) {
		url := p.third(said{500, `broken`, http.Header{"Content-Type": {"text/plain"}}})
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			if _, err := say(c, "before"); err != nil {
				return nil, err
			}
			if _, err := fetches(step.FetchOpts{URL: url})(c, in); err != nil {
				return nil, err
			}
			return say(c, "after")
		})
	}},
	{name: "fetch-parallel", runs: 1, loose: true, build: func(p *play) {
		url := p.third(said{200, `1`, http.Header{"Content-Type": {"application/json"}}})
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { return fetches(step.FetchOpts{URL: url})(c, in) },
			)
			return len(results), results.AnyError()
		})
	}},
	{name: "infer", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, p.infers(p.third(said{200, completion, http.Header{"Content-Type": {"application/json"}}})))
	}},
	{name: "infer-recovers", runs: 1, differs: "retried-request", build: func(p *play) {
		json := http.Header{"Content-Type": {"application/json"}}
		p.on("go", opts{ID: "f", Retries: retries(1)}, p.infers(p.third(said{500, `{"error": "busy"}`, json}, said{200, completion, json})))
	}},
	{name: "infer-fails", runs: 1, differs: "retried-request", build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, p.infers(p.third(said{429, `{"error": "busy"}`, http.Header{"Content-Type": {"application/json"}}})))
	}},

	{name: "defer", runs: 2, raw: deferring(`{"op":"DeferAdd","id":"dd","opts":{"fn_slug":"CHILD","input":{"n":7}},"userland":{"id":"later"}}`), act: func(p *play) {
		p.send("go", data{"n": 1})
		p.settle(3)
		_, _, runs := p.rec.quiet()
		require.Len(p.t, runs, 2)
		require.EventuallyWithT(p.t, func(t *assert.CollectT) {
			deferred, err := p.w.client().Defers(p.t.Context(), runs[0])
			require.NoError(t, err)
			require.Equal(t, []inngestapi.Defer{{ID: "later", FunctionID: "defer-child", Status: "SCHEDULED", RunID: runs[1]}}, deferred)
		}, patience, 50*time.Millisecond)
	}},
	{name: "defer-aborted", runs: 1, raw: deferring(`{"op":"DeferAdd","id":"dd","opts":{"fn_slug":"CHILD","input":{"n":7}}}`,
		`[{"op":"StepRun","id":"bb","name":"b","data":1},{"op":"DeferAbort","id":"ee","opts":{"target_hashed_id":"dd"}}]`)},
	{name: "defer-rejected", runs: 2, raw: deferring(`{"op":"DeferAdd","id":"dd","opts":{"fn_slug":"CHILD","input":[7]}},` +
		`{"op":"DeferAdd","id":"ee","opts":{"fn_slug":"CHILD","input":{"n":8}}}`)},
	{name: "defer-failed-run", runs: 2, raw: func(p *play) *rawApp {
		a := deferring(`{"op":"DeferAdd","id":"dd","opts":{"fn_slug":"CHILD","input":{"n":7}}}`)(p)
		answer := a.answer
		a.answer = func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.Header().Set(sdk.HeaderNoRetry, "true")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"name":"Error","message":"no"}`)
				return
			}
			answer(n, w, r)
		}
		return a
	}},

	{name: "metadata", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			id, err := step.Run(c, "id", func(context.Context) (string, error) { return in.InputCtx.RunID, nil })
			return id, err
		})
	}, act: func(p *play) {
		p.send("go", data{"n": 1})
		p.settle(2)
		_, _, runs := p.rec.quiet()
		require.Len(p.t, runs, 1)
		at := "/v1/runs/" + runs[0] + "/metadata"
		note := func(target data, kind string, values any) {
			p.ask(http.MethodPost, at, data{"target": target, "metadata": []any{data{"kind": kind, "op": "merge", "values": values}}})
		}
		note(data{}, "userland.notes", data{"a": 1})
		note(data{"step_id": "id"}, "userland.notes", data{"a": 1})
		note(data{"step_index": 1}, "userland.notes", data{"a": 1})
		note(data{}, "inngest.secret", data{"a": 1})
		note(data{}, "inngest.score", data{"good": data{"value": true}})
		note(data{}, "inngest.score", data{"good": data{"value": "yes"}})
		note(data{}, "userland.big", data{"a": strings.Repeat("x", 70<<10)})
		p.ask(http.MethodPost, "/v1/runs/nonsense/metadata", data{})
		scores := "/api/v2/runs/" + runs[0] + "/scores"
		p.ask(http.MethodPost, scores, []any{data{"name": "good", "value": 0.5}, data{"name": "well", "value": true, "stepId": "id"}})
		p.ask(http.MethodPost, scores, []any{data{"name": "good", "value": 1, "experiment": data{"id": "e", "variant": "a"}}})
		p.ask(http.MethodPost, scores, []any{data{"name": "", "value": 1}})
		p.ask(http.MethodPost, scores, []any{data{"name": "good", "value": "much"}})
		p.ask(http.MethodPost, scores, []any{data{"name": "it's", "value": 1}})
		p.ask(http.MethodPost, scores, []any{})
	}},

	{name: "state-too-large-for-a-call", runs: 1, raw: func(p *play) *rawApp {
		a := &rawApp{p: p}
		a.answer = func(n int, w http.ResponseWriter, r *http.Request) {
			if n < 2 {
				w.WriteHeader(http.StatusPartialContent)
				_, _ = fmt.Fprintf(w, `[{"op":"StepRun","id":"%c%[1]c","name":"step","data":"%s"}]`, 'a'+n, megabytes(2.1))
				return
			}
			var call sdk.Call
			text, _ := io.ReadAll(r.Body)
			require.NoError(p.t, json.Unmarshal(text, &call))
			get := func(what string, into any) int {
				resp, err := http.Get(p.w.url() + "/v0/runs/" + call.Context.RunID + "/" + what)
				require.NoError(p.t, err)
				defer resp.Body.Close()
				require.NoError(p.t, json.NewDecoder(resp.Body).Decode(into))
				return resp.StatusCode
			}
			var steps map[string]struct{ Data string }
			var events []sdk.EventName
			get("actions", &steps)
			get("batch", &events)
			_ = json.NewEncoder(w).Encode([]any{call.UseAPI, call.Context.UseAPI, len(call.Steps), len(call.Events), len(steps["aa"].Data),
				len(steps["bb"].Data), len(events), events[0].Name == p.ev("go")})
		}
		return a
	}},
	{name: "infer-too-large", runs: 1, differs: "failure-of-the-protocol", raw: says(said{206,
		`[{"op":"AIGateway","id":"aa","name":"infer","opts":{"url":"http://127.0.0.1:1","body":"` + megabytes(4.1) + `"}}]`, nil})},
	{name: "state-limit", runs: 1, differs: "failure-of-the-protocol", build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "b")) }, act: func(p *play) {
		p.limits("/fn/state-size-limit", 10)
		p.send("go", data{"n": 1})
	}},
	{name: "step-limit", runs: 1, differs: "failure-of-the-protocol", build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "b")) }, act: func(p *play) {
		p.limits("/fn/step-limit", 1)
		p.send("go", data{"n": 1})
	}},
	{name: "redirect", runs: 1, raw: func(p *play) *rawApp {
		return &rawApp{p: p, answer: func(_ int, w http.ResponseWriter, r *http.Request) {
			if !r.URL.Query().Has("also") {
				http.Redirect(w, r, r.URL.Path+"?also=1", http.StatusTemporaryRedirect)
				return
			}
			_ = json.NewEncoder(w).Encode([]string{r.Method, r.URL.Query().Get("also"), r.URL.Query().Get(sdk.QueryStep)})
		}}
	}},

	{name: "idempotency-undeclared-name", raw: configured("idempotency", "foo")},
	{name: "idempotency-empty", raw: configured("idempotency", "")},
	{name: "batch-key-undeclared-name", raw: configured("batchEvents", data{"maxSize": 2, "timeout": "1s", "key": "event.data.x + foo"})},
	{name: "throttle-negative-burst", raw: configured("throttle", data{"limit": 1, "period": "1s", "burst": -1})},
	{name: "singleton-without-mode", runs: 1, raw: configured("singleton", data{"key": "event.data.n"})},
	{name: "unreadable-singleton-key", runs: 1, raw: configured("singleton", data{"mode": "skip", "key": "event."})},
	{name: "if-time", runs: 6, build: func(p *play) {
		p.when("go", `date(event.data.past) < now()`, opts{ID: "past"}, echo)
		p.when("go", `date(event.data.future) < now()`, opts{ID: "future"}, echo)
		p.when("go", `date("2020-01-02") < date(event.data.past)`, opts{ID: "day"}, echo)
		p.when("go", `date(1600000000) < now_minus("1h")`, opts{ID: "seconds"}, echo)
		p.when("go", `now_plus("2h") > now_plus("1h")`, opts{ID: "plus"}, echo)
		p.when("go", `json_parse(event.data.text).a.b == "c"`, opts{ID: "json"}, echo)
		p.when("go", `json_parse(b64decode(event.data.coded)).n == 1`, opts{ID: "coded"}, echo)
		p.when("go", `json_parse(event.data.past).n == 1`, opts{ID: "nojson"}, echo)
	}, act: func(p *play) {
		p.send("go", data{"past": "2021-01-02T03:04:05Z", "future": "2099-01-02T03:04:05Z", "text": `{"a":{"b":"c"}}`, "coded": "eyJuIjoxfQ=="})
	}},
}

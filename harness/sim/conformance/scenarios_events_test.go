package conformance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

// waitFor is a function that waits for an event and tells what came.
func waitFor(event string, when string, timeout time.Duration) body {
	return func(c ctx, in input) (any, error) {
		o := step.WaitForEventOpts{Event: event, Timeout: timeout}
		if when != "" {
			o.If = &when
		}
		e, err := step.WaitForEvent[inngestgo.Event](c, "wait", o)
		if err != nil {
			return "none: " + err.Error(), nil
		}
		return e.Data, nil
	}
}

func echo(c ctx, in input) (any, error) { return in.Event.Data, nil }

// finished tells what the server says of a run's end.
func finished(c ctx, in input) (any, error) { return in.Event.Data, nil }

// then sends "go", lets things settle, and sends what follows.
func then(d data, next ...func(*play)) func(*play) {
	return func(p *play) {
		p.send("go", d)
		p.settle(1)
		for _, f := range next {
			f(p)
			p.settle(1)
		}
	}
}

func sends(name string, d data) func(*play) { return func(p *play) { p.send(name, d) } }

var eventScenarios = []scenario{
	{name: "two-functions-one-event", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f"}, echo)
		p.on("go", opts{ID: "g"}, steps("a"))
	}},
	{name: "two-triggers", runs: 2, build: func(p *play) {
		p.trigger(inngestgo.MultipleTriggers{inngestgo.EventTrigger(p.ev("go"), nil), inngestgo.EventTrigger(p.ev("come"), nil)}, opts{ID: "f"}, echo)
	}, act: then(data{"n": 1}, sends("come", data{"n": 2}))},
	{name: "same-event-two-triggers", runs: 1, build: func(p *play) {
		p.trigger(inngestgo.MultipleTriggers{
			inngestgo.EventTrigger(p.ev("go"), inngestgo.StrPtr("event.data.n > 0")), inngestgo.EventTrigger(p.ev("go"), inngestgo.StrPtr("event.data.n < 9")),
		}, opts{ID: "f"}, echo)
	}},
	{name: "no-trigger", runs: 0, build: func(p *play) { p.on("other", opts{ID: "f"}, echo) }},
	{name: "wildcard", runs: 1, build: func(p *play) { p.on("*", opts{ID: "f"}, echo) }},
	{name: "if-true", runs: 1, build: func(p *play) { p.when("go", `event.data.kind == "big" && event.data.n >= 3`, opts{ID: "f"}, echo) },
		act: func(p *play) {
			p.send("go", data{"kind": "small", "n": 3})
			p.send("go", data{"kind": "big", "n": 2})
			p.send("go", data{"kind": "big", "n": 3})
		}},
	{name: "if-field-missing", runs: 2, build: func(p *play) {
		p.when("go", `event.data.absent == null`, opts{ID: "null"}, echo)
		p.when("go", `event.data.absent == "x"`, opts{ID: "equal"}, echo)
		p.when("go", `event.data.absent != "x"`, opts{ID: "unequal"}, echo)
		p.when("go", `event.data.absent > 1`, opts{ID: "greater"}, echo)
		p.when("go", `event.data.absent`, opts{ID: "bare"}, echo)
		p.when("go", `event.data.absent.startsWith("x")`, opts{ID: "call"}, echo)
	}},
	{name: "if-various", runs: 6, build: func(p *play) {
		p.when("go", `event.data.n < 2`, opts{ID: "less"}, echo)
		p.when("go", `event.data.n == 1.0`, opts{ID: "double"}, echo)
		p.when("go", `event.data.list.exists(x, x == "b")`, opts{ID: "exists"}, echo)
		p.when("go", `size(event.data.list) == 2`, opts{ID: "size"}, echo)
		p.when("go", `"a" in event.data.list`, opts{ID: "in"}, echo)
		p.when("go", `event.data.name + "1" == "x1"`, opts{ID: "concat"}, echo)
		p.when("go", `event.data.name == 1`, opts{ID: "mismatch"}, echo)
		p.when("go", `event.data.nothing == 0`, opts{ID: "nullzero"}, echo)
	}, act: func(p *play) { p.send("go", data{"n": 1, "name": "x", "list": []string{"a", "b"}, "nothing": nil}) }},
	{name: "same-event-id", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, echo) }, act: func(p *play) {
		p.sendID("go", p.app+"-1", data{"n": 1})
		p.settle(1)
		p.sendID("go", p.app+"-1", data{"n": 2})
	}},
	{name: "same-event-id-after-failure", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) { return nil, fmt.Errorf("no") })
	}, act: func(p *play) {
		p.sendID("go", p.app+"-1", data{"n": 1})
		p.settle(1)
		p.sendID("go", p.app+"-1", data{"n": 2})
	}},
	{name: "idempotency-expression", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Idempotency: inngestgo.StrPtr("event.data.order")}, echo)
	}, act: func(p *play) {
		p.send("go", data{"order": "1"})
		p.settle(1)
		p.send("go", data{"order": "1"})
		p.send("go", data{"order": "2"})
	}},
	{name: "wait-for-event", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), "", time.Minute)) },
		act: then(data{"n": 1}, sends("reply", data{"yes": true}))},
	{name: "wait-matches-expression", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), "event.data.order == async.data.order", time.Minute))
	}, act: then(data{"order": "1"}, sends("reply", data{"order": "2"}), sends("reply", data{"order": "1", "it": "is me"}))},
	{name: "wait-literal-expression", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), `async.data.order == "1"`, time.Minute))
	}, act: then(data{}, sends("reply", data{"order": "2"}), sends("reply", data{"order": "1"}))},
	{name: "wait-reads-escapes", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), `event.data.n == 1 && async.data.s == 'it\'s'`, 20*time.Second))
	}, act: then(data{"n": 1}, sends("reply", data{"s": `it\'s`}), sends("reply", data{"s": "it's"}))},
	{name: "wait-writes-escapes", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), `event.data.s == async.data.s`, 20*time.Second))
	}, act: then(data{"s": `say "hi"`}, sends("reply", data{"s": `say "hi"`}), sends("reply", data{"s": `say \"hi\"`, "escaped": true}))},
	{name: "wait-leaves-escapes", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), `async.data.s == 'it\'s'`, 20*time.Second))
	}, act: then(data{"n": 1}, sends("reply", data{"s": "it's"}), sends("reply", data{"s": `it\'s`}))},
	{name: "cancel-reads-escapes", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop"), If: text(`event.data.n == 1 && async.data.s == 'it\'s'`)}}},
			waitFor(p.ev("reply"), "", 3*time.Second))
	}, act: then(data{"n": 1}, sends("stop", data{"s": "it's"}))},
	{name: "wait-both-missing", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), "event.data.absent == async.data.absent", 20*time.Second))
	}, act: then(data{}, sends("reply", data{"order": "2"}))},
	{name: "wait-times-out", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), "", time.Second)) }},
	{name: "wait-comes-too-early", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), "", 2*time.Second)) },
		act: func(p *play) { p.send("reply", data{}); p.settle(0); p.send("go", data{}) }},
	{name: "wait-bad-expression", runs: 1, differs: "failure-of-the-protocol", build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, waitFor(p.ev("reply"), "async.data.order ==", time.Minute))
	}},
	{name: "wait-undeclared-name", runs: 1, differs: "failure-of-the-protocol", build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, waitFor(p.ev("reply"), "asink.data.order == 1", time.Minute))
	}},
	{name: "if-undeclared-name", build: func(p *play) {
		p.when("go", `evnt.data.n == 1`, opts{ID: "f"}, echo)
		p.when("go", `event.data.n == 1`, opts{ID: "g"}, echo)
	}},
	{name: "key-undeclared-name", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1, Key: text("evnt.data.n")})}, echo)
	}},
	{name: "cancel-undeclared-name", build: func(p *play) {
		p.on("go", opts{ID: "f", Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop"), If: text("evnt.data.n == 1")}}}, echo)
	}},
	{name: "cancel-function-call", build: func(p *play) {
		p.on("go", opts{ID: "f", Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop"), If: text(`event.data.n + 1 == async.data.n`)}}}, echo)
	}},
	{name: "cancel-macro", build: func(p *play) {
		p.on("go", opts{ID: "f", Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop"), If: text(`has(async.data.n)`)}}}, echo)
	}},
	{name: "waits-of-two-runs", runs: 2, build: func(p *play) { p.on("go", opts{ID: "f"}, waitFor(p.ev("reply"), "", time.Minute)) },
		act: func(p *play) {
			p.send("go", data{"n": 1})
			p.send("go", data{"n": 2})
			p.settle(2)
			p.send("reply", data{"all": "of you"})
		}},
	{name: "send-from-step", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			_, err := step.Send(c, "tell", inngestgo.GenericEvent[map[string]any]{Name: p.ev("sent"), Data: data{"by": "f"}})
			return "sent", err
		})
		p.on("sent", opts{ID: "g"}, echo)
	}},
	{name: "invoke", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			return step.Invoke[map[string]any](c, "call", step.InvokeOpts{FunctionId: p.app + "-g", Data: data{"n": 7}})
		})
		p.on("never", opts{ID: "g"}, func(c ctx, in input) (any, error) { return data{"got": in.Event.Data["n"], "as": in.Event.Name}, nil })
	}},
	{name: "invoke-fails", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			return step.Invoke[map[string]any](c, "call", step.InvokeOpts{FunctionId: p.app + "-g", Data: data{"n": 7}})
		})
		p.on("never", opts{ID: "g", Retries: retries(0)}, func(c ctx, in input) (any, error) { return nil, fmt.Errorf("g is out") })
	}},
	{name: "integers-beyond-doubles", runs: 2, build: func(p *play) {
		type order struct{ ID int64 }
		const id = 1<<53 + 1
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			inObject, _ := step.Run(c, "object", func(context.Context) (order, error) { return order{id}, nil })
			alone, _ := step.Run(c, "alone", func(context.Context) (int64, error) { return id, nil })
			invoked, err := step.Invoke[order](c, "call", step.InvokeOpts{FunctionId: p.app + "-g", Data: data{"id": id}})
			return fmt.Sprint(inObject.ID, alone, invoked.ID), err
		})
		p.on("never", opts{ID: "g"}, func(c ctx, in input) (any, error) { return order{id}, nil })
	}},
	{name: "invoke-unknown", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			return step.Invoke[map[string]any](c, "call", step.InvokeOpts{FunctionId: p.app + "-unknown"})
		})
	}},
	{name: "invoke-times-out", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			_, err := step.Invoke[any](c, "call", step.InvokeOpts{FunctionId: p.app + "-g", Timeout: time.Second})
			return fmt.Sprint(err), nil
		})
		p.on("never", opts{ID: "g"}, func(c ctx, in input) (any, error) { step.Sleep(c, "nap", 3*time.Second); return "late", nil })
	}},
	{name: "failure-handler", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) { return nil, fmt.Errorf("it broke") })
		p.when("=inngest/function.failed", fmt.Sprintf("event.data.function_id == '%s-f'", p.app), opts{ID: "handler"}, finished)
	}},
	{name: "failure-of-step-handled", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) { return step.Run(c, "a", flaky(9)) })
		p.when("=inngest/function.failed", fmt.Sprintf("event.data.function_id == '%s-f'", p.app), opts{ID: "handler"}, finished)
	}},
	{name: "finished-event", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f"}, steps("a"))
		p.when("=inngest/function.finished", fmt.Sprintf("event.data.function_id == '%s-f'", p.app), opts{ID: "after"}, finished)
	}},
	{name: "failing-failure-handler", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) { return nil, fmt.Errorf("it broke") })
		p.when("=inngest/function.failed", fmt.Sprintf("event.data.function_id.startsWith('%s-')", p.app), opts{ID: "handler", Retries: retries(0)},
			func(c ctx, in input) (any, error) { return nil, fmt.Errorf("and so did I") })
	}},
	{name: "cancel-on", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop"), If: inngestgo.StrPtr("event.data.id == async.data.id")}}},
			func(c ctx, in input) (any, error) { step.Sleep(c, "nap", time.Minute); return "slept", nil })
	}, act: then(data{"id": "1"}, sends("stop", data{"id": "2"}), sends("stop", data{"id": "1"}))},
	{name: "cancelled-event", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop")}}},
			func(c ctx, in input) (any, error) { step.Sleep(c, "nap", time.Minute); return "slept", nil })
		p.when("=inngest/function.cancelled", fmt.Sprintf("event.data.function_id == '%s-f'", p.app), opts{ID: "after"}, finished)
	}, act: then(data{"id": "1"}, sends("stop", data{}))},
	{name: "finish-timeout", runs: 1, build: func(p *play) {
		limit := 2 * time.Second
		p.on("go", opts{ID: "f", Timeouts: &inngestgo.ConfigTimeouts{Finish: &limit}},
			func(c ctx, in input) (any, error) { step.Sleep(c, "nap", time.Minute); return "slept", nil })
	}},
	{name: "bad-events", runs: 0, build: func(p *play) { p.on("go", opts{ID: "f"}, echo) }, act: func(p *play) {
		for _, body := range []string{
			`{"data":{}}`, `{"name":"","data":{}}`, `{"name":"inngest/function.failed","data":{}}`, `{"name":"Inngest/x","data":{}}`,
			`{"name":"x","data":[]}`, `{"name":"x","data":1}`, `{"name":"x","ts":1}`, `{"name":"x","ts":9999999999999}`,
			`"text"`, `{`, `[`, ``, `[1]`, `{"name":"x","data":{"big":"` + strings.Repeat("x", 3<<20) + `"}}`,
		} {
			p.post(body)
		}
	}},
	{name: "odd-events", runs: 3, build: func(p *play) { p.on("go", opts{ID: "f"}, echo) }, act: func(p *play) {
		p.post(`{"name":"` + p.ev("go") + `"}`)
		p.post(`[{"name":"` + p.ev("go") + `","data":{"_inngest":{"fn_id":"x"},"a":1},"extra":1}]`)
		p.post(`{"name":"` + p.ev("go") + `","data":{"big":"` + strings.Repeat("x", 1<<20) + `"}}`)
	}},
	{name: "event-in-the-future", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a")) }, act: func(p *play) {
		p.post(fmt.Sprintf(`{"name":"%s","data":{"n":1},"ts":%d}`, p.ev("go"), time.Now().Add(2*time.Second).UnixMilli()))
	}},
	{name: "raw-done", runs: 1, raw: says(said{200, `{"ok":true}`, nil})},
	{name: "raw-text", runs: 1, raw: says(said{200, `plain text`, nil})},
	{name: "raw-run-complete", runs: 1, raw: says(said{206, `[{"op":"RunComplete","id":"x","data":{"a":1}}]`, nil})},
	{name: "raw-recovers", runs: 1, raw: says(said{500, `{"name":"E","message":"m"}`, nil}, said{200, `1`, nil})},
	{name: "raw-fails", runs: 1, raw: says(said{500, `{"name":"E","message":"m"}`, nil})},
	{name: "raw-no-retry", runs: 1, raw: says(said{400, `{"message":"m"}`, http.Header{"X-Inngest-No-Retry": {"true"}}})},
	{name: "raw-client-error", runs: 1, raw: says(said{404, `not here`, nil})},
	{name: "raw-not-an-sdk", runs: 1, differs: "failure-of-the-protocol", raw: says(said{200, `{}`, http.Header{"X-Inngest-Sdk": nil}})},
	{name: "raw-proxy-error", runs: 1, differs: "failure-of-the-protocol", raw: says(said{502, `<html>`, http.Header{"X-Inngest-Sdk": nil}})},
	{name: "raw-garbage", runs: 1, differs: "failure-of-the-protocol", raw: says(said{206, `garbage`, nil})},
	{name: "raw-empty", runs: 1, differs: "failure-of-the-protocol", raw: says(said{206, ``, nil})},
	{name: "raw-unknown-opcode", runs: 1, differs: "failure-of-the-protocol", raw: says(said{206, `[{"op":"Dance","id":"x"}]`, nil})},
	{name: "raw-null-opcode", runs: 1, differs: "failure-of-the-protocol", raw: says(said{206, `[null]`, nil})},
	{name: "raw-error-without-error", runs: 1, differs: "failure-of-the-protocol", raw: says(said{206, `[{"op":"StepError","id":"x"}]`, nil})},
	{name: "raw-no-ops-then-done", runs: 1, raw: says(said{206, `[]`, nil}, said{200, `2`, nil})},
	{name: "raw-same-step-twice", runs: 1, stuck: true, differs: "repeated-step-output", raw: says(
		said{206, `[{"op":"StepRun","id":"aa","name":"a","data":1}]`, nil}, said{206, `[{"op":"StepRun","id":"aa","name":"a","data":2}]`, nil}, said{200, `3`, nil})},
	{name: "raw-changing-ids", runs: 1, raw: says(
		said{206, `[{"op":"StepRun","id":"aa","name":"a","data":1}]`, nil}, said{206, `[{"op":"StepRun","id":"bb","name":"b","data":2}]`, nil}, said{200, `3`, nil})},
	{name: "raw-retry-after", runs: 1, raw: says(said{500, `{"message":"m"}`, http.Header{"Retry-After": {"1"}}}, said{200, `1`, nil})},
	{name: "raw-panics", runs: 1, differs: "failure-of-the-protocol", raw: func(p *play) *rawApp {
		return &rawApp{p: p, retries: 1, answer: func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}
	}},
	{name: "raw-duplicate-function", runs: 1, differs: "duplicate-function", raw: func(p *play) *rawApp {
		return &rawApp{p: p, twice: true, answer: func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }}
	}},
	{name: "raw-half-surrogate", runs: 1, differs: "failure-of-the-protocol", raw: says(
		said{206, `[{"op":"StepRun","id":"aa","name":"a","data":"Thanks \ud83d"}]`, nil}, said{200, `1`, nil})},
	{name: "raw-repeated-key", runs: 1, differs: "failure-of-the-protocol", raw: says(
		said{206, `[{"op":"StepRun","id":"aa","name":"a","data":{"a":1,"a":2}}]`, nil}, said{200, `1`, nil})},
	{name: "raw-streamed", runs: 1, raw: says(said{201, `  {"status":200,"body":"{\"a\":1}","headers":{"X-Inngest-Sdk":"test:v1"}}`, nil})},
}

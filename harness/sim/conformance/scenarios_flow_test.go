package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// gap is the time between two events that must be handled in the sequence in which they are sent: the server takes events
// that come together in any sequence.
const gap = 1500 * time.Millisecond

// sequence sends events "go" with these data, each after the one before has a run.
func sequence(events ...data) func(*play) {
	return func(p *play) {
		for _, d := range events {
			p.w.queued(p.sendID("go", "", d))
		}
	}
}

// spaced sends events "go" with these data, some time apart.
func spaced(events ...data) func(*play) {
	return func(p *play) {
		for i, d := range events {
			if i > 0 {
				p.w.pass(gap)
			}
			p.send("go", d)
		}
	}
}

// numbered returns data with n from 1 to as many.
func numbered(count int) (out []data) {
	for i := range count {
		out = append(out, data{"n": i + 1})
	}
	return out
}

// The modes of singletons and the scopes of limits. The SDK's names for them belong to a package of the server's, which
// nothing here imports.
const (
	singletonSkip   = 0
	singletonCancel = 1
	scopeEnv        = 1
)

func calls(limits ...inngestgo.ConfigStepConcurrency) *inngestgo.ConfigConcurrency {
	return &inngestgo.ConfigConcurrency{Step: limits}
}

func nap(d time.Duration) body {
	return func(c ctx, in input) (any, error) { step.Sleep(c, "nap", d); return "slept", nil }
}

// batch tells the events that it got.
func batch(c ctx, in input) (any, error) {
	var out []any
	for _, e := range in.Events {
		out = append(out, e.Data["n"])
	}
	return out, nil
}

// text returns a pointer, as the SDK wants it for expressions.
func text(s string) *string { return &s }

// sent sends an event as it is: {"n": n} with these fields beside the name.
func sent(p *play, n int, fields string) {
	p.post(fmt.Sprintf(`{"name":%q,"data":{"n":%d},%s}`, p.ev("go"), n, fields))
}

// afterCancelled is a function that runs when one of the scenario's is cancelled.
func afterCancelled(p *play, function string) {
	p.when("=inngest/function.cancelled", fmt.Sprintf("event.data.function_id == '%s-%s'", p.app, function), opts{ID: "after"}, finished)
}

var flowScenarios = []scenario{
	{name: "concurrency-of-one", runs: 3, takes: 500 * time.Millisecond, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1})}, steps("a", "b"))
	}, act: sequence(numbered(3)...)},
	{name: "concurrency-of-two", runs: 4, takes: 4 * time.Second, waves: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 2})}, echo)
	}, act: sequence(numbered(4)...)},
	{name: "concurrency-key", runs: 4, takes: 4 * time.Second, waves: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1, Key: text("event.data.user")})}, echo)
	}, act: sequence(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3}, data{"n": 4, "user": "kim"})},
	{name: "concurrency-two-limits", runs: 4, takes: 4 * time.Second, waves: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(
			inngestgo.ConfigStepConcurrency{Limit: 1, Key: text("event.data.user")}, inngestgo.ConfigStepConcurrency{Limit: 2},
		)}, echo)
	}, act: sequence(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3, "user": "kim"}, data{"n": 4, "user": "kim"})},
	{name: "concurrency-shared", runs: 2, takes: 2 * time.Second, order: true, build: func(p *play) {
		shared := calls(inngestgo.ConfigStepConcurrency{Limit: 1, Scope: scopeEnv, Key: text(`"` + p.app + `"`)})
		p.on("go", opts{ID: "f", Concurrency: shared}, echo)
		p.on("then", opts{ID: "g", Concurrency: shared}, echo)
	}, act: func(p *play) {
		p.w.queued(p.sendID("go", "", data{"n": 1}))
		p.w.queued(p.sendID("then", "", data{"n": 2}))
	}},
	{name: "concurrency-asleep", runs: 2, order: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1})}, nap(10*time.Second))
	}, act: sequence(numbered(2)...)},
	{name: "concurrency-parallel-steps", runs: 1, loose: true, takes: 2 * time.Second, order: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 2})}, func(c ctx, in input) (any, error) {
			var all []func(context.Context) (any, error)
			for _, id := range []string{"a", "b", "c", "d"} {
				all = append(all, func(c context.Context) (any, error) { return say(c, id) })
			}
			return "done", group.Parallel(c, all...).AnyError()
		})
	}},
	{name: "concurrency-of-runs", runs: 2, order: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: &inngestgo.ConfigConcurrency{Fn: []inngestgo.ConfigFnConcurrency{{Limit: 1}}}}, nap(8*time.Second))
	}, act: sequence(numbered(2)...)},
	// Of two runs that wait the real server may start either.
	{name: "throttle", runs: 2, period: 8 * time.Second, build: func(p *play) {
		p.on("go", opts{ID: "f", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: 8 * time.Second}}, steps("a"))
	}, act: sequence(numbered(2)...)},
	{name: "throttle-burst", runs: 3, period: 8 * time.Second, build: func(p *play) {
		p.on("go", opts{ID: "f", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Burst: 1, Period: 8 * time.Second}}, echo)
	}, act: sequence(numbered(3)...)},
	{name: "throttle-key", runs: 3, period: 8 * time.Second, build: func(p *play) {
		p.on("go", opts{ID: "f", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: 8 * time.Second, Key: text("event.data.user")}}, echo)
	}, act: sequence(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3, "user": "kim"})},
	{name: "rate-limit", runs: 2, waits: true, build: func(p *play) {
		p.on("go", opts{ID: "f", RateLimit: &inngestgo.ConfigRateLimit{Limit: 2, Period: 40 * time.Second}}, echo)
	}, act: func(p *play) {
		spaced(numbered(2)...)(p)
		p.w.pass(30 * time.Second)
		p.send("go", data{"n": 3})
	}},
	{name: "rate-limit-key", runs: 4, build: func(p *play) {
		p.on("go", opts{ID: "f", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Minute, Key: text("event.data.user")}}, echo)
	}, act: spaced(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3, "user": "kim"}, data{"n": 4}, data{"n": 5})},
	{name: "rate-limit-of-an-invocation", runs: 3, build: func(p *play) {
		p.on("other", opts{ID: "target", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Minute}}, echo)
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			_, err := step.Invoke[any](c, "call", step.InvokeOpts{FunctionId: p.app + "-target", Data: in.Event.Data})
			return fmt.Sprint(err), nil
		})
	}, act: func(p *play) {
		p.send("go", data{"n": 1})
		p.settle(3)
		p.send("go", data{"n": 2})
	}},
	{name: "debounce", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Debounce: &inngestgo.ConfigDebounce{Period: 8 * time.Second}}, echo)
	}, act: spaced(numbered(3)...)},
	{name: "debounce-key", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Debounce: &inngestgo.ConfigDebounce{Period: 8 * time.Second, Key: "event.data.user"}}, echo)
	}, act: spaced(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3, "user": "kim"})},
	{name: "debounce-by-ts", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Debounce: &inngestgo.ConfigDebounce{Period: 8 * time.Second}}, echo)
	}, act: func(p *play) {
		for n, ts := range []int{1700000000002, 1700000000003, 1700000000001} {
			sent(p, n, fmt.Sprintf(`"ts":%d`, ts))
			p.w.pass(gap)
		}
	}},
	{name: "debounce-timeout", runs: 2, waits: true, build: func(p *play) {
		timeout := 12 * time.Second
		p.on("go", opts{ID: "f", Debounce: &inngestgo.ConfigDebounce{Period: 10 * time.Second, Timeout: &timeout}}, echo)
	}, act: func(p *play) {
		for n, wait := range []time.Duration{0, 4 * time.Second, 4 * time.Second, 9 * time.Second} {
			p.w.pass(wait)
			p.send("go", data{"n": n})
		}
	}},
	{name: "debounce-of-an-invocation", runs: 2, build: func(p *play) {
		p.on("other", opts{ID: "target", Debounce: &inngestgo.ConfigDebounce{Period: time.Second}}, echo)
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			return step.Invoke[any](c, "call", step.InvokeOpts{FunctionId: p.app + "-target", Data: in.Event.Data})
		})
	}},
	{name: "batch", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: 8 * time.Second}}, batch)
	}, act: spaced(numbered(3)...)},
	{name: "batch-key", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: 8 * time.Second, Key: text("event.data.user")}}, batch)
	}, act: spaced(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3, "user": "kim"})},
	{name: "batch-if", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: 8 * time.Second, If: text("event.data.n != 2.0")}}, batch)
	}, act: spaced(numbered(3)...)},
	{name: "batch-with-steps", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: 8 * time.Second}}, func(c ctx, in input) (any, error) {
			if _, err := say(c, "a"); err != nil {
				return nil, err
			}
			return batch(c, in)
		})
	}, act: spaced(numbered(2)...)},
	{name: "batch-of-an-invocation", runs: 2, build: func(p *play) {
		p.on("other", opts{ID: "target", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: time.Second}}, batch)
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			return step.Invoke[any](c, "call", step.InvokeOpts{FunctionId: p.app + "-target", Data: in.Event.Data})
		})
	}},
	{name: "batch-fails", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0), BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: 8 * time.Second}},
			func(c ctx, in input) (any, error) { return nil, fmt.Errorf("no") })
		p.when("=inngest/function.failed", fmt.Sprintf("event.data.function_id == '%s-f'", p.app), opts{ID: "after"}, finished)
	}, act: spaced(numbered(2)...)},
	{name: "priority", runs: 4, takes: 3 * time.Second, order: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1}), Priority: &inngestgo.ConfigPriority{Run: text("int(event.data.p)")}}, echo)
	}, act: sequence(data{"n": 1, "p": 0}, data{"n": 2, "p": 0}, data{"n": 3, "p": 60}, data{"n": 4, "p": 30})},
	{name: "priority-that-is-no-integer", runs: 3, takes: 3 * time.Second, order: true, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1}), Priority: &inngestgo.ConfigPriority{Run: text("event.data.p")}}, echo)
	}, act: sequence(data{"n": 1, "p": 0}, data{"n": 2, "p": 0}, data{"n": 3, "p": 60})},
	{name: "priority-negative", runs: 1, period: 8 * time.Second, build: func(p *play) {
		p.on("go", opts{ID: "f", Priority: &inngestgo.ConfigPriority{Run: text("-8")}}, steps("a"))
	}},
	{name: "singleton-skip", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonSkip}}, nap(8*time.Second))
	}, act: sequence(numbered(2)...)},
	{name: "singleton-key", runs: 4, build: func(p *play) {
		p.on("go", opts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonSkip, Key: text("event.data.user")}}, nap(8*time.Second))
	}, act: sequence(data{"n": 1, "user": "kim"}, data{"n": 2, "user": "ann"}, data{"n": 3, "user": "kim"}, data{"n": 4}, data{"n": 5})},
	{name: "singleton-again", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonSkip}}, echo)
	}, act: then(data{"n": 1}, sends("go", data{"n": 2}))},
	{name: "singleton-cancel", runs: 3, build: func(p *play) {
		p.on("go", opts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonCancel}}, nap(8*time.Second))
		afterCancelled(p, "f")
	}, act: sequence(numbered(2)...)},
	{name: "singleton-cancel-and-same-event-id", runs: 2, build: func(p *play) {
		p.on("go", opts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonCancel}}, nap(8*time.Second))
		afterCancelled(p, "f")
	}, act: func(p *play) {
		p.w.queued(p.sendID("go", p.app+"-1", data{"n": 1}))
		p.sendID("go", p.app+"-1", data{"n": 2})
	}},
	{name: "start-timeout", runs: 2, takes: 5 * time.Second, build: func(p *play) {
		limit := 2 * time.Second
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1}), Timeouts: &inngestgo.ConfigTimeouts{Start: &limit}}, echo)
		afterCancelled(p, "f")
	}, act: sequence(numbered(2)...)},
	{name: "cancelled-while-it-waits", runs: 2, takes: 4 * time.Second, build: func(p *play) {
		p.on("go", opts{ID: "f", Concurrency: calls(inngestgo.ConfigStepConcurrency{Limit: 1}),
			Cancel: []inngestgo.ConfigCancel{{Event: p.ev("stop"), If: text("event.data.n == async.data.n")}}}, echo)
		afterCancelled(p, "f")
	}, act: func(p *play) {
		sequence(numbered(2)...)(p)
		p.send("stop", data{"n": 2})
	}},
	{name: "rate-limit-then-debounce", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Minute},
			Debounce: &inngestgo.ConfigDebounce{Period: time.Second}}, echo)
	}, act: spaced(numbered(2)...)},
	{name: "sessions", runs: 2, build: func(p *play) {
		p.when("go", `event.meta.sessions.chat == "7"`, opts{ID: "f"}, echo)
		p.when("=inngest/function.finished", fmt.Sprintf("event.data.function_id == '%s-f' && event.meta.sessions.chat == '7'", p.app), opts{ID: "after"}, finished)
	}, act: func(p *play) {
		sent(p, 1, `"meta":{"sessions":{"chat":7,"left":null},"propagated_sessions":{"chat":"8","left":"x","user":"kim"}}`)
	}},
	{name: "bad-sessions", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, echo) }, act: func(p *play) {
		for n, meta := range []string{
			`{"sessions":{"a":true}}`, `{"sessions":{"":"1"}}`, `{"sessions":{"a":""}}`, `{"sessions":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}}`,
			`{"sessions":[]}`, `{"propagated_sessions":{"a":null}}`, `{"sessions":null,"propagated_sessions":{"a":"1"}}`,
		} {
			sent(p, n, `"meta":`+meta)
		}
	}},
}

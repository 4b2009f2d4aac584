package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
)

// parallelRace is the SDK's mode in which what comes after parallel steps is looked for as each of them ends. Its name
// for it belongs to a package of the server's, which nothing here imports.
const parallelRace = 2

// retries is a number of retries.
func retries(n int) *int { return &n }

// say is a step that returns its own id.
func say(c ctx, id string) (string, error) {
	return step.Run(c, id, func(context.Context) (string, error) { return id + "!", nil })
}

// flaky fails until it has been tried n times.
func flaky(n int32) func(context.Context) (string, error) {
	var tries atomic.Int32
	return func(context.Context) (string, error) {
		if try := tries.Add(1); try <= n {
			return "", fmt.Errorf("try %d failed", try)
		}
		return "at last", nil
	}
}

// steps is a function of these steps, one after the other.
func steps(ids ...string) body {
	return func(c ctx, in input) (any, error) {
		var out []string
		for _, id := range ids {
			s, err := say(c, id)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		return out, nil
	}
}

var scenarios = append([]scenario{
	{name: "cron", runs: 1, waits: true, build: func(p *play) {
		p.trigger(inngestgo.MultipleTriggers{inngestgo.CronTrigger("* * * * *")}, opts{ID: "f"}, func(c ctx, in input) (any, error) { return in.Event.Name, nil })
	}, act: func(p *play) {
		if w, ok := p.w.(*simWorld); ok {
			_ = w.s.Advance(p.t.Context(), time.Minute)
		}
	}},
	{name: "cron-changed", runs: 1, waits: true, build: func(p *play) {
		p.trigger(inngestgo.MultipleTriggers{inngestgo.CronTrigger("* * * * *")}, opts{ID: "f"}, echo)
	}, act: func(p *play) {
		p.deploy(func() { p.on("go", opts{ID: "f"}, echo) })
		p.w.pass(70 * time.Second)
		p.send("go", data{"n": 1})
	}},
	{name: "cron-jitter", runs: 1, waits: true, build: func(p *play) {
		p.trigger(inngestgo.MultipleTriggers{inngestgo.CronTriggerWithJitter("* * * * *", 20*time.Second)}, opts{ID: "f"},
			func(c ctx, in input) (any, error) {
				at := func(field string) time.Time {
					t, _ := time.Parse(time.RFC3339, fmt.Sprint(in.Event.Data[field]))
					return t
				}
				late := at("fireAt").Sub(at("scheduledAt"))
				return late >= time.Second && late <= 20*time.Second, nil
			})
	}, act: func(p *play) {
		if w, ok := p.w.(*simWorld); ok {
			// To the end of the jitter of the next minute, and not into that of the one after.
			now := w.s.Now()
			_ = w.s.Advance(p.t.Context(), now.Truncate(time.Minute).Add(time.Minute+21*time.Second).Sub(now))
		}
	}},
	{name: "no-steps", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { return data{"hello": in.Event.Data["n"]}, nil })
	}},
	{name: "returns-nothing", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { return nil, nil })
	}},
	{name: "returns-text", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { return "text", nil })
	}},
	{name: "three-steps", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "b", "c")) }},
	{name: "repeated-ids", runs: 1, build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "a", "a")) }},
	{name: "step-returns-nothing", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			_, err := step.Run(c, "a", func(context.Context) (any, error) { return nil, nil })
			return "done", err
		})
	}},
	{name: "large-numbers", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { return in.Event.Data, nil })
	}, act: func(p *play) {
		p.send("go", data{"big": int64(1) << 60, "small": 0.1, "html": "<&>", "nested": data{"a": []int{1, 2}}})
	}},
	{name: "checkpointed-steps", runs: 1, checkpoint: &checkpoint.Config{}, build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "b", "c")) }},
	{name: "checkpointed-batch", runs: 1, checkpoint: &checkpoint.Config{BatchSteps: 2}, build: func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "b", "c")) }},
	{name: "checkpoint-then-sleep", runs: 1, checkpoint: &checkpoint.Config{}, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			if _, err := say(c, "a"); err != nil {
				return nil, err
			}
			step.Sleep(c, "nap", time.Second)
			return say(c, "b")
		})
	}},
	{name: "checkpoint-then-error", runs: 1, checkpoint: &checkpoint.Config{}, build: func(p *play) {
		try := flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(2)}, func(c ctx, in input) (any, error) {
			if _, err := say(c, "a"); err != nil {
				return nil, err
			}
			return step.Run(c, "b", try)
		})
	}},
	{name: "sleep", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { step.Sleep(c, "nap", time.Second); return "up", nil })
	}},
	{name: "sleep-nothing", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { step.Sleep(c, "nap", 0); return "up", nil })
	}},
	{name: "sleep-until", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			step.SleepUntil(c, "nap", time.Now().Add(time.Second))
			return "up", nil
		})
	}},
	{name: "sleep-too-long", runs: 1, differs: "failure-of-the-protocol", build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) {
			step.Sleep(c, "nap", 400*24*time.Hour)
			return "up", nil
		})
	}},
	{name: "step-recovers", runs: 1, build: func(p *play) {
		try := flaky(2)
		p.on("go", opts{ID: "f", Retries: retries(3)}, func(c ctx, in input) (any, error) { return step.Run(c, "a", try) })
	}},
	{name: "step-exhausted", runs: 1, build: func(p *play) {
		try := flaky(9)
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) { return step.Run(c, "a", try) })
	}},
	{name: "step-without-retries", runs: 1, build: func(p *play) {
		try := flaky(9)
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) { return step.Run(c, "a", try) })
	}},
	{name: "step-error-caught", runs: 1, build: func(p *play) {
		try := flaky(9)
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			if _, err := step.Run(c, "a", try); err != nil {
				return say(c, "instead")
			}
			return "no error", nil
		})
	}},
	{name: "attempts-are-per-step", runs: 1, build: func(p *play) {
		one, two := flaky(1), flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			if _, err := step.Run(c, "a", one); err != nil {
				return nil, err
			}
			return step.Run(c, "b", two)
		})
	}},
	{name: "step-no-retry", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(3)}, func(c ctx, in input) (any, error) {
			return step.Run(c, "a", func(context.Context) (string, error) { return "", inngestgo.NoRetryError(errors.New("never")) })
		})
	}},
	{name: "step-no-retry-caught", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(3)}, func(c ctx, in input) (any, error) {
			_, err := step.Run(c, "a", func(context.Context) (string, error) { return "", inngestgo.NoRetryError(errors.New("never")) })
			return fmt.Sprint(err), nil
		})
	}},
	{name: "step-retry-at", runs: 1, build: func(p *play) {
		try := flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(3)}, func(c ctx, in input) (any, error) {
			return step.Run(c, "a", func(c context.Context) (string, error) {
				s, err := try(c)
				if err != nil {
					err = inngestgo.RetryAtError(err, time.Now().Add(2*time.Second))
				}
				return s, err
			})
		})
	}},
	{name: "function-recovers", runs: 1, build: func(p *play) {
		try := flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(2)}, func(c ctx, in input) (any, error) { return try(c) })
	}},
	{name: "function-fails", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) { return nil, errors.New("always") })
	}},
	{name: "function-no-retry", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { return nil, inngestgo.NoRetryError(errors.New("never")) })
	}},
	{name: "function-fails-after-step", runs: 1, build: func(p *play) {
		try := flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			if _, err := say(c, "a"); err != nil {
				return nil, err
			}
			return try(c)
		})
	}},
	{name: "function-panics", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(0)}, func(c ctx, in input) (any, error) { panic("boom") })
	}},
	{name: "parallel", runs: 1, loose: true, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { return say(c, "b") },
				func(c context.Context) (any, error) { return say(c, "c") },
			)
			if err := results.AnyError(); err != nil {
				return nil, err
			}
			last, err := say(c, "after")
			return []any{results[0].Value, results[1].Value, results[2].Value, last}, err
		})
	}},
	{name: "parallel-mixed", runs: 1, loose: true, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { step.Sleep(c, "nap", time.Second); return "slept", nil },
			)
			return len(results), results.AnyError()
		})
	}},
	{name: "parallel-retry", runs: 1, loose: true, build: func(p *play) {
		try := flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { return step.Run(c, "b", try) },
			)
			return len(results), results.AnyError()
		})
	}},
	{name: "parallel-failure", runs: 1, loose: true, build: func(p *play) {
		try := flaky(9)
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { return step.Run(c, "b", try) },
			)
			return len(results), results.AnyError()
		})
	}},
	{name: "parallel-of-one", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			return group.Parallel(c, func(c context.Context) (any, error) { return say(c, "a") })[0].Value, nil
		})
	}},
	{name: "parallel-race", runs: 1, loose: true, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			results := group.ParallelWithOpts(c, group.ParallelOpts{ParallelMode: parallelRace},
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { step.Sleep(c, "nap", 4*time.Second); return "slept", nil },
			)
			return len(results), results.AnyError()
		})
	}},
	{name: "parallel-checkpointed", runs: 1, loose: true, checkpoint: &checkpoint.Config{}, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			if _, err := say(c, "before"); err != nil {
				return nil, err
			}
			results := group.Parallel(c,
				func(c context.Context) (any, error) { return say(c, "a") },
				func(c context.Context) (any, error) { return say(c, "b") },
			)
			if err := results.AnyError(); err != nil {
				return nil, err
			}
			if _, err := say(c, "c"); err != nil {
				return nil, err
			}
			return say(c, "d")
		})
	}},
	{name: "big-output", runs: 1, build: func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			s, err := step.Run(c, "a", func(context.Context) (string, error) { return strings.Repeat("x", 1<<20), nil })
			return len(s), err
		})
	}},
	{name: "too-big-output", runs: 1, differs: "failure-of-the-protocol", build: func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) {
			s, err := step.Run(c, "a", func(context.Context) (string, error) { return strings.Repeat("x", 5<<20), nil })
			return len(s), err
		})
	}},
}, slices.Concat(eventScenarios, flowScenarios, stepScenarios)...)

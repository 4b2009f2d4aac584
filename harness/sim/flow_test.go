package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// The modes of singletons and the scopes of limits. The SDK's names for them belong to a package of the server's.
const (
	singletonSkip   = 0
	singletonCancel = 1
	scopeEnv        = 1
)

func done(context.Context, input) (any, error) { return "done", nil }

func text(s string) *string { return &s }

func limitOf(n int, key string) *inngestgo.ConfigConcurrency {
	l := inngestgo.ConfigStepConcurrency{Limit: n}
	if key != "" {
		l.Key = &key
	}
	return &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{l}}
}

// cancelled has a run cancelled by an event with the same number.
var cancelled = []inngestgo.ConfigCancel{{Event: "order/cancelled", If: text("event.data.n == async.data.n")}}

// slow makes every call take as long, by the virtual clock.
func (a *app) slow(d time.Duration) { a.sim.InjectFault(sim.Fault{Late: d, Times: math.MaxInt}) }

func (a *app) until(d time.Duration) {
	a.t.Helper()
	require.NoError(a.t, a.sim.RunUntil(a.t.Context(), start.Add(d)))
}

// said returns what was decided, each with the time from the start.
func said(list []sim.Decision) (out []string) {
	for _, d := range list {
		out = append(out, fmt.Sprintf("%v %s %s", d.At.Sub(start), d.Function, d.Text))
	}
	return out
}

// of returns what was decided on an event, without ids.
func (a *app) of(id string) []string {
	a.t.Helper()
	for _, e := range a.sim.Events() {
		if e.EventID == id {
			out := said(e.Decisions)
			for i := range out {
				for n, r := range a.sim.Runs() {
					out[i] = strings.ReplaceAll(out[i], r.ID, fmt.Sprint("RUN", n))
				}
				for n, e := range a.sim.Events() {
					out[i] = strings.ReplaceAll(out[i], e.EventID, fmt.Sprint("EVENT", n))
				}
			}
			return out
		}
	}
	require.FailNow(a.t, "no such event is kept")
	return nil
}

func TestSim_ConcurrencyLimitsCalls(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Concurrency: limitOf(2, "event.data.user")}, done)
	a.serve()
	a.slow(20 * time.Second)
	var ids []string
	for _, user := range []string{"kim", "kim", "kim", "ann"} {
		ids = append(ids, a.send("order/paid", map[string]any{"user": user}))
	}
	a.until(15 * time.Second)
	third := a.only(ids[2])
	require.Equal(t, harness.StatusQueued, third.Status)
	require.Equal(t, []string{"0s shop-ship waits: concurrency 2 of key kim"}, said(third.Decisions))
	require.Equal(t, harness.StatusRunning, a.only(ids[3]).Status)
	a.run()
	third = a.only(ids[2])
	require.Equal(t, []string{"20s shop-ship admitted after 20s: concurrency 2 of key kim"}, said(third.Decisions))
	require.Equal(t, 20*time.Second, third.Started.Sub(third.Queued))
	require.Equal(t, 40*time.Second, third.Ended.Sub(third.Queued))
	require.Empty(t, a.only(ids[0]).Decisions)
}

func TestSim_ConcurrencyIsFreedByWhateverEndsACall(t *testing.T) {
	t.Parallel()
	ways := map[string]struct {
		f    func(context.Context, input) (any, error)
		then func(a *app, first string)
	}{
		"asleep": {f: func(ctx context.Context, in input) (any, error) {
			if in.Event.Data["n"] == 1.0 {
				step.Sleep(ctx, "nap", time.Hour)
			}
			return "done", nil
		}},
		"to be retried": {f: func(ctx context.Context, in input) (any, error) {
			if in.Event.Data["n"] == 1.0 {
				return nil, errors.New("no")
			}
			return "done", nil
		}},
		"cancelled during the call": {f: done, then: func(a *app, first string) {
			a.until(5 * time.Second)
			a.send("order/cancelled", map[string]any{"n": 1})
		}},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, sim.Options{})
			a.on("order/paid", opts{ID: "ship", Concurrency: limitOf(1, ""), Cancel: cancelled}, way.f)
			a.serve()
			a.slow(10 * time.Second)
			first := a.send("order/paid", map[string]any{"n": 1})
			second := a.send("order/paid", map[string]any{"n": 2})
			if way.then != nil {
				way.then(a, first)
			}
			a.until(10 * time.Second)
			require.Equal(t, harness.StatusRunning, a.only(second).Status)
			a.run()
			require.True(t, a.only(first).Status.Final())
			require.Equal(t, harness.StatusCompleted, a.only(second).Status)
		})
	}
}

func TestSim_WaitingRunCanBeCancelled(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Concurrency: limitOf(1, ""), Cancel: cancelled}, done)
	a.serve()
	a.slow(10 * time.Second)
	var ids []string
	for n := range 3 {
		ids = append(ids, a.send("order/paid", map[string]any{"n": n}))
	}
	a.until(time.Second)
	a.send("order/cancelled", map[string]any{"n": 1})
	a.run()
	require.Equal(t, harness.StatusCancelled, a.only(ids[1]).Status)
	require.Zero(t, a.only(ids[1]).Calls)
	require.Equal(t, 20*time.Second, a.only(ids[2]).Ended.Sub(start))
}

func TestSim_FunctionsTakeTurnsAtASharedLimit(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	shared := &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{{Limit: 1, Scope: scopeEnv, Key: text(`"mail"`)}}}
	a.on("order/paid", opts{ID: "ship", Concurrency: shared}, done)
	a.on("order/returned", opts{ID: "refund", Concurrency: shared}, done)
	a.serve()
	a.slow(10 * time.Second)
	for n, name := range []string{"order/paid", "order/paid", "order/returned", "order/paid", "order/returned"} {
		a.until(time.Duration(n) * time.Second)
		a.send(name, nil)
	}
	a.run()
	var order []string
	for _, r := range slices.SortedFunc(slices.Values(a.sim.Runs()), func(a, b *sim.Run) int { return a.Started.Compare(b.Started) }) {
		order = append(order, strings.TrimPrefix(r.FunctionID, "shop-"))
	}
	require.Equal(t, []string{"ship", "ship", "refund", "ship", "refund"}, order)
	require.Equal(t, []string{"40s shop-refund admitted after 36s: concurrency 1 in scope env of key mail"}, said(a.sim.Runs()[4].Decisions))
}

func TestSim_RunConcurrencyLastsUntilTheEnd(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Concurrency: &inngestgo.ConfigConcurrency{Fn: []inngestgo.ConfigFnConcurrency{{Limit: 1}}}},
		func(ctx context.Context, in input) (any, error) {
			step.Sleep(ctx, "nap", time.Hour)
			return "done", nil
		})
	a.serve()
	a.send("order/paid", nil)
	second := a.send("order/paid", nil)
	a.run()
	require.Equal(t, []string{"1h0m0s shop-ship admitted after 1h0m0s: run concurrency 1"}, said(a.only(second).Decisions))
}

func TestSim_ThrottlePutsOffStarts(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Burst: 1, Period: time.Minute}}, threeSteps)
	a.serve()
	var last string
	for range 100 {
		last = a.send("order/paid", nil)
	}
	a.run()
	require.Equal(t, []string{"1h38m0s shop-ship admitted after 1h38m0s: throttle 1 per 1m0s"}, said(a.only(last).Decisions))
	require.Equal(t, 98*time.Minute, a.only(last).Ended.Sub(start), "later steps are not throttled")
}

func TestSim_StartTimeoutCountsTheWait(t *testing.T) {
	t.Parallel()
	limit := 90 * time.Second
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: time.Minute}, Timeouts: &inngestgo.ConfigTimeouts{Start: &limit}}, done)
	a.serve()
	var ids []string
	for range 3 {
		ids = append(ids, a.send("order/paid", nil))
	}
	a.run()
	require.Equal(t, harness.StatusCompleted, a.only(ids[1]).Status)
	require.Equal(t, harness.StatusCancelled, a.only(ids[2]).Status)
	require.Equal(t, limit, a.only(ids[2]).Ended.Sub(start))
}

func TestSim_FutureEventMeetsFlowControl(t *testing.T) {
	t.Parallel()
	limit := 2 * time.Second
	a := newApp(t, sim.Options{})
	a.on("late", opts{ID: "late", Timeouts: &inngestgo.ConfigTimeouts{Start: &limit}}, done)
	a.on("calm", opts{ID: "calm", Debounce: &inngestgo.ConfigDebounce{Period: time.Minute}}, done)
	a.on("many", opts{ID: "many", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: time.Minute}}, done)
	a.serve()
	runs := map[string]*sim.Run{}
	for _, name := range []string{"late", "calm", "many"} {
		_, err := a.sim.Send(t.Context(), harness.Event{Name: name, TS: start.Add(time.Hour).UnixMilli()})
		require.NoError(t, err)
	}
	a.run()
	for _, r := range a.sim.Runs() {
		runs[r.Event.Name] = r
	}
	require.Equal(t, harness.StatusCancelled, runs["late"].Status)
	require.Equal(t, limit, runs["late"].Ended.Sub(start), "it was not started in time")
	require.Equal(t, time.Minute, runs["calm"].Queued.Sub(start))
	require.Equal(t, time.Hour, runs["calm"].Started.Sub(start))
	require.Equal(t, time.Minute, runs["many"].Started.Sub(start), "of batches the time does not matter")
}

func TestSim_RateLimitDropsEvents(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Hour, Key: text("event.data.user")}}, done)
	a.serve()
	a.send("order/paid", map[string]any{"user": "kim"})
	second := a.send("order/paid", map[string]any{"user": "kim"})
	a.run()
	require.Empty(t, a.sim.RunsOf(second))
	require.Equal(t, []string{"0s shop-ship dropped: rate limit 1 per 1h0m0s of key kim"}, a.of(second))
	_, err := a.sim.StartFunction(t.Context(), "shop-ship", harness.Event{Data: map[string]any{"user": "kim"}})
	require.EqualError(t, err, "starting shop-ship: it does not start at once: dropped: rate limit 1 per 1h0m0s of key kim")
	a.until(time.Hour)
	third := a.send("order/paid", map[string]any{"user": "kim"})
	a.run()
	require.Equal(t, harness.StatusCompleted, a.only(third).Status)
}

func TestSim_DebounceTellsOfEachEvent(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	limit := 90 * time.Minute
	a.on("order/paid", opts{ID: "ship", Debounce: &inngestgo.ConfigDebounce{Period: time.Hour, Timeout: &limit}},
		func(ctx context.Context, in input) (any, error) { return in.Event.Data["n"], nil })
	a.serve()
	var ids []string
	for n := range 3 {
		a.until(time.Duration(n) * 40 * time.Minute)
		ids = append(ids, a.send("order/paid", map[string]any{"n": n}))
	}
	a.until(81 * time.Minute)
	require.Equal(t, []string{"1h20m0s shop-ship debounced: event EVENT2 took its place"}, a.of(ids[1]))
	require.Equal(t, []string{"1h20m0s shop-ship debounced: it starts a run at 2025-03-01T13:30:00Z unless another event comes"}, a.of(ids[2]))
	a.run()
	run := a.only(ids[2])
	require.Equal(t, "2", string(run.Output))
	require.Equal(t, limit, run.Queued.Sub(start))
	require.Equal(t, []string{"1h30m0s shop-ship debounced into run RUN0 of event EVENT2"}, a.of(ids[0]))
	require.Equal(t, []string{"1h30m0s shop-ship debounced: no other event came"}, said(run.Event.Decisions))
}

func TestSim_BatchTellsOfEachEvent(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 3, Timeout: time.Hour}},
		func(ctx context.Context, in input) (any, error) { return len(in.Events), nil })
	a.serve()
	first := a.send("order/paid", nil)
	second := a.send("order/paid", nil)
	a.until(time.Minute)
	require.Equal(t, []string{"0s shop-ship in a batch: number 2 of at most 3; the run starts at 2025-03-01T13:00:00Z at the latest"}, a.of(second))
	a.run()
	run := a.only(second)
	require.Equal(t, a.only(first).ID, run.ID)
	require.Equal(t, "2", string(run.Output))
	require.Equal(t, time.Hour, run.Queued.Sub(start))
	require.Len(t, run.Batch, 2)
	require.Equal(t, []string{"1h0m0s shop-ship in a batch of 2: run RUN0"}, a.of(second))
}

func TestSim_SingletonSkipsOrCancels(t *testing.T) {
	t.Parallel()
	nap := func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "nap", time.Hour)
		return "done", nil
	}
	a := newApp(t, sim.Options{})
	a.on("skip", opts{ID: "skips", Singleton: &inngestgo.ConfigSingleton{Mode: singletonSkip, Key: text("event.data.user")}}, nap)
	a.on("cancel", opts{ID: "cancels", Singleton: &inngestgo.ConfigSingleton{Mode: singletonCancel}}, nap)
	a.serve()
	first := a.send("skip", map[string]any{"user": "kim"})
	second := a.send("skip", map[string]any{"user": "kim"})
	third := a.send("cancel", nil)
	fourth := a.send("cancel", nil)
	a.run()
	require.Equal(t, harness.StatusCompleted, a.only(first).Status)
	require.Equal(t, harness.StatusSkipped, a.only(second).Status)
	require.Equal(t, []string{"0s shop-skips skipped: singleton of key kim: run RUN0 is in progress"}, a.of(second))
	require.Equal(t, harness.StatusCancelled, a.only(third).Status)
	require.Equal(t, []string{"0s shop-cancels cancelled: singleton: event " + fourth + " started a run in its place"}, said(a.only(third).Decisions))
	require.Equal(t, harness.StatusCompleted, a.only(fourth).Status)
	again := a.send("skip", map[string]any{"user": "kim"})
	a.run()
	require.Equal(t, harness.StatusCompleted, a.only(again).Status)
}

func TestSim_NewRegistrationLiftsALimit(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Concurrency: limitOf(1, "")}, done)
	a.serve()
	a.slow(10 * time.Second)
	a.send("order/paid", nil)
	second := a.send("order/paid", nil)
	a.until(time.Second)
	b := a.deploy()
	b.on("order/paid", opts{ID: "ship", Concurrency: limitOf(2, "")}, done)
	b.serve()
	a.until(2 * time.Second)
	require.Equal(t, []string{"1s shop-ship admitted after 1s: concurrency 1"}, said(a.only(second).Decisions))
}

func TestSim_SaysWhatNeverStarts(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship", Concurrency: limitOf(0, "event.data.user")}, done)
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusQueued, run.Status)
	require.Equal(t, "it waits for ever, on the server too: concurrency 0 of key false", run.Stuck)
	b := a.deploy()
	b.on("order/paid", opts{ID: "ship"}, done)
	b.serve()
	a.run()
	run = a.sim.Runs()[0]
	require.Equal(t, harness.StatusCompleted, run.Status, "once the limit is gone")
	require.Empty(t, run.Stuck)
}

func TestSim_RefusesFlowControlThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship",
		Concurrency: &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{{Limit: 1, Scope: scopeEnv}}},
		RateLimit:   &inngestgo.ConfigRateLimit{Period: time.Hour},
		Debounce:    &inngestgo.ConfigDebounce{Period: time.Millisecond},
		BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 1, Timeout: time.Minute},
		Priority:    &inngestgo.ConfigPriority{Run: text("(")},
		Singleton:   &inngestgo.ConfigSingleton{Key: text(")")},
	}, done)
	err := a.sim.RegisterHandler(t.Context(), a.client.Serve())
	for _, want := range []string{
		"concurrency: a key must be specified for limits of scope env", "rate limit: limit must be greater than 0",
		"debounce: the period 1ms is not between 1s and 168h0m0s", "batch: the least are a size of 2 and a timeout of 1s",
		`priority: expression "("`,
	} {
		require.ErrorContains(t, err, want)
	}
	b := newApp(t, sim.Options{})
	b.on("order/paid", opts{ID: "ship", Debounce: &inngestgo.ConfigDebounce{Period: time.Minute},
		BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: time.Minute}}, done)
	require.ErrorContains(t, b.sim.RegisterHandler(t.Context(), b.client.Serve()),
		"batch: it cannot be combined with debounce, singleton, priority or cancellation")
}

func TestSim_ChecksFlowControlAsServer(t *testing.T) {
	t.Parallel()
	for config, refused := range map[string]string{
		`"idempotency":"foo"`: "undeclared reference to 'foo'",
		`"idempotency":""`:    "rate limit: idempotency expression is invalid",
		`"rateLimit":{"limit":1,"period":"1h","key":"foo"}`:                     "rate limit: ",
		`"rateLimit":{"limit":1,"period":"1h","key":""}`:                        "rate limit: ",
		`"batchEvents":{"maxSize":2,"timeout":"1s","key":"event.data.x + foo"}`: "batch: ",
		`"batchEvents":{"maxSize":2,"timeout":"1s","key":""}`:                   "batch: ",
		`"batchEvents":{"maxSize":2,"timeout":"1s","if":"foo"}`:                 "batch: ",
		`"debounce":{"period":"1s","key":"foo"}`:                                "debounce: ",
		`"debounce":{"period":"1s","key":""}`:                                   "",
		`"throttle":{"limit":1,"period":"1s","burst":-1}`:                       "throttle: ",
		`"throttle":{"limit":-1,"period":"1s"}`:                                 "throttle: ",
		`"throttle":{"limit":1,"period":"1s","key":"foo"}`:                      "",
		`"concurrency":[{"limit":1,"key":""}]`:                                  "concurrency: a key must not be empty",
		`"concurrency":[{"limit":1,"key":"foo"}]`:                               "",
		`"singleton":{"key":"event.data.x"}`:                                    "",
		`"singleton":{"key":"event.data.x","mode":""}`:                          "singleton: mode is",
	} {
		s := sim.New(sim.Options{})
		t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
		err := s.RegisterHandler(t.Context(), registering(nil, `"triggers":[{"event":"go"}],`+config))
		if refused == "" {
			require.NoError(t, err, config)
		} else {
			require.ErrorContains(t, err, refused, config)
		}
	}
}

// TestSim_LimitsHold throws events at functions with several limits, in many sequences: no limit is exceeded at any time,
// and no run is forgotten.
func TestSim_LimitsHold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a := newApp(t, sim.Options{Seed: seed, RetryInterval: time.Second})
		type call struct {
			at        time.Time
			name, key string
		}
		var calls []call
		const takes = 7 * time.Second
		f := func(name string) func(context.Context, input) (any, error) {
			return func(ctx context.Context, in input) (any, error) {
				calls = append(calls, call{a.sim.Now(), name, fmt.Sprint(in.Event.Data["user"])})
				if rng.IntN(4) == 0 {
					return nil, errors.New("no")
				}
				if rng.IntN(4) == 0 {
					step.Sleep(ctx, "nap", time.Duration(rng.IntN(20))*time.Second)
				}
				return threeSteps(ctx, in)
			}
		}
		shared := inngestgo.ConfigStepConcurrency{Limit: 3, Scope: scopeEnv, Key: text("event.data.user")}
		a.on("order/paid", opts{ID: "ship", Retries: inngestgo.IntPtr(20), Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: time.Second},
			Concurrency: &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{shared, {Limit: 4}}}}, f("ship"))
		a.on("order/paid", opts{ID: "bill", Retries: inngestgo.IntPtr(20), Priority: &inngestgo.ConfigPriority{Run: text("int(event.data.n) - 9")}, Cancel: cancelled,
			Concurrency: &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{shared}, Fn: []inngestgo.ConfigFnConcurrency{{Limit: 6}}}}, f("bill"))
		a.serve()
		a.slow(takes)
		for n := range 40 {
			a.send("order/paid", map[string]any{"n": n, "user": n % 5})
			a.until(time.Duration(n) * 3 * time.Second)
			if rng.IntN(5) == 0 {
				a.send("order/cancelled", map[string]any{"n": rng.IntN(n + 1)})
			}
		}
		a.run()
		for _, r := range a.sim.Runs() {
			require.True(t, r.Status.Final(), "seed %d: %s %s %v", seed, r.FunctionID, r.Status, said(r.Decisions))
		}
		for _, c := range calls {
			var ship, key int
			for _, other := range calls {
				if !other.at.After(c.at) && c.at.Before(other.at.Add(takes)) {
					if other.name == "ship" {
						ship++
					}
					if other.key == c.key {
						key++
					}
				}
			}
			require.LessOrEqual(t, ship, 4, "seed %d: calls of ship at %v", seed, c.at.Sub(start))
			require.LessOrEqual(t, key, 3, "seed %d: calls of user %s at %v", seed, c.key, c.at.Sub(start))
		}
		require.True(t, slices.IsSortedFunc(calls, func(a, b call) int { return a.at.Compare(b.at) }))
	}
}

// ask posts a body to the Sim's API and decodes the answer.
func (a *app) ask(path string, body any, into any) {
	a.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(a.t, err)
	resp, err := a.sim.HTTPClient().Post(sim.BaseURL+path, "application/json", bytes.NewReader(raw))
	require.NoError(a.t, err)
	defer resp.Body.Close()
	require.Equal(a.t, http.StatusOK, resp.StatusCode)
	require.NoError(a.t, json.NewDecoder(resp.Body).Decode(into))
}

func TestSim_APIShowsFlowControl(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("batch", opts{ID: "batches", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: time.Minute}}, done)
	a.on("skip", opts{ID: "skips", Singleton: &inngestgo.ConfigSingleton{Mode: singletonSkip}, Idempotency: text("event.id")}, done)
	a.serve()
	a.slow(time.Minute)
	one, two := a.send("batch", nil), a.send("batch", nil)
	first, second := a.send("skip", nil), a.send("skip", nil)
	a.run()
	runsOf := func(event string) (out []map[string]any) {
		var answer struct {
			Data struct {
				EventV2 struct{ Runs []map[string]any }
			}
		}
		a.ask("/v0/gql", map[string]any{
			"query":     "query($id:ULID!){eventV2(id:$id){runs{id status isBatch triggerIDs trace(preview:true){skipReason skipExistingRunID}}}}",
			"variables": map[string]any{"id": event},
		}, &answer)
		return answer.Data.EventV2.Runs
	}
	require.Equal(t, runsOf(one), runsOf(two))
	require.Equal(t, true, runsOf(one)[0]["isBatch"])
	require.Equal(t, []any{one, two}, runsOf(one)[0]["triggerIDs"])
	skipped := runsOf(second)[0]
	require.Equal(t, "SKIPPED", skipped["status"])
	require.Equal(t, map[string]any{"skipReason": "Singleton", "skipExistingRunID": runsOf(first)[0]["id"]}, skipped["trace"])

	var functions struct {
		Data struct {
			Functions []struct{ Slug, Config string }
		}
	}
	a.ask("/v0/gql", map[string]any{"query": "{functions{slug config}}"}, &functions)
	require.Contains(t, functions.Data.Functions[0].Config, `"batchEvents":{"maxSize":2,"timeout":"1m"}`)
	require.Contains(t, functions.Data.Functions[1].Config, `"singleton":{"mode":"skip"}`)
	require.Contains(t, functions.Data.Functions[1].Config, `"rateLimit":{"key":"event.id","limit":1,"period":"24h0m0s"}`)
}

func TestSim_SameRegistrationChangesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	registration := func(cron string) map[string]any {
		return map[string]any{"url": "http://127.0.0.1:1/", "sdk": "test:v1", "appName": "clock", "functions": []any{map[string]any{
			"id": "clock-f", "name": "f", "triggers": []any{map[string]any{"cron": cron}},
			"steps": map[string]any{"step": map[string]any{"runtime": map[string]any{"url": "http://127.0.0.1:1/?fnId=clock-f"}}},
		}}}
	}
	for _, want := range []struct {
		cron     string
		modified bool
	}{{"0 1 * * *", true}, {"0 1 * * *", false}, {"0 2 * * *", true}} {
		var answer struct{ Modified bool }
		a.ask("/fn/register", registration(want.cron), &answer)
		require.Equal(t, want.modified, answer.Modified)
	}
}

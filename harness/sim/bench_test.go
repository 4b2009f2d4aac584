package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func threeSteps(ctx context.Context, in input) (any, error) {
	for _, id := range []string{"fetch-request-details", "get-technician-email", "send-email"} {
		if _, err := step.Run(ctx, id, func(context.Context) (map[string]string, error) {
			return map[string]string{"id": id, "result": "some result of a usual size"}, nil
		}); err != nil {
			return nil, err
		}
	}
	return "done", nil
}

// BenchmarkThreeSteps measures what a run of three steps costs: the app's handler alone, called with the very requests
// that a Sim makes (handler-ns/op), and the Sim with it (sim-ns/op), interleaved. ratio is the second by the first; the
// goal is at most 2.
func BenchmarkThreeSteps(b *testing.B) {
	a := newApp(b, sim.Options{Keep: 100})
	a.on("order/paid", opts{ID: "ship"}, threeSteps)
	a.serve()
	ctx := context.Background()
	handler := a.client.Serve()
	requests := captured(b, handler)

	var alone, with []time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		began := time.Now()
		for _, body := range requests {
			req := httptest.NewRequest(http.MethodPost, "/api/inngest?fnId=shop-ship&stepId=step", bytes.NewReader(body))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			if w.Code >= 300 {
				b.Fatal(w.Body)
			}
		}
		alone = append(alone, time.Since(began))

		began = time.Now()
		if _, err := a.sim.Send(ctx, harness.Event{Name: "order/paid", Data: map[string]any{"n": 1}}); err != nil {
			b.Fatal(err)
		}
		if err := a.sim.Run(ctx); err != nil {
			b.Fatal(err)
		}
		with = append(with, time.Since(began))
	}
	// Medians: interruptions by other work fall on a few of them.
	b.ReportMetric(float64(median(alone)), "handler-ns/op")
	b.ReportMetric(float64(median(with)), "sim-ns/op")
	b.ReportMetric(float64(median(with))/float64(median(alone)), "ratio")
}

func median(samples []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(samples))[len(samples)/2]
}

// captured returns the requests of one run, as a Sim makes them.
func captured(b *testing.B, handler http.Handler) [][]byte {
	var bodies [][]byte
	s := sim.New(sim.Options{})
	b.Cleanup(func() { _ = s.Close(context.Background()) })
	tap := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.Error(err)
		}
		if r.Method == http.MethodPost {
			bodies = append(bodies, body)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	})
	ctx := context.Background()
	if err := s.RegisterHandler(ctx, tap); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Send(ctx, harness.Event{Name: "order/paid", Data: map[string]any{"n": 1}}); err != nil {
		b.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		b.Fatal(err)
	}
	if len(bodies) != 4 {
		b.Fatalf("%d calls, not 4", len(bodies))
	}
	return bodies
}

// BenchmarkMonthAndLadder measures a sleep of 30 days followed by a step that exhausts its retries.
func BenchmarkMonthAndLadder(b *testing.B) {
	a := newApp(b, sim.Options{Keep: 100})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "month", 30*24*time.Hour)
		return step.Run(ctx, "flaky", func(context.Context) (int, error) { return 0, errors.New("no luck") })
	})
	a.serve()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.sim.Send(ctx, harness.Event{Name: "order/paid"}); err != nil {
			b.Fatal(err)
		}
		if err := a.sim.Run(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSleep measures a sleep of 30 days alone.
func BenchmarkSleep(b *testing.B) {
	a := newApp(b, sim.Options{Keep: 100})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "month", 30*24*time.Hour)
		return nil, nil
	})
	a.serve()
	ctx := context.Background()
	for b.Loop() {
		if _, err := a.sim.Send(ctx, harness.Event{Name: "order/paid"}); err != nil {
			b.Fatal(err)
		}
		if err := a.sim.Run(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkManyRuns shows that a run costs the same among 1,000 and among 100,000, waiting at the same time, and that
// ended runs do not pile up (heap-MB). The app does next to nothing, so this is the Sim's own cost.
func BenchmarkManyRuns(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				s := sim.New(sim.Options{Start: start, Keep: 1_000})
				if err := s.RegisterHandler(context.Background(), napper{}); err != nil {
					b.Fatal(err)
				}
				ctx := context.Background()
				for i := range n {
					if _, err := s.Send(ctx, harness.Event{Name: "go", Data: map[string]int{"n": i}}); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.RunUntil(ctx, start); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(heapMB(), "asleep-MB")
				if err := s.Run(ctx); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(heapMB(), "heap-MB")
				_ = s.Close(context.Background())
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/run")
		})
	}
}

func heapMB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

// BenchmarkConcurrency sends events through a limit of five calls for each of many keys, or for one key. Each call takes a
// second of virtual time, so that they wait. The app does next to nothing.
func BenchmarkConcurrency(b *testing.B) {
	for _, size := range []struct{ events, keys int }{{1_000, 100}, {10_000, 1_000}, {10_000, 1}} {
		b.Run(fmt.Sprintf("%d-events-%d-keys", size.events, size.keys), func(b *testing.B) {
			for range b.N {
				s := sim.New(sim.Options{Start: start, Keep: 1_000})
				ctx := context.Background()
				app := limited{"concurrency": map[string]any{"limit": 5, "key": "event.data.key"}}
				if err := s.RegisterHandler(ctx, app); err != nil {
					b.Fatal(err)
				}
				s.InjectFault(sim.Fault{Late: time.Second, Times: math.MaxInt})
				for i := range size.events {
					if _, err := s.Send(ctx, harness.Event{Name: "go", Data: map[string]int{"key": i % size.keys}}); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Run(ctx); err != nil {
					b.Fatal(err)
				}
				if took := s.Now().Sub(start); took != time.Duration(size.events/size.keys/5)*time.Second {
					b.Fatal("the events took ", took)
				}
				_ = s.Close(ctx)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size.events), "µs/event")
		})
	}
}

// BenchmarkDebounce measures three events and an hour without any.
func BenchmarkDebounce(b *testing.B) {
	s := sim.New(sim.Options{Start: start, Keep: 1_000})
	ctx := context.Background()
	if err := s.RegisterHandler(ctx, limited{"debounce": map[string]any{"period": "1h"}}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for range 3 {
			if _, err := s.Send(ctx, harness.Event{Name: "go"}); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Run(ctx); err != nil {
			b.Fatal(err)
		}
	}
	_ = s.Close(ctx)
}

// limited is an app of one function with this configuration, which ends at once, without the SDK's cost.
type limited map[string]any

func (app limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Inngest-Sdk", "test:v1")
	if r.Method == http.MethodPut {
		w.Header().Set("X-Inngest-Sync-Kind", "in_band")
		f := map[string]any{
			"id": "nap-f", "name": "f", "triggers": []any{map[string]any{"event": "go"}},
			"steps": map[string]any{"step": map[string]any{"runtime": map[string]any{"url": "http://app.invalid/?fnId=nap-f&stepId=step"}}},
		}
		maps.Copy(f, app)
		_ = json.NewEncoder(w).Encode(map[string]any{"app_id": "nap", "functions": []any{f}})
		return
	}
	_, _ = io.WriteString(w, `"done"`)
}

// napper is an app that sleeps once, without the SDK's cost.
type napper struct{}

func (napper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		limited{}.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Inngest-Sdk", "test:v1")
	w.Header().Set("X-Inngest-Req-Version", "2")
	body, _ := io.ReadAll(r.Body)
	if strings.Contains(string(body), `"steps":{}`) {
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, `[{"op":"Sleep","id":"aa","name":"nap","opts":{"duration":"1h"}}]`)
		return
	}
	_, _ = io.WriteString(w, `"done"`)
}

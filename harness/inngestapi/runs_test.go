package inngestapi_test

import (
	"bytes"
	gocmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

func returns(v any) code { return func(context.Context, input) (any, error) { return v, nil } }

// run is step.Run for any value.
func run(ctx context.Context, id string, f func() (any, error)) (any, error) {
	return step.Run(ctx, id, func(context.Context) (any, error) { return f() })
}

func TestRuns(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "runs", server.URL+"/fn/register", false)
	a.function("object", 0, returns(map[string]any{"data": 1234567890123456}))
	a.function("text", 0, returns("done"))
	a.function("nothing", 0, returns(nil))
	a.function("fails", 0, func(context.Context, input) (any, error) { return nil, errors.New("out of paper") })
	a.function("gives-up", 3, func(context.Context, input) (any, error) {
		return nil, inngestgo.NoRetryError(errors.New("no such printer"))
	})
	a.synced(api)

	for function, want := range map[string]inngestapi.Run{
		"object":   {Status: harness.StatusCompleted, Output: json.RawMessage(`{"data":1234567890123456}`)},
		"text":     {Status: harness.StatusCompleted, Output: json.RawMessage(`"done"`)},
		"nothing":  {Status: harness.StatusCompleted},
		"fails":    {Status: harness.StatusFailed, Error: "out of paper"},
		"gives-up": {Status: harness.StatusFailed, Error: "no such printer"},
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			ids, err := api.Send(limit(t), harness.Event{Name: "runs/" + function})
			require.NoError(t, err)
			want.Function, want.App, want.EventIDs = function, "runs", ids
			times := cmpopts.IgnoreFields(inngestapi.Run{}, "ID", "Queued", "Started", "Ended")
			var runs []inngestapi.Run
			eventually(t, "the run", func() bool {
				runs, err = api.EventRuns(limit(t), ids[0])
				return err == nil && len(runs) == 1
			})
			var got inngestapi.Run
			eventually(t, "the run's end", func() bool {
				got, err = api.Run(limit(t), runs[0].ID)
				return err == nil && got.Status.Final()
			})
			require.Empty(t, cmp.Diff(want, got, times))

			require.False(t, got.Started.Before(got.Queued))
			require.False(t, got.Ended.Before(got.Started))

			// The server's own list comes to the end later, and to another time of it.
			eventually(t, "the run's end in the server's own list", func() bool {
				ended := strings.Contains(ask(t, `{eventV2(id:"`+ids[0]+`"){runs{status endedAt}}}`), string(want.Status))
				runs, err = api.EventRuns(limit(t), ids[0])
				require.NoError(t, err)
				require.Empty(t, cmp.Diff([]inngestapi.Run{got}, runs), "a run is listed as it is")
				return ended
			})
		})
	}
}

// ask returns the server's answer to a query.
func ask(t *testing.T, query string) string {
	body, err := json.Marshal(map[string]string{"query": query})
	require.NoError(t, err)
	res, err := http.Post(server.URL+"/v0/gql", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(answer)
}

func TestRuns_NoneForAnEventWithoutFunctions(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	ids, err := api.Send(limit(t), harness.Event{Name: "unknown/event"})
	require.NoError(t, err)
	received(t, api, ids[0])
	runs, err := api.EventRuns(limit(t), ids[0])
	require.NoError(t, err)
	require.Empty(t, runs)
}

func TestClient_UnknownIDs(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	id := ulid.Make().String()
	_, err := api.EventRuns(limit(t), id)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	_, err = api.Run(limit(t), id)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	_, err = api.Trace(limit(t), id)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	_, err = api.Run(limit(t), "abc")
	require.EqualError(t, err, "read run abc: the Inngest server refused a query: error parsing runID: ulid: bad data size when unmarshaling")
}

// The server calls a run that waits for its next attempt by several names in several places.
func TestRun_NotOverWhileRetried(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "again", server.URL+"/fn/register", false)
	proceed := make(chan struct{})
	a.function("step", 1, func(ctx context.Context, in input) (any, error) {
		return run(ctx, "print", func() (any, error) {
			if in.InputCtx.Attempt == 0 {
				return nil, errors.New("jammed")
			}
			<-proceed
			return "printed", nil
		})
	})
	a.function("outside", 1, func(ctx context.Context, in input) (any, error) {
		if in.InputCtx.Attempt == 0 {
			return nil, errors.New("jammed")
		}
		<-proceed
		return "printed", nil
	})
	a.synced(api)
	step, outside := a.start(api, "step"), a.start(api, "outside")

	var trace inngestapi.RunTrace
	eventually(t, "the first attempt at the step", func() (ok bool) {
		trace, _ = api.Trace(limit(t), step.ID)
		return len(trace.Steps) == 1 && trace.Steps[0].Attempts[0].Error == "jammed"
	})
	require.Equal(t, harness.StatusRunning, trace.Steps[0].Status)
	require.Empty(t, trace.Steps[0].Error)
	require.Zero(t, trace.Steps[0].Ended)
	eventually(t, "the first attempt outside steps", func() bool {
		trace, _ = api.Trace(limit(t), outside.ID)
		return len(trace.Outside) == 1 && trace.Outside[0].Error == "jammed"
	})
	for _, r := range []inngestapi.Run{step, outside} {
		got, err := api.Run(limit(t), r.ID)
		require.NoError(t, err)
		require.Equal(t, harness.StatusRunning, got.Status)
		require.Empty(t, got.Error)
		require.Zero(t, got.Ended)
	}
	close(proceed)
	for _, r := range []inngestapi.Run{step, outside} {
		got := a.ended(api, r)
		require.Equal(t, harness.StatusCompleted, got.Status)
		require.JSONEq(t, `"printed"`, string(got.Output))
	}
}

func TestRun_Cancelled(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "cancel", server.URL+"/fn/register", false)
	a.add(inngestgo.FunctionOpts{ID: "waits", Cancel: []inngestgo.ConfigCancel{{Event: "cancel/stop"}}}, inngestgo.EventTrigger("cancel/waits", nil),
		func(ctx context.Context, in input) (any, error) {
			if _, err := run(ctx, "first", func() (any, error) { return 1, nil }); err != nil {
				return nil, err
			}
			step.Sleep(ctx, "nap", time.Hour)
			return nil, nil
		})
	a.synced(api)
	r := a.start(api, "waits")
	asleep := func() bool {
		trace, err := api.Trace(limit(t), r.ID)
		return err == nil && len(trace.Steps) == 2
	}
	eventually(t, "the nap", asleep)
	_, err := api.Send(limit(t), harness.Event{Name: "cancel/stop"})
	require.NoError(t, err)
	r = a.ended(api, r)
	for _, c := range []*inngestapi.Client{api, newClient(t, without(t, 404, "/v0/gql"))} {
		r, err = c.Run(limit(t), r.ID)
		require.NoError(t, err)
		require.Equal(t, harness.StatusCancelled, r.Status)
		require.Empty(t, r.Error)
		require.Empty(t, r.Output, "it has returned nothing")
		require.False(t, r.Ended.After(time.Now()), "it ended at %s", r.Ended)
	}
	trace, err := api.Trace(limit(t), r.ID)
	require.NoError(t, err)
	require.Equal(t, "first COMPLETED(1), nap RUNNING", summary(trace))
}

// Of two events for a singleton that come at the same time the server keeps no span of the run that it skips, and so no reason.
func TestRun_Skipped(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "skip", server.URL+"/fn/register", false)
	key := "event.data.n"
	a.add(inngestgo.FunctionOpts{ID: "single", Singleton: &inngestgo.ConfigSingleton{Key: &key}}, inngestgo.EventTrigger("skip/single", nil),
		func(ctx context.Context, in input) (any, error) {
			step.Sleep(ctx, "nap", time.Hour)
			return nil, nil
		})
	a.synced(api)
	const pairs = 10
	var events []harness.Event
	for n := range 2 * pairs {
		events = append(events, harness.Event{Name: "skip/single", Data: map[string]any{"n": n / 2}})
	}
	ids, err := api.Send(limit(t), events...)
	require.NoError(t, err)
	runOf := func(id string) inngestapi.Run {
		var runs []inngestapi.Run
		eventually(t, "its run", func() bool {
			runs, err = api.EventRuns(limit(t), id)
			return len(runs) == 1 && runs[0].Status != harness.StatusQueued || err != nil && !errors.Is(err, inngestapi.ErrNotFound)
		})
		require.NoError(t, err)
		return runs[0]
	}
	statuses := map[harness.Status]int{}
	for _, id := range ids {
		r := runOf(id)
		statuses[r.Status]++
		require.Equal(t, r.Status == harness.StatusSkipped, r.Skipped != "")
	}
	require.Equal(t, map[harness.Status]int{harness.StatusRunning: pairs, harness.StatusSkipped: pairs}, statuses)
	ids, err = api.Send(limit(t), events[0]) // its reason is known
	require.NoError(t, err)
	require.Regexp(t, "^singleton: the run [0-9A-Z]{26} had not ended$", runOf(ids[0]).Skipped)
}

// A run that was cancelled before it started may have no span, as one that was skipped.
func TestRun_CancelledWithoutSpan(t *testing.T) {
	t.Parallel()
	for _, span := range []string{`{"errors":[{"message":"no root span found"}]}`, `{"data":{"run":{"trace":{"endedAt":null}}}}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "trace(") {
				_, _ = io.WriteString(w, span)
				return
			}
			_, _ = io.WriteString(w, `{"data":{"run":{"id":"r","status":"CANCELLED","endedAt":"2026-11-28T09:00:10Z"}}}`)
		}))
		t.Cleanup(server.Close)
		r, err := newClient(t, server.URL).Run(limit(t), "r")
		require.NoError(t, err)
		require.Equal(t, harness.StatusCancelled, r.Status)
		require.False(t, r.Ended.IsZero())
	}
}

// summary is a trace in short.
func summary(trace inngestapi.RunTrace) string {
	text := ""
	steps := slices.SortedStableFunc(slices.Values(trace.Steps), func(a, b inngestapi.Step) int {
		// Of two that began in the same millisecond either may come first: then the alphabet decides.
		return gocmp.Or(a.Started.Compare(b.Started), gocmp.Compare(a.ID, b.ID))
	})
	for i, s := range steps {
		if i > 0 {
			text += ", "
		}
		text += s.ID + " " + string(s.Status)
		if s.Output != nil {
			text += fmt.Sprintf("(%s)", s.Output)
		}
		if s.Error != "" {
			text += fmt.Sprintf("(%s)", s.Error)
		}
		for i, a := range s.Attempts {
			if len(s.Attempts) > 1 {
				text += fmt.Sprintf(" %d:%s", i+1, a.Error)
			}
		}
	}
	for _, a := range trace.Outside {
		text += fmt.Sprintf("; %s", a.Status)
		if a.Error != "" {
			text += fmt.Sprintf("(%s)", a.Error)
		}
	}
	return text
}

// The server writes down something else with checkpoints than without; the trace is the same.
func TestTrace(t *testing.T) {
	t.Parallel()
	for _, checkpoints := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "checkpoints"}[checkpoints]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traceEveryKind(t, newApp(t, name, server.URL+"/fn/register", checkpoints))
		})
	}
}

func traceEveryKind(t *testing.T, a *app) {
	api := newClient(t, server.URL)
	a.function("child", 0, returns("child"))
	a.function("invoked", 0, returns(map[string]any{"i": 1}))
	a.function("steps", 3, func(ctx context.Context, in input) (any, error) {
		if _, err := run(ctx, "a", func() (any, error) { return map[string]any{"data": map[string]any{"n": 1}}, nil }); err != nil {
			return nil, err
		}
		if _, err := run(ctx, "b-flaky", func() (any, error) {
			if in.InputCtx.Attempt < 2 {
				return nil, fmt.Errorf("jam %d", in.InputCtx.Attempt)
			}
			return "text", nil
		}); err != nil {
			return nil, err
		}
		step.Sleep(ctx, "c-nap", 20*time.Millisecond)
		if _, err := run(ctx, "b-flaky", func() (any, error) { return []int{1, 2}, nil }); err != nil {
			return nil, err
		}
		if _, err := run(ctx, "d-null", func() (any, error) { return nil, nil }); err != nil {
			return nil, err
		}
		if _, err := step.Invoke[any](ctx, "e-invoke", step.InvokeOpts{FunctionId: a.id + "-invoked"}); err != nil {
			return nil, err
		}
		if _, err := step.WaitForEvent[any](ctx, "f-wait", step.WaitForEventOpts{Event: a.event("never"), Timeout: 20 * time.Millisecond}); !errors.Is(err, step.ErrEventNotReceived) {
			return nil, err
		}
		return "all", nil
	})
	a.function("exhausted", 1, func(ctx context.Context, in input) (any, error) {
		return run(ctx, "always", func() (any, error) { return nil, fmt.Errorf("jam %d", in.InputCtx.Attempt) })
	})
	a.function("permanent", 3, func(ctx context.Context, in input) (any, error) {
		return run(ctx, "gives-up", func() (any, error) { return nil, inngestgo.NoRetryError(errors.New("no such printer")) })
	})
	a.function("outside", 1, func(ctx context.Context, in input) (any, error) {
		if _, err := run(ctx, "fine", func() (any, error) { return 1, nil }); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("outside %d", in.InputCtx.Attempt)
	})
	a.function("recovers", 1, func(ctx context.Context, in input) (any, error) {
		if in.InputCtx.Attempt == 0 {
			return nil, errors.New("cold")
		}
		return "warm", nil
	})
	a.function("handled", 0, func(ctx context.Context, in input) (any, error) {
		_, err := run(ctx, "bad", func() (any, error) { return nil, errors.New("jam") })
		return run(ctx, "after", func() (any, error) { return err.Error(), nil })
	})
	a.function("parallel", 0, func(ctx context.Context, in input) (any, error) {
		branch := func(context.Context) (any, error) {
			return run(ctx, "branch", func() (any, error) { return nil, nil })
		}
		results := group.Parallel(ctx, branch, branch)
		return len(results), results.AnyError()
	})
	a.function("many", 0, func(ctx context.Context, in input) (any, error) {
		for i := range 120 {
			if _, err := run(ctx, fmt.Sprintf("s%03d", i), func() (any, error) { return i, nil }); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	a.synced(api)

	many := ""
	for i := range 120 {
		many += fmt.Sprintf("s%03d COMPLETED(%d), ", i, i)
	}
	for function, want := range map[string]string{
		"steps": `a COMPLETED({"data":{"n":1}}), b-flaky COMPLETED("text") 1:jam 0 2:jam 1 3:, c-nap COMPLETED, b-flaky COMPLETED([1,2]), ` +
			`d-null COMPLETED, e-invoke COMPLETED({"i":1}), f-wait COMPLETED; COMPLETED`,
		"exhausted": "always FAILED(jam 1) 1:jam 0 2:jam 1; FAILED(unhandled step error: jam 1)",
		"permanent": "gives-up FAILED(no such printer); FAILED(unhandled step error: no such printer)",
		"outside":   "fine COMPLETED(1); FAILED(outside 0); FAILED(outside 1)",
		"recovers":  "; FAILED(cold); COMPLETED",
		"handled":   `bad FAILED(jam), after COMPLETED("jam"); COMPLETED`,
		"parallel":  "branch COMPLETED, branch COMPLETED; COMPLETED",
		"many":      many[:len(many)-2] + "; COMPLETED",
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			r := a.ended(api, a.start(api, function))
			var trace inngestapi.RunTrace
			began := time.Now()
			eventually(t, "the last spans", func() bool {
				var err error
				trace, err = api.Trace(limit(t), r.ID)
				require.NoError(t, err)
				return len(trace.Outside) > 0 && summary(trace) == want || time.Since(began) > 15*time.Second
			})
			require.Equal(t, want, summary(trace))
			require.True(t, slices.IsSortedFunc(trace.Steps, func(a, b inngestapi.Step) int { return a.Started.Compare(b.Started) }))
			requireOrder(t, r, trace)
			if function != "steps" {
				return
			}
			var ops []string
			hashes := map[string]bool{}
			for _, s := range trace.Steps {
				ops = append(ops, s.Op)
				hashes[s.HashedID] = true
			}
			require.Equal(t, []string{"RUN", "RUN", "SLEEP", "RUN", "RUN", "INVOKE", "WAIT_FOR_EVENT"}, ops)
			require.Len(t, hashes, 7, "the two of one name are two")
		})
	}
}

// requireOrder checks what the times of a trace must be like.
func requireOrder(t *testing.T, r inngestapi.Run, trace inngestapi.RunTrace) {
	// The server and the SDK look at their clocks at different moments, on a busy machine far apart; two tries are a
	// second apart.
	const ofRun, ofStep = 5 * time.Second, 900 * time.Millisecond
	within := func(what string, slack time.Duration, from, to, outerFrom, outerTo time.Time) {
		t.Helper()
		require.False(t, from.IsZero() || to.IsZero(), "%s has times", what)
		require.False(t, to.Before(from), "%s ends at %s, before it begins at %s", what, to, from)
		require.False(t, from.Before(outerFrom.Add(-slack)) || to.After(outerTo.Add(slack)), "%s, %s to %s, is within %s to %s", what, from, to, outerFrom, outerTo)
	}
	for _, s := range trace.Steps {
		within(s.ID, ofRun, s.Started, s.Ended, r.Started, r.Ended)
		for i, a := range s.Attempts {
			within(fmt.Sprintf("%s, attempt %d", s.ID, i+1), ofStep, a.Started, a.Ended, s.Started, s.Ended)
		}
	}
}

// Calls that never reach a step are not a step's.
func TestTrace_AppAway(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "away", server.URL+"/fn/register", false)
	a.function("f", 1, func(ctx context.Context, in input) (any, error) {
		return run(ctx, "step", func() (any, error) { return nil, nil })
	})
	a.synced(api)
	a.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	r := a.ended(api, a.start(api, "f"))
	require.Equal(t, "Your server returned HTTP 502 before the SDK responded.", r.Error)
	var trace inngestapi.RunTrace
	var err error
	bothTries := func() bool {
		trace, err = api.Trace(limit(t), r.ID)
		return err == nil && len(trace.Outside) == 2
	}
	eventually(t, "the last spans", bothTries)
	require.Empty(t, trace.Steps)

	a.server.Close()
	r = a.ended(api, a.start(api, "f"))
	require.Equal(t, "Unable to reach SDK URL", r.Error)
	eventually(t, "the last spans", bothTries)
	require.Equal(t, "; FAILED(Unable to reach SDK URL); FAILED(Unable to reach SDK URL)", summary(trace))
}

// Spans as the server has been seen to write them, or may.
func TestTrace_OddSpans(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ status, children, want string }{
		"nothing yet":        {"QUEUED", ``, ""},
		"text":               {"COMPLETED", `{"name":"s","status":"COMPLETED","stepId":"1","stepOp":"RUN","output":{"data":"x"}}`, `s COMPLETED("x")`},
		"a list":             {"COMPLETED", `{"name":"s","status":"COMPLETED","stepId":"1","stepOp":"RUN","output":{"data":[1]}}`, `s COMPLETED([1])`},
		"null":               {"COMPLETED", `{"name":"s","status":"COMPLETED","stepId":"1","stepOp":"RUN","output":{"data":null}}`, `s COMPLETED`},
		"an object":          {"COMPLETED", `{"name":"s","status":"COMPLETED","stepId":"1","stepOp":"RUN","output":{"data":1,"n":2}}`, `s COMPLETED({"data":1,"n":2})`},
		"data in an object":  {"COMPLETED", `{"name":"s","status":"COMPLETED","stepId":"1","stepOp":"RUN","output":{"data":{}}}`, `s COMPLETED({"data":{}})`},
		"no output":          {"COMPLETED", `{"name":"s","status":"COMPLETED","stepId":"1","stepOp":"RUN"}`, `s COMPLETED`},
		"an error of a name": {"FAILED", `{"name":"s","status":"FAILED","stepId":"1","output":{"name":"TypeError","message":""}}`, `s FAILED(TypeError)`},
		"calls alone": {"FAILED", `{"name":"s","status":"FAILED","children":[
			{"name":"Attempt 0","status":"FAILED","stepId":"1","stepOp":"RUN","output":{"message":"a"}},
			{"name":"Attempt 1","status":"FAILED","stepId":"1","output":{"message":"b"}}]}`, "s FAILED(b) 1:a 2:b"},
		"a call that is under way": {"RUNNING", `{"name":"s","status":"RUNNING","children":[
			{"name":"Attempt 0","status":"FAILED","stepId":"1","stepOp":"RUN","startedAt":"2026-01-01T00:00:00Z","output":{"message":"a"}},
			{"name":"Attempt 1","status":"WAITING"}]}`, "s RUNNING"},
		"it failed, the run was cancelled": {"CANCELLED", `{"name":"s","status":"FAILED","stepId":"1","stepOp":"RUN","output":{"message":"a"}}`, "s CANCELLED(a)"},
		"a step that is under way":         {"RUNNING", `{"name":"s","status":"RUNNING","stepId":"1","stepOp":"RUN","endedAt":"2026-01-01T00:00:00Z"}`, "s RUNNING"},
		"something without a step":         {"RUNNING", `{"name":"s","status":"RUNNING"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"data":{"rootSpan":{"name":"Run","status":%q,"children":[%s]}}}`, tc.status, tc.children)
			}))
			defer s.Close()
			trace, err := newClient(t, s.URL).Trace(limit(t), "01RUN")
			require.NoError(t, err)
			require.Equal(t, tc.want, summary(trace))
		})
	}
}

// The server shows what began in the same millisecond in any order; the end tells what came first.
func TestTrace_OrdersTiesByTheirEnd(t *testing.T) {
	t.Parallel()
	const at = "2026-01-01T00:00:00."
	spanOf := func(id, start, end string) string {
		return fmt.Sprintf(`{"name":%q,"status":"COMPLETED","stepId":%q,"stepOp":"RUN","startedAt":"%s%sZ","endedAt":"%s%sZ"}`, id, id, at, start, at, end)
	}
	waiting := `{"name":"waits","status":"RUNNING","stepId":"waits","stepOp":"RUN","startedAt":"` + at + `001Z"}`
	spans := []string{waiting, spanOf("late", "001", "900"), spanOf("early", "001", "002"), spanOf("before", "000", "950")}
	for range len(spans) {
		spans = append(spans[1:], spans[0])
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"data":{"rootSpan":{"name":"Run","status":"RUNNING","children":[%s]}}}`, strings.Join(spans, ","))
		}))
		trace, err := newClient(t, s.URL).Trace(limit(t), "01RUN")
		s.Close()
		require.NoError(t, err)
		var ids []string
		for _, step := range trace.Steps {
			ids = append(ids, step.ID)
		}
		require.Equal(t, []string{"before", "early", "late", "waits"}, ids)
	}
}

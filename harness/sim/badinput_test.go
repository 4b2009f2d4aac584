package sim_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// answering is an app with one function that answers every call the same way.
func answering(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			napper{}.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Inngest-Sdk", "test:v1")
		answer(w, r)
	})
}

func goOnce(t *testing.T, o sim.Options, app http.Handler) *sim.Run {
	t.Helper()
	o.RetryInterval = time.Second
	s := sim.New(o)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	require.NoError(t, s.RegisterHandler(t.Context(), app))
	id, err := s.Send(t.Context(), harness.Event{Name: "go"})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	return s.RunsOf(id)[0]
}

func TestSim_LeavesHangingAppBehind(t *testing.T) {
	t.Parallel()
	returned := make(chan struct{}, 5)
	run := goOnce(t, sim.Options{CallTimeout: 500 * time.Millisecond}, answering(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // it hangs until its context ends
		returned <- struct{}{}
	}))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, "the app did not answer within 500ms of wall-clock time (--call-timeout; in Go, sim.Options.CallTimeout)", run.Error.Message)
	require.Len(t, run.FailedCalls, 5)
	for range 5 {
		<-returned
	}
}

func TestSim_SurvivesPanickingApp(t *testing.T) {
	t.Parallel()
	run := goOnce(t, sim.Options{}, answering(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, "Unable to reach SDK URL", run.Error.Message)
	require.Contains(t, run.Error.Stack, "the app's handler panicked: boom")
}

func TestSim_FailsRunWithTooManySteps(t *testing.T) {
	t.Parallel()
	n := 0
	run := goOnce(t, sim.Options{}, answering(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, `[{"op":"StepRun","id":"`+strings.Repeat("a", n)+`","name":"a","data":1}]`)
	}))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, "The function run exceeded the step limit of 1000 steps.", run.Error.Message)
}

// TestSim_CallsAppsWithCanonicalJSON has a step return what changes, or is refused, when the server makes it canonical.
func TestSim_CallsAppsWithCanonicalJSON(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`9007199254740993`:              `{"data":9007199254740992}`,
		`{"id":9007199254740993,"a":1}`: `{"data":{"a":1,"id":9007199254740992}}`,
		`"Thanks \ud83d"`:               "error transforming request with JCS: Missing surrogate",
		`{"a":1,"a":2}`:                 "error transforming request with JCS: Duplicate key: a",
	} {
		run := goOnce(t, sim.Options{}, answering(func(w http.ResponseWriter, r *http.Request) {
			var call struct{ Steps map[string]json.RawMessage }
			_ = json.NewDecoder(r.Body).Decode(&call)
			if memo, ok := call.Steps["aa"]; ok {
				_, _ = w.Write(memo)
				return
			}
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, `[{"op":"StepRun","id":"aa","name":"a","data":`+data+`}]`)
		}))
		require.Equal(t, data, string(run.Steps[0].Output))
		if run.Error != nil {
			require.Equal(t, want, run.Error.Message)
			require.Len(t, run.FailedCalls, 5)
			continue
		}
		require.Equal(t, want, string(run.Output))
	}
}

func TestSim_RoundsNumbersOfObjectsReturned(t *testing.T) {
	t.Parallel()
	for returned, want := range map[string]string{`{"id":9007199254740993}`: `{"id":9007199254740992}`, `9007199254740993`: `9007199254740993`} {
		run := goOnce(t, sim.Options{}, answering(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, returned) }))
		require.Equal(t, want, string(run.Output))
	}
}

func TestRun_SaysWhyItIsStuck(t *testing.T) {
	t.Parallel()
	run := goOnce(t, sim.Options{}, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, `[{"op":"StepRun","id":"aa","name":"a","data":1}]`)
	}))
	require.Equal(t, harness.StatusRunning, run.Status)
	require.Contains(t, run.Stuck, "nothing is left to do for the run")
}

func TestSim_LeavesRunWithWaitThatServerCannotInterpolate(t *testing.T) {
	t.Parallel()
	run := goOnce(t, sim.Options{}, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, `[{"op":"WaitForEvent","id":"aa","name":"a","opts":{"event":"reply","timeout":"1h",`+
			`"if":"async.data.items.exists(i, i == event.name)"}}]`)
	}))
	require.Equal(t, harness.StatusRunning, run.Status)
	require.Contains(t, run.Stuck, "error interpolating wait for event expression: unsupported expression")
}

// TestSim_SignsCalls has the app check them: the right key works, and a wrong one makes the run fail.
func TestSim_SignsCalls(t *testing.T) {
	t.Parallel()
	const right, wrong = "signkey-prod-aabb", "signkey-prod-ccdd"
	for key, want := range map[string]harness.Status{right: harness.StatusCompleted, wrong: harness.StatusFailed} {
		s := sim.New(sim.Options{SigningKey: right, RetryInterval: time.Second})
		t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
		client, err := inngestgo.NewClient(inngestgo.ClientOpts{
			AppID: "shop", Dev: inngestgo.BoolPtr(false), SigningKey: inngestgo.StrPtr(right), EventKey: inngestgo.StrPtr("key"),
			EventAPIBaseURL: inngestgo.StrPtr(sim.BaseURL), HTTPClient: s.HTTPClient(), Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		_, err = inngestgo.CreateFunction(client, opts{ID: "ship", Retries: inngestgo.IntPtr(0)}, inngestgo.EventTrigger("order/paid", nil),
			func(ctx context.Context, in input) (any, error) {
				return step.Run(ctx, "a", func(context.Context) (string, error) { return "<&>é", nil })
			})
		require.NoError(t, err)
		require.NoError(t, s.RegisterHandler(t.Context(), client.Serve()))
		o := client.Options()
		o.SigningKey = &key
		require.NoError(t, client.SetOptions(o))
		id, err := s.Send(t.Context(), harness.Event{Name: "order/paid", Data: map[string]any{"text": "<&>é", "n": 1e21}})
		require.NoError(t, err)
		require.NoError(t, s.Run(t.Context()))
		require.Equal(t, want, s.RunsOf(id)[0].Status, key)
	}
}

func TestSim_RefusesAppWithoutRegistration(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	err := s.RegisterHandler(t.Context(), http.NotFoundHandler())
	require.ErrorIs(t, err, sim.ErrNotRegistered)
	require.EqualError(t, err, "registering the app at http://app-1.sim.invalid/api/inngest: the app did not register its functions: it answered 404: 404 page not found;"+
		" give it the signing key that Sim.SigningKey returns, or make Sim.Handler reachable at its API address")
}

func TestHandler_ChecksEventKey(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{EventKeys: []string{"right"}})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	for key, want := range map[string]int{"right": http.StatusOK, "wrong": http.StatusUnauthorized} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/e/"+key, strings.NewReader(`{"name":"go"}`)))
		require.Equal(t, want, w.Code)
	}
}

// FuzzAnswer feeds the executor what an app might answer. In any case the run ends or says why it will not.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[null]`, `{}`, `garbage`, `[{"op":"StepRun","id":"aa","data":{"x":1}}]`, `[{"op":"Sleep","id":"aa","name":"1h"}]`,
		`[{"op":"StepPlanned","id":"aa"},{"op":"StepPlanned","id":"bb"}]`, `[{"op":"WaitForEvent","id":"aa","opts":{"event":"x","timeout":"1s"}}]`,
		`[{"op":"InvokeFunction","id":"aa","opts":{"function_id":"nap-f"}}]`, `[{"op":"RunComplete","id":"aa","data":1}]`,
		`[{"op":"StepError","id":"aa","error":{"name":"E","message":"m"}}]`, `[{"op":"Sleep","id":"aa","opts":{"duration":"-1h"}}]`,
	} {
		f.Add(206, []byte(seed))
	}
	f.Add(201, []byte(`{"status":200,"body":"1"}`))
	f.Add(500, []byte(`{"message":"m"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		s := sim.New(sim.Options{Start: start})
		defer s.Close(context.Background())
		calls := 0
		require.NoError(t, s.RegisterHandler(t.Context(), answering(func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls > 30 {
				_, _ = io.WriteString(w, `"enough"`)
				return
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})))
		id, err := s.Send(t.Context(), harness.Event{Name: "go"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, s.Run(ctx))
		run := s.RunsOf(id)[0]
		require.True(t, run.Status.Final() || run.Stuck != "", "%s: %+v", run.Status, run)
	})
}

// FuzzEvents feeds the event API. In any case they are accepted or refused.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{`{"name":"go"}`, `[{"name":"go","data":{"a":1}}]`, `[`, `{`, ``, `null`, `[null]`, `{"name":"inngest/x"}`, `{"name":"go","ts":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := sim.New(sim.Options{Start: start})
		defer s.Close(context.Background())
		require.NoError(t, s.RegisterHandler(t.Context(), napper{}))
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/e/key", strings.NewReader(string(body))))
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code)
		require.NoError(t, s.Run(t.Context()))
		for _, run := range s.Runs() {
			require.Equal(t, harness.StatusCompleted, run.Status)
		}
	})
}

// TestSim_NamesStepOnceInURL: an app of an SDK that registers addresses with a stepId of their own, as that for JavaScript does, is called for
// the step that is meant.
func TestSim_NamesStepOnceInURL(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	var asked []string
	require.NoError(t, s.RegisterHandler(t.Context(), answering(func(w http.ResponseWriter, r *http.Request) {
		require.Len(t, r.URL.Query()["stepId"], 1)
		step := r.URL.Query().Get("stepId")
		asked = append(asked, step)
		switch {
		case step != "step":
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, `[{"op":"StepRun","id":"`+step+`","data":1}]`)
		case len(asked) == 1:
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, `[{"op":"StepPlanned","id":"aa"},{"op":"StepPlanned","id":"bb"}]`)
		default:
			_, _ = io.WriteString(w, `"done"`)
		}
	})))
	id, err := s.Send(t.Context(), harness.Event{Name: "go"})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	require.Equal(t, harness.StatusCompleted, s.RunsOf(id)[0].Status)
	require.Equal(t, []string{"step", "aa", "bb", "step"}, asked)
}

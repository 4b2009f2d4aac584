package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func TestSim_StartsRunAtTimeOfEvent(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(context.Context, input) (any, error) { return "shipped", nil })
	limit := time.Hour
	a.on("order/paid", opts{ID: "impatient", Timeouts: &inngestgo.ConfigTimeouts{Start: &limit}}, func(context.Context, input) (any, error) { return nil, nil })
	a.serve()
	tomorrow := start.Add(24 * time.Hour)
	id, err := a.sim.Send(t.Context(), harness.Event{Name: "order/paid", TS: tomorrow.UnixMilli()})
	require.NoError(t, err)
	require.NoError(t, a.sim.Settle(t.Context()))
	for _, run := range a.sim.RunsOf(id) {
		require.Equal(t, harness.StatusQueued, run.Status)
		require.Zero(t, run.Started)
	}
	require.False(t, a.sim.Idle())
	a.run()
	impatient, ship := a.sim.RunsOf(id)[0], a.sim.RunsOf(id)[1]
	require.Equal(t, harness.StatusCancelled, impatient.Status, "it starts too late")
	require.Equal(t, start.Add(limit), impatient.Ended)
	require.Equal(t, harness.StatusCompleted, ship.Status)
	require.Equal(t, tomorrow, ship.Started)

	past, err := a.sim.Send(t.Context(), harness.Event{Name: "order/paid", TS: start.UnixMilli()})
	require.NoError(t, err)
	require.NoError(t, a.sim.Settle(t.Context()))
	require.Equal(t, harness.StatusCompleted, a.sim.RunsOf(past)[1].Status, "a time in the past is now")
}

// Apps have the wall clock: JavaScript's SDK puts its time into every event.
func TestSim_TakesTimesOfAppsAsRelativeToWallClock(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{Start: start})
	a.on("order/paid", opts{ID: "ship"}, func(context.Context, input) (any, error) { return "shipped", nil })
	a.serve()
	for ts, delay := range map[time.Time]time.Duration{time.Now(): 0, time.Now().Add(time.Hour): time.Hour} {
		body := fmt.Sprintf(`{"name":"order/paid","ts":%d}`, ts.UnixMilli())
		res, err := a.sim.HTTPClient().Post(sim.BaseURL+"/e/key", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		var answer struct{ IDs []string }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
		a.run()
		run := a.only(answer.IDs[0])
		require.InDelta(t, delay, run.Started.Sub(run.Queued), float64(time.Minute))
	}
}

func TestSim_WaitsForSlowStepAsServerDoes(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]harness.Status{0: harness.StatusCompleted, time.Minute: harness.StatusFailed} {
		synctest.Test(t, func(t *testing.T) {
			s := sim.New(sim.Options{Bubble: true, CallTimeout: limit})
			defer s.Close(context.Background())
			client, err := inngestgo.NewClient(inngestgo.ClientOpts{
				AppID: "shop", Dev: inngestgo.BoolPtr(true), SigningKey: inngestgo.StrPtr(s.SigningKey()),
				EventAPIBaseURL: inngestgo.StrPtr(sim.BaseURL), HTTPClient: s.HTTPClient(),
			})
			require.NoError(t, err)
			_, err = inngestgo.CreateFunction(client, opts{ID: "ship", Retries: inngestgo.IntPtr(0)}, inngestgo.EventTrigger("order/paid", nil), func(ctx context.Context, in input) (any, error) {
				return step.Run(ctx, "pack", func(context.Context) (string, error) {
					time.Sleep(100 * time.Minute) // virtual time
					return "packed", nil
				})
			})
			require.NoError(t, err)
			require.NoError(t, s.RegisterHandler(t.Context(), client.Serve()))
			id, err := s.Send(t.Context(), harness.Event{Name: "order/paid"})
			require.NoError(t, err)
			require.NoError(t, s.Run(t.Context()))
			require.Equal(t, want, s.RunsOf(id)[0].Status)
			time.Sleep(2 * time.Hour) // virtual time, until the step that was left behind is over
		})
	}
}

func TestSim_ServesStateThatIsTooLargeForCall(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	get := func(path string) (status int, body []byte) {
		res, err := s.HTTPClient().Get(sim.BaseURL + path)
		require.NoError(t, err)
		body, err = io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, body
	}
	big := strings.Repeat("x", 2<<20)
	var runID string
	require.NoError(t, s.RegisterHandler(t.Context(), registering(func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			UseAPI bool `json:"use_api"`
			Steps  map[string]json.RawMessage
			Ctx    struct {
				RunID string `json:"run_id"`
				Stack struct{ Stack []string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if n := len(call.Ctx.Stack.Stack); n < 3 {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = fmt.Fprintf(w, `[{"op":"StepRun","id":"s%d","name":"s%d","data":"%s"}]`, n, n, big)
			return
		}
		runID = call.Ctx.RunID
		_, actions := get("/v0/runs/" + runID + "/actions")
		_, batch := get("/v0/runs/" + runID + "/batch")
		var steps map[string]struct{ Data string }
		var events []struct{ Name string }
		if json.Unmarshal(actions, &steps) != nil || json.Unmarshal(batch, &events) != nil {
			http.Error(w, "the state is no JSON", http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, `{"asked":%t,"inCall":%d,"steps":%d,"whole":%t,"event":%q}`, call.UseAPI, len(call.Steps), len(steps), steps["s2"].Data == big, events[0].Name)
	}, `"triggers":[{"event":"go"}]`)))
	id, err := s.Send(t.Context(), harness.Event{Name: "go"})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	run := s.RunsOf(id)[0]
	require.Equal(t, harness.StatusCompleted, run.Status, "%+v", run.Error)
	require.JSONEq(t, `{"asked":true,"inCall":0,"steps":3,"whole":true,"event":"go"}`, string(run.Output))

	status, _ := get("/v0/runs/" + runID + "/actions")
	require.Equal(t, http.StatusGone, status)
	status, _ = get("/v0/runs/unknown/batch")
	require.Equal(t, http.StatusBadRequest, status)
}

package sim_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func TestSkip(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	now, err := sim.Skip(t.Context(), server.URL, sim.Skipping{By: 48 * time.Hour})
	require.NoError(t, err)
	require.True(t, start.Add(48*time.Hour).Equal(now), now)
	_, err = sim.Skip(t.Context(), server.URL, sim.Skipping{By: -time.Hour})
	require.EqualError(t, err, "skipping time at "+server.URL+": say by how much, as in ?by=24h or ?by=3d, or until when, as in ?until=2027-01-01T09:00:00Z")

	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	_, err = sim.Skip(t.Context(), other.URL, sim.Skipping{By: time.Hour})
	require.ErrorIs(t, err, sim.ErrNoSim)
	_, err = sim.Skip(t.Context(), "http://127.0.0.1:1", sim.Skipping{By: time.Hour})
	require.Error(t, err)
	require.NotErrorIs(t, err, sim.ErrNoSim)

	_, err = sim.Skip(t.Context(), server.URL, sim.Skipping{Until: start})
	require.EqualError(t, err, "skipping time at "+server.URL+": it is 2025-03-03T12:00:00Z, which is later than 2025-03-01T12:00:00Z: time goes forward only")
}

func TestSkip_PassesTimeOfOneRun(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "day", 24*time.Hour)
		step.Sleep(ctx, "week", 7*24*time.Hour)
		return "shipped", nil
	})
	a.serve()
	server := httptest.NewServer(a.sim.Handler())
	t.Cleanup(server.Close)
	one, other := a.send("order/paid", nil), a.send("order/paid", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	run := a.only(one).ID
	day := start.Add(24 * time.Hour)

	now, err := sim.Skip(t.Context(), server.URL, sim.Skipping{Run: run, By: 24 * time.Hour})
	require.NoError(t, err)
	require.True(t, day.Equal(now), now)
	nap, _ := a.only(one).Step("week")
	require.Equal(t, sim.StepWaiting, nap.Status, "a day has passed, and what was due then is done")

	now, err = sim.Skip(t.Context(), server.URL, sim.Skipping{Run: run, Until: day.Add(7*24*time.Hour - time.Second)})
	require.NoError(t, err)
	require.True(t, day.Add(7*24*time.Hour-time.Second).Equal(now), now)
	require.Equal(t, harness.StatusRunning, a.only(one).Status)
	_, err = sim.Skip(t.Context(), server.URL, sim.Skipping{Run: run, By: time.Second})
	require.NoError(t, err)
	require.Equal(t, harness.StatusCompleted, a.only(one).Status)

	require.True(t, start.Equal(a.sim.Now()), "the clock stays")
	nap, _ = a.only(other).Step("day")
	require.Equal(t, sim.StepWaiting, nap.Status, "the other run sleeps")
	a.run()
	require.Equal(t, harness.StatusCompleted, a.only(other).Status)
	require.Equal(t, start.Add(8*24*time.Hour), a.only(other).Ended)

	_, err = sim.Skip(t.Context(), server.URL, sim.Skipping{Run: one, By: time.Second})
	require.EqualError(t, err, "skipping time at "+server.URL+": run "+one+": there is no such run, or it ended so long ago that it is no longer kept")
}

// TestSim_AdvanceRunReachesDescendants has a run that invokes another one, one that an event of a step starts, and one that
// handles a failure.
func TestSim_AdvanceRunReachesDescendants(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{RetryInterval: time.Hour})
	naps := func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "nap", 24*time.Hour)
		return "rested", nil
	}
	a.on("invoked/only", opts{ID: "child"}, naps)
	a.on("order/sent", opts{ID: "listener"}, naps)
	_, err := inngestgo.CreateFunction(a.client, opts{ID: "mourner"},
		inngestgo.EventTrigger("inngest/function.failed", inngestgo.StrPtr("event.data.function_id == 'shop-parent'")), naps)
	require.NoError(t, err)
	a.on("order/paid", opts{ID: "parent", Retries: inngestgo.IntPtr(2)}, func(ctx context.Context, in input) (any, error) {
		if _, err := step.Send(ctx, "send", inngestgo.Event{Name: "order/sent"}); err != nil {
			return nil, err
		}
		if _, err := step.Invoke[any](ctx, "invoke", step.InvokeOpts{FunctionId: "shop-child", Data: map[string]any{}}); err != nil {
			return nil, err
		}
		if _, err := step.WaitForEvent[any](ctx, "wait", step.WaitForEventOpts{Event: "never/sent", Timeout: time.Hour}); !errors.Is(err, step.ErrEventNotReceived) {
			return nil, errors.Join(err, errors.New("it was to time out"))
		}
		return step.Run(ctx, "flaky", func(context.Context) (int, error) { return 0, errors.New("no luck") })
	})
	a.serve()
	bystander := a.send("order/sent", nil)
	id := a.send("order/paid", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	// A day for the invoked run, an hour for the wait, two for the retries; then a day for the run that handles the failure.
	now, err := a.sim.AdvanceRun(t.Context(), a.only(id).ID, 27*time.Hour)
	require.NoError(t, err)
	require.Equal(t, start.Add(27*time.Hour), now)
	require.Equal(t, harness.StatusFailed, a.only(id).Status)
	flaky, _ := a.only(id).Step("flaky")
	require.Len(t, flaky.Attempts, 3)
	require.Equal(t, map[string]harness.Status{
		"shop-parent": harness.StatusFailed, "shop-child": harness.StatusCompleted, "shop-listener": harness.StatusCompleted, "shop-mourner": harness.StatusRunning,
	}, a.statuses(bystander))
	_, err = a.sim.AdvanceRun(t.Context(), a.only(id).ID, 24*time.Hour)
	require.NoError(t, err)
	require.Equal(t, harness.StatusCompleted, a.statuses(bystander)["shop-mourner"])
	require.Equal(t, harness.StatusRunning, a.only(bystander).Status)
	require.Equal(t, start, a.sim.Now())
}

// statuses returns the statuses of the runs by function, without those of an event.
func (a *app) statuses(but string) map[string]harness.Status {
	found := map[string]harness.Status{}
	for _, r := range a.sim.Runs() {
		if r.Event.EventID != but {
			found[r.FunctionID] = r.Status
		}
	}
	return found
}

func TestSim_AdvanceRunReachesTimeoutOfRun(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	hour := time.Hour
	a.on("order/paid", opts{ID: "ship", Timeouts: &inngestgo.ConfigTimeouts{Finish: &hour}}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "nap", 24*time.Hour)
		return nil, nil
	})
	a.serve()
	one, other := a.send("order/paid", nil), a.send("order/paid", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	_, err := a.sim.AdvanceRun(t.Context(), a.only(one).ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, harness.StatusCancelled, a.only(one).Status)
	require.Equal(t, harness.StatusRunning, a.only(other).Status)
}

// TestSim_AdvanceRunInBackground skips time of one run while another one is being called.
func TestSim_AdvanceRunInBackground(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	called, goOn := make(chan struct{}), make(chan struct{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "one", 24*time.Hour)
		step.Sleep(ctx, "two", 24*time.Hour)
		return "shipped", nil
	})
	a.on("order/slow", opts{ID: "slow"}, func(ctx context.Context, in input) (any, error) {
		close(called)
		<-goOn
		return nil, nil
	})
	a.serve()
	a.sim.RunInBackground(sim.WallClock)
	slow := a.send("order/slow", nil)
	<-called
	id := a.send("order/paid", nil)
	require.Eventually(t, func() bool { return len(a.sim.RunsOf(id)) == 1 }, time.Minute, time.Millisecond)
	before := a.sim.Now()
	now, err := a.sim.AdvanceRun(t.Context(), a.only(id).ID, 48*time.Hour)
	require.NoError(t, err)
	require.Equal(t, harness.StatusCompleted, a.only(id).Status)
	require.WithinDuration(t, before.Add(48*time.Hour), now, time.Hour)
	require.WithinDuration(t, before, a.sim.Now(), time.Hour, "the clock goes on as before")
	require.Equal(t, harness.StatusRunning, a.only(slow).Status)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = a.sim.AdvanceRun(ctx, a.only(slow).ID, time.Hour) // which is being called
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(goOn)
	_, err = a.sim.AdvanceRun(t.Context(), a.only(slow).ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, harness.StatusCompleted, a.only(slow).Status)
}

// TestSim_AdvanceEventReachesWhatHoldsTheEvent has events that wait in a debounce and in a batch, also one that a step sent, and
// one whose run stands in the line of a throttle. Those of others wait on.
func TestSim_AdvanceEventReachesWhatHoldsTheEvent(t *testing.T) {
	t.Parallel()
	key, limit := text("event.data.user"), 90*time.Second
	for name, o := range map[string]opts{
		"debounce": {Debounce: &inngestgo.ConfigDebounce{Period: time.Minute, Timeout: &limit, Key: *key}},
		"batch":    {BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 3, Timeout: time.Minute, Key: key}},
		"throttle": {Throttle: &inngestgo.ConfigThrottle{Limit: 1, Period: time.Minute, Key: key}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, sim.Options{})
			o.ID = "digest"
			a.on("comment/added", o, done)
			a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
				return step.Send(ctx, "send", inngestgo.Event{Name: "comment/added", Data: map[string]any{"user": "ann"}})
			})
			a.serve()
			server := httptest.NewServer(a.sim.Handler())
			t.Cleanup(server.Close)
			users := map[string]string{}
			for _, user := range []string{"kim", "bob", "ann"} {
				if name == "throttle" { // it lets the first of each user start
					a.send("comment/added", map[string]any{"user": user})
				}
				if user != "ann" {
					users[user] = a.send("comment/added", map[string]any{"user": user})
				} else {
					users[user] = a.send("order/paid", nil)
				}
			}
			require.NoError(t, a.sim.Settle(t.Context()))
			completed := func() (n int) {
				for _, r := range a.sim.Runs() {
					if r.FunctionID == "shop-digest" && r.Status == harness.StatusCompleted {
						n++
					}
				}
				return n
			}
			before := completed()
			for i, user := range []string{"kim", "ann"} {
				now, err := sim.Skip(t.Context(), server.URL, sim.Skipping{Event: users[user], By: 59 * time.Second})
				require.NoError(t, err)
				require.True(t, start.Add(59*time.Second).Equal(now), now)
				require.Equal(t, before+i, completed(), "a minute has not passed yet")
				now, err = sim.Skip(t.Context(), server.URL, sim.Skipping{Event: users[user], Until: start.Add(time.Minute)})
				require.NoError(t, err)
				require.True(t, start.Add(time.Minute).Equal(now), now)
				require.Equal(t, before+i+1, completed())
			}
			require.Equal(t, harness.StatusCompleted, a.only(users["kim"]).Status)
			require.True(t, start.Equal(a.sim.Now()), "the clock stays")
			a.run()
			require.Equal(t, start.Add(time.Minute), a.only(users["bob"]).Ended)
		})
	}
}

func TestSkip_TellsThatThereIsNoSuchEvent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newApp(t, sim.Options{}).sim.Handler())
	t.Cleanup(server.Close)
	_, err := sim.Skip(t.Context(), server.URL, sim.Skipping{Event: "01JDD9WRP1F5G1Y9ZVC4Q4XKZS", By: time.Second})
	require.EqualError(t, err, "skipping time at "+server.URL+": event 01JDD9WRP1F5G1Y9ZVC4Q4XKZS: there is no such event, or it came so long ago that it is no longer kept")
	require.ErrorIs(t, err, sim.ErrNoEvent)
}

package sim_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func TestSim_Advance(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, shipping(map[string]int{}))
	a.serve()
	id := a.send("order/paid", nil)
	ctx := t.Context()

	require.NoError(t, a.sim.Settle(ctx))
	nap, ok := a.only(id).Step("wait-for-pickup")
	require.True(t, ok)
	require.Equal(t, sim.StepWaiting, nap.Status)

	require.NoError(t, a.sim.Advance(ctx, 24*time.Hour))
	require.Equal(t, start.Add(24*time.Hour), a.sim.Now())
	wait, ok := a.only(id).Step("wait-for-payment")
	require.True(t, ok)
	require.Equal(t, sim.StepWaiting, wait.Status)

	a.send("order/settled", nil)
	require.NoError(t, a.sim.Settle(ctx))
	run := a.only(id)
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.JSONEq(t, `"label, paid"`, string(run.Output))

	id = a.send("order/paid", nil)
	require.NoError(t, a.sim.RunUntil(ctx, a.sim.Now().Add(8*24*time.Hour)))
	run = a.only(id)
	require.JSONEq(t, `"label, unpaid"`, string(run.Output))
	wait, _ = run.Step("wait-for-payment")
	require.Equal(t, sim.StepTimedOut, wait.Status)
}

func TestSim_BacksOffAsServer(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{Seed: 7})
	a.on("order/paid", opts{ID: "ship", Retries: inngestgo.IntPtr(12)}, func(ctx context.Context, in input) (any, error) {
		return step.Run(ctx, "flaky", func(context.Context) (int, error) { return 0, errors.New("no luck") })
	})
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	flaky, _ := run.Step("flaky")
	require.Len(t, flaky.Attempts, 13)
	for i, least := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour, 2 * time.Hour, 2 * time.Hour} {
		gap := flaky.Attempts[i+1].At.Sub(flaky.Attempts[i].At)
		require.GreaterOrEqual(t, gap, least, "before attempt %d", i+1)
		require.Less(t, gap, least+30*time.Second, "before attempt %d", i+1)
	}
}

func TestSim_FiresSchedules(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	_, err := inngestgo.CreateFunction(a.client, opts{ID: "nightly"}, inngestgo.CronTrigger("30 3 * * *"),
		func(ctx context.Context, in input) (any, error) { return in.Event.Name, nil })
	require.NoError(t, err)
	a.serve()
	a.run()
	require.Empty(t, a.sim.Runs(), "schedules alone keep nothing going")
	require.NoError(t, a.sim.Advance(t.Context(), 3*24*time.Hour))
	runs := a.sim.Runs()
	require.Len(t, runs, 3)
	require.Equal(t, time.Date(2025, 3, 2, 3, 30, 0, 0, time.UTC), runs[0].Queued)
	require.JSONEq(t, `"inngest/scheduled.timer"`, string(runs[0].Output))
}

// TestSim_RepeatsCourseOfSeed plays parallel steps and retries with chance in them.
func TestSim_RepeatsCourseOfSeed(t *testing.T) {
	t.Parallel()
	course := func(seed uint64) string {
		a := newApp(t, sim.Options{Seed: seed})
		order := ""
		for i := range 5 {
			a.on("order/paid", opts{ID: fmt.Sprint("f", i)}, func(ctx context.Context, in input) (any, error) {
				order += fmt.Sprint(i)
				return nil, nil
			})
		}
		a.serve()
		id := sendAndRun(a, "order/paid")
		return id + order
	}
	require.Equal(t, course(1), course(1))
	require.NotEqual(t, course(1), course(2))
}

func TestSim_RunEndsWithContext(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	rounds := 0
	a.on("order/paid", opts{ID: "again"}, func(ctx context.Context, in input) (any, error) {
		if rounds++; rounds == 50 {
			cancel()
		}
		_, err := a.client.Send(ctx, inngestgo.Event{Name: "order/paid"})
		return nil, err
	})
	a.serve()
	a.send("order/paid", nil)
	err := a.sim.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Contains(t, err.Error(), "things still to do")
}

func TestSim_KeepsLatestRuns(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{Keep: 10})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) { return nil, nil })
	a.serve()
	var ids []string
	for range 100 {
		ids = append(ids, sendAndRun(a, "order/paid"))
	}
	require.Len(t, a.sim.Runs(), 10)
	require.LessOrEqual(t, len(a.sim.Events()), 40)
	require.Empty(t, a.sim.RunsOf(ids[0]))
	require.Len(t, a.sim.RunsOf(ids[99]), 1)
}

func TestSim_RunsInBackground(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	done := make(chan string, 1)
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "year", 365*24*time.Hour)
		done <- in.InputCtx.RunID
		return nil, nil
	})
	a.serve()
	a.sim.RunInBackground(sim.Jump)
	_, err := a.client.Send(t.Context(), inngestgo.Event{Name: "order/paid", Data: map[string]any{}})
	require.NoError(t, err)
	<-done

}

func TestSim_RunJumpsInBackground(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	began, release := make(chan struct{}), make(chan struct{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "year", 365*24*time.Hour)
		close(began)
		<-release
		return nil, nil
	})
	a.serve()
	a.sim.RunInBackground(sim.WallClock)
	id := a.send("order/paid", nil)
	require.NoError(t, a.sim.Settle(t.Context()))
	require.True(t, a.sim.Resting(0))
	require.False(t, a.sim.Idle(), "it sleeps")

	ran := make(chan error, 1)
	go func() { ran <- a.sim.Run(t.Context()) }()
	<-began
	require.False(t, a.sim.Resting(0))
	require.True(t, a.sim.Resting(1))
	close(release)
	require.NoError(t, <-ran)
	require.True(t, a.sim.Idle())
	require.Equal(t, harness.StatusCompleted, a.only(id).Status)
	require.NoError(t, a.sim.Run(t.Context()), "nothing is left to do")
}

// TestSim_SharesClockOfBubble shows that inside a testing/synctest bubble the app's own clock is the virtual one: SleepUntil, which reads
// it, ends when it says.
func TestSim_SharesClockOfBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := sim.New(sim.Options{Bubble: true})
		defer s.Close(context.Background())
		client, err := inngestgo.NewClient(inngestgo.ClientOpts{
			AppID: "shop", Dev: inngestgo.BoolPtr(true), SigningKey: inngestgo.StrPtr(s.SigningKey()),
			EventAPIBaseURL: inngestgo.StrPtr(sim.BaseURL), HTTPClient: s.HTTPClient(),
		})
		require.NoError(t, err)
		var woke time.Time
		until := began.Add(90 * 24 * time.Hour)
		_, err = inngestgo.CreateFunction(client, opts{ID: "ship"}, inngestgo.EventTrigger("order/paid", nil), func(ctx context.Context, in input) (any, error) {
			step.SleepUntil(ctx, "quarter", until)
			woke = time.Now()
			return nil, nil
		})
		require.NoError(t, err)
		require.NoError(t, s.RegisterHandler(t.Context(), client.Serve()))
		_, err = client.Send(t.Context(), inngestgo.Event{Name: "order/paid"})
		require.NoError(t, err)
		require.NoError(t, s.Run(t.Context()))
		require.WithinDuration(t, until, woke, time.Second)
	})
}

func TestSim_KeepsDistanceOfRetryAt(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	tries := 0
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		if tries++; tries == 1 {
			return nil, inngestgo.RetryAtError(errors.New("busy"), time.Now().Add(3*time.Hour))
		}
		return nil, nil
	})
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	require.InDelta(t, 3*time.Hour, run.Ended.Sub(run.Queued), float64(2*time.Second))
}

func TestSim_AdvancesInBackground(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(ctx context.Context, in input) (any, error) {
		step.Sleep(ctx, "month", 30*24*time.Hour)
		return step.Run(ctx, "flaky", func(context.Context) (int, error) { return 0, errors.New("no luck") })
	})
	a.serve()
	a.sim.RunInBackground(sim.WallClock)
	id, err := a.sim.Send(t.Context(), harness.Event{Name: "order/paid"})
	require.NoError(t, err)
	began := a.sim.Now()
	require.NoError(t, a.sim.Settle(t.Context()))
	require.Equal(t, harness.StatusRunning, a.only(id).Status)

	var wait sync.WaitGroup // concurrent moves take turns
	for range 4 {
		wait.Go(func() { assert.NoError(t, a.sim.RunUntil(t.Context(), began.Add(31*24*time.Hour))) })
	}
	wait.Wait()
	run := a.only(id)
	require.Equal(t, harness.StatusFailed, run.Status)
	flaky, _ := run.Step("flaky")
	require.Len(t, flaky.Attempts, 5)
	require.WithinDuration(t, began.Add(30*24*time.Hour), flaky.Started, time.Minute)
	require.WithinDuration(t, began.Add(31*24*time.Hour), a.sim.Now(), time.Minute)

	a.sim.Pause() // a clock that stands still comes nowhere
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, a.sim.Advance(ctx, time.Hour), "moving the clock, at virtual 2025-")
	a.sim.Resume()
	require.NoError(t, a.sim.Advance(t.Context(), time.Hour))
	require.NoError(t, a.sim.Close(t.Context()))
	require.EqualError(t, a.sim.Advance(t.Context(), time.Hour), "moving the clock: the Sim is closed")
}

func TestSim_CallWithoutTimeoutEndsWithContext(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{CallTimeout: -1})
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	a.on("order/paid", opts{ID: "ship"}, func(call context.Context, in input) (any, error) {
		if calls++; calls == 1 {
			cancel() // the driver gives up, and the context of the call ends
			<-call.Done()
			return nil, call.Err()
		}
		return "done", nil
	})
	a.serve()
	id := a.send("order/paid", nil)
	require.ErrorIs(t, a.sim.Run(ctx), context.Canceled)
	require.Equal(t, harness.StatusRunning, a.only(id).Status)
	require.NoError(t, a.sim.Run(t.Context()))
	run := a.only(id)
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.Equal(t, "done", decoded(t, run))
}

func decoded(t *testing.T, run *sim.Run) (text string) {
	t.Helper()
	require.NoError(t, run.Decode(&text))
	return text
}

func TestSim_RunsConcurrentlyAndAfterClose(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, func(context.Context, input) (any, error) { return "done", nil })
	a.serve()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				id, err := a.sim.Send(t.Context(), harness.Event{Name: "order/paid"})
				assert.NoError(t, err)
				assert.NoError(t, a.sim.Run(t.Context()))
				assert.Equal(t, harness.StatusCompleted, a.sim.RunsOf(id)[0].Status)
			}
		})
	}
	wait.Go(func() { assert.NoError(t, a.sim.Close(t.Context())) })
	wait.Wait()
	id := a.send("order/paid", nil)
	require.NoError(t, a.sim.Run(t.Context()))
	require.Equal(t, harness.StatusCompleted, a.only(id).Status)
}

func TestSim_RunInBackgroundTwicePanics(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.sim.RunInBackground(sim.WallClock)
	require.PanicsWithValue(t, "sim: RunInBackground is called a second time: the Sim runs in the background already, at the pace of the first call, until it is closed",
		func() { a.sim.RunInBackground(sim.Jump) })
}

// TestSim_RunInBackgroundWaitsForRun has many callers wait for their turn when RunInBackground takes it for good.
func TestSim_RunInBackgroundWaitsForRun(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	began, release := make(chan struct{}), make(chan struct{})
	a.on("order/paid", opts{ID: "ship"}, func(context.Context, input) (any, error) {
		close(began)
		<-release
		return "done", nil
	})
	a.serve()
	id := a.send("order/paid", nil)
	var first, others sync.WaitGroup
	first.Go(func() { assert.NoError(t, a.sim.Run(t.Context()), "driving by hand ends first") })
	<-began
	for range 8 {
		others.Go(func() { assert.NoError(t, a.sim.Run(t.Context())) })
		others.Go(func() { assert.NoError(t, a.sim.Advance(t.Context(), time.Minute)) })
	}
	first.Go(func() { a.sim.RunInBackground(sim.WallClock) })
	require.Eventually(t, func() bool { return !a.sim.Now().Equal(a.sim.Now()) }, time.Minute, time.Millisecond, "RunInBackground makes the clock go")
	close(release)
	first.Wait()
	others.Wait()
	require.Equal(t, harness.StatusCompleted, a.only(id).Status)
}

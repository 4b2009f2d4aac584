package sim_test

import (
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func (a *app) schedule(o opts, triggers ...inngestgo.Trigger) {
	a.t.Helper()
	_, err := inngestgo.CreateFunction(a.client, o, inngestgo.MultipleTriggers(triggers), done)
	require.NoError(a.t, err)
}

// started returns how long after the start each run was queued.
func (a *app) started() (out []time.Duration) {
	for _, r := range a.sim.Runs() {
		out = append(out, r.Queued.Sub(start))
	}
	return out
}

func TestSim_CronWithJitter(t *testing.T) {
	t.Parallel()
	var first []time.Duration
	for range 2 {
		a := newApp(t, sim.Options{})
		a.schedule(opts{ID: "hourly"}, inngestgo.CronTriggerWithJitter("0 * * * *", 2*time.Minute))
		a.serve()
		a.until(5*time.Hour + 2*time.Minute)
		require.Len(t, a.started(), 5)
		for n, at := range a.started() {
			late := at - time.Duration(n+1)*time.Hour
			require.GreaterOrEqual(t, late, time.Second)
			require.LessOrEqual(t, late, 2*time.Minute)
		}
		if first == nil {
			first = a.started()
		}
		require.Equal(t, first, a.started(), "the same for the same times")
	}
}

func TestSim_RefusesSchedulesThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	for schedule, jitter := range map[string]time.Duration{"@daily": 0, "* * * * * *": 0, "0 1 * * *": time.Hour, "0 2 * * *": time.Millisecond} {
		a := newApp(t, sim.Options{})
		a.schedule(opts{ID: "f"}, inngestgo.CronTriggerWithJitter(schedule, jitter))
		require.Error(t, a.sim.RegisterHandler(t.Context(), a.client.Serve()), schedule)
	}
	a := newApp(t, sim.Options{})
	a.schedule(opts{ID: "f"}, inngestgo.CronTrigger("0 1 * * *"), inngestgo.CronTriggerWithJitter("0 1 * * *", time.Minute))
	require.ErrorContains(t, a.sim.RegisterHandler(t.Context(), a.client.Serve()), "duplicate trigger cron: 0 1 * * *")
}

func TestSim_NewRegistrationChangesAndRemovesSchedules(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.schedule(opts{ID: "f"}, inngestgo.CronTrigger("0 * * * *"))
	a.serve()
	a.until(90 * time.Minute)
	b := a.deploy()
	b.schedule(opts{ID: "f"}, inngestgo.CronTrigger("15 * * * *"))
	b.serve()
	a.until(3 * time.Hour)
	c := a.deploy()
	c.on("order/paid", opts{ID: "f"}, done)
	c.serve()
	a.until(9 * time.Hour)
	require.Equal(t, []time.Duration{time.Hour, 2*time.Hour + 15*time.Minute}, a.started())
}

func TestSim_SingletonSkipsATick(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.schedule(opts{ID: "f", Singleton: &inngestgo.ConfigSingleton{Mode: singletonSkip}}, inngestgo.CronTrigger("0 * * * *"))
	a.serve()
	a.slow(90 * time.Minute)
	a.until(4 * time.Hour)
	var statuses []harness.Status
	for _, r := range a.sim.Runs() {
		statuses = append(statuses, r.Status)
	}
	require.Equal(t, []harness.Status{harness.StatusCompleted, harness.StatusSkipped, harness.StatusRunning, harness.StatusSkipped}, statuses)
}

func TestSim_BatchesLeaveTicksAlone(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.schedule(opts{ID: "f", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 9, Timeout: 10 * time.Hour}}, inngestgo.CronTrigger("0 * * * *"))
	a.serve()
	a.until(2 * time.Hour)
	require.Equal(t, []time.Duration{time.Hour, 2 * time.Hour}, a.started())
}

package explore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// benchmark reports how many schedules run in a second, the start of the target included.
func benchmark(b *testing.B, target explore.Target, o explore.Options) {
	b.Helper()
	schedules := 0
	for b.Loop() {
		result, err := explore.Explore(b.Context(), target, o)
		require.NoError(b, err)
		schedules += len(result.Outcomes)
	}
	b.ReportMetric(float64(schedules)/b.Elapsed().Seconds(), "schedules/s")
}

// A run of three steps with one email: all schedules of one fault, and 300 of two.
func BenchmarkExplore_InProcess(b *testing.B) {
	r := request(b)
	e := r.Event()
	benchmark(b, explore.InProcess(inMemory(r), simstack.WorkbenchOptions{}), explore.Options{
		Send:   []harness.Event{{IdempotencyKey: e.IdempotencyKey, Name: e.Name, Data: e.Data}},
		Expect: notified(b, r.TechnicianID), Schedules: 300,
	})
}

// The same run, as a program that is started for each schedule. Its claims expire by the wall clock, for which a measurement does
// not wait, so its runs may fail.
func BenchmarkExplore_AsProgram(b *testing.B) {
	o := created(b)
	o.AllowFailed, o.RetryPause, o.Parallel = explore.FailedAny, 0, 0
	benchmark(b, program(b, simstack.New(local.New(local.Options{}), simstack.Options{})), o)
}

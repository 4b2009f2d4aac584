package stackapi

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// A stack that stays up sees many runs of one suite. Tests that were renamed, or removed, leave the report.
func TestSaveRecord_ReplacesRecordsOfEarlierRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &Server{options: Options{Token: "a token"}, began: time.Now()}
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	save := func(run, test string) {
		r := report.Record{Package: "orders.test.js", Test: test, Backend: "sim", Outcome: report.Passed, Began: time.Now(), Run: run}
		require.NoError(t, s.saveRecord(dir, r))
	}
	names := func() (names []string) {
		loaded, err := report.Load(dir)
		require.NoError(t, err)
		for _, r := range loaded.Records {
			names = append(names, r.Test)
		}
		return names
	}
	save("1", "one")
	save("1", "two")
	require.ElementsMatch(t, []string{"one", "two"}, names())
	save("2", "renamed")
	require.ElementsMatch(t, []string{"renamed"}, names())
	save("2", "two")
	require.ElementsMatch(t, []string{"renamed", "two"}, names())
}

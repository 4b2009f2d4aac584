package report_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// summary is what the report of a directory says in brief.
func summary(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, report.SummaryFile))
	require.NoError(t, err)
	return string(text)
}

func TestBegin_CountsThePackageAsFailedUntilEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run, err := report.Begin(dir, "example.test/a", "local", "containers")
	require.NoError(t, err)
	require.Contains(t, summary(t, dir), "1 of 1 test failed")
	require.Contains(t, summary(t, dir), "the package's tests did not finish: see the end of their output")

	require.NoError(t, report.Save(dir, report.Record{Package: "example.test/a", Test: "TestX", Backend: "local", Outcome: report.Passed}))
	require.NoError(t, run.End(false))
	require.Contains(t, summary(t, dir), "1 test passed")
}

func TestEnd_RecordsAFailureOfThePackage(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[report.Outcome]string{
		report.Passed: "the package failed, and none of the tests that leave records: see the output of its tests",
		report.Failed: "1 of 1 test failed",
	} {
		dir := t.TempDir()
		run, err := report.Begin(dir, "example.test/a", "local")
		require.NoError(t, err)
		require.NoError(t, report.Save(dir, report.Record{Package: "example.test/a", Test: "TestX", Backend: "local", Outcome: outcome}))
		require.NoError(t, run.End(true))
		require.Contains(t, summary(t, dir), want)
	}
}

func TestBegin_RemovesTheLastRunOnItsBackends(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, r := range []report.Record{
		{Package: "example.test/a", Test: "TestOld", Backend: "local"},
		{Package: "example.test/a", Test: "TestOld"},
		{Package: "example.test/a", Test: "TestOld", Backend: "attach"},
		{Package: "example.test/b", Test: "TestOld", Backend: "local"},
	} {
		r.Outcome = report.Passed
		require.NoError(t, report.Save(dir, r))
	}
	left := func() (tests []string) {
		rep, err := report.Load(dir)
		require.NoError(t, err)
		for _, r := range rep.Records {
			tests = append(tests, r.Package+" "+r.Test+" "+r.Backend)
		}
		return tests
	}
	run, err := report.Begin(dir, "example.test/a", "local")
	require.NoError(t, err)
	require.NoError(t, run.End(false))
	require.Equal(t, []string{"example.test/a TestOld attach", "example.test/b TestOld local"}, left())

	run, err = report.Begin(dir, "example.test/a") // on none that is known
	require.NoError(t, err)
	require.NoError(t, run.End(true))
	require.Equal(t, []string{"example.test/a TestMain ", "example.test/b TestOld local"}, left())

	run, err = report.Begin(dir, "example.test/a", "local")
	require.NoError(t, err)
	require.NoError(t, run.End(false))
	require.Equal(t, []string{"example.test/b TestOld local"}, left())
}

func TestEnd_LeavesNoEmptyReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run, err := report.Begin(dir, "example.test/a", "local")
	require.NoError(t, err)
	require.NoError(t, run.End(false))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestBegin_Errors(t *testing.T) {
	t.Parallel()
	_, err := report.Begin("report", "example.test/a")
	require.ErrorContains(t, err, "make it an absolute path")
	dir := t.TempDir()
	run, err := report.Begin(dir, "example.test/a")
	require.NoError(t, err)
	_, err = report.Clear(dir)
	require.NoError(t, err)
	require.ErrorContains(t, run.End(false), "note how the tests of example.test/a ended: remove ")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "record-torn.json"), []byte("{"), 0o644))
	_, err = report.Begin(dir, "example.test/a")
	require.ErrorContains(t, err, "record-torn.json")
}

func TestForget_RemovesOlderRecordsOfAPackageOnABackend(t *testing.T) {
	t.Parallel()
	dir, began := t.TempDir(), time.Now()
	for _, r := range []report.Record{
		{Package: "test/orders.test.js", Test: "removed since", Backend: "sim"}, {Package: "test/orders.test.js", Test: "elsewhere", Backend: "local"},
		{Package: "test/mail.test.js", Test: "another file's", Backend: "sim"},
		{Package: "test/orders.test.js", Test: "on another stack", Backend: "sim", Began: began},
		{Package: "test/orders.test.js", Test: "of the same run", Backend: "sim", Run: "17"},
		{Package: "test/orders.test.js", Test: "of an earlier run", Backend: "sim", Run: "16"},
	} {
		r.Outcome = report.Passed
		require.NoError(t, report.Save(dir, r))
	}
	require.NoError(t, report.Forget(dir, "test/orders.test.js", began, "17", "sim"))
	rep, err := report.Write(dir)
	require.NoError(t, err)
	require.Contains(t, rep.Headline(), "4 tests")
	left, err := os.ReadFile(filepath.Join(dir, report.JUnitFile))
	require.NoError(t, err)
	require.NotContains(t, string(left), "removed since")
	require.NotContains(t, string(left), "of an earlier run")
	require.Contains(t, string(left), "of the same run")
	require.Contains(t, string(left), "elsewhere")
	require.Contains(t, string(left), "another file&#39;s")
	require.Contains(t, string(left), "on another stack")
}

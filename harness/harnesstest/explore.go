package harnesstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranlog"
)

// Explore lets every fault happen at every hop of an app's function: see [explore.Explore]. The test fails with what was found,
// and keeps each finding as a file for [Replay] with its evidence, where the result also is as a page and as JUnit XML.
func Explore(t testing.TB, target explore.Target, o explore.Options) *explore.Result {
	t.Helper()
	result, err := explore.Explore(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := evidenceDir(ranlog.Package(), t.Name())
	files, err := result.WriteCases(dir, target, o)
	if err != nil {
		t.Fatal(err)
	}
	page, err := result.WriteReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	if abs, err := filepath.Abs(page); err == nil {
		page = abs
	}
	t.Logf("%s: %s", result.Summary(), page)
	if err := result.Err(); err != nil {
		t.Errorf("%v\n%v", err, result)
	}
	if len(result.Findings) == 0 {
		return result
	}
	t.Errorf("%v", result)
	for i, file := range files {
		if abs, err := filepath.Abs(file); err == nil {
			file = abs
		}
		t.Logf("finding %d, for harnesstest.Replay, or harness explore --replay: %s", i+1, file)
	}
	return result
}

// Replay runs the schedule of a file that [Explore], or the command `harness explore`, has written, so many times: see
// [explore.Replay]. The test fails if the schedule violates anything, or does not lead to the same each time.
func Replay(t testing.TB, target explore.Target, file string, times int, o explore.Options) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := explore.ParseCase(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	outcome, err := explore.Replay(t.Context(), target, c, times, o)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, v := range outcome.Violations {
		t.Errorf("%s: %s, when %s", file, v.Says, outcome.Schedule)
	}
}

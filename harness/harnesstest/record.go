package harnesstest

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranon"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// The methods below are those of testing.T that say why a test fails. They remember it for the report, and
// leave the app's secrets out.

// Error is Log followed by Fail, as of [testing.T].
func (t *T) Error(args ...any) {
	t.Helper()
	t.T.Error(t.note(fmt.Sprintln(args...)))
}

// Errorf is Logf followed by Fail, as of [testing.T].
func (t *T) Errorf(format string, args ...any) {
	t.Helper()
	t.T.Error(t.note(fmt.Sprintf(format, args...)))
}

// Fatal is Log followed by FailNow, as of [testing.T].
func (t *T) Fatal(args ...any) {
	t.Helper()
	t.T.Fatal(t.note(fmt.Sprintln(args...)))
}

// Fatalf is Logf followed by FailNow, as of [testing.T].
func (t *T) Fatalf(format string, args ...any) {
	t.Helper()
	t.T.Fatal(t.note(fmt.Sprintf(format, args...)))
}

// note remembers a failure and returns what is to be printed of it: all but secrets.
func (t *T) note(failure string) string {
	failure = strings.TrimSuffix(t.Stack.Redact(failure), "\n")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, strings.TrimSpace(failure))
	return failure
}

// record is what the test saw, for the report.
func (t *T) record(evidence string) report.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := report.Record{
		Package: ranon.Package(), Test: t.Name(), Backend: t.Stack.Backend(), Outcome: report.Passed,
		Began: t.began, Took: time.Since(t.began), Failures: t.failures, Verdicts: t.verdicts, Goldens: t.compared, Pictures: t.pictures, Evidence: evidence,
	}
	switch {
	case t.Failed():
		r.Outcome = report.Failed
	case t.Skipped():
		r.Outcome = report.Skipped
	}
	return r
}

// writeReport joins the records of all packages that have left some so far: the last of them to end writes the whole.
func writeReport(dir string) error {
	if dir == "" {
		return nil
	}
	if none, err := filepath.Glob(filepath.Join(dir, "record-*.json")); err != nil || len(none) == 0 {
		return err // no test of this package ran
	}
	_, err := report.Write(dir)
	return err
}

package harnesstest

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranon"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// The methods below are those of testing.T that say why a test fails. They remember it for the report.

// Error is Log followed by Fail, as of [testing.T].
func (t *T) Error(args ...any) {
	t.Helper()
	t.note(fmt.Sprintln(args...))
	t.T.Error(args...)
}

// Errorf is Logf followed by Fail, as of [testing.T].
func (t *T) Errorf(format string, args ...any) {
	t.Helper()
	t.note(fmt.Sprintf(format, args...))
	t.T.Errorf(format, args...)
}

// Fatal is Log followed by FailNow, as of [testing.T].
func (t *T) Fatal(args ...any) {
	t.Helper()
	t.note(fmt.Sprintln(args...))
	t.T.Fatal(args...)
}

// Fatalf is Logf followed by FailNow, as of [testing.T].
func (t *T) Fatalf(format string, args ...any) {
	t.Helper()
	t.note(fmt.Sprintf(format, args...))
	t.T.Fatalf(format, args...)
}

func (t *T) note(failure string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, strings.TrimSpace(failure))
}

// record is what the test saw, for the report.
func (t *T) record(evidence string) report.Record {
	r := report.Record{
		Package: ranon.Package(), Test: t.Name(), Backend: t.Stack.Backend(), Outcome: report.Passed,
		Began: t.began, Took: time.Since(t.began), Failures: t.failures, Verdicts: t.verdicts, Goldens: t.compared, Evidence: evidence,
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

package harnesstest

import (
	"fmt"
	"os"
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
	if t.Stack != nil {
		failure = t.Stack.Redactor().Text(failure)
	}
	failure = strings.TrimSuffix(failure, "\n")
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
		Package: ranon.Package(), Test: t.Name(), Backend: t.backend, Outcome: report.Passed,
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

// beginReport notes, where a report is wanted, that the package's tests begin. The function that it returns notes how
// they ended.
func (s *Suite) beginReport() (end func(failed bool) error, err error) {
	dir := os.Getenv(report.Variable)
	if dir == "" {
		return func(bool) error { return nil }, nil
	}
	var backends []string
	for _, b := range s.chosen {
		backends = append(backends, b.Name())
	}
	run, err := report.Begin(dir, ranon.Package(), backends...)
	if err != nil {
		return nil, err
	}
	return run.End, nil
}

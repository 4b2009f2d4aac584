package harnesstest

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranlog"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// The methods below replace those of testing.T that fail a test with a message. They keep the message for the report and
// remove the app's secrets from it.

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

// note keeps the message of a failure and returns it without secrets.
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

// record is the test's record for the report.
func (t *T) record(evidence string) report.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := report.Record{
		Package: ranlog.Package(), Test: t.Name(), Backend: t.backend, Outcome: report.Passed,
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

// beginReport writes, where a report is written, that the package's tests begin. The function that it returns writes how
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
	run, err := report.Begin(dir, ranlog.Package(), backends...)
	if err != nil {
		return nil, err
	}
	return run.End, nil
}

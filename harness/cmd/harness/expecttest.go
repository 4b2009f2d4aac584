package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// The variables by which a verdict of expect becomes a test of a report. That of the report is [report.Variable].
const (
	suiteVariable    = "HARNESS_SUITE"
	testVariable     = "HARNESS_TEST"
	evidenceVariable = "HARNESS_EVIDENCE"
)

// testOf returns the test as which the verdict about the expectation in a file is recorded; nil where no report is written and
// no evidence kept.
func testOf(io stdio, file string) (*stackapi.TestEnd, error) {
	if io.getenv(report.Variable) == "" && io.getenv(evidenceVariable) == "" {
		return nil, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if file == stdinName || isText(file) {
		file = "expectation"
	}
	t := &stackapi.TestEnd{Began: time.Now(), TestName: stackapi.TestName{
		Suite: cmp.Or(io.getenv(suiteVariable), filepath.Base(here)), Name: cmp.Or(io.getenv(testVariable), filepath.ToSlash(file)),
	}}
	if dir := io.getenv(report.Variable); dir != "" {
		t.Report = absolute(here, dir)
	}
	if dir := io.getenv(evidenceVariable); dir != "" {
		t.Evidence = filepath.Join(absolute(here, dir), filepath.Join("/", t.Suite), unsafeInFile.ReplaceAllString(t.Name, "_"))
	}
	return t, nil
}

// unsafeInFile matches what does not belong into the name of a file.
var unsafeInFile = regexp.MustCompile(`[^\w.-]`)

func absolute(here, dir string) string {
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(here, dir)
}

// record records a verdict as the end of a test, and writes the report.
func (c client) record(ctx context.Context, t stackapi.TestEnd, v *harness.Verdict) error {
	t.Outcome = string(report.Passed)
	if v.Outcome != harness.Holds {
		t.Outcome, t.Failures = string(report.Failed), []string{v.String()}
	}
	if err := c.EndTest(ctx, t); err != nil || t.Report == "" {
		return err
	}
	_, err := report.Write(t.Report)
	return err
}

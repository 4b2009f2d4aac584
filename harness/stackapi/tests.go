package stackapi

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// tests hold what was judged for tests that have not ended. The zero value holds nothing.
type tests struct {
	mu   sync.Mutex
	open map[TestName]*judged
}

// judged is what was judged for one test.
type judged struct {
	verdicts []*harness.Verdict
	goldens  []report.Golden
}

// add keeps a verdict for a test.
func (t *tests) add(name TestName, v *harness.Verdict, goldens []report.Golden) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[TestName]*judged{}
	}
	j := t.open[name]
	if j == nil {
		j = &judged{}
		t.open[name] = j
	}
	j.verdicts, j.goldens = append(j.verdicts, v), append(j.goldens, goldens...)
}

// end returns what was judged for a test, and forgets it.
func (t *tests) end(name TestName) judged {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.open[name]
	delete(t.open, name)
	if j == nil {
		return judged{}
	}
	return *j
}

// validate says what is wrong with the name of a test.
func (n TestName) validate() error {
	if n.Suite == "" || n.Name == "" {
		return invalidf("the test: it has a suite and a name: give both")
	}
	return nil
}

// validate says what is wrong with the end of a test.
func (e TestEnd) validate() error {
	switch report.Outcome(e.Outcome) {
	case report.Passed, report.Failed, report.Skipped:
	default:
		return invalidf("outcome is %q: it is one of %s, %s and %s", e.Outcome, report.Passed, report.Failed, report.Skipped)
	}
	for _, dir := range []string{e.Report, e.Evidence} {
		if dir != "" && !filepath.IsAbs(dir) {
			return invalidf("the directory is %q: give an absolute path, since the stack has another working directory", dir)
		}
	}
	return e.TestName.validate()
}

func (s *Server) endTest(_ context.Context, in body[TestEnd]) (Done, error) {
	end := in.Body
	if err := end.validate(); err != nil {
		return Done{}, err
	}
	j := s.tests.end(end.TestName)
	record := report.Record{
		Package: end.Suite, Test: end.Name, Backend: s.stack.Backend(), Outcome: report.Outcome(end.Outcome), Began: end.Began,
		Failures: end.Failures, Verdicts: j.verdicts, Goldens: j.goldens,
	}
	if !end.Began.IsZero() {
		record.Took = time.Since(end.Began)
	}
	var err error
	if end.Evidence != "" && record.Outcome == report.Failed {
		record.Evidence = end.Evidence
		err = s.stack.KeepEvidence(end.Evidence, j.verdicts)
	}
	if end.Report != "" {
		err = errors.Join(err, report.Save(end.Report, record))
	}
	return Done{err == nil}, err
}

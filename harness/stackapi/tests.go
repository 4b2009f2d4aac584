package stackapi

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// tests hold what was judged for tests that have not ended. The zero value holds nothing.
type tests struct {
	mu    sync.Mutex
	open  map[TestName]*judged
	runs  map[suite][]string     // those that have left records
	pages map[string]*time.Timer // that will write the report of a directory
}

// suite is a suite of tests with a report in a directory.
type suite struct{ dir, name string }

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
	s.written.add(end.Report, end.Evidence)
	j := s.tests.end(end.TestName)
	s.goldens.forget(end.TestName)
	record := report.Record{
		Package: end.Suite, Test: end.Name, Backend: s.stack.Backend(), Outcome: report.Outcome(end.Outcome), Began: end.Began, Run: end.Run,
		Verdicts: j.verdicts, Goldens: j.goldens,
	}
	for _, f := range end.Failures {
		record.Failures = append(record.Failures, s.stack.Redactor().Text(f))
	}
	if now := time.Now(); end.Began.IsZero() || end.Began.After(now) { // a test may have set its clock
		record.Began = now
	}
	record.Took = time.Since(record.Began)
	var err error
	switch {
	case end.Evidence == "":
	case record.Outcome == report.Failed:
		record.Evidence = end.Evidence
		err = s.stack.KeepEvidence(end.Evidence, j.verdicts)
	default:
		err = stack.RemoveEvidence(end.Evidence)
	}
	if end.Report != "" {
		err = errors.Join(err, s.saveRecord(end.Report, record))
	}
	if err != nil {
		return Done{}, invalidf("%w", err) // it is about the directories
	}
	return Done{true}, nil
}

// saveRecord saves the record of a test, and has the report written. The first record of a suite in a run replaces those of
// earlier runs, unless this server answers one command of many. In the first run that this server sees, records of tests that have
// begun since the server did stay: they are of the same run, on another stack.
func (s *Server) saveRecord(dir string, r report.Record) error {
	t := &s.tests
	t.mu.Lock()
	defer t.mu.Unlock()
	of := suite{dir, r.Package}
	if earlier := t.runs[of]; s.options.Token != "" && !slices.Contains(earlier, r.Run) {
		before := s.began
		if len(earlier) > 0 {
			before = time.Now()
		}
		if err := report.Forget(dir, r.Package, before, r.Run, r.Backend); err != nil {
			return err
		}
		if t.runs == nil {
			t.runs = map[suite][]string{}
		}
		t.runs[of] = append(earlier, r.Run)
	}
	if err := report.Save(dir, r); err != nil {
		return err
	}
	if page := t.pages[dir]; page != nil {
		page.Reset(pagePause)
		return nil
	}
	if t.pages == nil {
		t.pages = map[string]*time.Timer{}
	}
	t.pages[dir] = time.AfterFunc(pagePause, func() { _, _ = report.Write(dir) }) // Close writes it again, and has the error
	return nil
}

// pagePause is how long after the last test the report is written, which takes longer the more tests there are.
const pagePause = time.Second

// Close writes the reports of the tests that have ended. The server goes on answering.
func (s *Server) Close() error {
	s.tests.mu.Lock()
	defer s.tests.mu.Unlock()
	var errs []error
	for dir, page := range s.tests.pages {
		page.Stop()
		if _, err := report.Write(dir); !errors.Is(err, fs.ErrNotExist) { // a person may have removed it, or cleared it
			errs = append(errs, err)
		}
	}
	s.tests.pages = nil
	return errors.Join(errs...)
}

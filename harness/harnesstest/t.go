package harnesstest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranlog"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// T is one test on one backend. It has the methods of [testing.T], and others to send events and judge what follows.
type T struct {
	*testing.T
	// Stack is where the test runs. It is shared with other tests, or the test's own ([Suite.RunAlone]).
	Stack *stack.Stack

	suite   *Suite
	backend string
	salt    string
	began   time.Time

	returned bool // the test's function has returned

	mu       sync.Mutex // a test may judge several events concurrently
	verdicts []*harness.Verdict
	compared []report.Golden // the last comparison of each email
	failures []string        // the messages of Error and Fatal
	pictures []report.Picture
}

// newT returns a test that has no stack yet.
func newT(t *testing.T, s *Suite, backend string) *T {
	return &T{T: t, suite: s, backend: backend, salt: strings.ToLower(rand.Text()[:10]), began: time.Now()}
}

// Salt returns letters and digits that no other test has, in this run or another. Use it in names and addresses, and in
// idempotency keys, which the server remembers for a day.
func (t *T) Salt() string { return t.salt }

// Run runs f as a subtest on the same stack. The subtest has a salt, evidence and a record of its own.
func (t *T) Run(name string, f func(t *T)) bool {
	t.Helper()
	return t.T.Run(name, func(tt *testing.T) {
		tt.Helper()
		sub := newT(tt, t.suite, t.backend)
		sub.Stack = t.Stack
		sub.begin()
		tt.Cleanup(sub.finish)
		f(sub)
		sub.returned = true
	})
}

// Picture adds a picture, a PNG file, to the report where one is written, for a person to look at.
func (t *T) Picture(name string, png []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pictures = append(t.pictures, report.Picture{Name: name, PNG: png})
}

// Env is the configuration of the app.
func (t *T) Env() harness.Env {
	t.Helper()
	env, ok := t.Stack.Env()
	if !ok {
		t.Fatal("the stack runs no app")
	}
	return env
}

// Send sends an event and returns the ULID that the server gave it.
func (t *T) Send(e harness.Event) string {
	t.Helper()
	ids, err := t.Stack.Send(t.Context(), e)
	if err != nil {
		t.Fatalf("send %s: %v", e.Name, err)
	}
	return ids[0]
}

// actTime is how long a fault may take to act when its test has ended: an expectation can hold before the answer that is to be lost.
const actTime = 2 * time.Second

// Inject makes a fault happen on a wire until the test ends, and then drops what it holds. A test that passed fails if the fault has
// not acted: it has shown nothing.
func (t *T) Inject(f tap.Fault) *tap.Injection {
	t.Helper()
	taps := t.Stack.Taps()
	if taps == nil {
		t.Fatalf("inject the fault %s: the stack has no taps, at which faults act: leave stack.Options.WithoutTaps out", f)
	}
	i, err := taps.Inject(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer i.Drop()
		if !t.returned || t.Failed() || t.Skipped() {
			return
		}
		select {
		case <-i.Reached():
		case <-time.After(actTime):
			t.Errorf("a fault of the test has not acted: %s", f)
		}
	})
	return i
}

// Expect waits until the expectation of what follows from an event is settled, and fails the test immediately with the whole
// verdict unless it holds. replace are values in this test's emails for which golden files have placeholders; they come
// before the suite's.
func (t *T) Expect(eventID string, e harness.Expectation, replace ...golden.Replacement) *harness.Verdict {
	t.Helper()
	v := t.Judge(eventID, e, stack.JudgeOptions{}, replace...)
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	return v
}

// SendAndExpect is Send followed by Expect.
func (t *T) SendAndExpect(event harness.Event, e harness.Expectation, replace ...golden.Replacement) *harness.Verdict {
	t.Helper()
	return t.Expect(t.Send(event), e, replace...)
}

// Judge returns the verdict without failing the test. The suite's goldens replace o.Golden, and its timeout a Timeout of
// zero.
func (t *T) Judge(eventID string, e harness.Expectation, o stack.JudgeOptions, replace ...golden.Replacement) *harness.Verdict {
	t.Helper()
	o.Timeout = cmp.Or(o.Timeout, t.suite.o.Timeout)
	o.Golden = func(name string, m *harness.TraceMail) error { return t.compareGolden(name, m, replace) }
	v, err := t.Stack.Judge(t.Context(), eventID, e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verdicts = append(t.verdicts, v)
	return v
}

func (t *T) compareGolden(name string, m *harness.TraceMail, replace []golden.Replacement) error {
	if t.suite.o.Golden == "" {
		return fmt.Errorf("golden %q: the suite has no goldens: set Options.Golden", name)
	}
	set, err := t.suite.golden()
	if err != nil {
		return err
	}
	g, err := report.Compare(set, name, m, replace...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.compared = append(slices.DeleteFunc(t.compared, func(c report.Golden) bool { return c.Message == m.ID }), g)
	return err
}

// begin removes the evidence of an earlier run, and writes a record of a test that did not finish, where a report is written. It is what remains of a test that panics
// or hangs.
func (t *T) begin() {
	t.Helper()
	if err := os.RemoveAll(t.evidenceDir()); err != nil {
		t.T.Error("remove the evidence of an earlier run:", err)
	}
	r := t.record("")
	r.Outcome, r.Failures = report.Failed, []string{"the test did not finish: see the end of the package's output"}
	t.save(r)
}

// finish keeps the evidence of a failed test, and writes the record of every test where a report is written.
func (t *T) finish() {
	t.Helper()
	t.suite.noteSkip(t.T)
	if !t.returned && !t.Failed() && !t.Skipped() {
		return // it panics: the record of begin remains
	}
	t.save(t.record(t.keepEvidence()))
}

func (t *T) evidenceDir() string { return evidenceDir(ranlog.Package(), t.Name()) }

func (t *T) save(r report.Record) {
	t.Helper()
	if dir := os.Getenv(report.Variable); dir != "" {
		if err := report.Save(dir, r); err != nil {
			t.T.Error(err)
			// Without what could not be saved, so that the report does not say that the test did not finish.
			r.Outcome, r.Failures, r.Verdicts, r.Goldens, r.Pictures = report.Failed, append(r.Failures, err.Error()), nil, nil, nil
			_ = report.Save(dir, r) // the first error says why
		}
	}
}

// keepEvidence writes the evidence of a failed test and returns its directory; "" for a test that has not failed.
func (t *T) keepEvidence() string {
	t.Helper()
	if !t.Failed() {
		return ""
	}
	t.suite.mu.Lock()
	t.suite.failed = true
	t.suite.mu.Unlock()
	if t.Stack == nil {
		return "" // the failure says why it did not start, and where its logs are
	}
	dir := t.evidenceDir()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.Stack.KeepEvidence(dir, t.verdicts); err != nil {
		t.Logf("some of the evidence could not be kept: %v", err)
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	t.Logf("evidence: %s", dir)
	return dir
}

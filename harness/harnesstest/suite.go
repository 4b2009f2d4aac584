package harnesstest

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranlog"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// BackendsVariable names the environment variable that lists, separated by commas, the names of the backends on which
// tests run: HARNESS_BACKENDS=local,containers, or HARNESS_BACKENDS=attach beside a running `harness up`. A name that the
// suite does not have is an error, so that nothing is left out silently.
const BackendsVariable = "HARNESS_BACKENDS"

// UpdateVariable names the environment variable that, set to 1, makes tests rewrite golden emails as the flag -update does.
const UpdateVariable = golden.UpdateVariable

// EvidenceVariable names the environment variable with the directory in which failed tests keep their evidence, each in a
// directory named after its package's import path, its name and the backend. Unset: .harness/evidence in the package's
// directory.
const EvidenceVariable = "HARNESS_EVIDENCE"

// Options configures a [Suite]. One of Handler and Command is required.
type Options struct {
	// Backends are those that the tests can run on. Required.
	Backends []harness.Backend
	// Default names the backends on which tests run when HARNESS_BACKENDS is not set. Empty: the first.
	Default []string
	// Fixed makes the tests run on Default whatever HARNESS_BACKENDS says: for tests of something that does not depend on
	// where the servers run.
	Fixed bool

	// Unsupported maps the name of a backend to the reason, a clause, why these tests cannot run on it. It is shown when
	// HARNESS_BACKENDS selects that backend, which need not be among Backends.
	Unsupported map[string]string

	// Handler makes the app in the test's process. Command runs it as a program.
	Handler stack.HandlerFunc
	Command *stack.Command

	// Stack configures the stacks. Ports must be zero: tests use free ones. A RetryInterval of zero becomes 1 s, the
	// shortest that the server accepts.
	Stack stack.Options

	// Golden is the directory of the golden emails, relative to that of the package. Empty where no test names one.
	Golden string
	// Replace are values in emails that differ from run to run. Golden files have placeholders for them.
	Replace []golden.Replacement

	// Pool is the number of stacks that are kept started for [Suite.RunAlone], from its first use on. One that a test takes
	// is replaced while the test runs. A test that changes the stack's options starts its own. Zero: each test starts its
	// own.
	Pool int

	// Timeout is how long a verdict waits for what has not happened yet, unless a test says otherwise. Only a failure takes
	// that long. Zero: 30 s.
	Timeout time.Duration
	// StartTimeout bounds the start of a stack with its app, without the time for building servers. Zero: 2 min.
	StartTimeout time.Duration
}

// Suite is the tests of one package. Its methods are safe for concurrent use.
type Suite struct {
	o      Options
	chosen []harness.Backend
	broken error // why no test can run
	golden func() (*golden.Set, error)
	shared map[string]*shared
	update *bool

	mu      sync.Mutex
	failed  bool
	skipped bool // some test was
}

// shared is what the tests on one backend share: a stack, and a pool of stacks for tests that need their own.
type shared struct {
	once  sync.Once
	stack *stack.Stack
	err   error

	pooling sync.Once
	pool    *pool
}

// New returns a suite. It starts nothing. It registers the flag -update, so call it once per package, in a variable of that
// package. Invalid options fail the tests.
func New(o Options) *Suite {
	s := &Suite{o: o, shared: map[string]*shared{}}
	s.o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	s.o.StartTimeout = cmp.Or(o.StartTimeout, 2*time.Minute)
	s.o.Stack.RetryInterval = cmp.Or(o.Stack.RetryInterval, time.Second)
	s.o.Stack.AppGrace = cmp.Or(o.Stack.AppGrace, closeTimeout) // a machine may be busy
	s.update = flag.Bool("update", false, "rewrite the golden emails that tests compare with")
	s.chosen, s.broken = choose(o, os.Getenv(BackendsVariable))
	for _, b := range s.chosen {
		s.shared[b.Name()] = &shared{}
	}
	s.golden = sync.OnceValues(func() (*golden.Set, error) {
		return golden.Open(o.Golden, golden.Options{Update: s.updating(), Replace: o.Replace, RunHeader: o.Stack.RunHeader})
	})
	return s
}

// choose returns the backends to run on. variable is the value of HARNESS_BACKENDS.
func choose(o Options, variable string) ([]harness.Backend, error) {
	if o.Fixed {
		variable = ""
	}
	if len(o.Backends) == 0 {
		return nil, errors.New("harnesstest: the suite has no backend: set Options.Backends")
	}
	if (o.Handler == nil) == (o.Command == nil) {
		return nil, errors.New("harnesstest: the suite needs one app: set Options.Handler or Options.Command, and not both")
	}
	if o.Stack.Ports != (harness.Ports{}) {
		return nil, errors.New("harnesstest: tests use free ports, so that they can run beside anything: leave Options.Stack.Ports zero")
	}
	names, source := o.Default, "Options.Default"
	if variable != "" {
		names, source = strings.Split(variable, ","), BackendsVariable
	}
	if len(names) == 0 {
		return o.Backends[:1], nil
	}
	var known []string
	for _, b := range o.Backends {
		if o.Unsupported[b.Name()] == "" {
			known = append(known, b.Name())
		}
	}
	var chosen []harness.Backend
	for _, name := range names {
		name = strings.TrimSpace(name)
		if why := o.Unsupported[name]; why != "" {
			return nil, fmt.Errorf("harnesstest: these tests do not run on the backend %q, because %s: run them on %s", name, why, strings.Join(known, " or "))
		}
		same := func(b harness.Backend) bool { return b.Name() == name }
		i := slices.IndexFunc(o.Backends, same)
		if i < 0 {
			return nil, fmt.Errorf("harnesstest: %s names the backend %q, which this suite does not have; it has %s", source, name, strings.Join(known, ", "))
		}
		if !slices.ContainsFunc(chosen, same) {
			chosen = append(chosen, o.Backends[i])
		}
	}
	return chosen, nil
}

func (s *Suite) updating() bool { return *s.update || golden.UpdateWanted() }

// closeTimeout bounds the stop of a stack.
const closeTimeout = 15 * time.Second

// Main runs the package's tests and frees what they shared. It is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }
func (s *Suite) Main(m *testing.M) int {
	if !flag.Parsed() {
		flag.Parse()
	}
	if flag.Lookup("test.list").Value.String() != "" {
		return m.Run() // no test runs, and what the last run left stays
	}
	end, err := s.beginReport()
	if err != nil {
		fmt.Fprintln(os.Stderr, "harnesstest:", err)
		return 1
	}
	code := s.run(m)
	if err := end(code != 0); err != nil {
		fmt.Fprintln(os.Stderr, "harnesstest:", err)
		code = max(code, 1)
	}
	return code
}

func (s *Suite) run(m *testing.M) int {
	if s.broken != nil { // once, not in each test
		fmt.Fprintln(os.Stderr, s.broken)
		return 1
	}
	defer log.SetOutput(log.Writer())
	// In package log net/http quotes what an app sends unasked.
	log.SetOutput(secret.New(secret.Values(os.Environ(), harness.DevEventKey)).Writer(log.Writer()))
	code := m.Run()
	if err := s.close(); err != nil {
		fmt.Fprintln(os.Stderr, "harnesstest: stop the shared stacks:", err)
		code = max(code, 1)
	}
	run := flag.Lookup("test.run").Value.String()
	all := (run == "" || run == ".") && flag.Lookup("test.skip").Value.String() == "" && !testing.Short()
	if err := s.unusedGoldens(code == 0 && all); err != nil {
		fmt.Fprintln(os.Stderr, "harnesstest:", err)
		code = max(code, 1)
	}
	return code
}

func (s *Suite) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for name, sh := range s.shared {
		if sh.pool != nil {
			errs = append(errs, sh.pool.close())
		}
		if sh.stack == nil {
			continue
		}
		errs = append(errs, sh.stack.Close(ctx))
		if s.failed {
			fmt.Fprintf(os.Stderr, "harnesstest: logs of the shared %s stack are in %s\n", name, sh.stack.Dir())
		} else {
			errs = append(errs, os.RemoveAll(sh.stack.Dir()))
		}
	}
	return errors.Join(errs...)
}

// unusedGoldens returns an error for golden emails that no test compared with, after a run of all tests. It does not remove
// them, not even where goldens are rewritten: a test may have skipped itself before the suite heard of it.
func (s *Suite) unusedGoldens(allRan bool) error {
	if !allRan || s.skipped || s.o.Golden == "" {
		return nil
	}
	set, err := s.golden()
	if err != nil {
		return err
	}
	if unused := set.Unused(); len(unused) > 0 {
		return fmt.Errorf("golden emails that no test compares with: %s: remove them, or, where a test of theirs skips itself, have it do so within Suite.Run", strings.Join(unused, ", "))
	}
	return nil
}

// Run runs f as a subtest on each chosen backend, named after it, in parallel, on the stack that the suite's tests
// share there.
func (s *Suite) Run(t *testing.T, f func(t *T)) {
	t.Helper()
	s.each(t, f, s.sharedStack)
}

// RunAlone runs f as a subtest on each chosen backend, named after it, on a stack of its own: for a test that breaks
// things. change, where it is not nil, changes the stack's options, other than Dir.
func (s *Suite) RunAlone(t *testing.T, change func(*stack.Options), f func(t *T)) {
	t.Helper()
	s.each(t, f, func(t testing.TB, b harness.Backend) (*stack.Stack, error) {
		return s.ownStack(t, b, change)
	})
}

func (s *Suite) each(t *testing.T, f func(*T), st func(testing.TB, harness.Backend) (*stack.Stack, error)) {
	t.Helper()
	if s.broken != nil {
		t.Fatal(s.broken)
	}
	t.Parallel()
	t.Cleanup(func() { s.noteSkip(t) })
	for _, b := range s.chosen {
		t.Run(b.Name(), func(tt *testing.T) {
			tt.Helper() // failures are reported for the line in the test that calls Run
			tt.Parallel()
			h := newT(tt, s, b.Name())
			h.begin()
			st, err := st(tt, b)
			tt.Cleanup(h.finish) // runs before the test's own stack is closed
			if err != nil {
				h.Fatal(err)
			}
			h.Stack, h.began = st, time.Now()
			f(h)
			h.returned = true
		})
	}
}

// noteSkip notes that a test was skipped, so that the goldens that it would have compared with do not count as unused.
func (s *Suite) noteSkip(t testing.TB) {
	if t.Skipped() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.skipped = true
	}
}

func (s *Suite) sharedStack(_ testing.TB, b harness.Backend) (*stack.Stack, error) {
	sh := s.shared[b.Name()]
	sh.once.Do(func() {
		o := s.o.Stack
		o.Shared = true
		// Not the test's context: the stack outlives the test that needs it first.
		sh.stack, sh.err = s.start(context.Background(), b, o, "harness-"+b.Name()+"-")
	})
	return sh.stack, sh.err
}

func (s *Suite) ownStack(t testing.TB, b harness.Backend, change func(*stack.Options)) (*stack.Stack, error) {
	o := s.o.Stack
	if change != nil {
		change(&o)
	}
	start := func(ctx context.Context) (*stack.Stack, error) { return s.start(ctx, b, o, "harness-own-") }
	lease := start
	if s.o.Pool > 0 && reflect.DeepEqual(o, s.o.Stack) { // changed options: the pool has no such stack
		sh := s.shared[b.Name()]
		sh.pooling.Do(func() { sh.pool = newPool(s.o.Pool, start) })
		lease = sh.pool.lease
	}
	st, err := lease(t.Context())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := closeStack(st); err != nil {
			t.Errorf("stop the test's own stack: %v", err)
		}
	})
	return st, nil
}

// start starts a stack with the suite's app on it, in a temporary directory whose name begins with prefix.
func (s *Suite) start(ctx context.Context, b harness.Backend, o stack.Options, prefix string) (*stack.Stack, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for a stack's logs: %w", err)
	}
	o.Dir = dir
	st, err := s.startIn(ctx, b, o)
	switch {
	case err == nil:
		return st, nil
	case ctx.Err() != nil: // the caller does not wait any more
		return nil, errors.Join(err, os.RemoveAll(dir))
	case os.Remove(dir) == nil: // it was empty: the start failed before there was a log
		return nil, err
	default:
		return nil, fmt.Errorf("%w\nthe logs of this start are kept in %s", err, dir)
	}
}

func (s *Suite) startIn(ctx context.Context, b harness.Backend, o stack.Options) (*stack.Stack, error) {
	o.Progress = func(p harness.Progress) {
		if p.Elapsed > 5*time.Second { // a build: say why the tests wait
			fmt.Fprintf(os.Stderr, "harnesstest: %s %s, %s\n", p.Subject, p.Doing, p.Elapsed.Round(time.Second))
		}
	}
	st, err := stack.Start(ctx, b, o)
	if err != nil {
		return nil, err
	}
	if err := ranlog.Note(st.Backend(), st.Describe()); err != nil {
		return nil, errors.Join(err, st.Close(context.WithoutCancel(ctx)))
	}
	if _, hosted := st.Env(); hosted {
		return st, nil // attached to a stack that has the app on it
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.StartTimeout)
	defer cancel()
	if s.o.Handler != nil {
		err = st.RunHandler(ctx, s.o.Handler)
	} else {
		err = st.RunCommand(ctx, *s.o.Command)
	}
	if err != nil {
		return nil, errors.Join(err, st.Close(context.WithoutCancel(ctx)))
	}
	return st, nil
}

// evidenceDir is the directory of a failed test's evidence. Where EvidenceVariable is set, each package has its own
// directory there.
func evidenceDir(pkg, test string) string {
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, test)
	if dir := os.Getenv(EvidenceVariable); dir != "" {
		return filepath.Join(dir, filepath.FromSlash(pkg), name)
	}
	return filepath.Join(statefile.Dir, "evidence", name)
}

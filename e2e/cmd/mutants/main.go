// Command mutants plants defects in a copy of the app, one at a time, and shows which test catches each.
//
//	go run ./e2e/cmd/mutants                           all of them, against all tests
//	go run ./e2e/cmd/mutants -run send                 those with "send" in their name
//	go run ./e2e/cmd/mutants -run claim ./e2e/faults   would the fault matrix catch it by itself?
//
// It is run at the root of the workspace, whose present state it copies, what is not committed included. It exits
// with 1 when a defect survives all tests, when a patch no longer fits the source, or when the test that fails does
// so without the defect too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pattern := flag.String("run", "", "plant only the defects whose name matches this")
	verbose := flag.Bool("v", false, "show each test run, and the output of the failing test")
	flag.Parse()
	if err := run(ctx, *pattern, flag.Args(), *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// mutant is one defect: a text that stands once in a file of the workspace, and what is put in its place.
type mutant struct{ name, file, old, new string }

// finding is what came of one mutant.
type finding struct {
	mutant string
	caught string // the test
	took   time.Duration
	err    error // why it does not count as caught
}

func run(ctx context.Context, pattern string, packages []string, verbose bool) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !wanted.MatchString(m.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("no defect is called %q", pattern)
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyWorkspace(".", dir); err != nil {
		return fmt.Errorf("copy the workspace: %w", err)
	}
	l := &lab{dir: dir, packages: packages, sound: map[string]error{}}
	if verbose {
		l.log = os.Stderr
	}

	var findings []finding
	for i, m := range chosen {
		began := time.Now()
		caught, err := l.try(ctx, m)
		if ctx.Err() != nil {
			return errors.Join(errors.New("interrupted"), print(os.Stdout, findings))
		}
		f := finding{m.name, caught, time.Since(began), err}
		findings = append(findings, f)
		fmt.Fprintf(os.Stderr, "%d/%d %s: %s (%.1f s)\n", i+1, len(chosen), f.mutant, f.verdict(), f.took.Seconds())
	}
	if err := print(os.Stdout, findings); err != nil {
		return err
	}
	if n := survivors(findings); n > 0 {
		return fmt.Errorf("%d of %d defects were not caught", n, len(findings))
	}
	return nil
}

func (f finding) verdict() string {
	if f.err != nil {
		return "NOT CAUGHT: " + f.err.Error()
	}
	return f.caught
}

func survivors(findings []finding) int {
	n := 0
	for _, f := range findings {
		if f.err != nil {
			n++
		}
	}
	return n
}

func print(w io.Writer, findings []finding) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "defect\tcaught by\ttime")
	for _, f := range findings {
		fmt.Fprintf(tw, "%s\t%s\t%.1f s\n", f.mutant, f.verdict(), f.took.Seconds())
	}
	fmt.Fprintf(tw, "\n%d of %d defects caught\n", len(findings)-survivors(findings), len(findings))
	return tw.Flush()
}

// errSurvived is the verdict on a mutant that no test minds.
var errSurvived = errors.New("every test passes")

// lab is the copy in which mutants live.
type lab struct {
	dir      string
	packages []string         // patterns of those whose tests are tried, in order; empty: all, the nearest first
	sound    map[string]error // by package and test: what is wrong with it without any defect
	log      io.Writer        // nil: silent
}

// try plants a defect, runs the tests until one has caught it, and takes the defect out again. It returns that test.
func (l *lab) try(ctx context.Context, m mutant) (caught string, err error) {
	restore, err := m.plant(l.dir)
	if err != nil {
		return "", err
	}
	f, err := l.firstFailure(ctx, m)
	if restoreErr := restore(); restoreErr != nil {
		return "", errors.Join(err, restoreErr)
	}
	if err != nil {
		return "", err
	}
	if err := l.passesWithout(ctx, f); err != nil {
		return "", err
	}
	return f.String(), nil
}

// firstFailure runs tests until one fails, and fails again when it is run by itself.
func (l *lab) firstFailure(ctx context.Context, m mutant) (failure, error) {
	packages, err := l.near(ctx, m)
	if err != nil {
		return failure{}, err
	}
	var flaky []failure
	for _, p := range packages {
		f, err := l.test(ctx, p, "")
		if err != nil {
			return failure{}, err
		}
		if f == nil {
			continue
		}
		again, err := l.test(ctx, f.pkg, f.test)
		if err != nil {
			return failure{}, err
		}
		if again != nil {
			return *f, nil
		}
		flaky = append(flaky, *f)
	}
	if len(flaky) > 0 {
		return failure{}, fmt.Errorf("%w, but %v failed once, and then passed with the defect", errSurvived, flaky)
	}
	return failure{}, errSurvived
}

// near returns the packages to test: those next to the defect first, then the app's others, then those that need
// real servers.
func (l *lab) near(ctx context.Context, m mutant) ([]string, error) {
	if len(l.packages) > 0 {
		return l.list(ctx, l.packages...)
	}
	all, err := l.list(ctx, "./app/...", "./e2e", "./e2e/faults")
	if err != nil {
		return nil, err
	}
	own := modulePath + path.Dir(m.file)
	others := slices.DeleteFunc(all, func(p string) bool { return p == own })
	return append([]string{own}, others...), nil
}

// passesWithout returns an error when the test fails in the workspace as it is.
func (l *lab) passesWithout(ctx context.Context, f failure) error {
	if err, known := l.sound[f.String()]; known {
		return err
	}
	again, err := l.test(ctx, f.pkg, f.test)
	if err == nil && again != nil {
		err = fmt.Errorf("%s fails without the defect too", f)
	}
	l.sound[f.String()] = err
	return err
}

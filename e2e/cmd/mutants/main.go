// Command mutants plants defects into the app and into the harness, one at a time, and shows which test catches each.
//
//	go run ./e2e/cmd/mutants                           all defects, against all tests
//	go run ./e2e/cmd/mutants -run send                 those with "send" in their name
//	go run ./e2e/cmd/mutants -run claim ./e2e/faults   would the fault matrix catch it by itself?
//
// It runs at the root of the workspace, which it does not change: the go command reads the changed file by an overlay. It
// exits with status 1 when a defect survives all tests, when a patch no longer fits the source, or when the test that
// fails also fails without the defect.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/command"
)

func main() {
	pattern := flag.String("run", "", "plant only the defects whose name matches this")
	verbose := flag.Bool("v", false, "show each test run, and the output of the failing test")
	flag.Parse()
	command.Main("mutants", func(ctx context.Context) error { return run(ctx, *pattern, flag.Args(), *verbose) })
}

// result is the outcome of one mutant.
type result struct {
	mutant string
	caught string // the test
	took   time.Duration
	err    error // why it does not count as caught
}

func (r result) String() string {
	if r.err != nil {
		return "NOT CAUGHT: " + r.err.Error()
	}
	return r.caught
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
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	w := &workspace{dir: dir, packages: packages, baseline: map[string]error{}}
	if verbose {
		w.log = os.Stderr
	}
	var results []result
	for i, m := range chosen {
		began := time.Now()
		caught, err := w.try(ctx, m)
		if ctx.Err() != nil {
			return errors.Join(errors.New("interrupted"), print(os.Stdout, results))
		}
		r := result{m.name, caught, time.Since(began), err}
		results = append(results, r)
		fmt.Fprintf(os.Stderr, "%d/%d %s: %s (%.1f s)\n", i+1, len(chosen), r.mutant, r, r.took.Seconds())
	}
	if err := print(os.Stdout, results); err != nil {
		return err
	}
	if n := survivors(results); n > 0 {
		return fmt.Errorf("%d of %d defects were not caught", n, len(results))
	}
	return nil
}

func survivors(results []result) int {
	return len(slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.err == nil }))
}

func print(w io.Writer, results []result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "defect\tcaught by\ttime")
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t%s\t%.1f s\n", r.mutant, r, r.took.Seconds())
	}
	fmt.Fprintf(tw, "\n%d of %d defects caught\n", len(results)-survivors(results), len(results))
	return tw.Flush()
}

// errSurvived says that no test catches a mutant.
var errSurvived = errors.New("every test passes")

// workspace is the tree into which mutants are planted.
type workspace struct {
	dir      string
	packages []string         // patterns of the packages to test; empty: all, the nearest first
	baseline map[string]error // by test: why it fails without any defect; nil: it passes
	log      io.Writer        // nil: silent
}

// try plants a defect and runs the tests until one catches it. It returns that test.
func (w *workspace) try(ctx context.Context, m mutant) (caught string, err error) {
	overlay, remove, err := m.plant(w.dir)
	if err != nil {
		return "", err
	}
	defer remove()
	f, err := w.firstFailure(ctx, overlay, m)
	if err != nil {
		return "", err
	}
	name := f.String()
	if _, known := w.baseline[name]; !known {
		again, err := w.test(ctx, "", f.pkg, f.test)
		if err == nil && again != nil {
			err = fmt.Errorf("%s fails without the defect too", name)
		}
		w.baseline[name] = err
	}
	return name, w.baseline[name]
}

// firstFailure runs tests until one fails, and fails again when it runs by itself.
func (w *workspace) firstFailure(ctx context.Context, overlay string, m mutant) (failure, error) {
	packages, err := w.near(ctx, m)
	if err != nil {
		return failure{}, err
	}
	var flaky []failure
	for _, p := range packages {
		f, err := w.test(ctx, overlay, p, "")
		if err != nil {
			return failure{}, err
		}
		if f == nil {
			continue
		}
		again, err := w.test(ctx, overlay, f.pkg, f.test)
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

// near returns the packages to test: that of the defect first, then others without servers, then those that need real
// servers.
func (w *workspace) near(ctx context.Context, m mutant) ([]string, error) {
	if len(w.packages) > 0 {
		return w.list(ctx, w.packages...)
	}
	patterns := []string{"./app/...", "./e2e", "./e2e/faults"}
	if strings.HasPrefix(m.file, "harness/") {
		patterns = []string{"./harness/judge", "./harness/internal/follow", "./harness/sim/simstack", "./harness/stack", "./e2e/verdicts", "./e2e/property"}
	}
	all, err := w.list(ctx, patterns...)
	if err != nil {
		return nil, err
	}
	own := modulePath + path.Dir(m.file)
	return append([]string{own}, slices.DeleteFunc(all, func(p string) bool { return p == own })...), nil
}

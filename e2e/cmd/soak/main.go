// Command soak runs the end-to-end tests many times in a row, with the race detector, on an idle machine and on one
// whose processors are busy with something else, and tells how often they failed, which of them, and how long they took.
//
//	go run ./e2e/cmd/soak                 30 rounds of each
//	go run ./e2e/cmd/soak -n 3 -load busy fewer, and only with load
//	go run ./e2e/cmd/soak ./e2e           of one package
//
// Where no package is named it runs all of e2e but the commands and e2e/workspace, which tests the documents and the
// Makefile, and builds more than it tests.
//
// It is run at the root of the workspace. It exits with 1 when a round failed, or when it was interrupted; what a failed
// round printed is kept.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.IntVar(&o.rounds, "n", 30, "rounds under each load")
	flag.StringVar(&o.load, "load", "both", "idle, busy, or both, one after the other")
	flag.IntVar(&o.loops, "loops", 2, "busy loops that make a busy machine")
	flag.BoolVar(&o.race, "race", true, "with the race detector, which needs a C compiler")
	flag.StringVar(&o.only, "run", "", "only the tests that match")
	flag.StringVar(&o.keep, "keep", filepath.Join(".harness", "soak"), "where the output of failed rounds goes")
	flag.StringVar(&o.json, "json", "", "write the figures to this file too")
	flag.Parse()
	o.packages = flag.Args()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds, loops          int
	load, only, keep, json string
	race                   bool
	packages               []string
}

// round is one run of all tests.
type round struct {
	took   time.Duration
	failed []string // tests
}

// figure is what came of the rounds under one load.
type figure struct {
	Load    string  `json:"load"`
	Rounds  int     `json:"rounds"`
	Failed  int     `json:"failed"`
	Fastest float64 `json:"fastestSeconds"`
	Median  float64 `json:"medianSeconds"`
	Slowest float64 `json:"slowestSeconds"`
	// Tests says in how many rounds a test failed.
	Tests map[string]int `json:"failedTests,omitempty"`
}

func run(ctx context.Context, o options) error {
	loads, err := loadsOf(o.load)
	if err != nil {
		return err
	}
	if o.rounds < 1 {
		return errors.New("-n must be at least 1")
	}
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	suites, err := compile(ctx, dir, o)
	if err != nil {
		return err
	}
	var figures []figure
	for _, load := range loads {
		rounds, err := soak(ctx, o, suites, load)
		if len(rounds) > 0 {
			figures = append(figures, measure(load, rounds))
		}
		if err != nil {
			return errors.Join(err, print(os.Stdout, figures))
		}
	}
	if err := print(os.Stdout, figures); err != nil {
		return err
	}
	if err := save(o.json, figures); err != nil {
		return err
	}
	for _, f := range figures {
		if f.Failed > 0 {
			return fmt.Errorf("some rounds failed: their output is in %s", o.keep)
		}
	}
	return nil
}

func loadsOf(name string) ([]string, error) {
	switch name {
	case "both":
		return []string{"idle", "busy"}, nil
	case "idle", "busy":
		return []string{name}, nil
	}
	return nil, fmt.Errorf("-load is %q: it must be idle, busy or both", name)
}

// suite is the compiled tests of one package.
type suite struct{ binary, dir, pkg string }

// compile builds the tests of the packages, or of all that are end to end.
func compile(ctx context.Context, dir string, o options) ([]suite, error) {
	packages := o.packages
	if len(packages) == 0 {
		packages = []string{"./e2e/..."}
	}
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-f",
		`{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{"\t"}}{{.Dir}}{{end}}`}, packages...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	var suites []suite
	for line := range strings.Lines(string(out)) {
		pkg, where, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if pkg == "" || len(o.packages) == 0 && !soaked(pkg) {
			continue
		}
		s := suite{filepath.Join(dir, fmt.Sprintf("%d-%s.test", len(suites), filepath.Base(pkg))), where, pkg}
		args := []string{"test", "-c", "-o", s.binary}
		if o.race {
			args = append(args, "-race")
		}
		if out, err := exec.CommandContext(ctx, "go", append(args, pkg)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile the tests of %s: %w\n%s", pkg, err, out)
		}
		suites = append(suites, s)
	}
	if len(suites) == 0 {
		return nil, errors.New("there are no tests to run")
	}
	return suites, nil
}

// soaked says whether a package is run where none is named.
func soaked(pkg string) bool { return !strings.Contains(pkg, "/cmd/") && path.Base(pkg) != "workspace" }

// soak runs all rounds under one load. When ctx ends it returns those that are over.
func soak(ctx context.Context, o options, suites []suite, load string) ([]round, error) {
	if load == "busy" {
		defer keepBusy(o.loops)()
	}
	var rounds []round
	for i := range o.rounds {
		began := time.Now()
		var output bytes.Buffer
		failed, err := once(ctx, suites, o.only, &output)
		if err != nil {
			return rounds, err
		}
		r := round{time.Since(began), failed}
		rounds = append(rounds, r)
		result := "ok"
		if len(failed) > 0 {
			name, err := keepOutput(o.keep, fmt.Sprintf("%s-%d.txt", load, i+1), output.Bytes())
			if err != nil {
				return rounds, err
			}
			result = fmt.Sprintf("FAILED: %s (%s)", strings.Join(failed, ", "), name)
		}
		fmt.Printf("%s %d/%d  %.1f s  %s\n", load, i+1, o.rounds, r.took.Seconds(), result)
	}
	return rounds, nil
}

// once runs all tests once and returns those that failed.
func once(ctx context.Context, suites []suite, only string, output *bytes.Buffer) (failed []string, err error) {
	for _, s := range suites {
		before := output.Len()
		cmd := exec.CommandContext(ctx, s.binary, "-test.timeout=10m", "-test.run="+only)
		cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, output, output
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		err := cmd.Run()
		if ctx.Err() != nil {
			return failed, errors.New("interrupted")
		}
		if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
			return failed, fmt.Errorf("run the tests of %s: %w", s.pkg, err)
		}
		if err != nil {
			failed = append(failed, failures(output.String()[before:], path.Base(s.pkg))...)
		}
	}
	return failed, nil
}

// What the tests of a package print about one that failed, and about one that was running when the time was over.
var (
	failLine    = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+) \(`)
	runningLine = regexp.MustCompile(`(?m)^\t+(Test\S+) \(\S+\)$`)
)

// failures names the tests that failed: of a test and its subtest the subtest. A package that failed in none of its
// tests, such as one that leaves goroutines behind, stands for itself.
func failures(output, pkg string) []string {
	var names []string
	for _, line := range []*regexp.Regexp{failLine, runningLine} {
		for _, m := range line.FindAllStringSubmatch(output, -1) {
			names = append(names, pkg+"."+m[1])
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	leaves := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(names, func(other string) bool { return strings.HasPrefix(other, name+"/") })
	})
	if len(leaves) == 0 {
		return []string{pkg}
	}
	return leaves
}

func keepOutput(dir, name string, output []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name = filepath.Join(dir, name)
	return name, os.WriteFile(name, output, 0o644)
}

// keepBusy occupies processors until the returned function is called.
func keepBusy(loops int) (rest func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var busy sync.WaitGroup
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), loops+1))
	for range loops {
		busy.Go(func() {
			for ctx.Err() == nil {
			}
		})
	}
	return func() {
		cancel()
		busy.Wait()
	}
}

func measure(load string, rounds []round) figure {
	f := figure{Load: load, Rounds: len(rounds)}
	var times []float64
	for _, r := range rounds {
		times = append(times, math.Round(r.took.Seconds()*10)/10)
		if len(r.failed) > 0 {
			f.Failed++
		}
		for _, name := range r.failed {
			if f.Tests == nil {
				f.Tests = map[string]int{}
			}
			f.Tests[name]++
		}
	}
	slices.Sort(times)
	f.Fastest, f.Median, f.Slowest = times[0], times[len(times)/2], times[len(times)-1]
	return f
}

func print(w io.Writer, figures []figure) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "machine\trounds\tfailed\tfastest\tmedian\tslowest")
	for _, f := range figures {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%.1f s\t%.1f s\t%.1f s\n", f.Load, f.Rounds, f.Failed, f.Fastest, f.Median, f.Slowest)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, f := range figures {
		for _, name := range slices.Sorted(maps.Keys(f.Tests)) {
			if _, err := fmt.Fprintf(w, "failed in %d of %d %s rounds: %s\n", f.Tests[name], f.Rounds, f.Load, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// save writes the figures to a file, unless it has no name.
func save(name string, figures []figure) error {
	if name == "" {
		return nil
	}
	data, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}

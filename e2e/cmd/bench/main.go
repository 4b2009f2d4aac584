// Command bench measures what the harness costs. It prints each figure, a median with its 95 % confidence interval,
// beside a floor that was measured in the same run, alternately.
//
//	go run ./e2e/cmd/bench            everything, about half an hour
//	go run ./e2e/cmd/bench -n 50      fewer samples of each event
//	go run ./e2e/cmd/bench -only start,memory
//	go run ./e2e/cmd/bench -only first,tests   what a newcomer waits for, in a fresh clone of the last commit
//	go run ./e2e/cmd/bench -strict    exit with status 1 when a figure misses its goal
//
// Without -strict a missed goal is only printed: on a busy machine it means little. With HARNESS_REPORT=DIR the figures
// are also in DIR/bench.json and in the report there. HARNESS_BACKENDS=local,containers chooses the backends; the default
// is local,sim. Go benchmarks in harness/sim, harness/report and harness/inbox measure what needs no stack.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/command"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func main() {
	n := flag.Int("n", 100, "how many events of each kind to measure")
	starts := flag.Int("starts", 10, "how many starts of a stack to measure")
	only := flag.String("only", "", "measure only these parts, separated by commas: start, events, dashboard, load, memory, first, tests")
	requests := flag.Int("requests", 1000, "how many requests to create at once")
	strict := flag.Bool("strict", false, "exit with status 1 when a figure misses its goal")
	flag.Parse()
	command.Main("bench", func(ctx context.Context) error { return run(ctx, parts(*n, *starts, *requests), *only, *strict) })
}

// part is one kind of measurement.
type part struct {
	name    string
	measure func(context.Context) ([]report.Figure, error)
}

func parts(n, starts, requests int) []part {
	type figures = []report.Figure
	var all []part
	for _, b := range chosen() {
		all = append(all, part{"start", func(ctx context.Context) (figures, error) { return benchStart(ctx, b, starts) }})
	}
	all = append(all,
		part{"events", func(ctx context.Context) (figures, error) { return benchEvents(ctx, chosen(), n) }},
		part{"dashboard", func(ctx context.Context) (figures, error) { return benchDashboard(ctx, min(n, 50)) }})
	for _, b := range chosen() {
		all = append(all, part{"load", func(ctx context.Context) (figures, error) { return benchLoad(ctx, b, requests) }})
	}
	for _, b := range chosen() {
		all = append(all, part{"memory", func(ctx context.Context) (figures, error) { return nil, printMemory(ctx, b) }})
	}
	return append(all,
		part{"first", benchFirst},
		part{"tests", benchTests})
}

func run(ctx context.Context, parts []part, only string, strict bool) error {
	fmt.Printf("%s/%s, %d processors, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var all []report.Figure
	for _, p := range parts {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
			continue
		}
		figures, err := p.measure(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, f := range figures {
			fmt.Printf("%-62s %9.1f ms  [%.1f, %.1f]  n=%d  %s\n", f.Name, ms(time.Duration(f.Median)), ms(time.Duration(f.Low)), ms(time.Duration(f.High)), f.N, f.Note)
		}
		fmt.Println()
		all = append(all, figures...)
	}
	if !slices.ContainsFunc(chosen(), func(b harness.Backend) bool { return b.Name() == "containers" }) {
		fmt.Printf("not measured, since HARNESS_BACKENDS does not name containers: a stack ready within %.1f × its slowest server, "+
			"event → email within %.1f × local\n", readyTimes, containersTimes)
	}
	if err := save(all, os.Getenv(report.Variable)); err != nil || !strict {
		return err
	}
	return missed(all)
}

// save writes the figures into a report's directory. An empty dir means no report.
func save(all []report.Figure, dir string) error {
	if dir == "" {
		return nil
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	_, err = report.Write(dir)
	return err
}

// chosen returns the backends that HARNESS_BACKENDS names; by default local and sim.
func chosen() []harness.Backend {
	names := strings.Split(cmp.Or(os.Getenv("HARNESS_BACKENDS"), "local,sim"), ",")
	return slices.DeleteFunc(testenv.Backends(), func(b harness.Backend) bool { return !slices.Contains(names, b.Name()) })
}

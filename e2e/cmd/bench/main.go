// Command bench measures what the harness costs, each figure beside a floor that was measured in the same run, in
// turns. It prints medians with their 95 % confidence intervals, and how much memory an idle stack holds.
//
//	go run ./e2e/cmd/bench            everything, some minutes
//	go run ./e2e/cmd/bench -n 50      fewer of each
//	go run ./e2e/cmd/bench -json f    the figures also as JSON
//	go run ./e2e/cmd/bench -only start,memory
//	go run ./e2e/cmd/bench -strict    exits with 1 when a figure is not what is wanted
//
// Without -strict a figure that is not what is wanted is only printed as such: on a machine with other work to do it
// says little. With HARNESS_REPORT=DIR the figures are in DIR/bench.json and in the report there. With
// HARNESS_BACKENDS=local,containers it measures the containers backend too, in turns with the local one.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// figure is one measured thing.
type figure = report.Figure

func main() {
	n := flag.Int("n", 300, "how many events to measure of each kind")
	starts := flag.Int("starts", 10, "how many starts to measure of each kind")
	out := flag.String("json", "", "write the figures to this file too")
	only := flag.String("only", "", "measure only these parts, separated by commas: start, events, taps, find, join, backends, dashboard, report, sim, memory")
	strict := flag.Bool("strict", false, "exit with 1 when a figure is not what is wanted")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *n, *starts, *only, *out, *strict); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// part is one kind of measurement.
type part struct {
	name    string
	measure func(context.Context) ([]figure, error)
}

// parts are all of them, in the order in which they are measured; n events and starts of each kind.
func parts(n, starts int) []part {
	var all []part
	add := func(name string, measure func(context.Context) ([]figure, error)) {
		all = append(all, part{name, measure})
	}
	for _, b := range chosen() {
		add("start", func(ctx context.Context) ([]figure, error) { return benchStart(ctx, b, starts) })
	}
	add("events", func(ctx context.Context) ([]figure, error) { return benchEvents(ctx, n) })
	add("taps", func(ctx context.Context) ([]figure, error) { return benchTaps(ctx, n) })
	add("find", func(ctx context.Context) ([]figure, error) { return benchFind(ctx, n) })
	add("join", func(ctx context.Context) ([]figure, error) { return benchJoin(ctx, n, starts) })
	if len(chosen()) > 1 {
		add("backends", func(ctx context.Context) ([]figure, error) { return benchBackends(ctx, chosen(), n) })
	}
	add("dashboard", func(ctx context.Context) ([]figure, error) { return benchDashboard(ctx, min(n, mostEmails)) })
	add("report", benchReport)
	add("sim", func(ctx context.Context) ([]figure, error) { return benchSim(ctx, n) })
	for _, b := range chosen() {
		add("memory", func(ctx context.Context) ([]figure, error) { return nil, benchMemory(ctx, b) })
	}
	return all
}

func run(ctx context.Context, n, starts int, only, out string, strict bool) error {
	fmt.Printf("%s/%s, %d processors, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var all []figure
	for _, p := range parts(n, starts) {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
			continue
		}
		figures, err := p.measure(ctx)
		if err != nil {
			return err
		}
		for _, f := range figures {
			fmt.Printf("%-58s %9s ms  [%s, %s]  n=%d  %s\n", f.Name, shown(f.Median), shown(f.Low), shown(f.High), f.N, f.Note)
		}
		fmt.Println()
		all = append(all, figures...)
	}
	if err := save(all, out, os.Getenv(report.Variable)); err != nil || !strict {
		return err
	}
	return missed(all)
}

// save writes the figures to a file, and into a report; an empty name is of none.
func save(all []figure, file, reportDir string) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if file != "" {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	if reportDir == "" {
		return nil
	}
	if err := os.MkdirAll(reportDir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(reportDir, "bench.json"), data, 0o644); err != nil {
		return err
	}
	_, err = report.Write(reportDir)
	return err
}

// chosen are the backends to measure: those that HARNESS_BACKENDS names, else the local one.
func chosen() []harness.Backend {
	names := strings.Split(cmp.Or(os.Getenv("HARNESS_BACKENDS"), "local"), ",")
	return slices.DeleteFunc(rig.Backends(), func(b harness.Backend) bool { return !slices.Contains(names, b.Name()) })
}

// measured makes a figure of samples.
func measured(name string, samples []time.Duration) figure {
	median, low, high := medianInterval(samples)
	return figure{Name: name, Median: ms(median), Low: ms(low), High: ms(high), N: len(samples)}
}

// shown is a number of milliseconds: of little ones the microseconds, too, which is all there is to them.
func shown(ms float64) string {
	if ms < 1 {
		return fmt.Sprintf("%.3f", ms)
	}
	return fmt.Sprintf("%.1f", ms)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Command upstream runs the end-to-end suite of the Inngest server's own module on sim and on the real server, and says of
// each test that passes on the server and not on sim why that is.
//
//	go run ./harness/sim/conformance/cmd/upstream                 the whole suite, some 20 minutes
//	go run ./harness/sim/conformance/cmd/upstream -run 'Invoke'   the tests whose names match
//	go run ./harness/sim/conformance/cmd/upstream -on sim         on one of the two
//	go run ./harness/sim/conformance/cmd/upstream -log DIR        keep what each test printed
//
// The suite is the package tests/golang of the pinned version. Its source is copied from the module cache, where the go
// command downloads it, and only the server's address in it is replaced, so that it needs no fixed port. Each test runs by
// itself in a process of its own, some of them side by side, and has a limit of time; one that fails is run once more when the
// others are done. The command exits with status 1 when a test that passes on the server fails on sim without a reason in
// reasons.txt, or the other way round: when a reason is no longer needed.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed reasons.txt
var knownReasons string

func main() {
	var o options
	flag.StringVar(&o.pattern, "run", "", "run only the tests whose name matches this")
	flag.StringVar(&o.on, "on", "sim,server", "where: sim, server, or both")
	flag.DurationVar(&o.limit, "limit", 75*time.Second, "how long one test may take")
	flag.IntVar(&o.beside, "beside", 3, "how many tests run side by side on each")
	flag.StringVar(&o.log, "log", "", "write what each test printed into this directory")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}

type options struct {
	pattern, on, log string
	limit            time.Duration
	beside           int
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	reasons, err := parseReasons(knownReasons)
	if err != nil {
		return err
	}
	wanted, err := regexp.Compile(o.pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	dir, err := os.MkdirTemp("", "upstream")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(w, "building the suite …")
	s, err := buildSuite(ctx, dir)
	if err != nil {
		return err
	}
	tests := slices.DeleteFunc(s.tests, func(name string) bool { return !wanted.MatchString(name) })
	if len(tests) == 0 {
		return fmt.Errorf("no test of the suite matches %q", o.pattern)
	}
	passed := map[string]map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed []error
	for _, side := range strings.Split(o.on, ",") {
		start, ok := sides[side]
		if !ok {
			return fmt.Errorf("-on %s: it is sim, server, or both with a comma between", side)
		}
		all.Go(func() {
			found, err := onSide(ctx, s, tests, side, start, o, w)
			mu.Lock()
			defer mu.Unlock()
			passed[side] = found
			failed = append(failed, err)
		})
	}
	all.Wait()
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return err
	}
	return report(w, tests, passed, reasons)
}

// onSide runs the tests on one server and returns those that passed.
func onSide(ctx context.Context, s *suite, tests []string, side string, start starter, o options, w io.Writer) (map[string]bool, error) {
	server, err := start(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", side, err)
	}
	defer server.stop()
	passed := map[string]bool{}
	round := func(names []string, beside int) {
		var mu sync.Mutex
		var workers sync.WaitGroup
		next := make(chan string)
		for range beside {
			workers.Go(func() {
				for name := range next {
					r := s.test(ctx, name, server, o.limit)
					mu.Lock()
					passed[name] = r.passed
					fmt.Fprintf(w, "%-6s %s\n", side, r)
					mu.Unlock()
					r.keep(o.log, side)
				}
			})
		}
		for _, name := range names {
			next <- name
		}
		close(next)
		workers.Wait()
	}
	round(slices.DeleteFunc(slices.Clone(tests), func(name string) bool { return s.alone[name] }), o.beside)
	if ctx.Err() == nil {
		round(slices.DeleteFunc(slices.Clone(tests), func(name string) bool { return !s.alone[name] }), 1)
	}
	again := slices.DeleteFunc(slices.Clone(tests), func(name string) bool { return passed[name] })
	if ctx.Err() == nil {
		round(again, 1)
	}
	return passed, nil
}

// report prints the figures and the reasons, and returns an error if they do not fit each other.
func report(w io.Writer, tests []string, passed map[string]map[string]bool, reasons map[string]string) error {
	var line []string
	for _, side := range slices.Sorted(maps.Keys(passed)) { // the server, then sim
		n := len(slices.DeleteFunc(slices.Clone(tests), func(name string) bool { return !passed[side][name] }))
		line = append(line, fmt.Sprintf("%s %d of %d", side, n, len(tests)))
	}
	slices.Reverse(line)
	var problems []error
	if len(passed) == len(sides) {
		for _, name := range tests {
			onServer, onSim, reason := passed["server"][name], passed["sim"][name], reasons[name]
			switch {
			case onServer && !onSim && reason == "":
				problems = append(problems, fmt.Errorf("%s passes on the server and not on sim: mend sim, or say why in reasons.txt", name))
			case onServer && !onSim:
				fmt.Fprintf(w, "not on sim: %s: %s\n", name, reason)
			case onSim && reason != "":
				problems = append(problems, fmt.Errorf("%s passes on sim: take it out of reasons.txt", name))
			}
			if !onServer {
				fmt.Fprintf(w, "not on the server: %s\n", name)
			}
		}
	}
	defer fmt.Fprintln(w, "upstream e2e: "+strings.Join(line, ", "))
	for _, problem := range problems {
		fmt.Fprintln(w, problem)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d tests are otherwise than reasons.txt says", len(problems))
	}
	return nil
}

// parseReasons reads lines like "TestName: why it does not pass on sim". A line that begins with # is a comment.
func parseReasons(text string) (map[string]string, error) {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, why, ok := strings.Cut(line, ": ")
		if !ok || out[name] != "" {
			return nil, fmt.Errorf("reasons.txt: %q: a line is the name of a test, a colon and why, and each test has one", line)
		}
		out[name] = why
	}
	return out, nil
}

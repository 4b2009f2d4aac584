package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// modulePath is the beginning of every package's path in the workspace.
const modulePath = "github.com/odoo-maintenance/inngest-harness/"

// failure is a test that failed.
type failure struct{ pkg, test string }

func (f failure) String() string {
	return strings.TrimPrefix(f.pkg, modulePath) + " " + f.test
}

func (w *workspace) list(ctx context.Context, patterns ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, patterns...)...)
	cmd.Dir = w.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w\n%s", err, &stderr)
	}
	return strings.Fields(string(out)), nil
}

// test runs the tests of a package, or only one of them, with an overlay unless that is empty, until one fails. It returns
// nil when they pass. The result of a whole package may come from go's cache; a test by itself always runs, since it is
// run to see whether it fails by chance.
func (w *workspace) test(ctx context.Context, overlay, pkg, only string) (*failure, error) {
	args := []string{"test", "-json", "-failfast", "-timeout", "5m"}
	if only != "" {
		args = append(args, "-count=1", "-run", exactly(only))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = w.dir
	if overlay != "" {
		// In the environment, where a test that builds the app finds it, too.
		cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if w.log != nil {
		fmt.Fprintf(w.log, "  go %s\n", strings.Join(cmd.Args[1:], " "))
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r, readErr := read(stdout)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case readErr != nil:
		return nil, fmt.Errorf("read the output of go test for %s: %w", pkg, readErr)
	case r.buildFailed:
		return nil, fmt.Errorf("it does not compile:\n%s", r.output)
	case r.failed != "":
		if w.log != nil {
			fmt.Fprintln(w.log, r.output)
		}
		return &failure{pkg, r.failed}, nil
	case err != nil:
		return nil, fmt.Errorf("the tests of %s failed, but none by name: %w\n%s%s", pkg, err, r.output, &stderr)
	}
	return nil, nil
}

// exactly returns the -run pattern of one test or subtest.
func exactly(test string) string {
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(test), "/", "$/^") + "$"
}

// report is the content of go test -json.
type report struct {
	failed      string // the first test that failed, the innermost of its kind
	buildFailed bool
	output      string // of that test, or of the build; else of the package
}

func read(r io.Reader) (report, error) {
	var out report
	texts := map[string]*strings.Builder{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return out, fmt.Errorf("%w: %s", err, lines.Bytes())
		}
		if texts[e.Test] == nil {
			texts[e.Test] = &strings.Builder{}
		}
		switch e.Action {
		case "output", "build-output":
			texts[e.Test].WriteString(e.Output)
		case "build-fail":
			out.buildFailed = true
		case "fail":
			if out.failed == "" {
				out.failed = e.Test // subtests end before their parent
			}
		}
	}
	if b := texts[out.failed]; b != nil {
		out.output = b.String()
	}
	return out, lines.Err()
}

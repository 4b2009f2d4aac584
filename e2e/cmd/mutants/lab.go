package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// modulePath is what the paths of all packages of the workspace begin with.
const modulePath = "github.com/odoo-maintenance/inngest-harness/"

// plant puts the defect into the workspace in dir. restore takes it out again.
func (m mutant) plant(dir string) (restore func() error, err error) {
	name := filepath.Join(dir, filepath.FromSlash(m.file))
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	switch n := bytes.Count(source, []byte(m.old)); {
	case m.old == "" || m.old == m.new:
		return nil, errors.New("the patch changes nothing")
	case n != 1:
		return nil, fmt.Errorf("the patch no longer fits: the text that it replaces stands %d times in %s, not once: %q", n, m.file, m.old)
	}
	changed := bytes.Replace(source, []byte(m.old), []byte(m.new), 1)
	if err := os.WriteFile(name, changed, 0o644); err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(name, source, 0o644) }, nil
}

// parts are the files and directories of the workspace that its tests need.
var parts = []string{"go.work", "go.work.sum", "app", "e2e", "fixtures", "harness"}

// leftOut are directories that are made by running things.
var leftOut = []string{".harness", "bin", "node_modules"}

func copyWorkspace(from, to string) error {
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(from, part), func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && slices.Contains(leftOut, entry.Name()) {
				return fs.SkipDir
			}
			relative, err := filepath.Rel(from, name)
			if err != nil {
				return err
			}
			target := filepath.Join(to, relative)
			if entry.IsDir() {
				return os.MkdirAll(target, 0o755)
			}
			if !entry.Type().IsRegular() {
				return nil
			}
			return copyFile(name, target)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// failure is a test that failed.
type failure struct{ pkg, test string }

func (f failure) String() string {
	return strings.TrimPrefix(f.pkg, modulePath) + " " + f.test
}

func (l *lab) list(ctx context.Context, patterns ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, patterns...)...)
	cmd.Dir = l.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w\n%s", err, &stderr)
	}
	return strings.Fields(string(out)), nil
}

// test runs the tests of a package, or one of them, until one fails. It returns nil when they pass. Those of a whole
// package may come from go's cache: what a defect does not reach is tested once for all of them. One by itself is run
// indeed: it is asked whether it fails by chance.
func (l *lab) test(ctx context.Context, pkg, only string) (*failure, error) {
	args := []string{"test", "-json", "-failfast", "-timeout", "5m"}
	if only != "" {
		args = append(args, "-count=1", "-run", exactly(only))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = l.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if l.log != nil {
		fmt.Fprintf(l.log, "  go %s\n", strings.Join(cmd.Args[1:], " "))
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
		return nil, fmt.Errorf("read what go test says about %s: %w", pkg, readErr)
	case r.buildFailed:
		return nil, fmt.Errorf("it does not compile:\n%s", r.output)
	case r.failed != "":
		if l.log != nil {
			fmt.Fprintln(l.log, r.output)
		}
		return &failure{pkg, r.failed}, nil
	case err != nil:
		return nil, fmt.Errorf("the tests of %s failed, but none by name: %w\n%s%s", pkg, err, r.output, &stderr)
	}
	return nil, nil
}

// exactly is the -run pattern of one test or subtest.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// report is what go test -json says.
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
				out.failed = e.Test // subtests end before the test that they belong to
			}
		}
	}
	if b := texts[out.failed]; b != nil {
		out.output = b.String()
	}
	return out, lines.Err()
}

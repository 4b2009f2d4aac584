package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// suite is the module's tests, built.
type suite struct {
	program string
	dir     string // in which they run
	tests   []string
	alone   map[string]bool // tests that reset the server: no other one may be under way
}

const (
	inngestModule = "github.com/inngest/inngest"
	suitePackage  = "tests/golang"
	clientPackage = "tests/client"
)

// buildSuite copies the module into a directory, replaces the server's address in the suite and builds it.
func buildSuite(ctx context.Context, dir string) (*suite, error) {
	var module struct{ Dir, Error string }
	out, err := goCommand(ctx, dir, "mod", "download", "-json", inngestModule+"@"+toolchain.Pinned(harness.ServiceInngest))
	if err != nil {
		return nil, fmt.Errorf("downloading the server's module: %w", err)
	}
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, fmt.Errorf("downloading the server's module: %w", err)
	}
	source := filepath.Join(dir, "module")
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return nil, fmt.Errorf("copying the server's module: %w", err)
	}
	for _, pkg := range []string{suitePackage, clientPackage} {
		if err := readdress(filepath.Join(source, pkg)); err != nil {
			return nil, err
		}
	}
	s := &suite{program: filepath.Join(dir, "suite.test"), dir: filepath.Join(source, suitePackage)}
	if _, err := goCommand(ctx, source, "test", "-c", "-trimpath", "-vet=off", "-o", s.program, "./"+suitePackage); err != nil {
		return nil, fmt.Errorf("building the suite: %w", err)
	}
	list := exec.CommandContext(ctx, s.program, "-test.list", ".")
	list.Dir = s.dir
	names, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the suite's tests: %w", err)
	}
	s.tests = strings.Fields(string(names))
	s.alone, err = resetting(s.dir)
	return s, err
}

// resetting returns the tests that stand in files in which the server is reset.
func resetting(dir string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(text, []byte(".ResetAll(")) {
			continue
		}
		for _, match := range testFunc.FindAllSubmatch(text, -1) {
			found[string(match[1])] = true
		}
	}
	return found, nil
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// goCommand runs the go command outside of this workspace and returns what it printed.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return out, nil
}

// address matches the beginning of a text with the server's address, which the suite has in several forms.
var address = regexp.MustCompile(`"http://(?:127\.0\.0\.1|localhost|0\.0\.0\.0):8288`)

// readdress lets the sources in a directory take the server's address from the environment.
func readdress(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		changed := address.ReplaceAll(text, []byte(`serverURL()+"`))
		changed = bytes.ReplaceAll(changed, []byte("const DEV_URL"), []byte("var DEV_URL"))
		changed = bytes.ReplaceAll(changed, []byte(`"INNGEST_DEV", "1"`), []byte(`"INNGEST_DEV", serverURL()`))
		if err := os.WriteFile(file, changed, 0o644); err != nil {
			return err
		}
	}
	lookup := "package " + filepath.Base(dir) + "\n\nimport \"os\"\n\nfunc serverURL() string { return os.Getenv(\"API_URL\") }\n"
	return os.WriteFile(filepath.Join(dir, "server_url.go"), []byte(lookup), 0o644)
}

// result is how one test went.
type result struct {
	name   string
	passed bool
	took   time.Duration
	output []byte
}

func (r result) String() string {
	return fmt.Sprintf("%-6s %6.1f s  %s", map[bool]string{true: "passes", false: "FAILS"}[r.passed], r.took.Seconds(), r.name)
}

// keep writes what the test printed into a directory, unless that is empty.
func (r result) keep(dir, side string) {
	if dir == "" {
		return
	}
	file := filepath.Join(dir, side, r.name+".log")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, r.output, 0o644)); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
	}
}

// test runs one test against a server.
func (s *suite) test(ctx context.Context, name string, server *server, limit time.Duration) result {
	began := time.Now()
	if strings.HasPrefix(name, "TestCron") {
		limit *= 4 // schedules of every other minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second) // the test itself ends before, and says where it was
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, "-test.run", "^"+name+"$", "-test.v", "-test.timeout", limit.String())
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "API_URL="+server.url, "INNGEST_DEV="+server.url, "TEST_MODE=true", "DEBUG_API_ADDR="+server.debug)
	out, err := cmd.CombinedOutput()
	// A test that skips itself has not shown anything.
	skipped := bytes.Contains(out, []byte("--- SKIP: "+name+" "))
	return result{name, err == nil && !skipped, time.Since(began), out}
}

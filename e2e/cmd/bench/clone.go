package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// A clone is a fresh clone of this repository, as a newcomer has it.
type clone struct {
	dir string
	env []string
}

// newClone clones the repository at its last commit. With an empty home there are no caches, of modules, builds or servers. remove
// removes all of it.
func newClone(ctx context.Context, emptyHome bool) (c clone, remove func(), err error) {
	base, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return clone{}, nil, err
	}
	c = clone{dir: filepath.Join(base, "clone"), env: append(os.Environ(), "HARNESS_REPORT=", "HARNESS_BACKENDS=", "HARNESS_EVIDENCE=")}
	remove = func() {
		if emptyHome { // modules are read-only
			clean := exec.Command("go", "clean", "-modcache")
			clean.Env = c.env
			_ = clean.Run()
		}
		_ = os.RemoveAll(base)
	}
	if emptyHome {
		home := filepath.Join(base, "home")
		c.env = append(c.env, "HOME="+home, "GOPATH=", "GOCACHE=", "GOMODCACHE=", "HARNESS_CACHE=", "XDG_CACHE_HOME=")
		err = os.Mkdir(home, 0o755)
	}
	if err == nil {
		var out []byte
		if out, err = exec.CommandContext(ctx, "git", "clone", "--quiet", ".", c.dir).CombinedOutput(); err != nil {
			err = fmt.Errorf("clone the repository: %w: %s", err, out)
		}
	}
	if err != nil {
		remove()
		return clone{}, nil, err
	}
	return c, remove, nil
}

// benchFirst measures the first minute on a machine without Docker: from `make dev` in a fresh clone, without any cache, to the first email. Then the same with
// everything built. The floor is a first start that waits for the Inngest server.
func benchFirst(ctx context.Context) ([]report.Figure, error) {
	const floor, first, again = "first make dev INNGEST=server → email", "first make dev → email", "make dev, all built → email"
	var s samples
	s.goal(first, limit{times: 1.0 / 3, other: floor})
	s.goal(again, limit{most: 20 * time.Second})
	for _, starts := range [][]string{{first}, {floor, again}} {
		if err := s.firstEmails(ctx, starts, floor); err != nil {
			return nil, err
		}
	}
	return s.figures(""), nil
}

// firstEmails measures starts in one fresh clone, one after the other. They wait for the Inngest server if the first of them is the
// floor.
func (s *samples) firstEmails(ctx context.Context, starts []string, floor string) error {
	c, remove, err := newClone(ctx, true)
	if err != nil {
		return err
	}
	defer remove()
	settings := []string{"DOCKER="}
	if starts[0] == floor {
		settings = append(settings, "INNGEST=server")
	}
	for _, name := range starts {
		if err := s.time(name, func() error { return c.firstEmail(ctx, settings...) }); err != nil {
			return err
		}
	}
	return nil
}

// firstEmail runs make dev until a request has become an email, and stops it.
func (c clone) firstEmail(ctx context.Context, settings ...string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", append([]string{"dev", "PORTS=free"}, settings...)...)
	cmd.Dir, cmd.Env = c.dir, c.env
	down := exec.Command(filepath.Join("bin", "harness"), "down")
	down.Dir, down.Env = c.dir, c.env
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Minute
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, down.Run())
		_, _ = io.Copy(io.Discard, out)
		err = errors.Join(err, cmd.Wait())
	}()
	addresses := map[string]string{}
	for lines := bufio.NewScanner(out); addresses["mongodb"] == "" && lines.Scan(); { // the last row of the table
		if words := strings.Fields(lines.Text()); len(words) > 1 {
			addresses[words[0]] = words[1]
		}
	}
	if addresses["mongodb"] == "" {
		return errors.New("make dev ended before the stack was up")
	}
	if _, err := testenv.Create(ctx, addresses["app"], fixtures.Requests()[0]); err != nil {
		return err
	}
	return awaitMail(ctx, addresses["mail"], 1)
}

// benchTests measures make test in a fresh clone with warm caches: its time, and that of the processors. The goals are half of the
// processor time that it once took, 407 s, and 1.25 × what two processors need for that.
func benchTests(ctx context.Context) ([]report.Figure, error) {
	c, remove, err := newClone(ctx, false)
	if err != nil {
		return nil, err
	}
	defer remove()
	const wall, processors = "make test", "make test: time of the processors"
	var s samples
	s.goal(processors, limit{most: 203500 * time.Millisecond})
	s.goal(wall, limit{most: 127 * time.Second})
	cmd := exec.CommandContext(ctx, "make", "test")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, os.Stderr, os.Stderr
	if err := s.time(wall, cmd.Run); err != nil {
		return nil, err
	}
	s.add(processors, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	return s.figures(""), nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// idleTime is how long a stack is left alone before its memory is looked at.
const idleTime = 5 * time.Second

// benchMemory prints how much memory the servers of an idle stack hold, the app's own not counted since it runs in this
// process: resident sets, as ps has them, in containers too.
func benchMemory(ctx context.Context, b harness.Backend) (err error) {
	st, err := stack.Start(ctx, b, stack.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	if err := st.RunHandler(ctx, rig.App); err != nil {
		return err
	}
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	held, err := resident(ctx, b.Name())
	if err != nil {
		return fmt.Errorf("memory of the %s backend: %w", b.Name(), err)
	}
	total, each := 0, ""
	for _, p := range held {
		total += p.kilobytes
		each += fmt.Sprintf(", %s %d", p.name, p.kilobytes>>10)
	}
	fmt.Printf("%s: memory of an idle stack's servers: %d MB%s\n", b.Name(), total>>10, each)
	return nil
}

// program is a running one and what it holds in memory.
type program struct {
	name      string
	kilobytes int
}

// resident lists this process's servers: its children, or what runs in its containers.
func resident(ctx context.Context, backend string) ([]program, error) {
	if backend != "containers" {
		out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "ppid=,rss=,comm=").Output()
		if err != nil {
			return nil, fmt.Errorf("ps: %w", err)
		}
		return childrenOf(strconv.Itoa(os.Getpid()), string(out)), nil
	}
	out, err := exec.CommandContext(ctx, "docker", "ps", "--quiet", "--filter", fmt.Sprintf("label=inngest-harness.owner.pid=%d", os.Getpid())).Output()
	if err != nil {
		return nil, fmt.Errorf("docker ps: %w", err)
	}
	var all []program
	for _, id := range strings.Fields(string(out)) {
		out, err := exec.CommandContext(ctx, "docker", "top", id, "-o", "pid,rss,comm").Output()
		if err != nil {
			return nil, fmt.Errorf("docker top: %w", err)
		}
		_, rows, _ := strings.Cut(string(out), "\n")
		all = append(all, programs(rows)...)
	}
	return all, nil
}

// helper are children that are no servers: ps itself, and the shells that see to it that servers end with this process.
var helper = map[string]bool{"ps": true, "sh": true}

// childrenOf picks from lines of parent, size and name those of one parent that are servers.
func childrenOf(parent, lines string) []program {
	var own strings.Builder
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == parent && !helper[filepath.Base(f[2])] {
			own.WriteString(line)
		}
	}
	return programs(own.String())
}

// programs reads lines of a number, size and name.
func programs(lines string) []program {
	var all []program
	for scan := bufio.NewScanner(strings.NewReader(lines)); scan.Scan(); {
		f := strings.Fields(scan.Text())
		if len(f) < 3 {
			continue
		}
		size, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		all = append(all, program{strings.ToLower(filepath.Base(f[2])), size})
	}
	return all
}

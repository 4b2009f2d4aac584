package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A packagedTool is a server whose program comes from the system's packages.
type packagedTool struct {
	title, variable, program string
	debian                   string // the package of Debian and its relatives
	elsewhere                string // where that package puts the program, if that is not in PATH: a pattern
	beside                   string // another program that is needed in the same directory
}

// packaged are the servers of a stack in production mode.
var packaged = map[harness.Service]packagedTool{
	harness.ServiceRedis: {title: "Redis", variable: "REDIS_BIN", program: "redis-server", debian: "redis-server"},
	harness.ServicePostgres: {
		title: "PostgreSQL", variable: "POSTGRES_BIN", program: "postgres", debian: "postgresql",
		elsewhere: "/usr/lib/postgresql/*/bin/postgres", beside: "initdb",
	},
}

// Packaged returns the services whose programs come from the system's packages.
func Packaged() []harness.Service {
	return []harness.Service{harness.ServiceRedis, harness.ServicePostgres}
}

// find looks for the program that the variable names, else in PATH, else where packages put it, the newest version first.
func (p packagedTool) find(ctx context.Context, t harness.Service, o Options) (Binary, error) {
	lookup := o.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	dirs, _ := lookup("PATH")
	bin := Binary{Tool: t, Source: SourceInstalled}
	named, _ := lookup(p.variable)
	var err error
	if named != "" {
		bin.Source = p.variable
		bin.Path, err = lookPath(named, dirs)
	} else if bin.Path, err = lookPath(p.program, dirs); err != nil {
		if others, _ := filepath.Glob(p.elsewhere); len(others) > 0 {
			bin.Path, err = slices.MaxFunc(others, byVersion), nil
		}
	}
	if err == nil && p.beside != "" { // Redis is one program with several names, which a link must keep
		bin.Path, err = filepath.EvalSymlinks(bin.Path)
	}
	if err == nil && p.beside != "" {
		_, err = lookPath(filepath.Join(filepath.Dir(bin.Path), p.beside), "")
	}
	if err == nil {
		bin.Version, err = versionOf(ctx, bin.Path)
	}
	if err != nil {
		return Binary{}, &Error{
			Doing: "find " + p.title, Why: err.Error(), Err: err,
			Fix: fmt.Sprintf("Install it (Debian, Ubuntu: apt-get install %s), or let %s name the program %s.",
				p.debian, p.variable, p.program),
		}
	}
	return bin, nil
}

// byVersion compares paths in which versions of a single number stand.
func byVersion(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// versionOf returns the version that a program prints: "v7.0.15" from "Redis server v=7.0.15 sha=…", or "v15.18" from
// "postgres (PostgreSQL) 15.18 (Debian …)".
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	for _, word := range strings.Fields(string(out)) {
		if word = strings.TrimPrefix(word, "v="); word[0] >= '0' && word[0] <= '9' {
			return "v" + word, nil
		}
	}
	return "", fmt.Errorf("%s --version names no version but prints %q", path, firstLine(out))
}

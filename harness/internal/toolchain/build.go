package toolchain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// stopTime is how long a cancelled command may take to remove its temporary files.
const stopTime = 2 * time.Second

// build builds the tool into the cache, unless another process does first.
func (f *finder) build(ctx context.Context) (Binary, error) {
	gocmd, err := f.findGo(ctx)
	if err != nil {
		return Binary{}, err
	}
	dir := f.buildDir(gocmd)
	bin := f.binary(filepath.Join(dir, f.executable()))
	err = f.once(ctx, dir, func() bool { return intact(bin.Path) == nil }, func(report *reporter) error {
		return f.buildInto(ctx, dir, gocmd, report)
	})
	if err != nil {
		return Binary{}, err
	}
	return bin, nil
}

// once locks dir and then calls build, unless it is there. It waits while another process does the same.
func (f *finder) once(ctx context.Context, dir string, there func() bool, build func(*reporter) error) error {
	report := newReporter(f.recipe.tool, f.progress)
	defer report.end()
	report.now("preparing to build " + f.recipe.title())

	if err := os.MkdirAll(f.cache, 0o755); err != nil {
		return f.cacheFailure(err)
	}
	unlock, err := f.lock(ctx, dir+".lock", report)
	if err != nil {
		return err
	}
	defer unlock()
	if there() {
		return nil
	}
	f.removeAbandoned()
	return build(report)
}

// goneSuffix ends the name of a scratch directory that is being removed.
const goneSuffix = ".gone"

// removeLater removes a directory without making its caller wait: many small files take long on a slow disk. The program that
// does so outlives this one. What it leaves, another build removes.
func removeLater(dir string) {
	gone := dir + "." + rand.Text() + goneSuffix
	if os.Rename(dir, gone) != nil {
		gone = dir
	}
	remove := exec.Command("rm", "-rf", gone)
	if gone == dir || remove.Start() != nil { // on Windows there is none
		_ = os.RemoveAll(gone)
		return
	}
	go func() { _ = remove.Wait() }()
}

// removeAbandoned removes the scratch directories of builds that were killed, of all that the cache has. They take a gigabyte
// and more. A build that works holds its lock.
func (f *finder) removeAbandoned() {
	all, _ := filepath.Glob(filepath.Join(f.cache, "*.tmp"))
	for _, scratch := range all {
		l := flock.New(strings.TrimSuffix(scratch, ".tmp") + ".lock")
		if locked, err := l.TryLock(); err == nil && locked {
			_ = os.RemoveAll(scratch) // another build tries again
		}
		_ = l.Close()
	}
	gone, _ := filepath.Glob(filepath.Join(f.cache, "*"+goneSuffix))
	for _, scratch := range gone {
		_ = os.RemoveAll(scratch)
	}
}

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 100 * time.Millisecond

// lock waits until no other process builds the same.
func (f *finder) lock(ctx context.Context, file string, report *reporter) (unlock func() error, err error) {
	l := flock.New(file)
	locked, err := l.TryLock()
	if err == nil && !locked {
		report.now("waiting for another process that builds " + f.recipe.title())
		_, err = l.TryLockContext(ctx, lockPoll)
	}
	if ctx.Err() != nil {
		_ = l.Close()
		return nil, f.cancelled(ctx)
	}
	if err != nil {
		return nil, f.cacheFailure(err)
	}
	return l.Unlock, nil
}

// stage has build make something in out, from what it puts into source, and renames out to dir at the end, so that dir is always
// complete. Nothing else remains but the log of a build that failed.
func (f *finder) stage(ctx context.Context, dir string, build func(source, out, logFile string) error) error {
	logFile := dir + ".log"
	scratch := dir + ".tmp"
	// We hold the lock, so these are from an interrupted build.
	for _, leftover := range []string{scratch, dir, logFile} {
		if err := os.RemoveAll(leftover); err != nil {
			return f.cacheFailure(err)
		}
	}
	defer func() {
		if ctx.Err() != nil {
			removeLater(scratch)
			return
		}
		_ = os.RemoveAll(scratch) // what remains, the next build removes
	}()

	source, out := filepath.Join(scratch, "source"), filepath.Join(scratch, "out")
	for _, d := range []string{source, out} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return f.cacheFailure(err)
		}
	}
	if err := f.recipe.writeSources(source); err != nil {
		return f.cacheFailure(err)
	}
	if err := build(source, out, logFile); err != nil {
		return err
	}
	if err := os.Rename(out, dir); err != nil {
		return f.cacheFailure(err)
	}
	return os.Remove(logFile)
}

// buildInto builds the program and renames its directory to dir.
func (f *finder) buildInto(ctx context.Context, dir string, gocmd goCommand, report *reporter) error {
	return f.stage(ctx, dir, func(source, out, logFile string) error {
		mod := "-mod=readonly"
		if f.recipe.vendored() {
			report.now("fetching the modules of " + f.recipe.title())
			if err := f.vendor(ctx, source, gocmd, logFile); err != nil {
				return err
			}
			mod = "-mod=vendor"
		}
		report.now(fmt.Sprintf("building %s from source, once (%s)", f.recipe.title(), f.recipe.takes))
		args := append([]string{"build", mod, "-o", filepath.Join(out, f.executable())}, buildFlags...)
		args = append(args, "-tags="+f.recipe.tags, f.recipe.pkg)
		if _, err := f.run(ctx, source, gocmd, logFile, args...); err != nil {
			return err
		}
		if err := writeSum(filepath.Join(out, f.executable())); err != nil {
			return f.cacheFailure(err)
		}
		return nil
	})
}

// vendor copies the modules beside the source and patches the copy.
func (f *finder) vendor(ctx context.Context, source string, gocmd goCommand, logFile string) error {
	args := []string{"mod", "vendor"}
	if f.recipe.lacksEmbed {
		args = append(args, "-e")
	}
	printed, err := f.run(ctx, source, gocmd, logFile, args...)
	if err != nil {
		return err
	}
	if f.recipe.lacksEmbed {
		// With -e it succeeds whatever fails, so its output is searched for an unexpected failure.
		for _, line := range printed {
			if !strings.HasPrefix(line, "go: downloading ") && !strings.Contains(line, missingEmbed) {
				return f.failure(errors.New(line), logFile)
			}
		}
		if err := f.recipe.writePlaceholder(source); err != nil {
			return f.cacheFailure(err)
		}
	}
	return f.patch(filepath.Join(source, "vendor"))
}

// patch changes the copy of a module as the recipe says.
func (f *finder) patch(dir string) error {
	err := f.recipe.applyPatches(dir)
	if m, ok := errors.AsType[*misfit](err); ok {
		return f.misfitFailure(m)
	}
	if err != nil {
		return f.cacheFailure(err)
	}
	return nil
}

// run runs the go command and returns the lines that it printed.
func (f *finder) run(ctx context.Context, dir string, gocmd goCommand, logFile string, args ...string) ([]string, error) {
	return f.execute(ctx, command{name: "go " + args[0], path: gocmd.path, dir: dir, env: f.goEnv(), args: args}, logFile)
}

// command is a program that does a part of a build.
type command struct {
	name, path, dir string
	env, args       []string
}

// execute runs a command and returns the lines that it printed. No process of it is left running, however it ends.
func (f *finder) execute(ctx context.Context, c command, logFile string) ([]string, error) {
	var printed []string
	p, err := proc.Start(ctx, proc.Spec{
		Name:    c.name,
		Path:    c.path,
		Args:    c.args,
		Dir:     c.dir,
		Env:     c.env,
		Low:     f.low,
		LogFile: logFile,
		OnLine:  func(line string) { printed = append(printed, line) },
	})
	if ctx.Err() != nil && err != nil {
		return nil, f.cancelled(ctx)
	}
	if err != nil {
		return nil, f.failure(err, logFile)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		_ = p.Stop(context.WithoutCancel(ctx), stopTime)
		return nil, f.cancelled(ctx)
	}
	if exit := (*proc.ExitError)(nil); errors.As(p.Err(), &exit) && (exit.Code != 0 || exit.Signal != "") {
		return nil, f.failure(exit, logFile)
	}
	return printed, nil
}

// goEnv is the user's environment, for the proxy, caches and credentials in it, with what decides what is built replaced.
// Later entries win.
func (f *finder) goEnv() []string {
	return append(os.Environ(),
		"CGO_ENABLED=0",
		"GOOS="+f.goos,
		"GOARCH="+f.goarch,
		"GOWORK=off",
		// Not empty: that would let a GOFLAGS set by `go env -w` through.
		"GOFLAGS=-buildvcs=false",
	)
}

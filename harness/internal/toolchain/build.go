package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// stopTime is how long a go command that is not wanted any more gets to remove its temporary files.
const stopTime = 2 * time.Second

// build builds the tool into the cache, unless another process does first.
func (f *finder) build(ctx context.Context) (_ Binary, err error) {
	gocmd, err := f.findGo(ctx)
	if err != nil {
		return Binary{}, err
	}
	report := newReporter(f.tool, f.progress)
	defer func() { report.end(err) }()
	report.now("preparing to build " + f.recipe.title())

	if err := os.MkdirAll(f.cache, 0o755); err != nil {
		return Binary{}, f.cacheFailure(err)
	}
	dir := f.buildDir(gocmd)
	unlock, err := f.lock(ctx, dir+".lock", report)
	if err != nil {
		return Binary{}, err
	}
	defer unlock()

	bin := f.binary(filepath.Join(dir, f.executable()))
	if _, err := os.Stat(bin.Path); err == nil {
		return bin, nil
	}
	if err := f.buildInto(ctx, dir, gocmd, report); err != nil {
		return Binary{}, err
	}
	return bin, nil
}

// lock waits until no other process builds the same.
func (f *finder) lock(ctx context.Context, file string, report *reporter) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	locked := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(file).Lock()
		locked <- result{unlock, err}
	}()

	take := func(r result) (func(), error) {
		if r.err != nil {
			return nil, f.cacheFailure(r.err)
		}
		return r.unlock, nil
	}
	select {
	case r := <-locked:
		return take(r)
	case <-time.After(100 * time.Millisecond):
		report.now("waiting for another process that builds " + f.recipe.title())
	case <-ctx.Done():
	}
	select {
	case r := <-locked:
		return take(r)
	case <-ctx.Done():
		// The system call cannot be called off; whoever it lets in has to leave again.
		go func() {
			if r := <-locked; r.err == nil {
				r.unlock()
			}
		}()
		return nil, f.failure(context.Cause(ctx), "")
	}
}

// buildInto builds in a folder beside dir and renames it when all is well. Whoever sees dir sees a whole program.
func (f *finder) buildInto(ctx context.Context, dir string, gocmd goCommand, report *reporter) error {
	logFile := dir + ".log"
	scratch := dir + ".tmp"
	// We hold the lock, so what is there is from a build that was cut off.
	for _, leftover := range []string{scratch, dir, logFile} {
		if err := os.RemoveAll(leftover); err != nil {
			return f.cacheFailure(err)
		}
	}
	defer os.RemoveAll(scratch)

	source, out := filepath.Join(scratch, "source"), filepath.Join(scratch, "out")
	for _, d := range []string{source, out} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return f.cacheFailure(err)
		}
	}
	if err := f.recipe.writeSources(source); err != nil {
		return f.cacheFailure(err)
	}

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
	if _, err := f.run(ctx, source, gocmd, logFile, append(args, f.recipe.pkg)...); err != nil {
		return err
	}
	if err := os.Rename(out, dir); err != nil {
		return f.cacheFailure(err)
	}
	return os.Remove(logFile) // tells only why a build failed
}

// vendor copies the modules beside the source, and changes there what has to be.
func (f *finder) vendor(ctx context.Context, source string, gocmd goCommand, logFile string) error {
	args := []string{"mod", "vendor"}
	if f.recipe.lacksEmbed {
		args = append(args, "-e")
	}
	said, err := f.run(ctx, source, gocmd, logFile, args...)
	if err != nil {
		return err
	}
	if f.recipe.lacksEmbed {
		// With -e it is content with any failure, so what it says is looked through for one that we did not expect.
		for _, line := range said {
			if !strings.HasPrefix(line, "go: downloading ") && !strings.Contains(line, missingEmbed) {
				return f.failure(errors.New(line), logFile)
			}
		}
		if err := f.recipe.writePlaceholder(source); err != nil {
			return f.cacheFailure(err)
		}
	}
	err = f.recipe.applyPatches(source)
	if m, ok := errors.AsType[*misfit](err); ok {
		return f.misfitFailure(m)
	}
	if err != nil {
		return f.cacheFailure(err)
	}
	return nil
}

// run runs the go command and returns the lines it printed. It leaves no compiler behind, however it ends.
func (f *finder) run(ctx context.Context, dir string, gocmd goCommand, logFile string, args ...string) ([]string, error) {
	var said []string
	p, err := proc.Start(ctx, proc.Spec{
		Name:    "go " + args[0],
		Path:    gocmd.path,
		Args:    args,
		Dir:     dir,
		Env:     f.goEnv(),
		LogFile: logFile,
		OnLine:  func(line string) { said = append(said, line) },
	})
	if err != nil {
		return nil, f.failure(err, logFile)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		// Gone by itself in this very moment, or stopped: nobody waits for its result.
		_ = p.Stop(context.WithoutCancel(ctx), stopTime)
		return nil, f.failure(context.Cause(ctx), "")
	}
	if exit := (*proc.ExitError)(nil); errors.As(p.Err(), &exit) && (exit.Code != 0 || exit.Signal != "") {
		return nil, f.failure(exit, logFile)
	}
	return said, nil
}

// goEnv is the user's environment, so that their proxy, caches and credentials are used, less what would change what
// is built. Later entries win.
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

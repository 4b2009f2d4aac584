//go:build unix

package toolchain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/tools"
)

// workshop is a PATH of scripts that stand for the go command and others, a cache, and what a user may have set.
type workshop struct {
	dir   string // also the working directory of nothing, for scripts to leave notes in
	cache string
	env   map[string]string
}

func newWorkshop(t *testing.T) workshop {
	dir := t.TempDir()
	w := workshop{dir: dir, cache: filepath.Join(dir, "cache")}
	w.env = map[string]string{"PATH": filepath.Join(dir, "bin"), "HARNESS_CACHE": w.cache}
	require.NoError(t, os.Mkdir(w.env["PATH"], 0o755))
	for file, text := range patchedFiles(func(p tools.Patch) string { return p.Old }) {
		w.module(t, file, text)
	}
	return w
}

// patchedFiles returns the files that builds patch, with nothing but one side of their patches.
func patchedFiles(side func(tools.Patch) string) map[string]string {
	files := map[string]string{}
	for _, p := range slices.Concat(tools.Patches("ferretdb"), tools.Patches("inngest")) {
		files[p.File] += strings.Repeat(side(p)+"\n", p.Times)
	}
	return files
}

// module writes a file that a go command of scripts finds in the module cache.
func (w workshop) module(t *testing.T, file, text string) {
	file = filepath.Join(w.dir, "modules", filepath.FromSlash(file))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

// script puts a program into PATH, and returns its path.
func (w workshop) script(t *testing.T, name, text string) string {
	path := filepath.Join(w.env["PATH"], name)
	text = strings.ReplaceAll(text, "$NOTES", w.dir)
	// A process that another test starts would inherit the open file for a moment, and the system does not run a program
	// that is open for writing.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

// Parts of a go command.
const (
	goEnv    = `if [ "$1" = env ]; then echo '{"GOVERSION":"go1.26.8","GOTOOLCHAIN":"local"}'; exit; fi` + "\n"
	goVendor = `if [ "$1" = mod ]; then cp -R $NOTES/modules vendor; echo "$@" >>$NOTES/vendor
echo 'go: downloading github.com/inngest/inngest v1.43.0'
echo 'go: resolving embeds in github.com/inngest/inngest/internal/embeddocs: pattern website/pages/docs/*: no matching files found'; exit; fi` + "\n"
	goBuild = `echo "$@" >>$NOTES/builds; env >$NOTES/env; ls -R >$NOTES/files; rm -rf $NOTES/vendored; [ ! -d vendor ] || cp -R vendor $NOTES/vendored
while [ "$1" != -o ]; do shift; done; echo program >"$2"; chmod +x "$2"` + "\n"
	goodGo = goEnv + goVendor + goBuild
)

func (w workshop) options() toolchain.Options {
	return toolchain.Options{LookupEnv: func(key string) (string, bool) { v, ok := w.env[key]; return v, ok }}
}

func (w workshop) note(t *testing.T, name string) string {
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	return string(text)
}

func TestPinned(t *testing.T) {
	t.Parallel()
	require.Equal(t, "v1.43.0", toolchain.Pinned(harness.ServiceInngest))
	require.Equal(t, "v1.0.1", toolchain.Pinned(harness.ServiceMailHog))
	require.Equal(t, "v1.24.2", toolchain.Pinned(harness.ServiceMongo))
	require.Equal(t, "v1.33.1", toolchain.Pinned(toolchain.Mailpit))
	require.Regexp(t, `^v2\.`, toolchain.Pinned(toolchain.Caddy))
	require.Empty(t, toolchain.Pinned("nginx"))
	_, err := toolchain.Find(t.Context(), "nginx", toolchain.Options{})
	require.EqualError(t, err, `there is no tool "nginx"; the tools are [inngest mongo mailhog mailpit]`)
}

func TestEnsure_BuildsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tool  harness.Service
		build string
		want  toolchain.Binary
	}{
		{harness.ServiceInngest, " -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags=-s -w -tags= github.com/inngest/inngest/cmd\n", toolchain.Binary{Version: "v1.43.0"}},
		{harness.ServiceMailHog, " -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags=-s -w -tags= github.com/mailhog/MailHog\n", toolchain.Binary{Version: "v1.0.1", HasUI: true}},
		{harness.ServiceMongo, " -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags=-s -w -tags=ferretdb_no_postgresql .\n", toolchain.Binary{Version: "v1.24.2", Database: "FerretDB v1.24.2 (stand-in)"}},
		{toolchain.Mailpit, " -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags=-s -w -tags= github.com/axllent/mailpit\n", toolchain.Binary{Version: "v1.33.1"}},
	} {
		t.Run(string(c.tool), func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.script(t, "go", goodGo)

			_, err := toolchain.Find(t.Context(), c.tool, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
			require.ErrorContains(t, err, c.want.Version+" is not built yet")

			var seen []harness.Progress
			o := w.options()
			o.Progress = func(p harness.Progress) { seen = append(seen, p) }
			bin, err := toolchain.Ensure(t.Context(), c.tool, o)
			require.NoError(t, err)
			c.want.Tool, c.want.Source, c.want.Path = c.tool, "built", bin.Path
			require.Equal(t, c.want, bin)
			require.True(t, strings.HasPrefix(bin.Path, w.cache+"/"), bin.Path)
			require.FileExists(t, bin.Path)
			require.True(t, strings.HasSuffix(w.note(t, "builds"), c.build), w.note(t, "builds"))

			require.Contains(t, seen[0].Doing, "preparing to build")
			last := seen[len(seen)-1]
			require.True(t, last.Done)
			require.Contains(t, last.Doing, "from source, once (about ")
			require.Positive(t, last.Elapsed)
			require.Equal(t, string(c.tool), last.Subject)

			seen = nil
			for _, find := range []func(context.Context, harness.Service, toolchain.Options) (toolchain.Binary, error){toolchain.Ensure, toolchain.Find} {
				again, err := find(t.Context(), c.tool, o)
				require.NoError(t, err)
				require.Equal(t, bin, again)
			}
			require.Empty(t, seen, "no build, no reports")
			require.Equal(t, 1, strings.Count(w.note(t, "builds"), "\n"))

			left, err := filepath.Glob(w.cache + "/*")
			require.NoError(t, err)
			require.ElementsMatch(t, []string{filepath.Dir(bin.Path), filepath.Dir(bin.Path) + ".lock"}, left)
		})
	}
}

func TestEnsure_BuildsADamagedProgramAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"empty":       func(path string) error { return os.Truncate(path, 0) },
		"half":        func(path string) error { return os.Truncate(path, 4) },
		"other":       func(path string) error { return os.WriteFile(path, []byte("PROGRAM\n"), 0o755) },
		"longer":      func(path string) error { return os.WriteFile(path, []byte("program\n\n"), 0o755) },
		"not run":     func(path string) error { return os.Chmod(path, 0o644) },
		"a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"removed":     os.Remove,
		"sum removed": func(path string) error { return os.Remove(path + ".crc32c") },
		"sum empty":   func(path string) error { return os.Truncate(path+".crc32c", 0) },
		"a file above": func(path string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.script(t, "go", goodGo)
			built, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, w.options())
			require.NoError(t, err)
			require.NoError(t, damage(built.Path))
			_, err = toolchain.Find(t.Context(), harness.ServiceMailHog, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
			w.env["PATH"] += ".none"
			_, err = toolchain.Find(t.Context(), harness.ServiceMailHog, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt, "without a go command, too")
			w.env["PATH"] = strings.TrimSuffix(w.env["PATH"], ".none")

			again, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, w.options())
			require.NoError(t, err)
			require.Equal(t, built, again)
			text, err := os.ReadFile(again.Path)
			require.NoError(t, err)
			require.Equal(t, "program\n", string(text))
			require.Equal(t, 2, strings.Count(w.note(t, "builds"), "\n"), "it was built twice")
		})
	}
}

func TestEnsure_VendorsInngest(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.script(t, "go", goodGo)
	_, err := toolchain.Ensure(t.Context(), harness.ServiceInngest, w.options())
	require.NoError(t, err)
	require.Equal(t, "mod vendor -e\n", w.note(t, "vendor"))
	require.Contains(t, w.note(t, "builds"), "build -mod=vendor -o ")
	require.Contains(t, w.note(t, "files"), "embeddocs/website/pages/docs:\nREADME.md\n")
	requirePatched(t, w, "inngest")
}

func requirePatched(t *testing.T, w workshop, tool string) {
	patched := patchedFiles(func(p tools.Patch) string { return p.New })
	for _, p := range tools.Patches(tool) {
		require.Equal(t, patched[p.File], w.note(t, filepath.Join("vendored", p.File)))
	}
}

func TestEnsure_PatchesFerretDB(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.script(t, "go", goodGo)
	_, err := toolchain.Ensure(t.Context(), harness.ServiceMongo, w.options())
	require.NoError(t, err)
	require.Equal(t, "mod vendor\n", w.note(t, "vendor"), "not content with any failure")
	require.Contains(t, w.note(t, "builds"), "build -mod=vendor -o ")
	requirePatched(t, w, "ferretdb")
}

func TestEnsure_RefusesAFerretDBThatPatchesDoNotFit(t *testing.T) {
	t.Parallel()
	p := tools.Patches("ferretdb")[0]
	const advice = ". The pinned version has changed: adapt the patch in harness/tools/patches.go, or remove it if it is no longer needed."
	for name, text := range map[string]string{
		"once too often": strings.Repeat(p.Old, p.Times+1),
		"once missing":   strings.Repeat(p.Old, p.Times-1),
		"other text":     "if len(params.Filter) == 1 {",
		"no file":        "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.script(t, "go", goodGo)
			if w.module(t, p.File, text); text == "" {
				require.NoError(t, os.Remove(filepath.Join(w.dir, "modules", p.File)))
			}
			_, err := toolchain.Ensure(t.Context(), harness.ServiceMongo, w.options())
			require.EqualError(t, err, fmt.Sprintf("cannot build FerretDB v1.24.2: what the harness changes in it is not as expected (%s has %q %d times, not %d times)",
				p.File, strings.TrimSpace(p.Old), strings.Count(text, p.Old), p.Times)+advice)
			require.Empty(t, w.note(t, "builds"))
			_, err = toolchain.Find(t.Context(), harness.ServiceMongo, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
		})
	}
}

func TestEnsure_BuildEnvironment(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod -tags=users")
	t.Setenv("GOWORK", "/users/go.work")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("USERS_OWN", "kept")
	w := newWorkshop(t)
	w.script(t, "go", goodGo)
	w.env["MAILHOG_BIN"] = w.script(t, "mailhog", "echo MailHog version: v1.0.1")
	o := w.options()
	o.GOOS, o.GOARCH = "windows", "arm64"
	bin, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, o)
	require.NoError(t, err)
	require.Equal(t, "built", bin.Source, "for another system, not the program that is named for this one")
	require.Equal(t, "mailhog.exe", filepath.Base(bin.Path))
	env := strings.Split(w.note(t, "env"), "\n")
	for _, want := range []string{"GOFLAGS=-buildvcs=false", "GOWORK=off", "CGO_ENABLED=0", "GOOS=windows", "GOARCH=arm64", "USERS_OWN=kept"} {
		require.Contains(t, env, want)
	}
}

func TestEnsure_NamesBuildsAfterTheirInputs(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	paths := make(map[string]bool)
	for _, version := range []string{"go1.26.8", "go1.27.0 X:greenteagc", "devel go1.28-abcdef"} {
		w.script(t, "go", strings.ReplaceAll(goodGo, "go1.26.8", version))
		for _, arch := range []string{"amd64", "arm64"} {
			o := w.options()
			o.GOOS, o.GOARCH = "linux", arch
			bin, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, o)
			require.NoError(t, err)
			paths[bin.Path] = true
		}
	}
	require.Len(t, paths, 6)

	require.NoError(t, os.Remove(filepath.Join(w.env["PATH"], "go")))
	o := w.options()
	o.GOOS, o.GOARCH = "linux", "arm64"
	bin, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, o)
	require.NoError(t, err, "where there is no Go any more, an earlier build will do")
	require.Contains(t, paths, bin.Path)
	require.Contains(t, bin.Path, "linux-arm64")
}

func TestEnsure_BuildsOnceForConcurrentCallers(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.script(t, "go", goodGo)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := toolchain.Ensure(t.Context(), harness.ServiceInngest, w.options()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, strings.Count(w.note(t, "builds"), "\n"))
}

// A go command that begins a build, says so, and goes on until it is allowed to end.
const slowGo = goEnv + "echo $$ >$NOTES/began.tmp; mv $NOTES/began.tmp $NOTES/began; while [ ! -e $NOTES/go-on ]; do sleep 0.01; done\n" + goBuild

func TestEnsure_InterruptedBuild(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.script(t, "go", slowGo)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := toolchain.Ensure(ctx, harness.ServiceMailHog, w.options())
		done <- err
	}()
	require.Eventually(t, func() bool { return w.note(t, "began") != "" }, 30*time.Second, time.Millisecond)

	// A concurrent call for the same tool waits, reports that, and ends with its context.
	other, giveUp := context.WithCancel(t.Context())
	o := w.options()
	o.Progress = func(p harness.Progress) {
		if p.Doing == "waiting for another process that builds MailHog v1.0.1" {
			giveUp()
		}
	}
	_, err := toolchain.Ensure(other, harness.ServiceMailHog, o)
	require.ErrorIs(t, err, context.Canceled)

	cancel()
	err = <-done
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "cannot build MailHog v1.0.1: it was cancelled (context canceled). The next try starts where the go command left off.")
	_, err = toolchain.Find(t.Context(), harness.ServiceMailHog, w.options())
	require.ErrorIs(t, err, toolchain.ErrNotBuilt)

	// The leftovers of a build that was killed are removed.
	locks, err := filepath.Glob(w.cache + "/*.lock")
	require.NoError(t, err)
	require.Len(t, locks, 1)
	leftover := strings.TrimSuffix(locks[0], ".lock") + ".tmp/out"
	require.NoError(t, os.MkdirAll(leftover, 0o755))
	require.NoError(t, os.WriteFile(leftover+"/mailhog", []byte("half"), 0o755))
	_, err = toolchain.Find(t.Context(), harness.ServiceMailHog, w.options())
	require.ErrorIs(t, err, toolchain.ErrNotBuilt)
	w.script(t, "go", goodGo)
	bin, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, w.options())
	require.NoError(t, err)
	text, err := os.ReadFile(bin.Path)
	require.NoError(t, err)
	require.Equal(t, "program\n", string(text))
	require.NoDirExists(t, filepath.Dir(leftover))
}

func TestEnsure_ExplainsFailures(t *testing.T) {
	t.Parallel()
	const goMissing = "Install Go 1.26.4 or newer (https://go.dev/dl), or let INNGEST_BIN name the program."
	for _, c := range []struct {
		name string
		go_  string // empty: none
		want []string
	}{
		{"no go command", "", []string{"cannot build Inngest v1.43.0: there is no go command in PATH. " + goMissing}},
		{"go is too old", `echo '{"GOVERSION":"go1.22.1","GOTOOLCHAIN":"local"}'`,
			[]string{"/bin/go is go1.22.1, and go1.26.4 is needed (GOTOOLCHAIN=local keeps it from fetching that). " + goMissing}},
		{"go is older than toolchains", `echo '{"GOVERSION":"go1.19","GOTOOLCHAIN":""}'`,
			[]string{"/bin/go is go1.19, and go1.26.4 is needed. " + goMissing}},
		{"go does not work", `exit 3`, []string{"/bin/go env: exit status 3. " + goMissing}},
		{"go is something else", `echo playing the board game`, []string{`/bin/go env answers "playing the board game". ` + goMissing}},
		{"the disk is full", goEnv + goVendor + "echo compiling; echo 'write /x/y: no space left on device' >&2; exit 1",
			[]string{"cannot build Inngest v1.43.0: the disk is full. Free 3 GB where ", "HARNESS_CACHE", "\nThe build's last lines:\n  compiling\n  write /x/y: no space left on device\nwhole log: "}},
		{"offline, reported by a build", goEnv + goVendor + "echo 'go: github.com/a/b@v1: Get \"https://proxy/\": dial tcp: lookup proxy: no such host'; exit 1",
			[]string{"a Go module could not be downloaded: github.com/a/b@v1: Get \"https://proxy/\": dial tcp: lookup proxy: no such host. Check the network and the module proxy (go env GOPROXY)"}},
		{"offline, hidden by mod vendor -e", goEnv + "echo 'go: github.com/inngest/inngest/cmd: module lookup disabled by GOPROXY=off'",
			[]string{"a Go module could not be downloaded: github.com/inngest/inngest/cmd: module lookup disabled by GOPROXY=off. ", "whole log: "}},
		{"a module was changed", goEnv + goVendor + "echo 'verifying github.com/a/b@v1: checksum mismatch'; exit 1",
			[]string{"a module is not the one that the harness was tested with: verifying github.com/a/b@v1: checksum mismatch. Do not use it."}},
		{"its toolchain cannot be fetched", goEnv + goVendor + "echo 'go: download go1.26.4 for linux/amd64: toolchain not available'; exit 1",
			[]string{"the go command is too old: download go1.26.4 for linux/amd64: toolchain not available. Install Go 1.26.4 or newer (https://go.dev/dl)."}},
		{"anything else", goEnv + goVendor + "echo 'x.go:1:1: syntax error'; exit 1",
			[]string{"cannot build Inngest v1.43.0: x.go:1:1: syntax error. The log says more.\nThe build's last lines:\n  x.go:1:1: syntax error\nwhole log: "}},
		{"it says nothing", goEnv + goVendor + "exit 1", []string{"the go command failed and says nothing. "}},
		{"it is killed", goEnv + goVendor + "kill -9 $$", []string{"the go command failed and says nothing. "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			if c.go_ != "" {
				w.script(t, "go", c.go_)
			}
			_, err := toolchain.Ensure(t.Context(), harness.ServiceInngest, w.options())
			var failure *toolchain.Error
			require.ErrorAs(t, err, &failure)
			for _, want := range c.want {
				require.Contains(t, err.Error(), want)
			}
			if failure.LogFile != "" {
				require.FileExists(t, failure.LogFile)
			}
			_, err = toolchain.Find(t.Context(), harness.ServiceInngest, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
		})
	}
	t.Run("the cache is no folder", func(t *testing.T) {
		t.Parallel()
		w := newWorkshop(t)
		w.script(t, "go", goodGo)
		require.NoError(t, os.WriteFile(w.cache, nil, 0o600))
		_, err := toolchain.Ensure(t.Context(), harness.ServiceInngest, w.options())
		require.EqualError(t, err, "cannot build Inngest v1.43.0: the cache "+w.cache+" cannot be used (mkdir "+w.cache+
			": not a directory). Make it a folder that can be written, or set HARNESS_CACHE to one.")
	})
	t.Run("an old go that may fetch a newer one", func(t *testing.T) {
		t.Parallel()
		w := newWorkshop(t)
		w.script(t, "go", `if [ "$1" = env ]; then echo '{"GOVERSION":"go1.24.0","GOTOOLCHAIN":"auto"}'; exit; fi`+"\n"+goVendor+goBuild)
		bin, err := toolchain.Ensure(t.Context(), harness.ServiceMailHog, w.options())
		require.NoError(t, err)
		require.Contains(t, bin.Path, "-go1.26.4-", "it is that one which builds")
	})
}

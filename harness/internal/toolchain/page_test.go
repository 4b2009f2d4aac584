//go:build unix

package toolchain_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/tools"
)

// Programs that stand for those that build the page.
const (
	goDownload = goEnv + `[ "$1 $2 $3 $4" = "mod download -json github.com/inngest/inngest" ] && [ -s go.sum ] || exit 9
echo 'go: downloading github.com/inngest/inngest v1.43.0'
printf '{\n\t"Version": "v1.43.0",\n\t"Dir": "%s"\n}\n' $NOTES/module`
	goodNPM  = `echo "npm $@" >>$NOTES/steps; [ -s package-lock.json ]`
	goodNode = `if [ "$1" = --version ]; then echo v20.19.0; exit; fi
name=$(basename "$1"); shift
echo "$name $@" >>$NOTES/steps; env >$NOTES/env.$name
if [ $name = vite.js ]; then mkdir -p dist/client/assets dist/server; cat src/page.ts >dist/client/assets/page.js; echo shell >dist/client/_shell.html; cp src/router.tsx dist/client/assets; fi
[ $name != pnpm.cjs ] || { mkdir -p apps/dev-server-ui/node_modules/monaco-editor/min/vs; echo editor >apps/dev-server-ui/node_modules/monaco-editor/min/vs/loader.js; }
echo built >>package.json`
)

// newPageWorkshop is a workshop with the source of a page, which cannot be written, and all that builds it.
func newPageWorkshop(t *testing.T) workshop {
	w := newWorkshop(t)
	app := filepath.Join(w.dir, "module", "ui", "apps", "dev-server-ui")
	require.NoError(t, os.MkdirAll(filepath.Join(app, "src"), 0o755))
	for _, file := range []string{app + "/src/page.ts", app + "/package.json", filepath.Join(w.dir, "module", "ui", "package.json")} {
		require.NoError(t, os.WriteFile(file, []byte("source\n"), 0o444))
	}
	for _, p := range tools.Patches("page") {
		w.module(t, filepath.Join("..", "module", "ui", p.File), p.Old)
	}
	for name, text := range map[string]string{"go": goDownload, "npm": goodNPM, "node": goodNode} {
		w.script(t, name, text)
	}
	return w
}

func TestEnsure_BuildsThePageOnce(t *testing.T) {
	t.Setenv("NODE_ENV", "production")
	t.Setenv("VITE_PUBLIC_API_BASE_URL", "http://elsewhere.test")
	t.Setenv("USERS_OWN", "kept")
	w := newPageWorkshop(t)
	home, err := toolchain.PageHome(w.options())
	require.NoError(t, err)
	require.False(t, toolchain.HasPage(home))
	_, err = toolchain.Find(t.Context(), toolchain.Page, w.options())
	require.ErrorIs(t, err, toolchain.ErrNotBuilt)
	require.EqualError(t, err, "Inngest's page v1.43.0 is not built yet")

	var seen []harness.Progress
	o := w.options()
	o.Progress = func(p harness.Progress) { seen = append(seen, p) }
	page, err := toolchain.Ensure(t.Context(), toolchain.Page, o)
	require.NoError(t, err)
	require.Equal(t, toolchain.Binary{Tool: toolchain.Page, Path: home, Version: "v1.43.0", Source: "built", HasUI: true}, page)
	require.True(t, toolchain.HasPage(home))
	require.Regexp(t, `/page-v1\.43\.0-[0-9a-f]{12}$`, home)
	text, err := fs.ReadFile(toolchain.PageFiles(home), "assets/page.js")
	require.NoError(t, err)
	require.Equal(t, "source\n", string(text))
	for _, p := range tools.Patches("page") {
		text, err = fs.ReadFile(toolchain.PageFiles(home), "assets/"+filepath.Base(p.File))
		require.NoError(t, err)
		require.Equal(t, p.New, string(text))
	}
	text, err = fs.ReadFile(toolchain.PageFiles(home), strings.TrimPrefix(tools.PageEditor, "/")+"/loader.js")
	require.NoError(t, err)
	require.Equal(t, "editor\n", string(text))
	text, err = os.ReadFile(filepath.Join(home, "static", "client", "_shell.html"))
	require.NoError(t, err, "where the server looks for it")
	require.Equal(t, "shell\n", string(text))

	require.Equal(t, "npm ci --ignore-scripts --no-audit --no-fund\n"+
		"pnpm.cjs install --frozen-lockfile --ignore-scripts --prod=false --filter @inngest/dev-server-ui...\n"+
		"vite.js build --mode=production\n", w.note(t, "steps"))
	env := w.note(t, "env.vite.js")
	require.NotContains(t, env, "NODE_ENV=")
	require.NotContains(t, env, "VITE_")
	require.Contains(t, env, "USERS_OWN=kept\n")
	require.Contains(t, env, "npm_config_store_dir="+home+".tmp/source/store\n", "not in the user's home")
	require.Equal(t, "source\n", w.note(t, "module/ui/package.json"), "it is a copy that is changed")

	require.Equal(t, "preparing to build Inngest's page v1.43.0", seen[0].Doing)
	last := seen[len(seen)-1]
	require.True(t, last.Done)
	require.Equal(t, "building Inngest's page v1.43.0 from source, once (about 2 minutes)", last.Doing)
	require.Equal(t, "page", last.Subject)
	left, err := filepath.Glob(w.cache + "/*")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{home, home + ".lock"}, left)

	w.script(t, "node", "exit 1")
	for _, find := range []func(context.Context, harness.Service, toolchain.Options) (toolchain.Binary, error){toolchain.Ensure, toolchain.Find} {
		again, err := find(t.Context(), toolchain.Page, w.options())
		require.NoError(t, err, "nothing is needed for one that is there")
		require.Equal(t, page, again)
	}
}

func TestEnsure_BuildsADamagedPageAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(home string) error{
		"no shell": func(home string) error { return os.Remove(home + "/static/client/_shell.html") },
		"no files": func(home string) error { return os.RemoveAll(home + "/static") },
		"no sum":   func(home string) error { return os.Remove(home + "/page.crc32c") },
		"other file": func(home string) error {
			return os.WriteFile(home+"/static/client/assets/page.js", []byte("Source\n"), 0o644)
		},
		"no file":      func(home string) error { return os.Remove(home + "/static/client/assets/page.js") },
		"a file above": func(home string) error { return errors.Join(os.RemoveAll(home), os.WriteFile(home, nil, 0o644)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPageWorkshop(t)
			built, err := toolchain.Ensure(t.Context(), toolchain.Page, w.options())
			require.NoError(t, err)
			// Another directory: a process that knows a page to be whole looks for its presence alone.
			moved := workshop{dir: w.dir, cache: w.cache + "2", env: map[string]string{"PATH": w.env["PATH"], "HARNESS_CACHE": w.cache + "2"}}
			require.NoError(t, os.Rename(w.cache, moved.cache))
			require.NoError(t, damage(filepath.Join(moved.cache, filepath.Base(built.Path))))
			_, err = toolchain.Find(t.Context(), toolchain.Page, moved.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
			require.ErrorContains(t, err, "what the cache has is damaged (")

			again, err := toolchain.Ensure(t.Context(), toolchain.Page, moved.options())
			require.NoError(t, err)
			require.True(t, toolchain.HasPage(again.Path))
			require.Equal(t, 2, strings.Count(w.note(t, "steps"), "vite.js"), "it was built twice")
			require.NoError(t, os.RemoveAll(again.Path))
			require.False(t, toolchain.HasPage(again.Path))
		})
	}
}

func TestEnsure_SaysWhatThePageLacks(t *testing.T) {
	t.Parallel()
	const fix = " Install Node 20.19, or 22.12 and newer, with npm (https://nodejs.org). All else works without."
	for name, c := range map[string]struct{ node, npm, why string }{
		"no Node":        {"", goodNPM, "there is no Node (node) in PATH."},
		"no npm":         {goodNode, "", "there is no npm in PATH."},
		"an old Node":    {"echo v18.20.4", goodNPM, "/bin/node is Node 18.20.4, and the build needs Node 20.19, or 22.12 and newer."},
		"a Node between": {"echo v22.11.0", goodNPM, "/bin/node is Node 22.11.0, and the build needs Node 20.19, or 22.12 and newer."},
		"a broken Node":  {"exit 3", goodNPM, "/bin/node --version: exit status 3."},
		"something else": {"echo hello", goodNPM, `/bin/node --version answers "hello".`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.script(t, "go", goDownload)
			for name, text := range map[string]string{"node": c.node, "npm": c.npm} {
				if text != "" {
					w.script(t, name, text)
				}
			}
			_, err := toolchain.Ensure(t.Context(), toolchain.Page, w.options())
			var cannot *toolchain.Error
			require.ErrorAs(t, err, &cannot)
			require.ErrorIs(t, err, toolchain.ErrNoNode)
			require.ErrorContains(t, err, "cannot build Inngest's page v1.43.0: ")
			require.ErrorContains(t, err, c.why+fix)
			_, err = toolchain.Find(t.Context(), toolchain.Page, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
			require.ErrorIs(t, err, toolchain.ErrNoNode)
			require.NoDirExists(t, w.cache)
		})
	}
}

func TestEnsure_ExplainsFailuresOfThePage(t *testing.T) {
	t.Parallel()
	const patched = "apps/dev-server-ui/src/router.tsx"
	for _, c := range []struct{ name, program, script, want string }{
		{"another version", "", patched, "what the harness changes in it is not as expected (" + patched + " has "},
		{"no go command", "go", "", "there is no go command in PATH. Install Go 1.26.4 or newer (https://go.dev/dl)."},
		{"offline, no module", "go", goEnv + "echo 'go: github.com/inngest/inngest@v1.43.0: module lookup disabled by GOPROXY=off'; exit 1",
			"a Go module could not be downloaded: github.com/inngest/inngest@v1.43.0: module lookup disabled by GOPROXY=off. Check the network and the module proxy (go env GOPROXY)."},
		{"another go", "go", goEnv + "echo hello", `the go command names no directory of github.com/inngest/inngest but prints "hello".`},
		{"offline, no pnpm", "npm", "echo 'npm error code ENOTFOUND'; echo 'npm error network request to https://registry.test/pnpm failed, reason: getaddrinfo ENOTFOUND registry.test'; echo 'npm error A complete log of this run'; exit 1",
			"an npm package could not be downloaded: npm error network request to https://registry.test/pnpm failed, reason: getaddrinfo ENOTFOUND registry.test. Check the network and the registry (npm config get registry)."},
		{"the disk is full", "npm", "echo 'npm error ENOSPC: no space left on device, write'; exit 1", "the disk is full. Free 3 GB where "},
		{"a defect", "node", goodNode[:strings.Index(goodNode, "\n")] + "\necho 'error during build:'; echo 'page.ts: no such export'; exit 1", "page.ts: no such export. The log says more."},
		{"no page", "node", goodNode[:strings.Index(goodNode, "\n")], "the build left no page: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newPageWorkshop(t)
			switch {
			case c.program == "":
				require.NoError(t, os.Truncate(filepath.Join(w.dir, "module", "ui", c.script), 0))
			case c.script == "":
				require.NoError(t, os.Remove(filepath.Join(w.env["PATH"], c.program)))
			default:
				w.script(t, c.program, c.script)
			}
			_, err := toolchain.Ensure(t.Context(), toolchain.Page, w.options())
			require.ErrorContains(t, err, c.want)
			require.NotErrorIs(t, err, toolchain.ErrNoNode)
			left, _ := filepath.Glob(w.cache + "/*.tmp")
			require.Empty(t, left)
			_, err = toolchain.Find(t.Context(), toolchain.Page, w.options())
			require.ErrorIs(t, err, toolchain.ErrNotBuilt)
		})
	}
}

func TestEnsure_InterruptedPage(t *testing.T) {
	t.Parallel()
	w := newPageWorkshop(t)
	// pnpm starts a program that ignores interrupts and outlives it.
	w.script(t, "node", goodNode[:strings.Index(goodNode, "\n")]+`
sh -c 'trap "" INT TERM; echo $$ >$NOTES/child.tmp; mv $NOTES/child.tmp $NOTES/child; while :; do sleep 0.01; done' &
wait`)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := toolchain.Ensure(ctx, toolchain.Page, w.options())
		done <- err
	}()
	require.Eventually(t, func() bool { return w.note(t, "child") != "" }, time.Minute, time.Millisecond)
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	err := <-done
	require.ErrorIs(t, err, interrupted)
	require.EqualError(t, err, "cannot build Inngest's page v1.43.0: it was cancelled (interrupted). The next try starts from the beginning.")
	child, err := strconv.Atoi(strings.TrimSpace(w.note(t, "child")))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) }, time.Minute, time.Millisecond, "process %d is left", child)
	home, err := toolchain.PageHome(w.options())
	require.NoError(t, err)
	require.NoDirExists(t, home+".tmp")
	require.NoDirExists(t, home)
	require.Eventually(t, func() bool {
		left, err := filepath.Glob(w.cache + "/*.gone")
		return err == nil && len(left) == 0
	}, time.Minute, time.Millisecond)
}

// Whatever is built next removes what killed builds left, of other versions too, and leaves alone what another process builds.
func TestEnsure_RemovesWhatKilledBuildsLeft(t *testing.T) {
	t.Parallel()
	w := newPageWorkshop(t)
	for _, name := range []string{"page-v1.0.0-0123", "inngest-v1.0.0-4567", "mailhog-v1.0.0-89ab"} {
		require.NoError(t, os.MkdirAll(filepath.Join(w.cache, name+".tmp", "source"), 0o755))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(w.cache, "page-v1.0.0-0123.tmp.ABC.gone", "source"), 0o755))
	working := flock.New(filepath.Join(w.cache, "mailhog-v1.0.0-89ab.lock"))
	require.NoError(t, working.Lock())
	t.Cleanup(func() { require.NoError(t, working.Close()) })
	_, err := toolchain.Ensure(t.Context(), toolchain.Page, w.options())
	require.NoError(t, err)
	left, err := filepath.Glob(w.cache + "/*.tmp")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(w.cache, "mailhog-v1.0.0-89ab.tmp")}, left)
	require.NoDirExists(t, filepath.Join(w.cache, "page-v1.0.0-0123.tmp.ABC.gone"))
}

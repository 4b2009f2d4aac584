package toolchain

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tools"
)

// Page is the web page of the Inngest server, of which the server's module has the source alone. A build of the server serves
// it from the directory that is the page's [Binary].Path, and so does sim from [PageFiles]. It is no program, so it is none of
// the [Tools].
const Page harness.Service = "page"

// PageDir names the environment variable by which a built Inngest server is told the directory of its page.
const PageDir = tools.PageDir

// ErrNoNode is wrapped by the error of [Page] on a machine that cannot build it: there is no Node, no npm, or an old Node.
var ErrNoNode = errors.New("no Node that can build it")

// The page's build works with every Node from 20.19 on, but for those between 21 and 22.12: so says Vite, which it uses.
const (
	nodeNeeded          = "Node 20.19, or 22.12 and newer"
	firstNode, noLonger = "20.19.0", "21.0.0"
	againFrom           = "22.12.0"
)

var page = recipe{
	tool: Page, name: "page", label: "Inngest's page", module: "github.com/inngest/inngest", takes: "about 2 minutes",
}

const (
	pageFiles  = "static/client"                  // where the server looks for the page's files
	pageShell  = pageFiles + "/_shell.html"       // the document of every path of the page
	pageSum    = "page" + sumSuffix               // the checksum of all of them
	pageSource = "ui"                             // in the module: the workspace of all of Inngest's pages
	pageApp    = "apps/dev-server-ui"             // in that
	pnpm       = "node_modules/pnpm/bin/pnpm.cjs" // in the directory of package.json
	vite       = "node_modules/vite/bin/vite.js"  // in pageApp
	pageEditor = "node_modules/monaco-editor/min/vs"
)

// The arguments that make the page. Scripts of packages are not run.
var (
	npmInstall  = []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund"}
	pnpmInstall = []string{"install", "--frozen-lockfile", "--ignore-scripts", "--prod=false", "--filter", "@inngest/dev-server-ui..."}
	viteBuild   = []string{"build", "--mode=production"}
)

// pageName names a page after all its inputs: it is the same for all systems.
func (r recipe) pageName() string {
	how := fmt.Sprintf("%s %s %s %s %s %q %q %q", pageFiles, pageSum, pageSource, pageApp, pageEditor, npmInstall, pnpmInstall, viteBuild)
	return fmt.Sprintf("%s-%s-%s", r.name, r.version, r.hash(how))
}

// PageHome returns the directory in which the page is, or will be once it is built.
func PageHome(o Options) (string, error) {
	f, err := newFinder(Page, o)
	if err != nil {
		return "", err
	}
	return f.pageDir(), nil
}

// HasPage reports whether a directory that [PageHome] returned has the page.
func HasPage(dir string) bool { return pageIntact(dir) == nil }

// PageFiles returns the files of the page in a directory that [PageHome] returned.
func PageFiles(dir string) fs.FS { return os.DirFS(filepath.Join(dir, filepath.FromSlash(pageFiles))) }

func (f *finder) pageDir() string { return filepath.Join(f.cache, f.recipe.pageName()) }

func (f *finder) pageBinary() Binary {
	return Binary{Tool: Page, Path: f.pageDir(), Version: f.recipe.version, Source: SourceBuilt, HasUI: true}
}

// findPage looks into the cache.
func (f *finder) findPage(ctx context.Context) (Binary, error) {
	err := pageIntact(f.pageDir())
	if err == nil {
		return f.pageBinary(), nil
	}
	missing := fmt.Errorf("%s is %w", f.recipe.title(), ErrNotBuilt)
	if !errors.Is(err, fs.ErrNotExist) {
		missing = fmt.Errorf("%w: %w", missing, err)
	}
	if _, err := f.findNode(ctx); err != nil {
		return Binary{}, fmt.Errorf("%w: %w", missing, err)
	}
	if _, err := f.findGo(ctx); err != nil {
		return Binary{}, fmt.Errorf("%w: %w", missing, err)
	}
	return Binary{}, missing
}

// node is the programs that build the page.
type node struct{ node, npm string }

// findNode finds a Node that can build the page, and its npm.
func (f *finder) findNode(ctx context.Context) (n node, err error) {
	cannot := func(why string) (node, error) {
		return node{}, f.cannotBuild(why, "Install "+nodeNeeded+", with npm (https://nodejs.org). All else works without.", ErrNoNode)
	}
	if n.node, err = f.lookPath("node"); err != nil {
		return cannot("there is no Node (node) in PATH")
	}
	if n.npm, err = f.lookPath("npm"); err != nil {
		return cannot("there is no npm in PATH")
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, n.node, "--version").Output()
	version := semanticVersion.FindString(string(out))
	switch {
	case err != nil:
		return cannot(fmt.Sprintf("%s --version: %v", n.node, err))
	case version == "":
		return cannot(fmt.Sprintf("%s --version answers %q", n.node, firstLine(out)))
	case !atLeast(version, firstNode) || atLeast(version, noLonger) && !atLeast(version, againFrom):
		return cannot(fmt.Sprintf("%s is Node %s, and the build needs %s", n.node, strings.TrimPrefix(version, "v"), nodeNeeded))
	}
	return n, nil
}

// buildPage builds the page into the cache, unless another process does first.
func (f *finder) buildPage(ctx context.Context) (Binary, error) {
	programs, err := f.findNode(ctx)
	if err != nil {
		return Binary{}, err
	}
	gocmd, err := f.findGo(ctx)
	if err != nil {
		return Binary{}, err
	}
	dir := f.pageDir()
	err = f.once(ctx, dir, func() bool { return pageIntact(dir) == nil }, func(report *reporter) error {
		return f.pageInto(ctx, dir, gocmd, programs, report)
	})
	if err != nil {
		return Binary{}, err
	}
	return f.pageBinary(), nil
}

// pageInto builds in a directory beside dir and renames it at the end, so that dir always has a complete page.
func (f *finder) pageInto(ctx context.Context, dir string, gocmd goCommand, n node, report *reporter) error {
	return f.stage(ctx, dir, func(source, out, logFile string) error {
		report.now("fetching the source of " + f.recipe.title())
		module, err := f.downloadModule(ctx, source, gocmd, logFile)
		if err != nil {
			return err
		}
		ui := filepath.Join(source, pageSource)
		if err := copyTree(ctx, ui, filepath.Join(module, pageSource)); err != nil {
			return f.copyFailure(ctx, err)
		}
		if err := f.patch(ui); err != nil {
			return err
		}

		report.now("fetching what builds " + f.recipe.title())
		run := func(dir, name, path string, args ...string) error {
			_, err := f.execute(ctx, command{name: name, path: path, dir: dir, env: nodeEnv(source), args: args}, logFile)
			return err
		}
		if err := run(source, "npm", n.npm, npmInstall...); err != nil {
			return err
		}
		if err := run(ui, "pnpm", n.node, append([]string{filepath.Join(source, filepath.FromSlash(pnpm))}, pnpmInstall...)...); err != nil {
			return err
		}
		report.now(fmt.Sprintf("building %s from source, once (%s)", f.recipe.title(), f.recipe.takes))
		app := filepath.Join(ui, filepath.FromSlash(pageApp))
		if err := run(app, "vite", n.node, append([]string{filepath.Join(app, filepath.FromSlash(vite))}, viteBuild...)...); err != nil {
			return err
		}

		built := filepath.Join(out, filepath.FromSlash(pageFiles))
		if err := os.MkdirAll(filepath.Dir(built), 0o755); err != nil {
			return f.cacheFailure(err)
		}
		if err := os.Rename(filepath.Join(app, "dist", "client"), built); err != nil {
			return f.failure(fmt.Errorf("the build left no page: %w", err), logFile)
		}
		editor := filepath.Join(built, filepath.FromSlash(tools.PageEditor))
		if err := copyTree(ctx, editor, filepath.Join(app, filepath.FromSlash(pageEditor))); err != nil {
			return f.copyFailure(ctx, err)
		}
		sum, err := treeSum(out)
		if err == nil {
			err = os.WriteFile(filepath.Join(out, pageSum), []byte(sum), 0o644)
		}
		if err != nil {
			return f.cacheFailure(err)
		}
		return nil
	})
}

// downloadModule returns the directory of the page's module in the module cache. The go command checks it by go.sum.
func (f *finder) downloadModule(ctx context.Context, source string, gocmd goCommand, logFile string) (string, error) {
	printed, err := f.run(ctx, source, gocmd, logFile, "mod", "download", "-json", f.recipe.module)
	if err != nil {
		return "", err
	}
	text := strings.Join(slices.DeleteFunc(printed, func(line string) bool { return strings.HasPrefix(line, "go: ") }), "\n")
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(text), &module); err != nil || module.Dir == "" {
		return "", f.failure(fmt.Errorf("the go command names no directory of %s but prints %q", f.recipe.module, text), logFile)
	}
	return module.Dir, nil
}

// nodeEnv is the user's environment, for the registry, proxies and credentials in it, without what would change the page. What
// pnpm keeps stays in the directory of the build: it is a gigabyte.
func nodeEnv(scratch string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "NODE_ENV=") || strings.HasPrefix(kv, "VITE_")
	})
	return append(env, "CI=1", "npm_config_update_notifier=false",
		"npm_config_store_dir="+filepath.Join(scratch, "store"), "npm_config_cache_dir="+filepath.Join(scratch, "cache"), "npm_config_state_dir="+filepath.Join(scratch, "state"))
}

// copyTree copies a directory of the module cache, which cannot be written, to one that can. It ends with ctx.
func copyTree(ctx context.Context, to, from string) error {
	return os.CopyFS(to, cancellable{ctx, os.DirFS(from)})
}

// cancellable is a file system that opens nothing once ctx has ended.
type cancellable struct {
	ctx context.Context
	fs.FS
}

// Open implements [fs.FS].
func (c cancellable) Open(name string) (fs.File, error) {
	if c.ctx.Err() != nil {
		return nil, context.Cause(c.ctx)
	}
	return c.FS.Open(name)
}

func (f *finder) copyFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return f.cancelled(ctx)
	}
	return f.cacheFailure(err)
}

// sound has the directories of pages that this process has found complete.
var sound sync.Map

// pageIntact returns nil for a page that is as its build left it, an error that wraps [fs.ErrNotExist] where there is no build,
// and another one for a page that is damaged. All of a page is read once in a process; after that, its presence is enough.
func pageIntact(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(pageShell))); err != nil {
		sound.Delete(dir)
		if _, err := os.Lstat(dir); err == nil {
			return damaged(dir)
		}
		return err
	}
	if _, ok := sound.Load(dir); ok {
		return nil
	}
	want, err := os.ReadFile(filepath.Join(dir, pageSum))
	if err != nil {
		return damaged(dir)
	}
	if got, err := treeSum(dir); err != nil || got != string(want) {
		return damaged(dir)
	}
	sound.Store(dir, true)
	return nil
}

// treeSum returns the checksum of the names and contents of a page's files.
func treeSum(dir string) (string, error) {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	tree := os.DirFS(filepath.Join(dir, filepath.FromSlash(pageFiles)))
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		file, err := tree.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		n, err := io.Copy(h, file)
		fmt.Fprintf(h, " %d %s\n", n, name)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

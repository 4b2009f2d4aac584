package toolchain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tools"
)

// Tools returns the services of a stack that have a program here, those that take longest to build first. [Mailpit] is none of
// them: it is built for those who choose it. The one of
// [harness.ServiceMongo] is MongoDB where MONGOD_BIN names one, else FerretDB on SQLite, a stand-in.
func Tools() []harness.Service {
	tools := make([]harness.Service, len(recipes))
	for i, r := range recipes {
		tools[i] = r.tool
	}
	return tools
}

// Variable returns the environment variable that names a tool's program; "" for an unknown tool.
func Variable(t harness.Service) string {
	if p, ok := packaged[t]; ok {
		return p.variable
	}
	r, _ := recipeOf(t)
	return r.variable
}

// Where a [Binary] comes from, unless an environment variable names it.
const (
	SourceInstalled = "installed" // a program in PATH
	SourceReleased  = "released"  // beside this program, as a release of it has them
	SourceBuilt     = "built"     // made from the pinned sources
)

// ConnectHost names the environment variable by which a built Inngest server is told the host of its Connect ports.
const ConnectHost = tools.ConnectHost

// ErrNotBuilt is what Find returns, wrapped, for a tool that Ensure would build.
var ErrNotBuilt = errors.New("not built yet")

// Options says where to look and build. The zero value is good for use.
type Options struct {
	// CacheDir is where builds are kept. Empty: HARNESS_CACHE, or else inngest-harness in the user's cache folder.
	CacheDir string

	// Progress receives what a build is doing: when it starts, every second, and when it ends, also with an error. Its
	// subject is the tool. It is called by one goroutine at a time, and not at all when there is nothing to build. Nil:
	// no reports.
	Progress func(harness.Progress)

	// LookupEnv reads the harness's variables and PATH. Nil: os.LookupEnv. The go command gets the environment of
	// this process in any case.
	LookupEnv func(string) (string, bool)

	// GOOS and GOARCH request a static build for a system, such as that of an image. Programs that are installed or named
	// by a variable are then not considered, even for this system. Both empty: any program for this system.
	GOOS, GOARCH string

	// Background builds at the lowest priority.
	Background bool

	// Program is the program in whose directory the directory servers may stand. Empty: this one.
	Program string
}

// Binary is a server's program. Its JSON is what the commands `harness tools` print.
type Binary struct {
	Tool harness.Service `json:"tool"`
	Path string          `json:"path"` // absolute; of the page its directory
	// Version is such as "v1.43.0"; empty when a program named by a variable does not report it.
	Version string `json:"version,omitempty"`
	// Database is the database that Mongo is: "MongoDB 8.0.4" or "FerretDB v1.24.2 (stand-in)".
	Database string `json:"database,omitempty"`
	Source   string `json:"source"` // the variable that names it, or one of the constants

	// HasUI reports whether the server has its web page: MailHog always, Inngest and Mailpit only as a release.
	HasUI bool `json:"-"`
}

// Pinned returns the version that the harness is made for and builds, such as "v1.43.0". For Mongo it is FerretDB's. An
// unknown tool has none.
func Pinned(t harness.Service) string {
	r, _ := recipeOf(t)
	return r.version
}

// Find returns the program of a tool and builds nothing: where Ensure would build it, the error wraps [ErrNotBuilt]. A variable
// that names a program which does not run is an error too. Redis and PostgreSQL are not built: they come from the system's
// packages.
func Find(ctx context.Context, t harness.Service, o Options) (Binary, error) {
	if p, ok := packaged[t]; ok {
		return p.find(ctx, t, o)
	}
	f, err := newFinder(t, o)
	if err != nil {
		return Binary{}, err
	}
	if t == Page {
		return f.findPage(ctx)
	}
	return f.find(ctx)
}

// Ensure returns the program of a tool, and builds it if Find has none. That takes minutes for Inngest and its page, and up to
// some two minutes for the others; the end of ctx ends the build. Its errors are [*Error], for users.
func Ensure(ctx context.Context, t harness.Service, o Options) (Binary, error) {
	if p, ok := packaged[t]; ok {
		return p.find(ctx, t, o)
	}
	f, err := newFinder(t, o)
	if err != nil {
		return Binary{}, err
	}
	find, build := f.find, f.build
	if t == Page {
		find, build = f.findPage, f.buildPage
	}
	bin, err := find(ctx)
	if !errors.Is(err, ErrNotBuilt) {
		return bin, err
	}
	return build(ctx)
}

// finder looks for one tool, and builds it.
type finder struct {
	recipe   recipe
	cache    string
	env      func(string) string
	goos     string
	goarch   string
	static   bool // only a build will do
	low      bool // see Options.Background
	program  string
	progress func(harness.Progress)
}

func newFinder(t harness.Service, o Options) (*finder, error) {
	r, err := recipeOf(t)
	if err != nil {
		return nil, err
	}
	lookup := o.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	f := &finder{
		recipe:   r,
		env:      func(key string) string { v, _ := lookup(key); return v },
		goos:     cmp.Or(o.GOOS, runtime.GOOS),
		goarch:   cmp.Or(o.GOARCH, runtime.GOARCH),
		static:   o.GOOS != "" || o.GOARCH != "",
		low:      o.Background,
		program:  o.Program,
		progress: o.Progress,
	}
	f.cache = cmp.Or(o.CacheDir, f.env("HARNESS_CACHE"))
	if f.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, &Error{
				Doing: "find a place for " + r.title(),
				Why:   err.Error(), Fix: "Set HARNESS_CACHE to a folder that can be written.", Err: err,
			}
		}
		f.cache = filepath.Join(user, "inngest-harness")
	}
	if f.cache, err = filepath.Abs(f.cache); err != nil {
		return nil, fmt.Errorf("find the cache folder: %w", err)
	}
	return f, nil
}

func (f *finder) find(ctx context.Context) (Binary, error) {
	if !f.static {
		bin, found, err := f.named(ctx)
		if found || err != nil {
			return bin, err
		}
		if bin, found = f.installed(ctx); found {
			return bin, nil
		}
		if bin, found = f.released(); found {
			return bin, nil
		}
	}
	return f.built(ctx)
}

// Servers is the directory beside the program of a release that has servers of the pinned versions.
const Servers = "servers"

// released returns a server that came with this program.
func (f *finder) released() (bin Binary, found bool) {
	own := f.program
	if own == "" {
		own, _ = os.Executable() // without it the path below is that of no file
	}
	if real, err := filepath.EvalSymlinks(own); err == nil {
		own = real
	}
	bin = f.binary(filepath.Join(filepath.Dir(own), Servers, f.executable()))
	bin.Source = SourceReleased
	info, err := os.Stat(bin.Path)
	return bin, own != "" && err == nil && info.Mode().IsRegular()
}

// built looks into the cache.
func (f *finder) built(ctx context.Context) (Binary, error) {
	gocmd, err := f.findGo(ctx)
	if err != nil {
		// Nothing can be built: use a build of these sources by another version of Go.
		matches, _ := filepath.Glob(filepath.Join(f.cache, f.recipe.buildName(f.goos, f.goarch, "*"), f.executable()))
		for _, path := range slices.Backward(matches) {
			if intact(path) == nil {
				return f.binary(path), nil
			}
		}
		return Binary{}, fmt.Errorf("%w: %w", ErrNotBuilt, err)
	}
	path := filepath.Join(f.buildDir(gocmd), f.executable())
	if err := intact(path); errors.Is(err, fs.ErrNotExist) {
		return Binary{}, fmt.Errorf("%s is %w", f.recipe.title(), ErrNotBuilt)
	} else if err != nil {
		return Binary{}, fmt.Errorf("%s is %w: %w", f.recipe.title(), ErrNotBuilt, err)
	}
	return f.binary(path), nil
}

// binary describes a build.
func (f *finder) binary(path string) Binary {
	bin := Binary{Tool: f.recipe.tool, Path: path, Version: f.recipe.version, Source: SourceBuilt, HasUI: f.recipe.tool == harness.ServiceMailHog}
	if f.recipe.tool == harness.ServiceMongo {
		bin.Database = f.recipe.title() + " (stand-in)"
	}
	return bin
}

func (f *finder) buildDir(g goCommand) string {
	return filepath.Join(f.cache, f.recipe.buildName(f.goos, f.goarch, g.version))
}

func (f *finder) executable() string {
	if f.goos == "windows" {
		return f.recipe.name + ".exe"
	}
	return f.recipe.name
}

// reporter reports on a build every second.
type reporter struct {
	tool     harness.Service
	progress func(harness.Progress)
	began    time.Time
	stop     chan struct{}
	ticking  sync.WaitGroup

	mu    sync.Mutex
	doing string
}

func newReporter(t harness.Service, progress func(harness.Progress)) *reporter {
	r := &reporter{tool: t, progress: progress, began: time.Now(), stop: make(chan struct{})}
	if r.progress == nil {
		r.progress = func(harness.Progress) {}
	}
	r.ticking.Go(r.tick)
	return r
}

func (r *reporter) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.send("", false)
		case <-r.stop:
			return
		}
	}
}

// now sets what the build does from now on, and reports it.
func (r *reporter) now(doing string) { r.send(doing, false) }

// end reports that the build has ended. It is the last report.
func (r *reporter) end() {
	close(r.stop)
	r.ticking.Wait()
	r.send("", true)
}

// send reports what the build does: the same as before where doing is empty.
func (r *reporter) send(doing string, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing = cmp.Or(doing, r.doing)
	r.progress(harness.Progress{Subject: string(r.tool), Doing: r.doing, Elapsed: time.Since(r.began), Done: done})
}

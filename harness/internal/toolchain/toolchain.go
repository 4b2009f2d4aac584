package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// Tool names a server.
type Tool string

const (
	Inngest Tool = "inngest" // Inngest's dev server
	MailHog Tool = "mailhog"
	Mongo   Tool = "mongo" // MongoDB where MONGOD_BIN names one, else FerretDB on SQLite, a stand-in
)

// Tools returns all tools, those that take longest to build first.
func Tools() []Tool { return []Tool{Inngest, Mongo, MailHog} }

// Where a [Binary] comes from, unless an environment variable names it.
const (
	SourceInstalled = "installed" // a program in PATH
	SourceBuilt     = "built"     // made from the pinned sources
)

// ErrNotBuilt is what Find returns, wrapped, for a tool that Ensure would build.
var ErrNotBuilt = errors.New("not built yet")

// Options says where to look and build. The zero value is good for use.
type Options struct {
	// CacheDir is where builds are kept. Empty: HARNESS_CACHE, or else inngest-harness in the user's cache folder.
	CacheDir string

	// Progress receives what a build is doing: when it starts, every second, and when it ends. It is called by one
	// goroutine at a time, and not at all when there is nothing to build. Nil: no reports.
	Progress func(Progress)

	// LookupEnv reads the harness's variables and PATH. Nil: os.LookupEnv. The go command gets the environment of
	// this process in any case.
	LookupEnv func(string) (string, bool)

	// GOOS and GOARCH request a static build for a system, such as that of an image. Programs that are installed or named
	// by a variable are then not considered, even for this system. Both empty: any program for this system.
	GOOS, GOARCH string
}

// Progress is a moment of a build.
type Progress struct {
	Tool    Tool
	Doing   string        // such as "compiling"
	Elapsed time.Duration // since Ensure was called
	Done    bool          // the last call: the build has ended, successfully if Err is nil
	Err     error
}

// Binary is a server's program. Its JSON is what the commands `harness tools` print.
type Binary struct {
	Tool Tool   `json:"tool"`
	Path string `json:"path"` // absolute
	// Version is such as "v1.43.0"; empty when a program named by a variable does not report it.
	Version string `json:"version,omitempty"`
	// Database is the database that Mongo is: "MongoDB 8.0.4" or "FerretDB v1.24.2 (stand-in)".
	Database string `json:"database,omitempty"`
	Source   string `json:"source"` // the variable that names it, SourceInstalled or SourceBuilt

	// HasUI reports whether the server has its web page: MailHog always, Inngest only as a release.
	HasUI bool `json:"-"`
}

// Pinned returns the version that the harness is made for and builds, such as "v1.43.0". For Mongo it is FerretDB's. An
// unknown tool has none.
func Pinned(t Tool) string {
	r, err := recipeOf(t)
	if err != nil {
		return ""
	}
	return r.version
}

// Find returns the program of a tool and builds nothing: where Ensure would build it, the error wraps [ErrNotBuilt]. A variable
// that names a program which does not run is an error too.
func Find(ctx context.Context, t Tool, o Options) (Binary, error) {
	f, err := newFinder(t, o)
	if err != nil {
		return Binary{}, err
	}
	return f.find(ctx)
}

// Ensure returns the program of a tool, and builds it if Find has none. That takes minutes for Inngest and less than one minute
// for the others; the end of ctx ends the build. Its errors are [*Error], for users.
func Ensure(ctx context.Context, t Tool, o Options) (Binary, error) {
	f, err := newFinder(t, o)
	if err != nil {
		return Binary{}, err
	}
	bin, err := f.find(ctx)
	if !errors.Is(err, ErrNotBuilt) {
		return bin, err
	}
	return f.build(ctx)
}

// finder looks for one tool, and builds it.
type finder struct {
	tool     Tool
	recipe   recipe
	cache    string
	env      func(string) string
	goos     string
	goarch   string
	static   bool // only a build will do
	progress func(Progress)
}

func newFinder(t Tool, o Options) (*finder, error) {
	r, err := recipeOf(t)
	if err != nil {
		return nil, err
	}
	lookup := o.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	f := &finder{
		tool:     t,
		recipe:   r,
		cache:    o.CacheDir,
		env:      func(key string) string { v, _ := lookup(key); return v },
		goos:     o.GOOS,
		goarch:   o.GOARCH,
		static:   o.GOOS != "" || o.GOARCH != "",
		progress: o.Progress,
	}
	if f.goos == "" {
		f.goos = runtime.GOOS
	}
	if f.goarch == "" {
		f.goarch = runtime.GOARCH
	}
	if f.cache == "" {
		f.cache = f.env("HARNESS_CACHE")
	}
	if f.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, &Error{
				Tool: t, Doing: "find a place for " + r.title(),
				Why: err.Error(), Fix: "Set HARNESS_CACHE to a folder that can be written.", Err: err,
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
	}
	return f.built(ctx)
}

// built looks into the cache.
func (f *finder) built(ctx context.Context) (Binary, error) {
	gocmd, err := f.findGo(ctx)
	if err != nil {
		// Nothing can be built: use a build of these sources by another version of Go.
		matches, _ := filepath.Glob(filepath.Join(f.cache, f.recipe.buildName(f.goos, f.goarch, "*"), f.executable()))
		if len(matches) > 0 {
			return f.binary(matches[len(matches)-1]), nil
		}
		return Binary{}, fmt.Errorf("%w: %w", ErrNotBuilt, err)
	}
	path := filepath.Join(f.buildDir(gocmd), f.executable())
	if _, err := os.Stat(path); err != nil {
		return Binary{}, fmt.Errorf("%s is %w", f.recipe.title(), ErrNotBuilt)
	}
	return f.binary(path), nil
}

// binary describes a build.
func (f *finder) binary(path string) Binary {
	bin := Binary{Tool: f.tool, Path: path, Version: f.recipe.version, Source: SourceBuilt, HasUI: f.tool == MailHog}
	if f.tool == Mongo {
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
	tool     Tool
	progress func(Progress)
	began    time.Time

	mu    sync.Mutex
	doing string
	ended bool

	stop chan struct{}
}

func newReporter(t Tool, progress func(Progress)) *reporter {
	r := &reporter{tool: t, progress: progress, began: time.Now(), stop: make(chan struct{})}
	if r.progress == nil {
		r.progress = func(Progress) {}
	}
	go r.tick()
	return r
}

func (r *reporter) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.send(func() {})
		case <-r.stop:
			return
		}
	}
}

// now sets what the build does from now on, and reports it.
func (r *reporter) now(doing string) { r.send(func() { r.doing = doing }) }

func (r *reporter) end(err error) {
	close(r.stop)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.progress(Progress{Tool: r.tool, Doing: r.doing, Elapsed: time.Since(r.began), Done: true, Err: err})
}

func (r *reporter) send(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	change()
	r.progress(Progress{Tool: r.tool, Doing: r.doing, Elapsed: time.Since(r.began)})
}

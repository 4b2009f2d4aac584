package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a directory must be quiet before a change counts: editors write a file in several steps, and
// tools write many files at once.
const settle = 150 * time.Millisecond

// watcher reports changed source files.
type watcher struct {
	w *fsnotify.Watcher
	// ignored reports whether a file is none that a person writes.
	ignored func(file string) bool
	// noted is called for each change at once, before the directory is quiet.
	noted func(file string)
}

func newWatcher(dirs []string, ignored func(file string) bool, noted func(file string)) (*watcher, error) {
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch for changes: %w", err)
	}
	w := &watcher{fw, ignored, noted}
	for _, dir := range dirs {
		if _, err := w.add(dir); err != nil {
			fw.Close()
			return nil, fmt.Errorf("watch %s for changes: %w", dir, err)
		}
	}
	return w, nil
}

// add watches a directory and those below it, and returns one of the source files in them; "" for none.
func (w *watcher) add(dir string) (source string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && skipped(d.Name()):
			return filepath.SkipDir
		case d.IsDir():
			return w.w.Add(path)
		case w.isSource(path):
			source = path
		}
		return nil
	})
	return source, err
}

// skipped reports whether a directory is not watched: tools write to it.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"node_modules", "vendor", "bin", "dist", "build", "target", "__pycache__", "testdata", "__tests__"}, name)
}

// sources lists the extensions of files whose change restarts the app.
var sources = []string{
	".go", ".mod", ".sum", ".work", ".tmpl", ".html", ".css", ".js", ".mjs", ".cjs", ".ts", ".mts", ".jsx", ".tsx", ".json",
	".py", ".rb", ".php", ".java", ".kt", ".cs", ".ex", ".exs", ".rs", ".toml", ".yaml", ".yml", ".sql", ".env", ".txt",
}

func (w *watcher) isSource(file string) bool { return isSource(file) && !w.ignored(file) }

func isSource(file string) bool {
	name := filepath.Base(file)
	if name == ".env" {
		return true
	}
	return !strings.HasPrefix(name, ".") && slices.Contains(sources, filepath.Ext(name)) && !isTest.MatchString(name)
}

// isTest matches the names of files that hold tests: the app does not run them.
var isTest = regexp.MustCompile(`_test\.(go|py|rb|exs)$|_spec\.rb$|\.(test|spec)\.[cm]?[jt]sx?$|^test_.*\.(py|rb|exs)$|^conftest\.py$`)

// run sends the name of a changed file, once per burst of changes, until ctx ends.
func (w *watcher) run(ctx context.Context, changes chan<- string) {
	quiet := time.NewTimer(0)
	<-quiet.C
	var changed string
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.w.Events:
			if !ok {
				return
			}
			if source := w.affected(e); source != "" {
				w.noted(source)
				changed = source
				quiet.Reset(settle)
			}
		case <-w.w.Errors: // an overflow loses names; the next change follows
		case <-quiet.C:
			select {
			case changes <- changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// affected returns the source file that an event is about; "" for none. It watches a new directory, and finds files that
// were put there before.
func (w *watcher) affected(e fsnotify.Event) string {
	info, err := os.Stat(e.Name)
	switch {
	case e.Op == fsnotify.Chmod:
		return ""
	case err != nil || !info.IsDir(): // a removed source counts, too
		if w.isSource(e.Name) {
			return e.Name
		}
		return ""
	case !e.Has(fsnotify.Create) || skipped(info.Name()):
		return ""
	}
	source, err := w.add(e.Name)
	if err != nil {
		return ""
	}
	return source
}

func (w *watcher) count() int { return len(w.w.WatchList()) }

func (w *watcher) close() { _ = w.w.Close() }

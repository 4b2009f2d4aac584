package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIsSource(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		"main.go": true, "app/views/mail.html": true, "index.mts": true, ".env": true, "go.mod": true,
		"main_test.go": false, "order.test.ts": false, "order.spec.mjs": false, "test_app.py": false, "app_test.py": false, "conftest.py": false, "order_spec.rb": false, "test_helper.exs": false, "LoadTest.cs": true, "latest.py": true, "contest.py": true, "test.ts": true, ".main.go.swp": false, ".#main.go": false, "app": false, "4913": false, "main.go~": false, "x.log": false,
	} {
		require.Equal(t, want, isSource(file), file)
	}
}

func TestWatcher_ReportsABurstOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	changes := watch(t, dir)
	for range 20 {
		write(t, filepath.Join(dir, "main.go"))
	}
	require.Equal(t, filepath.Join(dir, "main.go"), next(t, changes))
	write(t, filepath.Join(dir, "notes.md"))
	write(t, filepath.Join(dir, "other.go"))
	require.Equal(t, filepath.Join(dir, "other.go"), next(t, changes), "the first burst was reported once, and notes are no source")
}

func TestWatcher_ReportsRemovedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"))
	changes := watch(t, dir)
	require.NoError(t, os.Remove(filepath.Join(dir, "main.go")))
	require.Equal(t, filepath.Join(dir, "main.go"), next(t, changes))
}

// A directory is moved into place, with files in it of which no event tells.
func TestWatcher_FollowsNewDirectories(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	changes := watch(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "new", "deep"), 0o755))
	write(t, filepath.Join(outside, "new", "deep", "main.go"))
	require.NoError(t, os.Rename(filepath.Join(outside, "new"), filepath.Join(dir, "new")))
	require.Equal(t, filepath.Join(dir, "new", "deep", "main.go"), next(t, changes))
	write(t, filepath.Join(dir, "new", "deep", "later.go"))
	require.Equal(t, filepath.Join(dir, "new", "deep", "later.go"), next(t, changes))
}

func TestWatcher_SkipsWhatTestsHaveWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	changes := watch(t, dir)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "report"), 0o755))
	write(t, filepath.Join(dir, "report", "record.json"))
	write(t, filepath.Join(dir, "main.go"))
	write(t, filepath.Join(dir, "report.html"))
	require.Equal(t, filepath.Join(dir, "main.go"), next(t, changes))
}

func TestWatcher_SkipsDirectoriesOfTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sub := range []string{"node_modules", ".git", "bin", "__tests__"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	changes := watch(t, dir)
	for _, sub := range []string{"node_modules", ".git", "bin", "__tests__"} {
		write(t, filepath.Join(dir, sub, "x.js"))
	}
	write(t, filepath.Join(dir, "main.go"))
	require.Equal(t, filepath.Join(dir, "main.go"), next(t, changes))
}

func watch(t *testing.T, dir string) <-chan string {
	t.Helper()
	w, err := newWatcher([]string{dir}, func(file string) bool { return strings.Contains(file, "report") }, func(string) {})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	changes, done := make(chan string), make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, changes)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		w.close()
	})
	return changes
}

func next(t *testing.T, changes <-chan string) string {
	t.Helper()
	select {
	case file := <-changes:
		return file
	case <-time.After(30 * time.Second):
		require.FailNow(t, "no change was told of within 30 s")
		return ""
	}
}

func write(t *testing.T, file string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte("changed"), 0o644))
}

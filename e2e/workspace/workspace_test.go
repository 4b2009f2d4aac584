package workspace_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

// modulePrefix is the beginning of every import path of the workspace.
const modulePrefix = "github.com/odoo-maintenance/inngest-harness/"

// root returns the directory of the workspace.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..")) // of the package's directory, in which go test runs
	require.NoError(t, err)
	return dir
}

// read returns a file of the workspace.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path)))
	require.NoError(t, err)
	return string(data)
}

// goOutput returns what the go command prints, run at the root of the workspace.
func goOutput(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), &stderr)
	return string(out)
}

// modules returns the directories of the workspace's modules, as go.work lists them.
func modules(t *testing.T) []string {
	t.Helper()
	work, err := modfile.ParseWork("go.work", []byte(read(t, "go.work")), nil)
	require.NoError(t, err)
	var dirs []string
	for _, u := range work.Use {
		dirs = append(dirs, strings.TrimPrefix(u.Path, "./"))
	}
	return dirs
}

// files returns the files below a directory of the workspace that match, by path. It leaves out testdata, node_modules
// and hidden directories.
func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(root(t)), dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != dir) {
			return fs.SkipDir
		}
		if ok, _ := filepath.Match(pattern, d.Name()); ok {
			found = append(found, path)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, found, "%s in %s", pattern, dir)
	return found
}

// documents returns the Markdown files of the workspace.
func documents(t *testing.T) []string { return files(t, ".", "*.md") }

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o755))
}

// goFlags are GOFLAGS of builds in other directories than this repository, which take from the build cache what was compiled
// from the same source elsewhere: see TestFlags_AreTheSameEverywhere.
const goFlags = "-trimpath -gcflags=all=-dwarf=false -ldflags=-w"

// copied is a copy of this repository that all tests of this package share.
var copied struct {
	once sync.Once
	dir  string
}

// builtHarness returns the path of the harness command in the copy, where `make dev` builds it too.
func builtHarness(t *testing.T) string {
	t.Helper()
	path := filepath.Join(copied.dir, "bin", "harness")
	copied.once.Do(func() {
		copyRepository(t, copied.dir)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "bin/", "./harness/cmd/harness")
		cmd.Dir, cmd.Env = copied.dir, append(os.Environ(), "PWD="+copied.dir, "GOWORK=", "GOFLAGS="+goFlags)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	require.FileExists(t, path)
	return path
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "workspace-")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		panic(err)
	}
	copied.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

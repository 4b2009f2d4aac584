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

var buildHarness sync.Once

// builtHarness returns the path of the harness command, which it builds once for all tests of this package.
func builtHarness(t *testing.T) string {
	t.Helper()
	path := filepath.Join(binDir, "harness")
	buildHarness.Do(func() { goOutput(t, "build", "-o", path, "./harness/cmd/harness") })
	require.FileExists(t, path)
	return path
}

// binDir holds the programs that tests build.
var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "workspace-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binDir)
	os.Exit(code)
}

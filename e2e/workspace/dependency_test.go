//go:build dependency

package workspace_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// version is the one by which the modules of this workspace require each other.
const version = "v0.1.0"

// Another project can use the published modules: from module zips that a proxy serves, without this workspace. A test of
// that project runs on the local backend, whose servers are built from sources in the zip, and the command installs.
func TestHarness_WorksAsADependency(t *testing.T) {
	t.Parallel()
	proxy := t.TempDir()
	for _, dir := range []string{"docs", "harness", "harness/containers", "harness/cmd/harness"} {
		publish(t, proxy, dir)
	}
	elsewhere := t.TempDir()
	gobin := t.TempDir()
	env := append(os.Environ(),
		"GOWORK=off", "GOFLAGS=-mod=mod -modcacherw "+goFlags, "GOBIN="+gobin, "GONOSUMDB="+modulePrefix+"*",
		// -trimpath, so that the build cache is used although the module cache is another one.
		// A separate module cache, since these zips change under the same version. The usual module cache serves as a
		// proxy, so that no network is needed.
		"GOMODCACHE="+t.TempDir(),
		"GOPROXY="+strings.Join([]string{fileURL(proxy), fileURL(filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download")), goEnv(t, "GOPROXY")}, ","),
	)
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = elsewhere, env
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %s:\n%s", name, strings.Join(args, " "), out)
	}

	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(elsewhere, name), []byte(text), 0o644))
	}
	sums, err := os.ReadFile(filepath.Join(root(t), "harness", "go.sum"))
	require.NoError(t, err)
	write("go.mod", "module example.test/shop\n\ngo 1.26.4\n\nrequire "+modulePrefix+"harness "+version+"\n")
	write("go.sum", string(sums))
	example, err := os.ReadFile(filepath.Join(root(t), "e2e", "workspace", "testdata", "shop_test.go.txt"))
	require.NoError(t, err)
	write("shop_test.go", string(example))

	run("go", "test", "-count=1", ".")
	run("go", "install", modulePrefix+"harness/cmd/harness@"+version)
	run(filepath.Join(gobin, "harness"), "tools", "path")
}

// publish writes a module zip into the directory of a proxy.
func publish(t *testing.T, proxy, dir string) {
	t.Helper()
	m := module.Version{Path: modulePrefix + dir, Version: version}
	escaped, err := module.EscapePath(m.Path)
	require.NoError(t, err)
	at := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	require.NoError(t, os.MkdirAll(at, 0o755))

	source := filepath.Join(root(t), filepath.FromSlash(dir))
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	require.NoError(t, err)
	require.NotContains(t, string(mod), "\nreplace", "%s: go install refuses modules with replace directives", dir)
	require.NoError(t, os.WriteFile(filepath.Join(at, version+".mod"), mod, 0o644))
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Unix(0, 0).UTC()})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(at, version+".info"), info, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(at, "list"), []byte(version+"\n"), 0o644))

	f, err := os.Create(filepath.Join(at, version+".zip"))
	require.NoError(t, err)
	require.NoError(t, zip.CreateFromDir(f, m, source))
	require.NoError(t, f.Close())
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func fileURL(dir string) string { return "file://" + filepath.ToSlash(dir) }

package workspace_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/odoo-maintenance/inngest-harness/app/config"
)

func parseMod(t *testing.T, path string) *modfile.File {
	t.Helper()
	f, err := modfile.Parse(path, []byte(read(t, path)), nil)
	require.NoError(t, err)
	return f
}

// One Go version stands in every go.mod, in go.work, in the documents and in the app's image.
func TestVersions_OfGoAgree(t *testing.T) {
	t.Parallel()
	work, err := modfile.ParseWork("go.work", []byte(read(t, "go.work")), nil)
	require.NoError(t, err)
	want := work.Go.Version
	for _, dir := range modules(t) {
		require.Equal(t, want, parseMod(t, dir+"/go.mod").Go.Version, "%s/go.mod", dir)
	}
	for _, doc := range []string{"README.md", "CONTRIBUTING.md"} {
		require.Contains(t, read(t, doc), "Go "+want, "%s names another Go version", doc)
	}
	major, minor, _ := strings.Cut(want, ".")
	minor, _, _ = strings.Cut(minor, ".")
	require.Contains(t, read(t, "docker/app.Dockerfile"), " golang:"+major+"."+minor+" AS build")
}

// A dependency that several modules name directly has one version.
func TestVersions_OfDependenciesAgree(t *testing.T) {
	t.Parallel()
	first := map[string]string{}
	for _, dir := range modules(t) {
		for _, r := range parseMod(t, dir+"/go.mod").Require {
			if r.Indirect {
				continue
			}
			if v, ok := first[r.Mod.Path]; ok {
				require.Equal(t, v, r.Mod.Version, "%s in %s/go.mod", r.Mod.Path, dir)
			}
			first[r.Mod.Path] = r.Mod.Version
		}
	}
}

// The versions from which the servers are built stand in the compose file and in the documents, too.
func TestVersions_OfServersAgree(t *testing.T) {
	t.Parallel()
	for _, server := range []struct {
		tool, module string
		files        []string // that name an image with the version
		image        string   // what stands before the number
	}{
		{"inngest", "github.com/inngest/inngest", []string{"docker-compose.yml", "docker/compose.production.yml", "docs/backends.md"}, "/inngest:v"},
		{"mailhog", "github.com/mailhog/MailHog", []string{"docker-compose.yml", "docker/compose.production.yml", "docs/backends.md"}, "/mailhog:v"},
		{"mailpit", "github.com/axllent/mailpit", []string{"docker/compose.mailpit.yml", "docs/backends.md"}, "/mailpit:v"},
		{"caddy", "github.com/caddyserver/caddy/v2", []string{"docker/compose.production.yml"}, " caddy:"},
	} {
		version := ""
		for _, r := range parseMod(t, "harness/tools/"+server.tool+"/go.mod.txt").Require {
			if r.Mod.Path == server.module {
				version = r.Mod.Version
			}
		}
		require.NotEmpty(t, version, server.tool)
		mention := regexp.MustCompile(`(?i)` + server.image + `([0-9][0-9.]*)`)
		for _, file := range server.files {
			found := mention.FindAllStringSubmatch(read(t, file), -1)
			require.NotEmpty(t, found, "%s names no image of %s", file, server.tool)
			for _, m := range found {
				require.Equal(t, version, "v"+m[1], "%s in %s", server.tool, file)
			}
		}
	}
}

// What the first `make dev` compiles both for the command and for the database has one version, so that it is compiled once.
func TestVersions_OfTheDatabaseAreThoseOfTheWorkspace(t *testing.T) {
	t.Parallel()
	work, err := modfile.ParseWork("go.work", []byte(read(t, "go.work")), nil)
	require.NoError(t, err)
	used := map[string]string{}
	for _, dir := range work.Use {
		for _, r := range parseMod(t, filepath.Join(dir.Path, "go.mod")).Require {
			if semver.Compare(r.Mod.Version, used[r.Mod.Path]) > 0 {
				used[r.Mod.Path] = r.Mod.Version
			}
		}
	}
	shared := 0
	for _, r := range parseMod(t, "harness/tools/ferretdb/go.mod.txt").Require {
		if want := used[r.Mod.Path]; want != "" {
			shared++
			require.Equal(t, want, r.Mod.Version, "%s: run sh scripts/tidy.sh", r.Mod.Path)
		}
	}
	require.Greater(t, shared, 20)
}

// What is compiled with the same flags is compiled once.
func TestFlags_AreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	require.Contains(t, read(t, "Makefile"), "export GOFLAGS := "+goFlags+" $(GOFLAGS)\n")
	require.Contains(t, read(t, ".ci/run"), "export GOFLAGS='"+goFlags+"' ")
	compiled, _, _ := strings.Cut(goFlags, " -ldflags=")
	for _, flag := range strings.Fields(compiled) {
		for _, file := range []string{"scripts/release.sh", "harness/internal/toolchain/recipe.go", "harness/containers/cmd/images/build.go"} {
			require.Contains(t, read(t, file), flag, file)
		}
	}
}

// .env.example and the app's table of variables name the same.
func TestEnvExample_NamesEveryVariable(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, v := range config.Table() {
		want = append(want, v.Name)
	}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z_]+)=`).FindAllStringSubmatch(read(t, ".env.example"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}

// Go's version in the workflows is that of the workspace, and each action has one version.
func TestVersions_InTheWorkflowsAgree(t *testing.T) {
	t.Parallel()
	all := read(t, ".github/workflows/ci.yml") + read(t, ".github/workflows/release.yml")
	for _, file := range files(t, ".github", "action.yml") {
		all += read(t, file)
	}
	require.Contains(t, all, "go-version-file: go.work")
	require.NotContains(t, all, "go-version:")
	first := map[string]string{}
	for _, m := range regexp.MustCompile(`uses: ([\w-]+/[\w-]+)@(\S+)`).FindAllStringSubmatch(all, -1) {
		if v, ok := first[m[1]]; ok {
			require.Equal(t, v, m[2], "versions of %s", m[1])
		}
		first[m[1]] = m[2]
		require.Regexp(t, `^v[0-9]`, m[2], "%s is not pinned", m[1])
	}
}

// `go doc` and `go list -m all` add missing checksums to go.work.sum. In a fresh clone nothing must be missing.
func TestGoWorkSum_IsComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copyFile := func(name string) {
		data, err := os.ReadFile(filepath.Join(root(t), name))
		if os.IsNotExist(err) {
			return // a module without dependencies has no go.sum
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	copyFile("go.work")
	copyFile("go.work.sum")
	for _, m := range modules(t) {
		copyFile(m + "/go.mod")
		copyFile(m + "/go.sum")
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-e", "all")
	list.Dir, list.Env = dir, append(os.Environ(), "GOWORK=")
	out, err := list.CombinedOutput()
	require.NoError(t, err, "%s", out)
	after, err := os.ReadFile(filepath.Join(dir, "go.work.sum"))
	require.NoError(t, err)
	require.Equal(t, read(t, "go.work.sum"), string(after), "go.work.sum is incomplete: run sh scripts/tidy.sh")
}

package workspace_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"

	"github.com/odoo-maintenance/inngest-harness/app/config"
)

// read returns a file of the workspace.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path)))
	require.NoError(t, err)
	return string(data)
}

func parseMod(t *testing.T, path string) *modfile.File {
	t.Helper()
	f, err := modfile.Parse(path, []byte(read(t, path)), nil)
	require.NoError(t, err)
	return f
}

// modules are the folders of the workspace's modules, as go.work has them.
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

// TestGoVersionsAgree: one Go version in every go.mod, in go.work, and in the documents.
func TestGoVersionsAgree(t *testing.T) {
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
}

// TestDependenciesAgree: a dependency that several modules name directly has one version.
func TestDependenciesAgree(t *testing.T) {
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

// TestServerVersionsAgree: the versions that the servers are built from are those that every other place names.
func TestServerVersionsAgree(t *testing.T) {
	t.Parallel()
	for _, server := range []struct {
		tool, module string
		files        []string // that name the version, as "name:version", "name version" or "name@version"
		name         string
	}{
		{"inngest", "github.com/inngest/inngest", []string{"docker-compose.yml", "docs/backends.md"}, "inngest"},
		{"mailhog", "github.com/mailhog/MailHog", []string{"docker-compose.yml", "docs/backends.md"}, "mailhog"},
	} {
		version := ""
		for _, r := range parseMod(t, "harness/tools/"+server.tool+"/go.mod.txt").Require {
			if r.Mod.Path == server.module {
				version = r.Mod.Version
			}
		}
		require.NotEmpty(t, version, server.tool)
		mention := regexp.MustCompile(`(?i)/` + server.name + `:(v[0-9][0-9.]*)`)
		for _, file := range server.files {
			found := mention.FindAllStringSubmatch(read(t, file), -1)
			require.NotEmpty(t, found, "%s names no image of %s", file, server.name)
			for _, m := range found {
				require.Equal(t, version, m[1], "%s in %s", server.name, file)
			}
		}
	}
}

// TestEnvExampleNamesEveryVariable: .env.example and the app's own table of variables name the same.
func TestEnvExampleNamesEveryVariable(t *testing.T) {
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

// documents are the Markdown files that a reader is shown.
func documents(t *testing.T) []string {
	t.Helper()
	var docs []string
	err := fs.WalkDir(os.DirFS(root(t)), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			docs = append(docs, path)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, docs)
	return docs
}

// TestDocumentsNameWhatIsThere: make targets, files that are linked to, and Go tests that a document names exist.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	target := regexp.MustCompile("(?m)`(?:[A-Z_]+=[^ `]+ )*make ([a-z][a-z-]*)|^(?:    |\\$ |\t)(?:[A-Z_]+=\\S+ )*make ([a-z][a-z-]*)")
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, doc := range documents(t) {
		text := read(t, doc)
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			name := m[1] + m[2]
			require.Regexp(t, `(?m)^`+regexp.QuoteMeta(name)+`:`, makefile, "%s speaks of make %s", doc, name)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join(root(t), filepath.Dir(doc), filepath.FromSlash(m[1])))
			require.NoError(t, err, "%s links to %s", doc, m[1])
		}
	}
}

// TestEveryTargetIsExplained: `make` alone prints each target that a person may call, with what it is for.
func TestEveryTargetIsExplained(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(makefile)
	require.NotNil(t, phony)
	for _, name := range strings.Fields(phony[1]) {
		require.Regexp(t, `(?m)^`+regexp.QuoteMeta(name)+`:.*## \S`, makefile, "target %s says nothing of itself", name)
	}
	for _, name := range strings.Fields("dev demo test e2e golden bench lint check build tools clean") {
		require.Contains(t, strings.Fields(phony[1]), name)
	}
}

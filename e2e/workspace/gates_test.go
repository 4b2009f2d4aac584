package workspace_test

import (
	"go/build"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A gate is a `go test` that names the tests it runs. Where none of them has that name any more it passes, and guards
// nothing.
type gate struct {
	dir  string // of the package
	tags []string
	run  string // pattern
}

// gates returns those of a text of shell lines, as the Makefile and the workflow are. A pattern that the caller chooses
// is none.
func gates(text string) []gate {
	var found []gate
	for line := range strings.Lines(text) {
		dir := "."
		for part := range strings.SplitSeq(line, "&&") {
			words := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(part))
			if to := after(words, "cd"); to != "" {
				dir = to
			}
			run := after(words, "-run")
			if !strings.Contains(part, "go test ") || run == "" || run == "$(RUN)" {
				continue
			}
			g := gate{dir: dir, run: run}
			if tags := after(words, "-tags"); tags != "" {
				g.tags = strings.Split(tags, ",")
			}
			packages := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, "./") })
			if len(packages) == 0 {
				found = append(found, g)
			}
			for _, p := range packages {
				g.dir = path.Join(dir, p)
				found = append(found, g)
			}
		}
	}
	return found
}

// after returns the word that follows another one.
func after(words []string, word string) string {
	if i := slices.Index(words, word); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// guards returns the tests that a gate runs.
func (g gate) guards(t *testing.T) []string {
	t.Helper()
	dir := filepath.Join(root(t), filepath.FromSlash(g.dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	top, _, _ := strings.Cut(g.run, "/")
	pattern, err := regexp.Compile(top)
	require.NoError(t, err)
	built := build.Default
	built.BuildTags = g.tags
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		matches, err := built.MatchFile(dir, e.Name())
		require.NoError(t, err)
		if !matches {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w*)\(t \*testing\.T\)`).FindAllStringSubmatch(read(t, path.Join(g.dir, e.Name())), -1) {
			if pattern.MatchString(m[1]) {
				names = append(names, m[1])
			}
		}
	}
	return names
}

// TestEveryGateGuardsSomething: a test that a target or a stage of CI names is there, in the package it names.
func TestEveryGateGuardsSomething(t *testing.T) {
	t.Parallel()
	for file, atLeast := range map[string]int{"Makefile": 5, ".ci/run": 1, workflow: 1} {
		found := gates(read(t, file))
		require.GreaterOrEqual(t, len(found), atLeast, "tests that %s names", file)
		for _, g := range found {
			require.NotEmpty(t, g.guards(t), "%s runs -run %s in %s with the tags %v: there is no such test, so nothing runs and it passes", file, g.run, g.dir, g.tags)
		}
	}
}

// TestAGateThatGuardsNothingIsSeen: of the test above, with names that are not there.
func TestAGateThatGuardsNothingIsSeen(t *testing.T) {
	t.Parallel()
	found := gates(`
make test
go test -count=1 -run '$(RUN)' ./e2e/...
	cd e2e/workspace && X=1 go test -timeout 40m -run TestGone
	go test -tags dependency,other -run '^TestEveryGateGuardsSomething$/sub' ./e2e/workspace ./e2e && A=b go test -count=1 ./e2e
	go test -run Dependency ./e2e/workspace
	go test -tags dependency -run Dependency ./e2e/workspace
`)
	require.Equal(t, []gate{
		{dir: "e2e/workspace", run: "TestGone"},
		{dir: "e2e/workspace", tags: []string{"dependency", "other"}, run: "^TestEveryGateGuardsSomething$/sub"},
		{dir: "e2e", tags: []string{"dependency", "other"}, run: "^TestEveryGateGuardsSomething$/sub"},
		{dir: "e2e/workspace", run: "Dependency"},
		{dir: "e2e/workspace", tags: []string{"dependency"}, run: "Dependency"},
	}, found)
	require.Empty(t, found[0].guards(t), "no such test")
	require.Equal(t, []string{"TestEveryGateGuardsSomething"}, found[1].guards(t))
	require.Empty(t, found[2].guards(t), "it is in another package")
	require.Empty(t, found[3].guards(t), "it is not built without its tag")
	require.NotEmpty(t, found[4].guards(t))
}

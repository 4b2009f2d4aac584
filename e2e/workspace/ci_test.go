package workspace_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

const workflow = ".github/workflows/ci.yml"

// TestTheWorkflowRunsWhatCIRuns: the hosted CI has a job for every stage of .ci/run.
func TestTheWorkflowRunsWhatCIRuns(t *testing.T) {
	t.Parallel()
	hosted, setup := read(t, workflow), read(t, ".github/actions/setup/action.yml")
	targets := regexp.MustCompile(`(?m)^(?:[A-Z_]+=\S+ )*make ([a-z]+)`).FindAllStringSubmatch(read(t, ".ci/run"), -1)
	require.Greater(t, len(targets), 6)
	for _, m := range targets {
		job := regexp.MustCompile(`(?m)run: make ` + m[1] + `( |$)`)
		require.True(t, job.MatchString(hosted) || job.MatchString(setup), "%s runs make %s in no job", workflow, m[1])
	}
	require.Equal(t, strings.Count(hosted, "actions/checkout@"), strings.Count(hosted, "./.github/actions/evidence"), "each job keeps the evidence when it fails")
}

// TestVersionsInTheWorkflowAgree: Go's version is the workspace's, each action has one version, and tools that are run
// at a version are named once, in the Makefile.
func TestVersionsInTheWorkflowAgree(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root(t), ".github", "*", "*", "action.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := read(t, workflow)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all += string(text)
	}
	require.Contains(t, all, "go-version-file: go.work")
	require.NotContains(t, all, "go-version:")
	require.NotContains(t, all, "go run ", "a target of the Makefile has its version in one place")

	first := map[string]string{}
	for _, m := range regexp.MustCompile(`uses: ([\w-]+/[\w-]+)@(\S+)`).FindAllStringSubmatch(all, -1) {
		if v, ok := first[m[1]]; ok {
			require.Equal(t, v, m[2], "versions of %s", m[1])
		}
		first[m[1]] = m[2]
		require.Regexp(t, `^v[0-9]`, m[2], "%s is not pinned", m[1])
	}
	for _, tool := range []string{"STATICCHECK", "ACTIONLINT"} {
		require.Regexp(t, `(?m)^`+tool+` +:= v[0-9]+\.[0-9]+\.[0-9]+$`, read(t, "Makefile"))
	}
}

// TestTheDockerfileBuildsWithTheWorkspacesGo: the app's image is built with the Go that the modules ask for.
func TestTheDockerfileBuildsWithTheWorkspacesGo(t *testing.T) {
	t.Parallel()
	work, err := modfile.ParseWork("go.work", []byte(read(t, "go.work")), nil)
	require.NoError(t, err)
	major, minor, _ := strings.Cut(work.Go.Version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	require.Contains(t, read(t, "docker/app.Dockerfile"), "FROM golang:"+major+"."+minor+" AS build")
}

package workspace_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The commands with which README.md begins, and those of a reviewer, print what the documents show. They run in a copy of
// this repository.
func TestReadme_CommandsPrintWhatItShows(t *testing.T) {
	t.Parallel()
	builtHarness(t) // in the copy
	r := &reader{T: t, dir: copied.dir, env: []string{
		"GOWORK=", "GOFLAGS=" + goFlags,
		"MAKEFLAGS=", "MAKELEVEL=", // make may have started this test,
		"HARNESS_BACKENDS=",                       // on backends that a newcomer does not have
		"HARNESS_PAGE=off",                        // it takes minutes
		"DOCKER_HOST=unix:///no/docker/here.sock", // the README promises that Docker is not needed
	}}

	dev, demo := documentedCommand(t, "README.md", "make dev"), documentedCommand(t, "README.md", "make demo")
	dev.line += " PORTS=free" // a stack may be running on the well-known ports
	r.startUp(dev)
	r.run(demo)
	r.run(command{line: "bin/harness down", output: "the stack is down after 41ms"})
	require.NoError(t, r.up.cmd.Wait(), "make dev")

	r.startUp(documentedCommand(t, "docs/report.md", "make review"))
	require.NoError(t, r.up.cmd.Process.Signal(syscall.SIGTERM)) // make passes it on, unlike an interrupt
	_ = r.up.cmd.Wait()                                          // make reports that it was terminated
	golden, err := r.shell("make golden").CombinedOutput()
	require.NoError(t, err, "%s", golden)
	changed, err := r.shell("diff -r fixtures/golden " + filepath.Join(root(t), "fixtures", "golden")).CombinedOutput()
	require.NoError(t, err, "make golden changes goldens although the app is unchanged:\n%s", changed)

}

// The finding with which README.md begins is that of docs/explore.md, whose commands a test runs.
func TestReadme_ShowsAFindingOfTheDocument(t *testing.T) {
	t.Parallel()
	shown := documentedCommand(t, "README.md", "harness explore --depth 1 --send event.json expectation.json -- node app.mjs")
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(shown.output)), "…", "(?s:.*)")
	require.Regexp(t, "^"+pattern+"$", strings.TrimSpace(documentedCommand(t, "docs/explore.md", shown.line).output))
}

// `make` alone prints every target with its purpose.
func TestMakefile_PrintsEveryTarget(t *testing.T) {
	t.Parallel()
	targets := makeTargets(t)
	require.LessOrEqual(t, len(targets), 16, "a target that only CI uses belongs into .ci/run")
	r := &reader{T: t, dir: root(t), env: []string{"MAKEFLAGS=", "MAKELEVEL="}}
	out, err := r.shell("make").Output()
	require.NoError(t, err)
	for _, name := range targets {
		require.Regexp(t, `(?m)^  make `+name+` +\S`, string(out))
	}
}

// makeTargets returns the targets of the Makefile, without help.
func makeTargets(t *testing.T) []string {
	t.Helper()
	phony := regexp.MustCompile(`(?m)^\.PHONY: help (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	require.NotNil(t, phony)
	return strings.Fields(phony[1])
}

// scripts/test.sh ends with the lines that README.md shows, and with the exit status of the tests, when they fail, too.
func TestMakeTest_EndsAsTheReadmeShows(t *testing.T) {
	t.Parallel()
	shown := strings.TrimSpace(strings.TrimPrefix(documentedCommand(t, "README.md", "make test").output, "…"))
	var records strings.Builder // of the file HARNESS_RAN: backend, database and package
	for _, m := range regexp.MustCompile(`(?m)^ran on ([^,]+), ([^:]+): (.*)$`).FindAllStringSubmatch(shown, -1) {
		for p := range strings.SplitSeq(m[3], ", ") {
			records.WriteString(m[1] + "\t" + m[2] + "\t" + modulePrefix + p + "\n")
		}
	}
	require.NotEmpty(t, records.String(), "README.md names no backend")
	bin := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755))
	}
	write("records", records.String())
	write("go", `#!/bin/sh
[ "$1" = list ] && exit
cat "$(dirname "$0")/records" >>"$HARNESS_RAN"
case $* in *faults) ;; *) exit 1 ;; esac
for p in app:0.511 harness/stack:12.5 app/config:2.5 e2e:101.2 harness/tap:3.4 harness/judge:1.1; do
	printf 'ok  \t`+modulePrefix+`%s\t%ss\n' "${p%:*}" "${p#*:}"
done
printf '?   \t`+modulePrefix+`app/cmd/app\t[no test files]\n--- FAIL: TestX (300.00s)\nFAIL\t`+modulePrefix+`harness\t7.000s\nFAIL\n'
exit 1
`)
	cmd := exec.CommandContext(t.Context(), "sh", "scripts/test.sh", ".")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "HARNESS_BACKENDS=", "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out, err := cmd.Output()
	require.EqualError(t, err, "exit status 1")
	printed, lines, _ := strings.Cut(string(out), "\nran on ")
	require.Regexp(t, `\nFAIL\n\ntook \d+ min \d+ s\nslowest: e2e 101[.]2 s, harness/stack 12[.]5 s, harness 7[.]0 s, harness/tap 3[.]4 s, app/config 2[.]5 s$`, printed)
	_, want, _ := strings.Cut(shown, "ran on ")
	require.Equal(t, want, strings.TrimSpace(lines))
}

// documentedCommand returns a command of a document with the output that the document shows.
func documentedCommand(t *testing.T, doc, line string) command {
	t.Helper()
	for _, b := range blocks(doc, read(t, doc)) {
		for _, c := range consoleOf(b) {
			if c.line == line {
				return c
			}
		}
	}
	t.Fatalf("%s does not show %s", doc, line)
	return command{}
}

// copyRepository copies the files that a clone of this repository has, so that nothing here, such as a running
// `make dev`, interferes.
func copyRepository(t *testing.T, to string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root(t)
	out, err := list.Output()
	require.NoError(t, err)
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(root(t), path))
		if os.IsNotExist(err) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		require.NoError(t, err)
		data, err := os.ReadFile(filepath.Join(root(t), path))
		require.NoError(t, err)
		file := filepath.Join(to, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), fs.ModePerm))
		require.NoError(t, os.WriteFile(file, data, info.Mode().Perm()))
	}
}

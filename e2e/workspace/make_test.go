package workspace_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheFirstScreenOfTheReadmeIsTrue types the commands with which README.md begins, and those of a reviewer, in a copy
// of this repository, and compares what they print with what the documents say they do.
func TestTheFirstScreenOfTheReadmeIsTrue(t *testing.T) {
	t.Parallel()
	r := &reader{T: t, dir: copyRepository(t), env: []string{
		"GOWORK=", "GOFLAGS=",
		"MAKEFLAGS=", "MAKELEVEL=", // this test may itself be run by make
		"HARNESS_BACKENDS=", "HARNESS_BACKEND=", // and on backends that a newcomer does not have
		"DOCKER_HOST=unix:///no/docker/here.sock", // the README promises that none is needed
	}}

	dev, demo := documentedCommand(t, "README.md", "make dev"), documentedCommand(t, "README.md", "make demo")
	dev.line += " PORTS=free" // the reader of this test may have a stack of their own on the known ones
	r.startUp(dev)
	r.run(demo)
	r.run(command{line: "bin/harness down", output: "the stack is down after 41ms"})
	require.NoError(t, r.up.cmd.Wait(), "make dev")

	r.startUp(documentedCommand(t, "docs/report.md", "make review"))
	require.NoError(t, r.up.cmd.Process.Signal(syscall.SIGTERM)) // which make hands on, as it does not with an interrupt
	_ = r.up.cmd.Wait()                                          // make says that it was terminated
	golden, err := r.shell("make golden").CombinedOutput()
	require.NoError(t, err, "%s", golden)
	changed, err := r.shell("diff -r fixtures/golden " + filepath.Join(root(t), "fixtures", "golden")).CombinedOutput()
	require.NoError(t, err, "make golden changes what nobody has changed:\n%s", changed)

	out, err := r.shell("make").Output()
	require.NoError(t, err)
	require.True(t, bytes.Contains(out, []byte("make dev ")) && bytes.Contains(out, []byte("make e2e ")), "make alone prints the targets:\n%s", out)
}

// documentedCommand returns a command of a document with what that says that it prints.
func documentedCommand(t *testing.T, doc, line string) command {
	t.Helper()
	for _, b := range blocks(doc, read(t, doc)) {
		for _, c := range consoleOf(b) {
			if c.line == line {
				return c
			}
		}
	}
	t.Fatalf("%s does not say %s", doc, line)
	return command{}
}

// copyRepository copies what a clone of this repository would have, so that nothing here, a `make dev` of the reader's
// least of all, is in the way.
func copyRepository(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root(t)
	out, err := list.Output()
	require.NoError(t, err)
	to, err := filepath.EvalSymlinks(t.TempDir())
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
	return to
}

package workspace_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ran are the records that test programs leave, as HARNESS_RAN has them.
func ran(lines ...string) string {
	var text strings.Builder
	for _, line := range lines {
		backend, rest, _ := strings.Cut(line, "|")
		database, pkg, _ := strings.Cut(rest, "|")
		text.WriteString(backend + "\t" + database + "\t" + modulePrefix + pkg + "\n")
	}
	return text.String()
}

const standIn = "FerretDB v1.24.2 (stand-in)"

// testScript runs scripts/test.sh with this environment.
func testScript(t *testing.T, env []string, args ...string) (out string, err error) {
	t.Helper()
	require.NotEqual(t, "windows", runtime.GOOS, "it is a shell script")
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"scripts/test.sh"}, args...)...)
	cmd.Dir = root(t)
	cmd.Env = append(append(os.Environ(), "HARNESS_BACKENDS=", "HARNESS_BACKEND="), env...)
	data, err := cmd.Output()
	return string(data), err
}

const (
	noContainers = "not run on containers, which need Docker, since HARNESS_BACKENDS does not name it: HARNESS_BACKENDS=local,containers make test\n"
	noMongoDB    = "not run on MongoDB itself: set MONGOD_BIN, or run on containers with the official image\n"
)

// TestTheLastLinesOfMakeTest: they come from what ran, not from what was asked for.
func TestTheLastLinesOfMakeTest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ran  string
		env  []string
		want string
	}{
		"processes": {
			ran:  ran("local|"+standIn+"|e2e/faults", "local|"+standIn+"|e2e", "local|"+standIn+"|e2e"),
			want: "ran on local, " + standIn + ": e2e, e2e/faults\n" + noContainers + noMongoDB,
		},
		"containers too": {
			ran:  ran("local|"+standIn+"|e2e", "containers|MongoDB 8.0.4|e2e"),
			env:  []string{"HARNESS_BACKENDS=local,containers"},
			want: "ran on containers, MongoDB 8.0.4: e2e\nran on local, " + standIn + ": e2e\n",
		},
		"containers that did not come up": {
			ran:  ran("local|MongoDB 8.0.4|e2e"),
			env:  []string{"HARNESS_BACKENDS=local,containers"},
			want: "ran on local, MongoDB 8.0.4: e2e\nnot run on containers, though HARNESS_BACKENDS names it: see above\n",
		},
		"attached": {
			ran:  ran("attach|" + standIn + "|e2e"),
			env:  []string{"HARNESS_BACKEND=attach"},
			want: "ran on attach, " + standIn + ": e2e\n" + noContainers + noMongoDB,
		},
		"nothing": {want: "no test ran on a stack\n" + noContainers + noMongoDB},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "ran")
			require.NoError(t, os.WriteFile(file, []byte(c.ran), 0o600))
			out, err := testScript(t, c.env, "-summary", file)
			require.NoError(t, err)
			rest, ok := strings.CutPrefix(out, "\n"+c.want)
			require.True(t, ok, "want:\n%s\ngot:\n%s", c.want, out)
			require.Regexp(t, `^not run: race detector [^\n]*\(make check\)[^\n]*\n$`, rest)
		})
	}
}

// TestMakeTestSumsUpAFailureToo: the last lines come after a failure as well, and the exit status stays that of the
// tests.
func TestMakeTestSumsUpAFailureToo(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	goCommand := "#!/bin/sh\ncase $1 in list) echo some/package; exit;; esac\nprintf 'local\\tMongoDB 8.0.4\\tsome/package\\n' >>\"$HARNESS_RAN\"\nexit 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte(goCommand), 0o755))
	out, err := testScript(t, []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH")}, ".")
	require.EqualError(t, err, "exit status 1")
	require.Regexp(t, `(?m)^took \d+ min \d+ s\nran on local, MongoDB 8\.0\.4: some/package$`, out)
}

// TestTheReadmeShowsTheLastLines: what README.md says that make test ends with is what it does end with.
func TestTheReadmeShowsTheLastLines(t *testing.T) {
	t.Parallel()
	shown := documentedCommand(t, "README.md", "make test").output
	var lines []string
	for line := range strings.Lines(shown) {
		where, packages, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "ran on ")), ": ")
		if !ok || !strings.HasPrefix(line, "ran on ") {
			continue
		}
		backend, database, _ := strings.Cut(where, ", ")
		for p := range strings.SplitSeq(packages, ", ") {
			lines = append(lines, backend+"|"+database+"|"+p)
		}
	}
	require.NotEmpty(t, lines, "README.md names no backend that ran")
	file := filepath.Join(t.TempDir(), "ran")
	require.NoError(t, os.WriteFile(file, []byte(ran(lines...)), 0o600))
	out, err := testScript(t, nil, "-summary", file)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(out), strings.TrimSpace(strings.TrimPrefix(shown, "…")))
}

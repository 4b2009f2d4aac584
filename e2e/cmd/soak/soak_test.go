package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	f := measure("busy", []round{
		{3 * time.Second, nil}, {time.Second, []string{"e2e.TestB", "e2e.TestA/local"}}, {2 * time.Second, []string{"e2e.TestB"}},
	})
	require.Equal(t, figure{
		Load: "busy", Rounds: 3, Failed: 2, Fastest: 1, Median: 2, Slowest: 3,
		Tests: map[string]int{"e2e.TestA/local": 1, "e2e.TestB": 2},
	}, f)
	var out bytes.Buffer
	require.NoError(t, print(&out, []figure{f}))
	require.Equal(t, `machine  rounds  failed  fastest  median  slowest
busy     3       2       1.0 s    2.0 s   3.0 s
failed in 1 of 3 busy rounds: e2e.TestA/local
failed in 2 of 3 busy rounds: e2e.TestB
`, out.String())
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		output string
		want   []string
	}{
		"subtests": {"--- FAIL: TestA (0.10s)\n    --- FAIL: TestA/local (0.09s)\n        x_test.go:1: no\n    --- PASS: TestA/other (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL\n",
			[]string{"e2e.TestA/local", "e2e.TestB"}},
		"time is over":   {"panic: test timed out after 10m0s\n\trunning tests:\n\t\tTestA (9m59s)\n\t\tTestA/local (9m59s)\n\ngoroutine 1 [running]:\n", []string{"e2e.TestA/local"}},
		"none in itself": {"PASS\ngoleak: Errors on successful test run\n", []string{"e2e"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, failures(c.output, "e2e"))
		})
	}
}

func TestSoaked(t *testing.T) {
	t.Parallel()
	for pkg, want := range map[string]bool{
		"x.test/e2e": true, "x.test/e2e/faults": true, "x.test/e2e/functions": true,
		"x.test/e2e/workspace": false, "x.test/e2e/cmd/soak": false,
	} {
		require.Equal(t, want, soaked(pkg), pkg)
	}
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	require.EqualError(t, run(t.Context(), options{rounds: 1, load: "heavy"}), `-load is "heavy": it must be idle, busy or both`)
	require.EqualError(t, run(t.Context(), options{load: "idle"}), "-n must be at least 1")
}

func TestRoundsThatFailAreCountedAndKept(t *testing.T) {
	if os.Getenv("SOAKED") == "1" { // the package that is soaked here is this one
		t.Fatal("as it should")
	}
	t.Setenv("SOAKED", "1")
	dir := t.TempDir()
	figures := filepath.Join(dir, "soak.json")
	err := run(t.Context(), options{
		rounds: 1, load: "both", loops: 1, only: "^TestRoundsThatFail", keep: dir, json: figures, packages: []string{"."},
	})
	require.EqualError(t, err, "some rounds failed: their output is in "+dir)
	for _, name := range []string{"idle-1.txt", "busy-1.txt"} {
		output, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Contains(t, string(output), "as it should")
	}
	data, err := os.ReadFile(figures)
	require.NoError(t, err)
	require.Contains(t, string(data), `"failed": 1`)
	require.Contains(t, string(data), `"soak.TestRoundsThatFailAreCountedAndKept": 1`)
}

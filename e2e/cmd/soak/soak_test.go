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
	f := measure("busy", []round{{3 * time.Second, false}, {time.Second, true}, {2 * time.Second, false}})
	require.Equal(t, figure{Load: "busy", Rounds: 3, Failed: 1, Fastest: 1, Median: 2, Slowest: 3}, f)
	var out bytes.Buffer
	require.NoError(t, print(&out, []figure{f}))
	require.Equal(t, "machine  rounds  failed  fastest  median  slowest\nbusy     3       1       1.0 s    2.0 s   3.0 s\n", out.String())
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
}

package main

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddLibraries_AddsWhatAProgramLoads(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("ldd lists the libraries on Linux")
	}
	i := image{files: map[string]string{}}
	require.NoError(t, i.addLibraries(t.Context(), "/bin/sh"))
	loader := false
	for path, file := range i.files {
		require.Equal(t, "/"+path, file)
		require.FileExists(t, file)
		loader = loader || strings.Contains(path, "/ld-")
	}
	require.True(t, loader, "the dynamic loader is missing: %v", i.files)

	static := t.TempDir() + "/static"
	require.NoError(t, os.WriteFile(static, []byte("no program"), 0o755))
	require.ErrorContains(t, i.addLibraries(t.Context(), static), "list the libraries")
}

func TestInstalled_RefusesAnotherProcessor(t *testing.T) {
	t.Parallel()
	_, err := installed(t.Context(), t.TempDir(), "riscv64")
	require.ErrorContains(t, err, "the Docker engine linux/riscv64; use the official images")
}

//go:build nodocker

package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// A command without Docker's client says so where that matters.
func TestCommand_SaysThatItHasNoDockerClient(t *testing.T) {
	t.Parallel()
	var printed bytes.Buffer
	world := discard()
	world.out, world.err = &printed, &printed
	run := func(args ...string) error {
		root := newRoot(world)
		root.SetArgs(args)
		return root.ExecuteContext(t.Context())
	}
	require.EqualError(t, run("up", "--backend", "containers", "--", "true"), noDocker+": start it with "+withDocker)
	require.NoError(t, run("version"))

	b, err := upOptions{backend: backendAuto}.chooseBackend(t.Context(), newPrinter(world))
	require.NoError(t, err)
	require.Equal(t, backendLocal, b.Name())
	require.Contains(t, printed.String(), "local, since "+noDocker+"; for containers: "+withDocker)
	require.Equal(t, noDocker, examineDocker(t.Context()).Found)
}

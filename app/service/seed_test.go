//go:build unix

package service

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeed_EndsAtAnInterruptWhileItReads(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "world.json")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0) // writes nothing
	require.NoError(t, err)
	defer writer.Close() // ends the reading that the command has left behind; one that begins later finds no file
	defer os.Remove(pipe)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	var said bytes.Buffer
	require.Equal(t, exitError, Command(ctx, []string{"seed", pipe}, &said, &said))
	require.Equal(t, "app: read "+pipe+": interrupted\n", said.String())
}

func TestReadWorld_SkipsAByteOrderMarkAndHasALimit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "world.json")
	require.NoError(t, os.WriteFile(file, []byte("\ufeff{}"), 0o600))
	_, err := readWorld(t.Context(), file)
	require.ErrorContains(t, err, `it holds no "users" and no "equipment"`, "it was read")
	_, err = readWorld(t.Context(), "/dev/zero")
	require.ErrorContains(t, err, "/dev/zero is not a world of users and equipment")
}

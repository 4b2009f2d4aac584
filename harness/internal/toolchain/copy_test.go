package toolchain

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCopyTree_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.MkdirAll(filepath.Join(from, "a"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(from, "a", "file"), []byte("text"), 0o444))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, copyTree(ctx, to, from), context.Canceled)
	require.NoFileExists(t, filepath.Join(to, "a", "file"))

	require.NoError(t, copyTree(t.Context(), to, from))
	require.NoError(t, os.WriteFile(filepath.Join(to, "a", "file"), []byte("other"), 0o644), "the copy can be written")
}

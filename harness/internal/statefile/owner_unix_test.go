//go:build unix

package statefile

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMine_ComparesOwnerWithUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, err := os.Lstat(dir)
	require.NoError(t, err)
	require.True(t, mine(own))
	foreign := "/" // of root
	if os.Getuid() == 0 {
		foreign = dir
		require.NoError(t, os.Chown(dir, 65534, 65534))
	}
	other, err := os.Lstat(foreign)
	require.NoError(t, err)
	require.False(t, mine(other))
}

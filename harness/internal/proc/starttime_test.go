package proc_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

func TestStartTime(t *testing.T) {
	t.Parallel()
	self, err := proc.StartTime(os.Getpid())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), self, time.Hour, "this test process started lately")
	again, err := proc.StartTime(os.Getpid())
	require.NoError(t, err)
	require.WithinDuration(t, self, again, 2*time.Second, "it stays the same, but for a clock that is set in between")
	parent, err := proc.StartTime(os.Getppid())
	require.NoError(t, err)
	require.False(t, parent.After(self), "a parent is no younger than its child")
}

func TestStartTime_NoSuchProcess(t *testing.T) {
	t.Parallel()
	_, err := proc.StartTime(1 << 30)
	require.Error(t, err)
}

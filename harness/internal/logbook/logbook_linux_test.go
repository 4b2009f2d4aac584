package logbook_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
)

func TestBook_SurvivesAFullDisk(t *testing.T) {
	t.Parallel()
	require.Error(t, logbook.New(logbook.Options{File: t.TempDir()}).Open())
	b := logbook.New(logbook.Options{File: "/dev/full"})
	require.NoError(t, b.Open())
	write(t, b, "line\n")
	require.EqualError(t, b.FileError(), "no space left on device")
	require.Equal(t, []string{"line"}, b.Tail())
	require.NoError(t, b.Close())
}

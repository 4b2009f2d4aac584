//go:build browser

package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A person judges what the pictures show.
func TestScreenshots_AreTaken(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(t.Context(), dir))
	for _, name := range []string{"mailhog-email.png", "dashboard.png", "dashboard-event.png", "inngest-run.png", "report.png"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		picture, err := png.Decode(bytes.NewReader(data))
		require.NoError(t, err)
		require.Equal(t, 1180, picture.Bounds().Dx(), name)
		require.Less(t, len(data), 300_000, "%s is too large for a page", name)
	}
}

//go:build unix && languages

package workspace_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test follows docs/javascript.md as TestTutorial_CommandsPrintWhatItShows follows the tutorial. It needs node and npm.
func TestJavaScriptDocument_CommandsPrintWhatItShows(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.packages = "examples/express-vitest/"
	r.env = append(r.env, "DOCKER_HOST=unix:///no/docker/here.sock") // it shows what a machine without Docker prints
	if _, err := os.Stat(filepath.Join(root(t), "harness", "js", "dist")); err != nil {
		build := r.shell("npm ci --ignore-scripts --prefer-offline --no-audit --no-fund && npm run build")
		build.Dir = filepath.Join(root(t), "harness", "js")
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	r.follow("docs/javascript.md")
}

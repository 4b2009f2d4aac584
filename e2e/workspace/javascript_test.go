//go:build unix && languages

package workspace_test

import "testing"

// The test follows docs/javascript.md as TestTutorial_CommandsPrintWhatItShows follows the tutorial. It needs node and npm, and the
// package in harness/js, built (scripts/js.sh).
func TestJavaScriptDocument_CommandsPrintWhatItShows(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.packages = "examples/express-vitest/"
	r.follow("docs/javascript.md")
}

//go:build unix && languages

package workspace_test

import "testing"

// The test follows docs/explore.md as TestTutorial_CommandsPrintWhatItShows follows the tutorial. It needs node and npm.
func TestExploreDocument_CommandsPrintWhatItShows(t *testing.T) {
	t.Parallel()
	newReader(t).follow("docs/explore.md")
}

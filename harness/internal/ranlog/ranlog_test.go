package ranlog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const here = "github.com/odoo-maintenance/inngest-harness/harness/internal/ranlog"

func TestNote(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ran")
	require.NoError(t, note(path, "local", "MongoDB 8.0.4"))
	require.NoError(t, note(path, "containers", "MongoDB 8.0.4"))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "local\tMongoDB 8.0.4\t"+here+"\ncontainers\tMongoDB 8.0.4\t"+here+"\n", string(text))

	require.NoError(t, note("", "local", "MongoDB 8.0.4"), "no file is named")
	require.ErrorContains(t, note(filepath.Join(path, "below"), "local", ""), "note where the tests run, as HARNESS_RAN asks: ")
}

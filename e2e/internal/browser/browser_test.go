package browser_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
)

func TestOpen_WithoutABrowserNamesTheFix(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CHROMIUM_BIN", "")
	_, _, err := browser.Open(t.Context(), 800, 600)
	require.EqualError(t, err, "no Chromium in PATH: install it (Debian: apt-get install chromium), or name it in CHROMIUM_BIN")
}

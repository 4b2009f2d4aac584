package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

func TestMain(m *testing.M) { backendtest.Main(m) }

func TestBackend(t *testing.T) {
	backendtest.Run(t, func(testing.TB) harness.Backend { return local.New(local.Options{}) }, backendtest.Caps{
		Broken: func(tb testing.TB) harness.Backend {
			// It cannot be set for this backend alone; none is started beside it.
			tb.Setenv("INNGEST_BIN", brokenInngest(tb))
			return local.New(local.Options{})
		},
		Strike:    backendtest.StrikeProcess,
		Leftovers: backendtest.LeftProcesses,
	})
}

// brokenInngest is a program that knows its version and nothing else.
func brokenInngest(tb testing.TB) string {
	path := filepath.Join(tb.TempDir(), "inngest")
	script := "#!/bin/sh\ncase \"$1\" in version) echo v1.43.0-0123456;; *) echo 'cannot start' >&2; exit 3;; esac\n"
	require.NoError(tb, os.WriteFile(path, []byte(script), 0o755))
	return path
}

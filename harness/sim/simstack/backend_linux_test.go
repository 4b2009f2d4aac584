package simstack_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// logless is a backend whose Sim does not start: the place of its log is taken.
type logless struct{ harness.Backend }

func (b logless) Start(ctx context.Context, o harness.BackendOptions) (harness.Servers, error) {
	if err := os.MkdirAll(filepath.Join(o.Dir, "inngest.log"), 0o755); err != nil {
		return nil, err
	}
	return b.Backend.Start(ctx, o)
}

func TestBackend(t *testing.T) {
	backendtest.Run(t, func(testing.TB) harness.Backend { return simstack.New(local.New(local.Options{}), simstack.Options{}) }, backendtest.Caps{
		Broken: func(testing.TB) harness.Backend {
			return logless{simstack.New(local.New(local.Options{}), simstack.Options{})}
		},
		Crash:     backendtest.CrashProcess,
		Leftovers: backendtest.LeftProcesses,
	})
}

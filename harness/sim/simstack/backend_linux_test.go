package simstack_test

import (
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

func TestBackend(t *testing.T) {
	backendtest.Run(t, func(testing.TB) harness.Backend { return simstack.New(local.New(local.Options{}), simstack.Options{}) }, backendtest.Caps{
		Broken: func(testing.TB) harness.Backend {
			return simstack.New(local.New(local.Options{}), simstack.Options{Ignore: []sim.Feature{"gravity"}})
		},
		Crash:     backendtest.CrashProcess,
		Leftovers: backendtest.LeftProcesses,
	})
}

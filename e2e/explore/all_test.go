//go:build explore

package explore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// All pairs and, up to this number in all, triples.
func TestAll_InProcess(t *testing.T) {
	const schedules = 2000
	result := inProcess(t, 3, schedules)
	further := 0
	for _, c := range result.Further {
		further += c.Ran + c.Missed
	}
	require.GreaterOrEqual(t, further, schedules)
}

func TestAll_ServersAreKilled(t *testing.T) {
	asProgram(t, simstack.New(local.New(local.Options{}), simstack.Options{}), func(o *explore.Options) {
		o.Invariant = nil // what Inngest has lost is sent again after an hour
		o.Services = []harness.Service{harness.ServiceMailHog, harness.ServiceMongo, harness.ServiceInngest}
	})
}

func TestAll_OnTheServer(t *testing.T) {
	asProgram(t, local.New(local.Options{}), func(o *explore.Options) { o.RetryPause = 0 })
}

package explore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

func options(a planted.App) explore.Options {
	return explore.Options{Send: a.Send, Expect: a.Expect, Invariant: a.Invariant}
}

func TestExplore_FindsPlantedDefects(t *testing.T) {
	for _, a := range planted.Apps() {
		t.Run(a.Name, func(t *testing.T) {
			r, err := explore.Explore(t.Context(), explore.InProcess(a.Broken, simstack.WorkbenchOptions{}), options(a))
			require.NoError(t, err)
			t.Log(r.Summary())
			require.NotEmpty(t, r.Findings)
		})
		t.Run(a.Name+"/right", func(t *testing.T) {
			r, err := explore.Explore(t.Context(), explore.InProcess(a.Right, simstack.WorkbenchOptions{}), options(a))
			require.NoError(t, err)
			t.Log(r.Summary())
			require.Empty(t, r.Findings)
		})
	}
}

//go:build explore

package explore_test

import (
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

func TestAllPlanted_InProcess(t *testing.T) {
	for _, a := range planted.Apps() {
		t.Run(a.Name, func(t *testing.T) {
			requireRight(t, explore.InProcess(a.Right, simstack.WorkbenchOptions{}), plantedOptions(a), 300)
		})
	}
}

func TestAllPlanted_AsPrograms(t *testing.T) {
	broken, right := programs(t)
	for _, a := range planted.Apps() {
		t.Run(a.Name, func(t *testing.T) {
			requireFound(t, broken(a.Name), a.Name, plantedOptions(a))
			requireRight(t, right(a.Name), plantedOptions(a), 0)
		})
	}
}

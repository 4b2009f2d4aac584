package mailcheck

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestChecks_AreThoseOfTheHarness(t *testing.T) {
	t.Parallel()
	var listed []harness.Check
	for _, c := range harness.Checks() {
		listed = append(listed, c.Check)
	}
	require.ElementsMatch(t, listed, slices.Collect(maps.Keys(checks)))
}

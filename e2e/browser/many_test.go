//go:build browser

package browser_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

// TestDashboard_HoldsOnlyVisibleRows is why the board stays smooth with thousands of events; how smooth, and how soon
// it shows an email, `make bench` measures.
func TestDashboard_HoldsOnlyVisibleRows(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		events := make([]harness.Event, 500)
		for i := range events {
			events[i] = harness.Event{Name: "plant/measured", Data: map[string]any{"reading": i, "place": "Hall B, line 2"}}
		}
		_, err := d.Stack.Send(d.Context(), events...)
		require.NoError(t, err)
		d.openBoard()
		d.until(`order.length === 500`)
		shown := func() int { return eval[int](d, `document.querySelectorAll('#rows li').length`) }
		require.Less(t, shown(), 60)

		eval[bool](d, `scrollTo(0, document.documentElement.scrollHeight); true`)
		d.until(`document.querySelector('#rows li[aria-posinset="500"]') !== null`)
		require.Less(t, shown(), 60)
	})
}

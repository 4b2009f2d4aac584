package stackapi

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestGoldens_AreWrittenOnceByATest(t *testing.T) {
	t.Parallel()
	var g goldens
	test, other := TestName{"orders.test.js", "one"}, TestName{"orders.test.js", "other"}
	o := Goldens{Dir: t.TempDir(), Update: true}
	write := func(of *TestName, subject string) error {
		set, err := g.open(o, of, "")
		require.NoError(t, err)
		return set.Compare("confirmation", &harness.Message{Subject: subject})
	}
	require.NoError(t, write(&test, "Order 1"))
	require.ErrorContains(t, write(&test, "Order 2"), "two emails were compared with one golden while it was rewritten")
	require.NoError(t, write(&other, "Order 3"))
	require.NoError(t, write(nil, "Order 4"), "a question of no test is one of its own")
	require.NoError(t, write(nil, "Order 5"))
	g.forget(test)
	require.NoError(t, write(&test, "Order 6"), "the test runs again")
	require.ErrorContains(t, write(&other, "Order 7"), "two emails")

	o.Update = false
	require.ErrorContains(t, write(&test, "Order 7"), "differs from golden")
	require.Len(t, g.sets, 2, "what only compares is not kept")
}

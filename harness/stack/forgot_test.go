package stack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// A mail server that has ended has forgotten its emails: a verdict says so, and does not wait for them.
func TestJudge_SaysThatMailServerHasForgottenEmail(t *testing.T) {
	for _, catcher := range harness.MailCatchers() {
		t.Run(string(catcher), func(t *testing.T) {
			t.Parallel()
			st := startOnSim(t, stack.Options{MailCatcher: catcher})
			require.NoError(t, st.RunHandler(t.Context(), newShop))
			expected := harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}, Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
			ids, err := st.Send(t.Context(), ordered("shop/ordered", "kim@shop.test"))
			require.NoError(t, err)
			judge := func() *harness.Verdict {
				v, err := st.Judge(t.Context(), ids[0], expected, stack.JudgeOptions{})
				require.NoError(t, err)
				require.True(t, v.Trace.Quiet, v.Trace.Unquiet)
				return v
			}
			require.NoError(t, judge().Err())

			require.NoError(t, st.Start(t.Context(), harness.ServiceMailHog), "it is up")
			v := judge()
			require.NoError(t, v.Err())
			require.False(t, v.Trace.Deliveries[0].Forgotten)

			require.NoError(t, st.Restart(t.Context(), harness.ServiceMailHog))
			v = judge()
			require.Equal(t, harness.Broken, v.Outcome, "%s", v)
			require.Regexp(t, `the mail server accepted an email to kim@shop.test at .*\n +it has ended since, and no longer shows`, v.String())
		})
	}
}

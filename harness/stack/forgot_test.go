package stack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// A mail server that is started again has forgotten its emails: a verdict says so, and does not wait for them.
func TestJudge_SaysThatMailServerHasForgottenEmail(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.RunHandler(t.Context(), newShop))
	expected := harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}, Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
	ids, err := st.Send(t.Context(), ordered("shop/ordered", "kim@shop.test"))
	require.NoError(t, err)
	v, err := st.Judge(t.Context(), ids[0], expected, stack.JudgeOptions{})
	require.NoError(t, err)
	require.NoError(t, v.Err())

	require.NoError(t, st.Restart(t.Context(), harness.ServiceMailHog))
	v, err = st.Judge(t.Context(), ids[0], expected, stack.JudgeOptions{})
	require.NoError(t, err)
	require.True(t, v.Trace.Quiet, v.Trace.Unquiet)
	require.Equal(t, harness.Broken, v.Outcome, "%s", v)
	require.Regexp(t, `the mail server accepted an email to kim@shop.test at .*\n +it has been started again since, and no longer shows`, v.String())
}

package stack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestStack_ReportsServerThatEndsByItself(t *testing.T) {
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.Restart(t.Context(), harness.ServiceMailHog))
	select {
	case <-st.Done():
		t.Fatalf("a restart was reported as an end: %v", st.Err())
	default:
	}
	require.NoError(t, st.Err())

	backendtest.CrashProcess(t, st.Dir(), harness.ServiceMailHog)
	<-st.Done()
	var exit *stack.ExitError
	require.ErrorAs(t, st.Err(), &exit)
	require.Equal(t, "mailhog", exit.Name)
	require.ErrorContains(t, st.Err(), "was ended by a signal (killed)")
	require.ErrorContains(t, st.Err(), "whole log: ")
}

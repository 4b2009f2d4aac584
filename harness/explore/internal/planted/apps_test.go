package planted

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestApps_HoldWithoutFault(t *testing.T) {
	t.Parallel()
	for _, app := range Apps() {
		for which, handler := range map[string]stack.HandlerFunc{"broken": app.Broken, "right": app.Right} {
			t.Run(app.Name+"/"+which, func(t *testing.T) {
				t.Parallel()
				w, err := simstack.NewWorkbench(t.Context(), handler, simstack.WorkbenchOptions{})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })

				first, err := w.Sim().Send(t.Context(), app.Send[0])
				require.NoError(t, err)
				require.NoError(t, w.Sim().Settle(t.Context()))
				for _, e := range app.Send[1:] {
					_, err := w.Sim().Send(t.Context(), e)
					require.NoError(t, err)
				}
				v, err := w.Judge(t.Context(), first, app.Expect, judge.Options{})
				require.NoError(t, err)
				require.NoError(t, v.Err())
				require.True(t, v.Trace.Quiet, v.Trace.Unquiet)
				if app.Invariant != nil {
					require.NoError(t, app.Invariant(t.Context(), w.Env()))
				}
			})
		}
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for _, app := range Apps() {
		named, ok := Named(app.Name)
		require.True(t, ok)
		require.Equal(t, app.Defect, named.Defect, "two apps have the name %s", app.Name)
	}
	_, ok := Named("none")
	require.False(t, ok)
}

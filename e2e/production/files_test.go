//go:build !production

package production

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// start starts a server that keeps its state in files, on which every machine can run it. Database and mail server are those
// of a stack, whose own Inngest server, for development, is not used. With the tag production all of them are a stack's.
func start(ctx context.Context, t *testing.T) (*stack.Stack, *server) {
	t.Helper()
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(ctx))) })
	return st, startServer(t)
}

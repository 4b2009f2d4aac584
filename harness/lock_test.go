package harness_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// startPlain starts a stack without an app.
func startPlain(t *testing.T, o harness.Options) *harness.Stack {
	t.Helper()
	stack, err := harness.Start(t.Context(), local.New(local.Options{}), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stack.Close(context.WithoutCancel(t.Context()))) })
	return stack
}

func TestAStackAnswersWhileItsAppStartsAndClosesInTheMiddleOfIt(t *testing.T) {
	t.Parallel()
	stack := startPlain(t, harness.Options{})
	starting, starts := make(chan struct{}), 0
	require.NoError(t, stack.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) {
		if starts++; starts > 1 {
			close(starting)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return newShop(ctx, env)
	}))
	before, ok := stack.Env()
	require.True(t, ok)
	ids, err := stack.Send(t.Context(), harness.Event{Name: "shop/unheard-of"})
	require.NoError(t, err)

	require.NoError(t, stack.Stop(t.Context(), harness.App))
	restarted := make(chan error, 1)
	go func() { restarted <- stack.Run(t.Context(), harness.App) }()
	<-starting

	during, ok := stack.Env()
	require.True(t, ok)
	require.Equal(t, before, during, "what it was told when it last ran")
	require.Empty(t, stack.Tail(harness.App))
	require.NoError(t, stack.SyncError())
	_, err = stack.Trace(t.Context(), ids[0])
	require.NoError(t, err)
	v, err := stack.Judge(t.Context(), ids[0], harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}}, harness.JudgeOptions{Timeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, harness.Broken, v.Outcome)

	brief, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.EqualError(t, stack.Stop(brief, harness.App), "wait until the app has been started or ended by somebody else: context deadline exceeded")

	require.NoError(t, stack.Close(t.Context()))
	require.ErrorContains(t, <-restarted, "this stack is closed: start another")
	require.EqualError(t, stack.Run(t.Context(), harness.App), "this stack is closed: start another")
}

func TestWhyTheLastSyncFailed(t *testing.T) {
	t.Parallel()
	stack := startPlain(t, harness.Options{})
	require.NoError(t, stack.SyncError(), "there was none")
	err := stack.RunHandler(t.Context(), func(context.Context, harness.Env) (http.Handler, error) { return http.NotFoundHandler(), nil })
	require.Error(t, err)
	require.ErrorIs(t, err, stack.SyncError())
	require.EqualError(t, stack.Sync(t.Context()), "the stack runs no app: start one with RunHandler or RunCommand")

	require.NoError(t, stack.RunHandler(t.Context(), newShop), "there is room for another app")
	require.NoError(t, stack.SyncError())
}

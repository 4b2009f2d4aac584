package stack_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// onSim is the backend of tests that are about the stack and its app, and not about what Inngest does: sim starts at once.
var onSim = simstack.New(local.New(local.Options{}), simstack.Options{})

// startOnSim starts a stack without an app, on sim.
func startOnSim(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	return startOn(t, onSim, o)
}

// startPlain starts a stack without an app.
func startPlain(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	return startOn(t, local.New(local.Options{}), o)
}

func startOn(t *testing.T, b harness.Backend, o stack.Options) *stack.Stack {
	t.Helper()
	st, err := stack.Start(t.Context(), b, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(t.Context()))) })
	return st
}

func TestApp_UseDatabaseIsForTheNextIncarnations(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.RunHandler(t.Context(), newShop))
	database := func() string {
		env, _ := st.Env()
		u, err := url.Parse(env.MongoURI)
		require.NoError(t, err)
		return u.Path
	}
	require.Equal(t, "/app", database())
	st.App().UseDatabase("other")
	require.Equal(t, "/app", database())
	for range 2 {
		require.NoError(t, st.Restart(t.Context(), harness.ServiceApp))
		require.Equal(t, "/other", database())
	}
}

// The commonest mistake with a mailer: its answer is not awaited, so the run ends first, on sim at once.
func TestJudge_SeesAnEmailThatTheAppDoesNotAwait(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.RunHandler(t.Context(), newShop))
	for _, denial := range []harness.Expectation{
		{NoOtherMail: true}, {Mail: []harness.MailExpectation{{To: "kim@shop.test", Absent: true}}},
	} {
		ids, err := st.Send(t.Context(), ordered("shop/hurried", "kim@shop.test"))
		require.NoError(t, err)
		v, err := st.Judge(t.Context(), ids[0], denial, stack.JudgeOptions{})
		require.NoError(t, err)
		require.Equal(t, harness.Broken, v.Outcome, "%s", v)
	}
}

func TestStack_AnswersAndClosesWhileAppStarts(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	starting, starts := make(chan struct{}), 0
	require.NoError(t, st.RunHandler(t.Context(), func(ctx context.Context, env harness.Env) (http.Handler, error) {
		if starts++; starts > 1 {
			close(starting)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return newShop(ctx, env)
	}))
	before, ok := st.Env()
	require.True(t, ok)
	ids, err := st.Send(t.Context(), harness.Event{Name: "shop/unheard-of"})
	require.NoError(t, err)

	require.NoError(t, st.Stop(t.Context(), harness.ServiceApp))
	restarted := make(chan error, 1)
	go func() { restarted <- st.Start(t.Context(), harness.ServiceApp) }()
	<-starting

	during, ok := st.Env()
	require.True(t, ok)
	require.Equal(t, before, during, "that of the last incarnation")
	require.Empty(t, st.Tail(harness.ServiceApp))
	require.NoError(t, st.App().SyncError())
	_, err = st.Trace(t.Context(), ids[0])
	require.NoError(t, err)
	v, err := st.Judge(t.Context(), ids[0], harness.Expectation{Runs: []harness.RunExpectation{ran("confirm")}}, stack.JudgeOptions{Timeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, harness.Broken, v.Outcome)

	brief, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.EqualError(t, st.Stop(brief, harness.ServiceApp), "wait until another call has started or stopped the app: context deadline exceeded")

	require.NoError(t, st.Close(t.Context()))
	require.ErrorContains(t, <-restarted, "this stack is closed: start another")
	require.EqualError(t, st.Start(t.Context(), harness.ServiceApp), "this stack is closed: start another")
}

func TestSyncError(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	require.NoError(t, st.App().SyncError(), "there was none")
	err := st.RunHandler(t.Context(), func(context.Context, harness.Env) (http.Handler, error) { return http.NotFoundHandler(), nil })
	require.Error(t, err)
	require.ErrorIs(t, err, st.App().SyncError())
	require.EqualError(t, st.App().Sync(t.Context()), "the stack runs no app: start one with RunHandler or RunCommand")

	require.NoError(t, st.RunHandler(t.Context(), newShop), "there is room for another app")
	require.NoError(t, st.App().SyncError())
}

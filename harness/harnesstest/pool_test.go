package harnesstest

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestPool_KeepsStacksReadyAndClosesRest(t *testing.T) {
	t.Parallel()
	var dirs atomic.Pointer[string]
	p := newPool(1, func(ctx context.Context) (*stack.Stack, error) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			return nil, err
		}
		dirs.Store(&dir)
		st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{Dir: dir})
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return st, nil
	})
	first, err := p.lease(t.Context())
	require.NoError(t, err)
	second, err := p.lease(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first.Dir(), second.Dir())
	require.NoError(t, closeStack(first))
	require.NoError(t, closeStack(second))
	require.NoError(t, p.close())
	require.NoDirExists(t, *dirs.Load(), "the last one, which no test took, is removed too")
}

func TestPool_ReportsFailedStartToEveryTest(t *testing.T) {
	t.Parallel()
	p := newPool(1, func(context.Context) (*stack.Stack, error) { return nil, errors.New("no engine") })
	for range 3 {
		_, err := p.lease(t.Context())
		require.EqualError(t, err, "no engine\nthe one from the pool could not be used either: no engine")
	}
	require.NoError(t, p.close())
}

// plainPool is a pool of stacks without an app, of which some starts fail.
func plainPool(t *testing.T, fails func(start int32) error) (*pool, *atomic.Int32) {
	t.Helper()
	var starts atomic.Int32
	p := newPool(1, func(ctx context.Context) (*stack.Stack, error) {
		if err := fails(starts.Add(1)); err != nil {
			return nil, err
		}
		return stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	})
	t.Cleanup(func() { require.NoError(t, p.close()) })
	return p, &starts
}

func TestPool_RetriesFailedStart(t *testing.T) {
	t.Parallel()
	p, starts := plainPool(t, func(start int32) error {
		if start == 1 {
			return errors.New("no port")
		}
		return nil
	})
	st, err := p.lease(t.Context())
	require.NoError(t, err)
	require.NoError(t, closeStack(st))
	require.GreaterOrEqual(t, starts.Load(), int32(2))
}

func TestPool_LeasesNoEndedStack(t *testing.T) {
	t.Parallel()
	p, _ := plainPool(t, func(int32) error { return nil })
	waiting := <-p.ready
	require.NoError(t, waiting.err)
	require.NoError(t, usable(t.Context(), waiting.stack))
	require.NoError(t, waiting.stack.Kill(t.Context(), harness.ServiceMailHog))
	require.ErrorContains(t, usable(t.Context(), waiting.stack), "a stack that waited in the pool does not work any more")

	dead := &pool{start: p.start, ready: make(chan started, 1), waiting: make(chan struct{}, 1)}
	dead.ready <- waiting
	st, err := dead.lease(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, waiting.stack.Dir(), st.Dir())
	require.NoDirExists(t, waiting.stack.Dir(), "the dead one has been cleared away")
	require.NoError(t, closeStack(st))
}

func TestPool_StartsOwnStackWhenContended(t *testing.T) {
	t.Parallel()
	own := &stack.Stack{}
	p := &pool{ready: make(chan started), waiting: make(chan struct{}, 1), start: func(context.Context) (*stack.Stack, error) { return own, nil }}
	p.waiting <- struct{}{}
	st, err := p.lease(t.Context())
	require.NoError(t, err)
	require.Same(t, own, st)
	<-p.waiting
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.lease(ctx)
	require.ErrorIs(t, err, context.Canceled, "the first waits")
}

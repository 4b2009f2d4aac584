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
)

func TestThePoolKeepsStacksReadyAndEndsThoseThatNobodyTook(t *testing.T) {
	t.Parallel()
	var dirs atomic.Pointer[string]
	p := newPool(1, func(ctx context.Context) (*harness.Stack, error) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			return nil, err
		}
		dirs.Store(&dir)
		st, err := harness.Start(ctx, local.New(local.Options{}), harness.Options{Dir: dir})
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
	require.NoDirExists(t, *dirs.Load(), "the last one, which nobody took, is gone too")
}

func TestAPoolThatCannotStartSaysSoToEverybody(t *testing.T) {
	t.Parallel()
	p := newPool(1, func(context.Context) (*harness.Stack, error) { return nil, errors.New("no engine") })
	for range 3 {
		_, err := p.lease(t.Context())
		require.EqualError(t, err, "no engine")
	}
	require.NoError(t, p.close())
}

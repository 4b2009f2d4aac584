package app_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

// brokenStore fails every save with the same error.
type brokenStore struct {
	*storetest.Memory
	err   error
	saves int
}

func (b *brokenStore) SaveNotification(context.Context, string, app.Notification) error {
	b.saves++
	return b.err
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	requeue := func(n app.Notification) (app.Notification, bool) { return n.Requeue(t0, pace) }
	memory := storetest.NewMemory()
	stored := app.Request{ID: memory.NewID(), Notification: failed()}
	stored.Notification.Version = 1
	require.NoError(t, memory.CreateRequest(t.Context(), stored))

	t.Run("returns the error of the store", func(t *testing.T) {
		store := &brokenStore{Memory: memory, err: errors.New("disk full")}
		_, changed, err := app.Update(t.Context(), store, stored, requeue)
		require.EqualError(t, err, "save the notification of request "+stored.ID+": disk full")
		require.False(t, changed)
	})
	t.Run("stops after many conflicts", func(t *testing.T) {
		store := &brokenStore{Memory: memory, err: app.ErrConflict}
		_, _, err := app.Update(t.Context(), store, stored, requeue)
		require.ErrorIs(t, err, app.ErrConflict)
		require.ErrorContains(t, err, "stopped after 50 tries")
		require.Equal(t, 50, store.saves)
	})
	t.Run("applies the change to the stored state after a conflict", func(t *testing.T) {
		got, changed, err := app.Update(t.Context(), memory, stored, requeue)
		require.NoError(t, err)
		require.True(t, changed)
		require.EqualValues(t, 2, got.Notification.Version)

		// The request as it was read first is stale now, and what is stored cannot be requeued.
		got, changed, err = app.Update(t.Context(), memory, stored, requeue)
		require.NoError(t, err)
		require.False(t, changed)
		require.Equal(t, app.Pending, got.Notification.State)
	})
}

package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUntil_CallsOncePerInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		require.NoError(t, Until(t.Context(), time.Second, func(context.Context) error {
			if calls++; calls < 4 {
				return errors.New("not yet")
			}
			return nil
		}))
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestUntil_ReportsTheLastErrorAndTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		notYet := errors.New("port 1025 refuses")
		err := Until(ctx, time.Second, func(context.Context) error { return notYet })
		require.EqualError(t, err, "port 1025 refuses (after 1.5s: context deadline exceeded)")
		require.ErrorIs(t, err, notYet)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

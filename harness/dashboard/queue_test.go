package dashboard

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQueue_NewestEventFirst(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for _, id := range []string{"E1", "E3", "E2"} {
		q.news(id)
	}
	for _, want := range []string{"E3", "E2", "E1"} {
		id, err := q.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, id)
	}
}

func TestQueue_PausesGrowUntilNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.news("E1")
		pause := func() time.Duration {
			began := time.Now()
			id, err := q.next(t.Context())
			require.NoError(t, err)
			require.Equal(t, "E1", id)
			q.done("E1", true)
			return time.Since(began)
		}
		require.Zero(t, pause())
		require.Equal(t, firstPause, pause())
		require.Equal(t, 2*firstPause, pause())
		for range 12 {
			pause()
		}
		require.Equal(t, lastPause, pause())
		q.news("E1")
		require.Zero(t, pause())
		require.Equal(t, firstPause, pause())
	})
}

func TestQueue_NewsDuringATraceMakesAnotherDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.news("E1")
		_, err := q.next(t.Context())
		require.NoError(t, err)
		q.news("E1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = q.next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "no other goroutine takes what is being traced")
		q.done("E1", false)
		id, err := q.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, "E1", id)
		q.done("E1", false)
		require.Empty(t, q.jobs, "what is over is forgotten")
	})
}

package service

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestCalls_CloseWaitsForPendingCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c calls
		require.True(t, c.begin())
		over := c.close()
		require.False(t, c.begin(), "a call after the close")
		synctest.Wait()
		select {
		case <-over:
			require.Fail(t, "a call is pending")
		default:
		}
		c.pending.Done()
		<-over
	})
}

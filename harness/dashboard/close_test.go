package dashboard

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClose_DoesNotWaitForAFollowerThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	d := &Dashboard{}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.running.Go(func() { <-release }) // as one does that decodes a hostile email
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the time is over"))
	require.EqualError(t, d.Close(ctx), "close the dashboard: the time is over")
	close(release)
	require.NoError(t, d.Close(t.Context()))
}

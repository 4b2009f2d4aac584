package stackapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChanges_OutdateAppUntilItRunsWithThem(t *testing.T) {
	t.Parallel()
	s := &Server{}
	outdated := func(wait time.Duration) string { return s.changes.outdated(t.Context(), wait) }
	require.Empty(t, outdated(0))
	s.Starting()(errors.New("app exited with status 1"))
	require.Equal(t, "app exited with status 1", outdated(0), "the first start has failed")
	s.Starting()(nil)
	require.Empty(t, outdated(0))

	s.Changed("src/app.ts")
	require.Equal(t, "src/app.ts has changed, and the app is not up with it yet", outdated(0))
	started := s.Starting()
	s.Changed("src/mail.ts")
	started(nil)
	require.Equal(t, "src/mail.ts has changed, and the app is not up with it yet", outdated(0), "it changed after the start had begun")
	waited := make(chan string)
	go func() { waited <- s.changes.outdated(context.Background(), time.Minute) }()
	s.Starting()(errors.New("app exited with status 1"))
	require.Equal(t, "src/mail.ts has changed, and the app does not start with it: app exited with status 1", <-waited)
	s.changes.restarted(nil)
	require.Empty(t, outdated(0), "what kept it from starting is gone")
	s.changes.restarted(errors.New("app exited with status 2"))
	require.Contains(t, outdated(0), "app exited with status 2")

	s.Changed("src/mail.ts")
	s.changes.restarted(nil)
	require.Equal(t, "src/mail.ts has changed, and the app is not up with it yet", outdated(0), "the start with the change is still to come")
	s.Starting()(nil)
	require.Empty(t, outdated(0))
}

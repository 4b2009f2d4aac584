package simstack

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// startSim starts a Sim without any other server.
func startSim(t *testing.T) *servers {
	t.Helper()
	o := harness.BackendOptions{Dir: t.TempDir(), Services: []harness.Service{harness.ServiceInngest}}
	started, err := New(local.New(local.Options{}), Options{}).Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close(context.Background())) })
	return started.(*servers)
}

// TestServers_AreDescribedDuringARestart is for the race detector: a dashboard looks while a person restarts the server.
func TestServers_AreDescribedDuringARestart(t *testing.T) {
	t.Parallel()
	s := startSim(t)
	address := s.Endpoints().Inngest
	var wait sync.WaitGroup
	done := make(chan struct{})
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			assert.Equal(t, address, s.Endpoints().Inngest)
			assert.Equal(t, harness.ServiceInngest, s.Describe()[0].Service)
			assert.NotEmpty(t, s.Tail(harness.ServiceInngest))
		}
	})
	for range 20 {
		require.NoError(t, s.Stop(t.Context(), harness.ServiceInngest))
		require.NoError(t, s.Start(t.Context(), harness.ServiceInngest))
	}
	close(done)
	wait.Wait()
}

func TestServers_CloseEndsWhatIsStartedMeanwhile(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := startSim(t)
		ready := make(chan struct{})
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				<-ready
				for s.Start(t.Context(), harness.ServiceInngest) == nil {
				}
			})
		}
		close(ready)
		require.NoError(t, s.Close(t.Context()))
		wait.Wait()
		require.True(t, s.unit.current.Load().ended(), "it runs although its stack is closed")
	}
	s := startSim(t)
	require.NoError(t, s.Close(t.Context()))
	require.EqualError(t, s.Start(t.Context(), harness.ServiceInngest), "inngest cannot be started: its stack is closed")
}

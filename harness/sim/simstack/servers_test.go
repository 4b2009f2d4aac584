package simstack

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// bare is a backend, and its servers, without any program.
type bare struct{ harness.Servers }

func (bare) Name() string { return "bare" }

func (b bare) Start(context.Context, harness.BackendOptions) (harness.Servers, error) { return b, nil }

func (bare) Endpoints() harness.Endpoints   { return harness.Endpoints{} }
func (bare) Describe() []harness.ServerInfo { return nil }
func (bare) Close(context.Context) error    { return nil }

func startBare(t *testing.T) *servers {
	t.Helper()
	started, err := New(bare{}, Options{}).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close(context.Background())) })
	return started.(*servers)
}

// TestItIsDescribedWhileItRestarts is for the race detector: a dashboard asks while a person stops and runs the server.
func TestItIsDescribedWhileItRestarts(t *testing.T) {
	t.Parallel()
	s := startBare(t)
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
		require.NoError(t, s.Run(t.Context(), harness.ServiceInngest))
	}
	close(done)
	wait.Wait()
}

func TestNothingIsStartedThatNobodyStops(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := startBare(t)
		ready := make(chan struct{})
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				<-ready
				for s.Run(t.Context(), harness.ServiceInngest) == nil {
				}
			})
		}
		close(ready)
		require.NoError(t, s.Close(t.Context()))
		wait.Wait()
		s.mu.Lock()
		require.Nil(t, s.sim, "it runs although its stack is closed")
		s.mu.Unlock()
	}
	s := startBare(t)
	require.NoError(t, s.Close(t.Context()))
	require.EqualError(t, s.Run(t.Context(), harness.ServiceInngest), "inngest cannot be started: its stack is closed")
}

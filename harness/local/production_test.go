//go:build production

package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

var keys = harness.Keys{Event: "an-event-key", Signing: "0123456789abcdef"}

// TestProduction_KeepsInngestUpOverFaultsOfItsState kills Redis, PostgreSQL and Inngest in turn. Inngest exits when Redis
// is away, and comes back by itself; nothing that it has accepted is lost.
func TestProduction_KeepsInngestUpOverFaultsOfItsState(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	servers, err := local.New(local.Options{}).Start(ctx, harness.BackendOptions{
		Dir: t.TempDir(), Keys: keys, Services: []harness.Service{harness.ServiceInngest},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.WithoutCancel(ctx))) })
	var described []harness.Service
	for _, info := range servers.Describe() {
		described = append(described, info.Service)
		require.NotEmpty(t, info.Version, info.Service)
	}
	require.Equal(t, []harness.Service{harness.ServiceRedis, harness.ServicePostgres, harness.ServiceInngest}, described)
	ends := servers.Endpoints()
	require.Equal(t, keys, ends.Keys)

	api := inngestapi.New(ends.Inngest, inngestapi.Options{EventKey: keys.Event, SigningKey: keys.Signing})
	defer func() { _ = api.Close(ctx) }()
	// works waits until the server works and shows an event. What it accepts while its state is away it may lose.
	works := func() {
		require.NoError(t, servers.Start(ctx, harness.ServiceInngest))
		require.NoError(t, api.Ready(ctx))
	}
	wrong := inngestapi.New(ends.Inngest, inngestapi.Options{EventKey: "another"})
	_, err = wrong.Send(ctx, harness.Event{Name: "test/refused"})
	require.ErrorContains(t, err, "does not take this event key")
	works()
	ids, err := api.Send(ctx, harness.Event{Name: "test/kept"})
	require.NoError(t, err)
	eventually(ctx, t, func() error { _, err := api.Event(ctx, ids[0]); return err })

	for _, service := range described {
		require.NoError(t, servers.Kill(ctx, service))
		if service == harness.ServiceRedis {
			// Inngest exits, and its restarts fail.
			eventually(ctx, t, func() error {
				resp, err := http.Get(ends.Inngest + "/health")
				if err != nil {
					return nil
				}
				_ = resp.Body.Close()
				return errStillThere
			})
		}
		require.NoError(t, servers.Start(ctx, service))
		works()
		_, err = api.Event(ctx, ids[0])
		require.NoError(t, err, "after %s was killed", service)
	}
	select {
	case <-servers.Done():
		require.NoError(t, servers.Err(), "an exit that the restart policy answers is none of a server that is missing")
	default:
	}
	require.NoError(t, servers.Pause(ctx, harness.ServicePostgres))
	require.NoError(t, servers.Resume(ctx, harness.ServicePostgres))
	text, err := json.Marshal(servers.Describe())
	require.NoError(t, err)
	require.NotContains(t, string(text), keys.Signing)
}

var errStillThere = errors.New("it still answers")

// eventually calls f until it returns nil. It fails with the last error when ctx ends.
func eventually(ctx context.Context, t *testing.T, f func() error) {
	t.Helper()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, errors.Join(err, context.Cause(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

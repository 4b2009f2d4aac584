package mongostore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]mongostore.Location{
		"mongodb://127.0.0.1:27017/plant":        {Hosts: "127.0.0.1:27017", Database: "plant", Loopback: true},
		"mongodb://localhost":                    {Hosts: "localhost", Database: "maintenance", Loopback: true},
		"mongodb://[::1]:1/?directConnection=1x": {},
		"mongodb://[::1]:27018/x":                {Hosts: "[::1]:27018", Database: "x", Loopback: true},
		"mongodb://u:p%40@db.plant.test/x":       {Hosts: "db.plant.test", Database: "x"},
		"mongodb://127.0.0.1,db.plant.test/x":    {Hosts: "127.0.0.1,db.plant.test", Database: "x"},
		"mongodb+srv://u:p@localhost/x":          {Hosts: "localhost", Database: "x"},
		"postgres://localhost/x":                 {},
		"mongodb://u:secret@/x":                  {},
	} {
		got, err := mongostore.Parse(uri)
		if want == (mongostore.Location{}) {
			require.Error(t, err, uri)
			require.NotContains(t, err.Error(), "secret")
			continue
		}
		require.NoError(t, err, uri)
		require.Equal(t, want, got, uri)
	}
}

func TestOpen_NamesRemedyIfDatabaseDoesNotAnswer(t *testing.T) {
	t.Parallel()
	_, err := mongostore.Open(t.Context(), "mongodb://kim:secret@127.0.0.1:1/plant?connectTimeoutMS=100&serverSelectionTimeoutMS=100")
	require.ErrorContains(t, err, "database plant at 127.0.0.1:1 does not answer (is it running, and MONGODB_URI right?)")
	require.ErrorIs(t, err, app.ErrUnavailable)
	require.NotContains(t, err.Error(), "secret")
}

// An API call that waits for an unreachable database longer than its client does is of no use: the driver's default is 30 s.
func TestOpen_WaitsSecondsForUnreachableServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := mongostore.Open(ctx, "mongodb://127.0.0.1:1/plant")
	require.ErrorIs(t, err, app.ErrUnavailable)
	require.NoError(t, ctx.Err(), "the driver's own limit ended it")
}

//go:build database

package mongostore_test

import (
	"context"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

// TestConformance needs a database: go test -tags database ./mongostore with TEST_MONGODB_URI. The end-to-end tests
// run the same suite on every backend's database.
func TestConformance(t *testing.T) {
	t.Parallel()
	base, err := url.Parse(os.Getenv("TEST_MONGODB_URI"))
	require.NoError(t, err)
	require.NotEmpty(t, base.Host, "set TEST_MONGODB_URI, for instance to mongodb://127.0.0.1:27017")

	storetest.Run(t, func(t testing.TB) app.Store {
		uri := *base
		uri.Path = "/storetest_" + bson.NewObjectID().Hex()
		t.Cleanup(func() { drop(t, uri) })
		store, err := mongostore.Open(t.Context(), uri.String())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(t.Context()))) })
		return store
	})
}

func drop(t testing.TB, uri url.URL) {
	client, err := mongo.Connect(options.Client().ApplyURI(uri.String()))
	require.NoError(t, err)
	ctx := context.WithoutCancel(t.Context()) // t.Context is cancelled before cleanups run
	require.NoError(t, client.Database(uri.Path[1:]).Drop(ctx))
	require.NoError(t, client.Disconnect(ctx))
}

// Every start of the app opens the store, and several instances do at once.
func TestOpen_Again(t *testing.T) {
	t.Parallel()
	base, err := url.Parse(os.Getenv("TEST_MONGODB_URI"))
	require.NoError(t, err)
	base.Path = "/storetest_" + bson.NewObjectID().Hex()
	t.Cleanup(func() { drop(t, *base) })
	for range 2 {
		store, err := mongostore.Open(t.Context(), base.String())
		require.NoError(t, err)
		require.NoError(t, store.Close(t.Context()))
	}
}

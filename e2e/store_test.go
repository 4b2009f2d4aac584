package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

// The app's store keeps its promises on the database of this backend, also atomicity, which FerretDB lacks by itself.
func TestStore_OnThisDatabase(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		base, err := url.Parse(t.Env().MongoURI)
		require.NoError(t, err)
		var n atomic.Int32
		storetest.Run(t.T, func(tb testing.TB) app.Store {
			uri := *base
			uri.Path = fmt.Sprintf("/%s_%d", t.Salt(), n.Add(1)) // a database of its own
			store, err := mongostore.Open(tb.Context(), uri.String())
			require.NoError(tb, err)
			tb.Cleanup(func() { require.NoError(tb, store.Close(context.WithoutCancel(tb.Context()))) })
			return store
		})
	})
}

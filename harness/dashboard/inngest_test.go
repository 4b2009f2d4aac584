package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestDashboard_LinksRunsToInngestsPages(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		id := t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": t.Salt() + "@plant.test"}})
		r := open(t, dashboard.Options{})
		run := r.follow(func(l line) bool { return l.ID == id && l.State == "completed" }).Runs[0].ID
		link := func(inngest string) string { return fmt.Sprintf(`<a href="%s/run?runID=%s"`, inngest, run) }

		// The server here: built from source, unless the reader of this test has a release.
		ends := t.Stack.Endpoints()
		i := slices.IndexFunc(t.Stack.Describe(), func(s harness.ServerInfo) bool { return s.Service == harness.ServiceInngest })
		require.Equal(t, endpoint.HasPage(t.Context(), ends.Inngest), t.Stack.Describe()[i].HasUI)
		if t.Stack.Describe()[i].HasUI {
			require.Contains(t, r.get("/event/"+id).body, link(ends.Inngest))
		} else {
			require.NotContains(t, r.get("/event/"+id).body, "/run?runID=")
		}

		// The same server, with a page.
		to, err := url.Parse(ends.Inngest)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(to)
		paged := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				_, _ = fmt.Fprint(w, "<title>Inngest</title>")
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(paged.Close)
		ends.Inngest = paged.URL
		attached, err := stack.Start(t.Context(), attach.New(attach.Options{Endpoints: ends}), stack.Options{Dir: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, attached.Close(context.WithoutCancel(t.Context()))) })
		board, err := dashboard.New(attached, dashboard.Options{})
		require.NoError(t, err)
		server := httptest.NewServer(board)
		t.Cleanup(func() { require.NoError(t, board.Close(context.Background())); server.Close() })
		require.Contains(t, (&reader{t, server.URL}).get("/event/"+id).body, link(paged.URL))
	})
}

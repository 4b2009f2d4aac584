package inngestapi_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// BenchmarkQuestions is what each question costs on a server with some history.
func BenchmarkQuestions(b *testing.B) {
	api := newClient(b, server.URL)
	a := newApp(b, "bench", server.URL+"/fn/register", true)
	a.function("three", 0, func(ctx context.Context, in input) (any, error) {
		for _, id := range []string{"one", "two", "three"} {
			if _, err := run(ctx, id, func() (any, error) { return id, nil }); err != nil {
				return nil, err
			}
		}
		return "done", nil
	})
	a.synced(api)
	events := make([]harness.Event, 300)
	for i := range events {
		events[i].Name = a.event("three")
	}
	ids, err := api.Send(limit(b), events...)
	require.NoError(b, err)
	for _, id := range ids {
		eventually(b, "the history", func() bool {
			runs, err := api.EventRuns(b.Context(), id)
			return err == nil && len(runs) == 1 && runs[0].Status.Final()
		})
	}
	r := a.ended(api, a.start(api, "three"))

	for name, ask := range map[string]func() error{
		"Functions": func() error { _, err := api.Functions(b.Context()); return err },
		"Event":     func() error { _, err := api.Event(b.Context(), r.EventIDs[0]); return err },
		"EventRuns": func() error { _, err := api.EventRuns(b.Context(), r.EventIDs[0]); return err },
		"Run":       func() error { _, err := api.Run(b.Context(), r.ID); return err },
		"Trace":     func() error { _, err := api.Trace(b.Context(), r.ID); return err },
		"Ready":     func() error { return api.Ready(b.Context()) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, ask())
			}
		})
	}
}

// Package inngestapi is a client of an Inngest server's API, as far as a harness needs it: sync an app, send events,
// see what became of them.
//
//	api := inngestapi.New("http://127.0.0.1:8288", inngestapi.Options{})
//	err := api.Sync(ctx, inngestapi.App{URL: "http://127.0.0.1:3000/api/inngest"})
//	ids, err := api.Send(ctx, inngestapi.Event{Name: "user/created", Data: data})
//	runs, err := api.EventRuns(ctx, ids[0])
//	steps, err := api.Steps(ctx, runs[0].ID)
//
// It is written for server v1.43.0 and takes each fact from the place that tells it right: the runs of an event and
// the status of a run from GraphQL at /v0/gql, since /api/v2/runs/{id} calls a run FAILED while it waits for its next
// attempt, and /v1 answers from a cache of up to 15 s; steps from /api/v2/runs/{id}/trace. A run's final status shows
// up to 100 ms after its end.
//
// What a question costs the server grows with its history: after 6,000 runs EventRuns takes about 20 ms, Run 2 ms and
// Steps 7 ms. Ask when there is a reason to, not in a tight loop.
package inngestapi

// Package inngestapi is a client of an Inngest server's API, as far as a harness needs it: sync an app, send events,
// see what became of them.
//
//	api := inngestapi.New("http://127.0.0.1:8288", inngestapi.Options{})
//	err := api.Ready(ctx) // after a start, when the server answers and still loses events
//	functions, err := api.Sync(ctx, inngestapi.App{URL: "http://127.0.0.1:3000/api/inngest"})
//	ids, err := api.Send(ctx, harness.Event{Name: "user/created", Data: data})
//	runs, err := api.EventRuns(ctx, ids[0])
//	trace, err := api.Trace(ctx, runs[0].ID)
//
// It is written for server v1.43.0 and takes each fact from the place that tells it right. Events and runs come from
// GraphQL at /v0/gql, as the server's own page has them: /api/v2 calls a run FAILED while it waits for its next attempt,
// knows no SKIPPED, wraps outputs, and takes ever longer for the runs of an event; /v1 answers from a cache of up to 15 s.
// The steps of a run come from /api/v2/runs/{id}/trace, which has the same spans as GraphQL in a tenth of the time.
//
// A server without GraphQL is read from /v1 and /v2: see [Client.ReadsREST] and [ErrNotShown].
//
// What was sent, started or ended shows a little later: an event and its runs within 300 ms (the server's queue
// polls), an end and the last spans up to 100 ms after it.
//
// Event takes the server 20 ms (GraphQL gathers events for 16 ms), EventRuns that and a Run for each, Run 1 ms, or 2 of one that has
// just ended, and Trace 2 to 7 ms, more with thousands of runs behind it. Ask when there is a reason to, not in a tight loop: the
// server has the app to call. A client asks four questions at a time; others wait.
package inngestapi

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/connect"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// connectScenarios are functions of an app that connects.
var connectScenarios = []struct {
	name  string
	build func(p *play)
}{
	{"steps", func(p *play) { p.on("go", opts{ID: "f"}, steps("a", "b")) }},
	{"sleep", func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) {
			step.Sleep(c, "nap", time.Second)
			return in.Event.Data["n"], nil
		})
	}},
	{"step-recovers", func(p *play) {
		try := flaky(1)
		p.on("go", opts{ID: "f", Retries: retries(2)}, func(c ctx, in input) (any, error) { return step.Run(c, "a", try) })
	}},
	{"function-fails", func(p *play) {
		p.on("go", opts{ID: "f", Retries: retries(1)}, func(c ctx, in input) (any, error) { return nil, errors.New("always") })
	}},
	{"function-no-retry", func(p *play) {
		p.on("go", opts{ID: "f"}, func(c ctx, in input) (any, error) { return nil, inngestgo.NoRetryError(errors.New("never")) })
	}},
}

// TestConformance_Connect has a worker that connects to both servers.
func TestConformance_Connect(t *testing.T) {
	t.Parallel()
	for _, sc := range connectScenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			takeSlot(t)
			onSim := work(t, "connect-"+sc.name, sc.build, newSimWorld, nil)
			onServer := recorded(t, onSim, func() account { return work(t, "connect-"+sc.name, sc.build, newRealWorld, &onSim) })
			require.Empty(t, cmp.Diff(onServer, onSim, asJSON), "the real server (-) and sim (+) differ")
		})
	}
}

// work runs a worker of an app until a run of its is over. wanted is the account of the other server.
func work(t testing.TB, app string, build func(p *play), newWorld func(testing.TB) world, wanted *account) account {
	p := &play{t: t, app: app, began: time.Now()}
	p.w = newWorld(t)
	p.connect(nil)
	build(p)
	stop := startWorker(t, p.client, "worker-1")
	defer stop()
	require.Eventually(t, func() bool { // the worker knows that it is connected before the server does
		workers, err := p.w.client().Workers(t.Context(), time.Unix(0, 0))
		return err == nil && slices.ContainsFunc(workers, func(w inngestapi.Worker) bool { return w.App == app })
	}, patience, 20*time.Millisecond, "the worker in the server's list")
	id := p.sendID("go", "", data{"n": 1})
	if w, ok := p.w.(*simWorld); ok {
		w.finish(nil, 0, 0)
	}
	var run inngestapi.Run
	require.Eventually(t, func() bool {
		runs, err := p.w.client().EventRuns(t.Context(), id)
		if err != nil || len(runs) == 0 {
			return false
		}
		run = runs[0]
		return run.Status.Final()
	}, patience, 100*time.Millisecond, "the end of a run")
	rec := newRecorder(nil, p.w, 0)
	rec.adopt(run.ID, "f")
	read := func() account {
		a := rec.account(func(id string) runAccount { return readRun(t, p.w.client(), id) }, false)
		listed, err := p.w.client().Events(t.Context(), inngestapi.EventFilter{Since: p.began, Internal: true})
		require.NoError(t, err)
		a.Events = rec.events(app, listed)
		return a
	}
	return readUntil(read, equals(wanted))
}

// startWorker connects a worker. stop ends it and waits until it has closed its connection.
func startWorker(t testing.TB, client inngestgo.Client, instance string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	w, err := inngestgo.Connect(ctx, inngestgo.ConnectOpts{Apps: []inngestgo.Client{client}, InstanceID: &instance})
	if err != nil {
		cancel()
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return w.State() == connect.ConnectionStateActive }, patience, 5*time.Millisecond, "a connection")
	return func() {
		cancel()
		_ = w.Close()
		require.Eventually(t, func() bool { return w.State() == connect.ConnectionStateClosed }, patience, 5*time.Millisecond, "the end of the connection")
	}
}

// TestConformance_ConnectedWorkers compares how the servers list a worker that is connected.
func TestConformance_ConnectedWorkers(t *testing.T) {
	t.Parallel()
	list := func(newWorld func(testing.TB) world) (found []any) {
		p := &play{t: t, app: "connected-worker", w: newWorld(t)}
		p.connect(nil)
		p.on("go", opts{ID: "f"}, steps("a"))
		defer startWorker(t, p.client, "worker-of-list")()
		const query = `{workerConnections(first: 40, orderBy: [{field: CONNECTED_AT, direction: ASC}], filter: {from: "2020-01-01T00:00:00Z"}) {
			edges {node {instanceId appName status sdkLang maxWorkerConcurrency functionCount app {externalID method url functions {slug}}}}}}`
		body, err := json.Marshal(map[string]string{"query": query})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			resp, err := http.Post(p.w.url()+"/v0/gql", "application/json", bytes.NewReader(body))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			var a struct {
				Data struct {
					WorkerConnections struct {
						Edges []struct{ Node map[string]any }
					}
				}
			}
			if json.NewDecoder(resp.Body).Decode(&a) != nil {
				return false
			}
			for _, e := range a.Data.WorkerConnections.Edges {
				if e.Node["instanceId"] == "worker-of-list" && e.Node["status"] == "READY" {
					found = append(found, e.Node)
				}
			}
			return len(found) > 0
		}, patience, 50*time.Millisecond, "the worker in the list")
		return found
	}
	onSim := list(newSimWorld)
	require.Empty(t, cmp.Diff(list(newRealWorld), onSim), "the real server (-) and sim (+) differ")
}

//go:build production

package production

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

var (
	requests = flag.Int("requests", 1000, "how many requests TestLoad creates")
	burst    = flag.Int("burst", 300, "how many requests, and events, TestRate measures with")
)

const (
	instances = 3
	clients   = 4 // that create requests at the same time
	// settleTime is how long after the last fault everything must be sent.
	settleTime = 2 * time.Minute
)

// createAll creates requests from several clients at the same time, and calls created after each of them. name distinguishes it
// from others on the stack.
func createAll(ctx context.Context, e *env, name string, n int, created func(done int)) ([]app.Request, error) {
	var next, done atomic.Int64
	all := make([]app.Request, n)
	errs := make(chan error, clients)
	fixture := fixtures.Requests()[0]
	for range clients {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					errs <- nil
					return
				}
				var err error
				if all[i], err = e.create(ctx, fmt.Sprintf("%s %d", name, i), fixture); err != nil {
					errs <- err
					return
				}
				created(int(done.Add(1)))
			}
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return all, nil
}

// unsent returns how many requests are in no final state, at most a page of them.
func (e *env) unsent(ctx context.Context) (n int, err error) {
	for _, state := range []app.State{app.Pending, app.Dispatched, app.Failed} {
		some, err := e.store.Requests(ctx, state, "", 100)
		if err != nil {
			return 0, err
		}
		n += len(some)
	}
	return n, nil
}

// awaitSent waits until all requests are sent.
func (e *env) awaitSent(ctx context.Context, t testing.TB) {
	t.Helper()
	for {
		n, err := e.unsent(ctx)
		require.NoError(t, err)
		if n == 0 {
			return
		}
		select {
		case <-ctx.Done():
			require.Fail(t, "not everything was sent", "%d or more are missing: %v", n, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// While 1,000 requests are created and sent, an instance of the app, Redis, PostgreSQL and Inngest are killed in turn and
// started again: nothing is lost, and nothing is sent twice but what the fault matrix allows.
func TestLoad_NothingIsLostOverFaultsInTurn(t *testing.T) {
	for name, connect := range map[string]bool{"by HTTP": false, "by Connect": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			e := startApp(ctx, t, instances, connect, "CONFIRM_AFTER=20s")
			began := time.Now()
			progress := make(chan int, *requests)
			loaded := make(chan error, 1)
			var all []app.Request
			go func() {
				var err error
				all, err = createAll(ctx, e, "load", *requests, func(done int) { progress <- done })
				loaded <- err
			}()
			awaitCreated := func(n int) {
				for done := 0; done < n; {
					select {
					case done = <-progress:
					case <-ctx.Done():
						require.NoError(t, context.Cause(ctx))
					}
				}
			}
			faults := []harness.Service{harness.Replica(2), harness.ServiceRedis, harness.ServicePostgres, harness.ServiceInngest}
			share := *requests / (2 * len(faults))
			var last time.Time
			for i, service := range faults {
				awaitCreated((2*i + 1) * share)
				require.NoError(t, e.Kill(ctx, service), service)
				awaitCreated((2*i + 2) * share)                                   // while it is away
				eventually(ctx, t, func() error { return e.Start(ctx, service) }) // as a restart policy does
				last = time.Now()
				t.Logf("%s: killed and started again; %d of %d requests accepted", service, (2*i+2)*share, *requests)
			}
			require.NoError(t, <-loaded)
			created := time.Since(began)
			settling, stop := context.WithDeadline(ctx, last.Add(settleTime))
			defer stop()
			e.awaitSent(settling, t)
			settled := time.Since(last)

			// By request, the copies of each Message-ID.
			mail := map[string]map[string]int{}
			messages, err := e.Inbox().List(ctx)
			require.NoError(t, err)
			for _, m := range messages {
				id := m.Header("X-Maintenance-Request-Id")
				if mail[id] == nil {
					mail[id] = map[string]int{}
				}
				mail[id][m.MessageID]++
			}
			require.Len(t, mail, *requests)
			again, copies := 0, 0
			for _, r := range all {
				r, err := e.store.Request(ctx, r.ID)
				require.NoError(t, err)
				require.Len(t, mail[r.ID], 1, "one Message-ID for each request: %v", mail[r.ID])
				for id, n := range mail[r.ID] {
					require.Equal(t, r.Notification.MessageID, "<"+id+">")
					// A second copy comes from an attempt whose acceptance was not stored.
					require.LessOrEqual(t, n, r.Notification.Attempts, "request %s: %+v", r.ID, r.Notification)
					copies += n - 1
				}
				if r.Notification.Generation > 1 {
					again++
				}
			}
			t.Logf("%s, %d instances: %d accepted in %.0f s, %d sent, one Message-ID each, %d second copies, %d dispatched again; "+
				"settled %.0f s after the last fault",
				name, instances, len(all), created.Seconds(), len(mail), copies, again, settled.Seconds())
		})
	}
}

// Notifications a second with one, two and three instances, and runs a second of a bare function of three steps.
func TestRate(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	rates := map[string]float64{}
	for name, connect := range map[string]bool{"HTTP": false, "Connect": true} {
		e := startApp(ctx, t, instances, connect)
		for n := instances; n > 0; n-- {
			began := time.Now()
			_, err := createAll(ctx, e, fmt.Sprint("rate ", n), *burst, func(int) {})
			require.NoError(t, err)
			e.awaitSent(ctx, t)
			rates[fmt.Sprintf("%s %d", name, n)] = float64(*burst) / time.Since(began).Seconds()
			require.NoError(t, e.Stop(ctx, harness.Replica(n)))
		}
		require.NoError(t, e.Close(ctx))
	}
	t.Logf("notifications a second with 1, 2, 3 instances: by HTTP %.0f, %.0f, %.0f; by Connect %.0f, %.0f, %.0f",
		rates["HTTP 1"], rates["HTTP 2"], rates["HTTP 3"], rates["Connect 1"], rates["Connect 2"], rates["Connect 3"])
	t.Logf("runs a second of a bare function of three steps: %.0f", bareRate(ctx, t))
}

// bareRate measures a function whose steps do nothing.
func bareRate(ctx context.Context, t *testing.T) float64 {
	st := startStack(ctx, t, stack.Options{})
	var ended sync.WaitGroup
	require.NoError(t, st.RunHandler(ctx, func(_ context.Context, settings harness.Env) (http.Handler, error) {
		dev := false
		client, err := inngestgo.NewClient(inngestgo.ClientOpts{
			AppID: "bare", Dev: &dev, EventKey: &settings.EventKey, SigningKey: &settings.SigningKey,
			EventAPIBaseURL: &settings.InngestURL, APIBaseURL: &settings.InngestURL, Checkpoint: &checkpoint.Config{},
		})
		if err != nil {
			return nil, err
		}
		_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "steps"}, inngestgo.EventTrigger("bare/event", nil),
			func(ctx context.Context, _ inngestgo.Input[any]) (any, error) {
				for _, id := range []string{"one", "two", "three"} {
					if _, err := step.Run(ctx, id, func(context.Context) (bool, error) { return true, nil }); err != nil {
						return nil, err
					}
				}
				ended.Done()
				return nil, nil
			})
		return client.Serve(), err
	}))
	ended.Add(*burst)
	began := time.Now()
	for range *burst {
		_, err := st.Send(ctx, harness.Event{Name: "bare/event"})
		require.NoError(t, err)
	}
	done := make(chan struct{})
	go func() { ended.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		require.NoError(t, context.Cause(ctx))
	}
	return float64(*burst) / time.Since(began).Seconds()
}

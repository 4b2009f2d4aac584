package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// synced is told of each sync of an app: soon after it the stack is ready.
var synced = make(chan struct{}, 100)

var suite = harnesstest.New(harnesstest.Options{
	Backends: []harness.Backend{local.New(local.Options{})},
	Fixed:    true,
	Pool:     1,
	Handler: func(ctx context.Context, env harness.Env) (http.Handler, error) {
		app, err := rig.App(ctx, env)
		if err != nil {
			return nil, err
		}
		return telling{app.(closer)}, nil
	},
})

type closer interface {
	http.Handler
	Close(context.Context) error
}

// telling is the app, which tells of each sync.
type telling struct{ closer }

func (t telling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.closer.ServeHTTP(w, r)
	if r.Method == http.MethodPut {
		synced <- struct{}{}
	}
}

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }

// TestJoin measures for benchJoin. Without being asked it only joins, once, which keeps it working.
func TestJoin(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv(joinTimes))
	starts, _ := strconv.Atoi(os.Getenv(joinStarts))
	var s joinSamples
	joins := func(name string, into *[]time.Duration, f func(*harnesstest.T)) {
		for range max(n, 1) {
			began := time.Now()
			group(t, name, func(t *testing.T) { suite.Run(t, f) })
			*into = append(*into, time.Since(began))
		}
	}
	nothing := func(*harnesstest.T) {}
	group(t, "warm", func(t *testing.T) { suite.Run(t, nothing) })
	joins("shared", &s.Shared, nothing)
	joins("seeded", &s.Seeded, func(t *harnesstest.T) {
		_, store, err := rig.Seed(t.Context(), t.Env().MongoURI, fixtures.World(), t.Salt())
		require.NoError(t, err)
		require.NoError(t, store.Close(t.Context()))
	})

	leases := func(name string, change func(*stack.Options), into, alone *[]time.Duration) {
		began := time.Now()
		group(t, name, func(t *testing.T) {
			suite.RunAlone(t, change, func(t *harnesstest.T) {
				*into = append(*into, time.Since(began))
				require.NoError(t, t.Stack.Stop(t.Context(), harness.ServiceInngest))
				began := time.Now()
				require.NoError(t, t.Stack.Start(t.Context(), harness.ServiceInngest))
				*alone = append(*alone, time.Since(began))
			})
		})
	}
	var first, other []time.Duration
	for i := range starts {
		if settle(t); i == 0 {
			leases("first", nil, &first, &other) // fills the pool
			settle(t)
		}
		leases("own", func(o *stack.Options) { o.AppGrace = time.Second }, &s.Own, &s.Alone)
		settle(t)
		leases("pooled", nil, &s.Pooled, &other)
	}
	file := os.Getenv(joinFile)
	if file == "" {
		return
	}
	data, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o644))
}

// group runs a parallel test to its end.
func group(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	require.True(t, t.Run(name, func(t *testing.T) { t.Run("test", f) }))
}

// settle waits until no app has been synced for a while: the pool is full then.
func settle(t *testing.T) {
	t.Helper()
	const quiet = 1500 * time.Millisecond
	for {
		select {
		case <-synced:
		case <-time.After(quiet):
			return
		}
	}
}

package local

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// grace is how long a server may take to shut down before it is killed.
const grace = 1500 * time.Millisecond

// mongodVariable names the mongod that runs instead of the stand-in for MongoDB.
var mongodVariable = toolchain.Variable(harness.ServiceMongo)

// Options configures the backend. The zero value is ready to use.
type Options struct {
	// StartTimeout bounds how long each server may take until it answers, builds not counted. Zero: 30 s.
	StartTimeout time.Duration
	// CacheDir holds the built servers. Empty: HARNESS_CACHE, else inngest-harness in the user's cache directory.
	CacheDir string
}

// Backend starts the servers as processes. It is safe for concurrent use: stacks started at the same time share
// nothing but the cache of built servers.
type Backend struct{ o Options }

// New returns the backend. It starts nothing.
func New(o Options) *Backend {
	if o.StartTimeout == 0 {
		o.StartTimeout = 30 * time.Second
	}
	return &Backend{o}
}

// Name implements [harness.Backend].
func (*Backend) Name() string { return "local" }

// Start implements [harness.Backend]. Servers that are not in the cache are built first, which takes minutes once;
// o.Progress receives how far it is.
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (harness.Servers, error) {
	wanted, err := fleet.Wanted(b.Name(), o)
	if err != nil {
		return nil, err
	}
	if err := port.CheckAll(port.OfServers(o.Ports, o.MailCatcher)...); err != nil {
		return nil, err
	}
	if o.ReplicaSet && slices.Contains(wanted, harness.ServiceMongo) && os.Getenv(mongodVariable) == "" {
		return nil, fleet.NoReplicaSet("the database is FerretDB, its stand-in")
	}
	progress := fleet.Serialised(o.Progress)
	state, err := newPersistence(o.Keys)
	if err != nil {
		return nil, err
	}
	page, err := toolchain.PageHome(toolchain.Options{CacheDir: b.o.CacheDir})
	if err != nil {
		return nil, errors.Join(err, state.remove())
	}
	units := make([]fleet.Unit, len(wanted))
	g, gctx := errgroup.WithContext(ctx)
	for i, service := range wanted {
		g.Go(func() error {
			bin, err := toolchain.Ensure(gctx, harness.Service(fleet.Program(service, o.MailCatcher)), toolchain.Options{CacheDir: b.o.CacheDir, Progress: progress})
			u := &unit{service: service, bin: bin, o: o, state: state}
			if service == harness.ServiceInngest && bin.Source == toolchain.SourceBuilt {
				u.page = page
			}
			units[i] = u
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, state.remove())
	}
	options := fleet.Options{Backend: b.Name(), StartTimeout: b.o.StartTimeout, Grace: grace, Progress: progress, Free: state.remove, Keys: o.Keys, ReplicaSet: o.ReplicaSet}
	if o.Keys != (harness.Keys{}) {
		// The self-hosted server exits when Redis goes away, and at its start when Redis or PostgreSQL is not there.
		options.After = map[harness.Service][]harness.Service{harness.ServiceInngest: {harness.ServiceRedis, harness.ServicePostgres}}
		options.KeepUp = []harness.Service{harness.ServiceInngest}
	}
	servers, err := fleet.Start(ctx, options, units...)
	if err != nil {
		return nil, err
	}
	return servers, nil
}

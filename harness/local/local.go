package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

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
// o.Progress tells how far it is.
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (_ harness.Servers, err error) {
	if err := port.CheckAll(port.OfServers(o.Ports.Inngest, o.Ports.MailHog, o.Ports.SMTP, o.Ports.Mongo)...); err != nil {
		return nil, err
	}
	s := &servers{
		timeout: b.o.StartTimeout,
		tell:    upkeep.Serialised(o.Progress),
		all:     make(map[harness.Service]*server),
		died:    make(chan error, 1),
	}
	for _, spec := range specs {
		if o.WithoutInngest && spec.service == harness.ServiceInngest {
			continue
		}
		s.all[spec.service] = &server{spec: spec, options: o, servers: s}
	}
	defer func() {
		if err != nil {
			// The start's own context may be over by now; what has been started must go all the same.
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()

	g, gctx := errgroup.WithContext(ctx)
	for _, srv := range s.all {
		g.Go(func() error {
			bin, err := toolchain.Ensure(gctx, srv.spec.tool, toolchain.Options{
				CacheDir: b.o.CacheDir,
				Progress: func(p toolchain.Progress) {
					s.tell(harness.Progress{Subject: string(p.Tool), Doing: p.Doing, Elapsed: p.Elapsed, Done: p.Done})
				},
			})
			if err != nil {
				return err
			}
			srv.bin = bin
			return srv.start(gctx)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return s, nil
}

// dir makes a directory for one server's data.
func (srv *server) dir() (string, error) {
	dir := filepath.Join(srv.options.Dir, string(srv.spec.service))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a directory for %s's data: %w", srv.spec.service, err)
	}
	return dir, nil
}

package containers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// Choose returns the containers backend where an engine answers and the images are there or can be pulled, which is
// done here, else the local one; and why, for a person, as in "no Docker engine answers at unix:///var/run/docker.sock".
// The error is that ctx has ended. Tests do not choose: they name their backends.
func Choose(ctx context.Context, o Options, progress func(harness.Progress)) (_ harness.Backend, reason string, err error) {
	b := New(o)
	err = b.usable(ctx, serialised(progress))
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	if err == nil {
		return b, "a Docker engine answers and the images are there", nil
	}
	if e := (*engine.Error)(nil); errors.As(err, &e) {
		return local.New(local.Options{}), e.What, nil
	}
	return local.New(local.Options{}), err.Error(), nil
}

func (b *Backend) usable(ctx context.Context, tell func(harness.Progress)) error {
	docker, err := engine.Connect(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	return b.images(ctx, docker, specs, tell, func(harness.Service, engine.Image) {})
}

// images makes sure that the images of some servers are here, side by side, and hands them over.
func (b *Backend) images(ctx context.Context, docker *client.Client, of []spec, tell func(harness.Progress), have func(harness.Service, engine.Image)) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, spec := range of {
		g.Go(func() error {
			began, pulled := time.Now(), false
			name, subject := spec.image(b.o.Images), string(spec.service)
			image, err := engine.EnsureImage(gctx, docker, name, func(doing string) {
				pulled = true
				tell(harness.Progress{Subject: subject, Doing: doing, Elapsed: time.Since(began)})
			})
			if err != nil {
				return err
			}
			if pulled {
				tell(harness.Progress{Subject: subject, Doing: fmt.Sprintf("pulled %s", name), Elapsed: time.Since(began), Done: true})
			}
			have(spec.service, image)
			return nil
		})
	}
	return g.Wait()
}

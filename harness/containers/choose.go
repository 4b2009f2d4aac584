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
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// Choose returns the containers backend where an engine answers and the images are there or can be pulled, which is
// done here, else the local one. reason is a short sentence that says which and why, for a person, as in "local, since no
// Docker engine answers at unix:///var/run/docker.sock; for containers: start Docker". The error is that ctx has ended.
// Tests do not choose: they name their backends.
func Choose(ctx context.Context, o Options, progress func(harness.Progress)) (_ harness.Backend, reason string, err error) {
	b := New(o)
	err = b.usable(ctx, upkeep.Serialised(progress))
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	if err == nil {
		return b, "containers, since a Docker engine answers and has the images; --backend local does without", nil
	}
	return local.New(local.Options{}), "local, since " + inShort(err), nil
}

// inShort says why there are no containers, and the first thing to do about it. What an engine or a registry says in
// its own words is left to whoever insists on containers.
func inShort(err error) string {
	e := (*engine.Error)(nil)
	if !errors.As(err, &e) {
		return "the Docker engine fails; for containers: see what --backend containers says"
	}
	return e.What + "; for containers: " + e.Do[0]
}

// An Engine is the Docker engine that the backend uses.
type Engine struct {
	// Host is where it listens, Version which one it is.
	Host, Version string
	// Missing are the images that a start would have to pull.
	Missing []string
}

// Engine looks for the engine as Start does, and changes nothing. The error says what is wrong and what to do.
func (b *Backend) Engine(ctx context.Context) (Engine, error) {
	docker, err := engine.Connect(ctx)
	if err != nil {
		return Engine{}, err
	}
	defer docker.Close()
	version, err := docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return Engine{}, fmt.Errorf("ask the Docker engine for its version: %w", engine.Explain(err))
	}
	found := Engine{Host: docker.DaemonHost(), Version: version.Version}
	for _, spec := range specs {
		name := spec.image(b.o.Images)
		here, err := engine.HasImage(ctx, docker, name)
		if err != nil {
			return Engine{}, err
		}
		if !here {
			found.Missing = append(found.Missing, name)
		}
	}
	return found, nil
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

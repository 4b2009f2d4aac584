package containers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
)

// Choose returns the containers backend if an engine answers and has the images of the services that are wanted, or can
// pull them, which it does, else the other one. Of want the Services, the MailCatcher and the Progress count. reason is a short sentence for a user, as in "local, since no Docker engine answers at
// unix:///var/run/docker.sock; for containers: start Docker". The error is that ctx has ended. It is not meant for tests,
// which name their backends.
func Choose(ctx context.Context, o Options, want harness.BackendOptions, other harness.Backend) (_ harness.Backend, reason string, err error) {
	b := New(o)
	err = b.usable(ctx, want)
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	if err == nil {
		return b, "containers, since a Docker engine answers and has the images; --backend local does without", nil
	}
	return other, other.Name() + ", since " + inShort(err), nil
}

// inShort says why containers cannot be used, and the first remedy. It leaves out the messages of engines and registries.
func inShort(err error) string {
	e := (*engine.Error)(nil)
	if !errors.As(err, &e) {
		return "the Docker engine fails; for containers: see what --backend containers says"
	}
	return e.What + "; for containers: " + e.Do[0]
}

// An Engine is the Docker engine that the backend uses.
type Engine struct {
	// Host is the address that it listens on.
	Host, Version string
	// Missing are the images that a start would have to pull.
	Missing []string
}

// Engine connects to the engine as Start does, and changes nothing. The error says what is wrong and what to do.
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
	for _, name := range []string{b.o.Images.Mongo, b.o.Images.MailHog, b.o.Images.Inngest} {
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

func (b *Backend) usable(ctx context.Context, want harness.BackendOptions) error {
	docker, err := engine.Connect(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	services, err := fleet.Wanted(b.Name(), want)
	if err != nil {
		return err
	}
	_, err = b.ensureImages(ctx, docker, services, want.MailCatcher, fleet.Serialised(want.Progress))
	return err
}

// image is the name of a service's image, on a stack with this mail catcher.
func (b *Backend) image(s harness.Service, m harness.MailCatcher) string {
	switch s {
	case harness.ServiceMongo:
		return b.o.Images.Mongo
	case harness.ServiceMailHog:
		if m == harness.Mailpit {
			return b.o.Images.Mailpit
		}
		return b.o.Images.MailHog
	default:
		return b.o.Images.Inngest
	}
}

// ensureImages returns the images of some services, and pulls those that are not here, concurrently.
func (b *Backend) ensureImages(ctx context.Context, docker *client.Client, services []harness.Service, m harness.MailCatcher, progress func(harness.Progress)) (map[harness.Service]engine.Image, error) {
	var mu sync.Mutex
	images := make(map[harness.Service]engine.Image)
	g, gctx := errgroup.WithContext(ctx)
	for _, service := range services {
		g.Go(func() error {
			began, pulled := time.Now(), false
			name, subject := b.image(service, m), fleet.Program(service, m)
			image, err := engine.EnsureImage(gctx, docker, name, func(doing string) {
				pulled = true
				progress(harness.Progress{Subject: subject, Doing: doing, Elapsed: time.Since(began)})
			})
			if err != nil {
				return err
			}
			if pulled {
				progress(harness.Progress{Subject: subject, Doing: "pulled " + name, Elapsed: time.Since(began), Done: true})
			}
			mu.Lock()
			defer mu.Unlock()
			images[service] = image
			return nil
		})
	}
	return images, g.Wait()
}

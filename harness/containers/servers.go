package containers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

// servers are the containers of one stack.
type servers struct {
	backend  *Backend
	engine   *client.Client
	provider *provider
	id       string
	gateway  string
	bridge   *bridge.Bridge
	tell     func(harness.Progress)
	all      map[harness.Service]*server
	died     chan error

	alive   context.Context // ends when the stack is closed
	bury    context.CancelFunc
	closing sync.Once
	closed  error
}

// name is what the stack's network is called, and what its containers' names begin with.
func (s *servers) name() string { return "harness-" + s.id }

// of returns the server by its name, or an error for one that this backend does not run.
func (s *servers) of(name harness.Service) (*server, error) {
	if srv, ok := s.all[name]; ok {
		return srv, nil
	}
	return nil, fmt.Errorf("the containers backend runs no service %q", name)
}

// Endpoints implements [harness.Servers].
func (s *servers) Endpoints() harness.Endpoints {
	return upkeep.Endpoints(func(name harness.Service) []int {
		if srv, ok := s.all[name]; ok {
			return srv.ports
		}
		return nil
	})
}

// Describe implements [harness.Servers].
func (s *servers) Describe() []harness.ServerInfo {
	var infos []harness.ServerInfo
	for _, name := range []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest} {
		srv, ok := s.all[name]
		if !ok {
			continue
		}
		srv.Lock()
		found := srv.identity
		srv.Unlock()
		infos = append(infos, harness.ServerInfo{
			Service: name, Version: found.version, Source: srv.image.Name, HasUI: found.hasUI, LogFile: srv.log.File(),
		})
	}
	return infos
}

// Stop implements [harness.Servers].
func (s *servers) Stop(ctx context.Context, name harness.Service) error {
	srv, err := s.of(name)
	if err != nil {
		return err
	}
	return srv.stop(ctx)
}

// Kill implements [harness.Servers].
func (s *servers) Kill(ctx context.Context, name harness.Service) error {
	srv, err := s.of(name)
	if err != nil {
		return err
	}
	return srv.crash(ctx)
}

// Run implements [harness.Servers].
func (s *servers) Run(ctx context.Context, name harness.Service) error {
	srv, err := s.of(name)
	if err != nil {
		return err
	}
	return srv.start(ctx)
}

// Pause implements [harness.Servers].
func (s *servers) Pause(ctx context.Context, name harness.Service) error {
	return s.onRunning(name, "pause", func(id string) error {
		_, err := s.engine.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		return err
	})
}

// Resume implements [harness.Servers].
func (s *servers) Resume(ctx context.Context, name harness.Service) error {
	return s.onRunning(name, "resume", func(id string) error {
		if found, err := s.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{}); err == nil && !found.Container.State.Paused {
			return nil
		}
		_, err := s.engine.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		return err
	})
}

func (s *servers) onRunning(name harness.Service, doing string, do func(id string) error) error {
	srv, err := s.of(name)
	if err != nil {
		return err
	}
	id, err := srv.running()
	if err != nil {
		return err
	}
	if err := do(id); err != nil {
		return fmt.Errorf("%s the container of %s: %w", doing, name, engine.Explain(err))
	}
	return nil
}

// Tail implements [harness.Servers].
func (s *servers) Tail(name harness.Service) []string {
	srv, err := s.of(name)
	if err != nil {
		return nil
	}
	return srv.log.Tail()
}

// Died implements [harness.Servers].
func (s *servers) Died() <-chan error { return s.died }

// Close implements [harness.Servers]. What a container holds goes with it, so none is asked to end in order.
func (s *servers) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closed = s.close(ctx) })
	return s.closed
}

func (s *servers) close(ctx context.Context) error {
	for _, srv := range s.all {
		srv.Lock()
		srv.Wanted, srv.Freed = false, true
		srv.Unlock()
	}
	// The caller's deadline is for servers that end by themselves; what is removed by force takes what it takes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	errs := []error{removeAll(ctx, s.engine, filters(labelStack, s.id))}
	s.bury()
	for _, srv := range s.all {
		if srv.life != nil {
			<-srv.life.done
		}
		errs = append(errs, srv.log.Close())
	}
	close(s.died) // nobody is wanted any more, so nobody mourns
	if s.bridge != nil {
		s.bridge.Close()
	}
	if s.provider != nil {
		errs = append(errs, s.provider.Close())
	}
	return errors.Join(append(errs, s.engine.Close())...)
}

// removeAll removes containers, with their volumes, and then networks. What somebody else removes at the same time is
// no error.
func removeAll(ctx context.Context, docker *client.Client, f client.Filters) error {
	found, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: f})
	if err != nil {
		return fmt.Errorf("list the stack's containers to remove them: %w", engine.Explain(err))
	}
	var ids []string
	for _, c := range found.Items {
		ids = append(ids, c.ID)
	}
	if err := removeContainers(ctx, docker, ids); err != nil {
		return err
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: f})
	if err != nil {
		return fmt.Errorf("list the stack's networks to remove them: %w", engine.Explain(err))
	}
	for _, n := range networks.Items {
		if err := removeNetwork(ctx, docker, n.ID); err != nil {
			return err
		}
	}
	return nil
}

func removeContainers(ctx context.Context, docker *client.Client, ids []string) error {
	var g errgroup.Group
	for _, id := range ids {
		g.Go(func() error {
			_, err := docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
				return nil
			}
			return fmt.Errorf("remove the container %.12s: %w", id, engine.Explain(err))
		})
	}
	return g.Wait()
}

func removeNetwork(ctx context.Context, docker *client.Client, id string) error {
	_, err := docker.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("remove the network %.12s: %w", id, engine.Explain(err))
}

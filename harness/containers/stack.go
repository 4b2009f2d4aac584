package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
)

// stack is what the containers of one stack share.
type stack struct {
	*fleet.Fleet
	backend *Backend
	units   []fleet.Unit
	engine  *client.Client
	id      string
	gateway string
	bridge  *bridge.Bridge // nil without an Inngest server

	alive   context.Context // ends when the stack is closed
	endLife context.CancelFunc
}

// name is what the names of the stack's containers begin with.
func (s *stack) name() string { return "harness-" + s.id }

// findGateway finds the address that this machine has in the network of the containers. An engine may know that of its default
// network only while a container is in it.
func (s *stack) findGateway(ctx context.Context) error {
	inngest := s.inngest()
	if inngest == nil {
		return nil
	}
	found, err := s.engine.ContainerInspect(ctx, inngest.id(), client.ContainerInspectOptions{})
	if err != nil {
		return engine.Explain(err)
	}
	if found.Container.NetworkSettings != nil {
		for _, n := range found.Container.NetworkSettings.Networks {
			if n.Gateway.Is4() {
				s.gateway = n.Gateway.String()
				s.bridge = bridge.New(s.gateway)
				return nil
			}
		}
	}
	return errors.New("the engine gave it no IPv4 gateway")
}

// inngest returns the Inngest container, or nil if the stack has none.
func (s *stack) inngest() *instance {
	i := slices.IndexFunc(s.units, func(u fleet.Unit) bool { return u.Info().Service == harness.ServiceInngest })
	if i < 0 {
		return nil
	}
	return s.units[i].(*unit).last.Load()
}

// reaperError says what to do where testcontainers cannot start its reaper, whose image it pulls.
func reaperError(err error) error {
	if !strings.Contains(err.Error(), "reaper") {
		return err
	}
	return &engine.Error{
		What: "testcontainers cannot start its reaper", Detail: err.Error(),
		Do:  []string{"set TESTCONTAINERS_RYUK_DISABLED=true, since the harness removes its containers without it", engine.Alternative},
		Err: err,
	}
}

// endAll removes the stack's containers, and frees the rest. The containers are not stopped gracefully: what
// they hold is removed with them.
func (s *stack) endAll(ctx context.Context) error {
	// The deadline of the caller is for servers that shut down gracefully; a removal takes what it takes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	err := removeAll(ctx, s.engine, filters(labelStack, s.id))
	s.endLife()
	for _, u := range s.units {
		if last := u.(*unit).last.Load(); last != nil {
			<-last.done
		}
	}
	if s.bridge != nil {
		s.bridge.Close()
	}
	return errors.Join(err, s.engine.Close())
}

// removeAll removes containers, with their volumes. It is no error when another process removes them at the same time.
func removeAll(ctx context.Context, docker *client.Client, f client.Filters) error {
	found, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: f})
	if err != nil {
		return fmt.Errorf("list the stack's containers to remove them: %w", engine.Explain(err))
	}
	var ids []string
	for _, c := range found.Items {
		ids = append(ids, c.ID)
	}
	return removeContainers(ctx, docker, ids)
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

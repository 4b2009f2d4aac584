package containers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
	"golang.org/x/sync/errgroup"

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
	network *testcontainers.DockerNetwork
	gateway string
	bridge  *bridge.Bridge

	alive   context.Context // ends when the stack is closed
	endLife context.CancelFunc
}

// name is what the names of the stack's containers begin with.
func (s *stack) name() string { return "harness-" + s.id }

// makeNetwork makes the stack's network and finds the address that this machine has in it.
func (s *stack) makeNetwork(ctx context.Context) (err error) {
	// If it were cancelled, the engine might make the network after we have looked for what to remove.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	if s.network, err = tcnetwork.New(ctx, tcnetwork.WithLabels(s.labels(""))); err != nil {
		return reaperError(err)
	}
	found, err := s.engine.NetworkInspect(ctx, s.network.ID, client.NetworkInspectOptions{})
	if err != nil {
		return err
	}
	for _, c := range found.Network.IPAM.Config {
		if c.Gateway.Is4() {
			s.gateway = c.Gateway.String()
			return nil
		}
	}
	return errors.New("the engine gave it no IPv4 gateway")
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

// endAll removes the stack's containers and its network, and frees the rest. The containers are not stopped gracefully: what
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

// removeAll removes containers, with their volumes, and then networks. It is no error when another process removes them at
// the same time.
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

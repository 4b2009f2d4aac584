package containers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

const (
	// grace, in whole seconds, is how long a server may take to end by itself before the engine kills it.
	grace = 2
	// engineTime bounds one operation of the engine that is not to be called off half-way.
	engineTime = 20 * time.Second
)

// server is one of a stack's containers. It has several lives: from each start to the exit after it. Its ports stay.
type server struct {
	spec    spec
	options harness.BackendOptions
	servers *servers
	image   engine.Image
	log     *logbook.Book
	printed *watch

	upkeep.State
	ports     []int // an engine that chose them would do so anew with each start of a container
	container testcontainers.Container
	life      *life
	identity  identity
}

func (srv *server) start(ctx context.Context) error {
	err := srv.Start(srv.spec.service, func() error { return srv.startOnce(ctx) }, func(err error) (bool, error) {
		if srv.fixed() || !portTaken(err) {
			return false, nil
		}
		return true, srv.discard(ctx)
	})
	if err != nil && portTaken(err) {
		return srv.explainPorts(err)
	}
	return err
}

// fixed says whether the user named a port: another one would not do.
func (srv *server) fixed() bool { return slices.Max(srv.spec.ports(srv.options.Ports)) != 0 }

// portTaken recognises what engines say of a port that they cannot publish. What a container that did start printed, in
// which a server may complain of a port of its own, does not count.
func portTaken(err error) bool {
	var refused *refusal
	if !errors.As(err, &refused) {
		return false
	}
	text := refused.Error()
	return strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use") ||
		strings.Contains(text, "ports are not available")
}

// explainPorts names the port that is taken, and who holds it.
func (srv *server) explainPorts(err error) error {
	srv.Lock()
	defer srv.Unlock()
	for _, p := range srv.ports {
		if taken := port.Check(p, string(srv.spec.service)); taken != nil {
			return taken
		}
	}
	return err
}

// discard removes the container, for another one on other ports.
func (srv *server) discard(ctx context.Context) error {
	_, err := srv.servers.engine.ContainerRemove(ctx, srv.container.GetContainerID(), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	srv.container, srv.ports = nil, nil
	return err
}

func (srv *server) startOnce(ctx context.Context) error {
	if err := srv.create(ctx); err != nil {
		return fmt.Errorf("create the container of %s: %w", srv.spec.service, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start %s: %w", srv.spec.service, context.Cause(ctx))
	}
	l, err := srv.begin(ctx)
	if err != nil {
		return fmt.Errorf("start the container of %s from the image %s: %w", srv.spec.service, srv.image.Name, err)
	}
	srv.life = l
	ctx, cancel := context.WithTimeout(ctx, srv.servers.backend.o.StartTimeout)
	defer cancel()
	ports, image := srv.ports, srv.image.Version // a look that is under way when the server ends outlives this start
	found := make(chan identity, 1)
	err = l.waitReady(ctx, func(ctx context.Context) error {
		is, err := srv.spec.look(ctx, ports, image)
		if err == nil {
			found <- is
		}
		return err
	})
	if err == nil {
		srv.identity = <-found
		if srv.spec.last != "" {
			err = l.settle(ctx, func(ctx context.Context) error { return srv.spec.works(ctx, ports) })
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s did not come up: %w", srv.spec.service, err), srv.kill(context.WithoutCancel(ctx)))
	}
	go srv.Mourn(l.done, func() bool { return srv.life == l }, func() error { return l.err }, srv.servers.died)
	srv.servers.tell(harness.Progress{Subject: string(srv.spec.service), Doing: "ready", Elapsed: time.Since(l.began), Done: true})
	return nil
}

// create makes the container, unless a life before has.
func (srv *server) create(ctx context.Context) error {
	if srv.container != nil {
		return nil
	}
	ports, err := upkeep.Ports(srv.spec.ports(srv.options.Ports))
	if err != nil {
		return err
	}
	srv.ports = ports
	// Called off half-way, the engine might make it all the same, after we have looked for what to remove.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	c, err := srv.servers.provider.CreateContainer(ctx, testcontainers.ContainerRequest{
		Name:         srv.servers.name() + "-" + string(srv.spec.service),
		Image:        srv.image.Name,
		Cmd:          srv.command(),
		Env:          srv.spec.env,
		Labels:       srv.servers.labels(srv.spec.service),
		Networks:     []string{srv.servers.name()},
		ExposedPorts: srv.exposed(),
		ConfigModifier: func(c *container.Config) {
			// We look for ourselves, more often than an image's own health check and without its cost.
			c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		},
		HostConfigModifier: func(h *container.HostConfig) {
			h.PortBindings = srv.bindings()
			// What it prints is read here as it is printed. A second copy, kept by the engine, would only cost time.
			h.LogConfig = container.LogConfig{Type: "none"}
		},
	})
	if err != nil {
		return err
	}
	srv.container = c
	return nil
}

func (srv *server) command() []string { return srv.spec.command(srv.options) }

func (srv *server) exposed() []string {
	var all []string
	for _, p := range srv.spec.inside {
		all = append(all, strconv.Itoa(p)+"/tcp")
	}
	return all
}

func (srv *server) bindings() network.PortMap {
	all := network.PortMap{}
	for i, inside := range srv.exposed() {
		all[network.MustParsePort(inside)] = []network.PortBinding{
			{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), HostPort: strconv.Itoa(srv.ports[i])},
		}
	}
	return all
}

// stop ends the container in order.
func (srv *server) stop(ctx context.Context) error {
	return srv.end(ctx, func(id string) error {
		seconds := grace
		_, err := srv.servers.engine.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &seconds})
		return err
	})
}

// crash ends the container at once.
func (srv *server) crash(ctx context.Context) error {
	return srv.end(ctx, func(string) error { return srv.kill(ctx) })
}

func (srv *server) end(ctx context.Context, end func(id string) error) error {
	srv.Lock()
	defer srv.Unlock()
	srv.Wanted = false
	if srv.life == nil {
		return nil
	}
	if err := end(srv.container.GetContainerID()); err != nil {
		return fmt.Errorf("stop the container of %s: %w", srv.spec.service, engine.Explain(err))
	}
	select {
	case <-srv.life.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", srv.spec.service, context.Cause(ctx))
	}
}

// kill ends the container's life, if it has one. The caller holds mu.
func (srv *server) kill(ctx context.Context) error {
	_, err := srv.servers.engine.ContainerKill(ctx, srv.container.GetContainerID(), client.ContainerKillOptions{Signal: "SIGKILL"})
	if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
		return nil // it is not running
	}
	return err
}

// running returns the container's id for an operation on it.
func (srv *server) running() (id string, err error) {
	srv.Lock()
	defer srv.Unlock()
	if !srv.Wanted {
		return "", fmt.Errorf("%s is not running", srv.spec.service)
	}
	return srv.container.GetContainerID(), nil
}

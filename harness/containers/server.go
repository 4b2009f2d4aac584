package containers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
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
	log     *logbook

	mu        sync.Mutex // held while the container is being started or ended
	ports     []int
	container testcontainers.Container
	life      *life
	identity  identity
	wanted    bool // whether it is meant to be up: an exit while it is not is no death
	settled   bool // whether it has been up: from then on it keeps its ports
	freed     bool
}

// attempts is how often a server is started on newly chosen ports when another program took one in between.
const attempts = 3

func (srv *server) start(ctx context.Context) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.freed {
		return fmt.Errorf("%s cannot be started: its stack is closed", srv.spec.service)
	}
	if srv.wanted {
		return nil
	}
	var err error
	for range attempts {
		if err = srv.startOnce(ctx); err == nil || srv.settled || srv.fixed() || !portTaken(err) {
			break
		}
		if err := srv.discard(ctx); err != nil {
			return err
		}
	}
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
	err = l.waitReady(ctx, func(ctx context.Context) error {
		found, err := srv.spec.look(ctx, srv.ports, srv.image.Version)
		if err == nil {
			srv.identity = found
		}
		return err
	})
	if err == nil && srv.spec.last != "" {
		err = l.settle(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s did not come up: %w", srv.spec.service, err), srv.kill(context.WithoutCancel(ctx)))
	}
	srv.wanted, srv.settled = true, true
	go srv.mourn(l)
	srv.servers.tell(harness.Progress{Subject: string(srv.spec.service), Doing: "ready", Elapsed: time.Since(l.began), Done: true})
	return nil
}

// create makes the container, unless a life before has.
func (srv *server) create(ctx context.Context) error {
	if srv.container != nil {
		return nil
	}
	if err := srv.choosePorts(); err != nil {
		return err
	}
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

// choosePorts sets the published ports: the fixed ones where the user asked for them, else free ones. They are chosen
// here, since an engine that chooses does so anew with each start of a container.
func (srv *server) choosePorts() error {
	ports, err := port.Free(len(srv.spec.inside))
	if err != nil {
		return err
	}
	for i, fixed := range srv.spec.ports(srv.options.Ports) {
		if fixed != 0 {
			ports[i] = fixed
		}
	}
	srv.ports = ports
	return nil
}

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

// mourn reports the exit of a container that was meant to be up.
func (srv *server) mourn(l *life) {
	<-l.done
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if !srv.wanted || srv.life != l {
		return
	}
	srv.wanted = false
	select {
	case srv.servers.died <- l.err:
	default:
	}
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
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.wanted = false
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
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if !srv.wanted {
		return "", fmt.Errorf("%s is not running", srv.spec.service)
	}
	return srv.container.GetContainerID(), nil
}

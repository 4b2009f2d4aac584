package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
)

// insidePorts are the ports that the servers listen on in their containers, in the order of [fleet.Unit].Ports; but see
// [unit.inside].
var insidePorts = map[harness.Service][]string{
	harness.ServiceMongo: {"27017/tcp"}, harness.ServiceMailHog: {"8025/tcp", "1025/tcp"}, harness.ServiceInngest: {"8288/tcp"},
}

// unit is one server, run in a container that is kept over restarts.
type unit struct {
	service harness.Service
	o       harness.BackendOptions
	stack   *stack
	image   engine.Image
	found   atomic.Pointer[harness.ServerInfo] // nil before the first look that succeeded

	ports     []int // what the container publishes: an engine that chose them would choose anew at each start
	container testcontainers.Container
	last      atomic.Pointer[instance]
}

// inside returns the ports that the server listens on in its container. A member of a replica set is known by one address, at which
// it reaches itself and the app reaches it: so its port is the one that is published.
func (u *unit) inside() []string {
	if u.service == harness.ServiceMongo && u.o.ReplicaSet {
		return []string{strconv.Itoa(u.ports[0]) + "/tcp"}
	}
	return insidePorts[u.service]
}

// Ports implements [fleet.Unit].
func (u *unit) Ports() []int { return fleet.Ports(u.service, u.o.Ports) }

// errPortTaken is wrapped by the error of a start whose port the engine could not publish.
var errPortTaken = errors.New("the engine cannot publish a port")

// PortTaken implements [fleet.Unit]. A port that the user named is not replaced.
func (u *unit) PortTaken(err error) bool {
	return slices.Max(u.Ports()) == 0 && errors.Is(err, errPortTaken)
}

// portTaken recognises what engines say of a port that they cannot publish.
func portTaken(text string) bool {
	return strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use") ||
		strings.Contains(text, "ports are not available")
}

// Info implements [fleet.Unit].
func (u *unit) Info() harness.ServerInfo {
	if found := u.found.Load(); found != nil {
		return *found
	}
	info := harness.ServerInfo{Service: u.service, Version: u.image.Version, Source: u.image.Name, LogFile: u.logFile()}
	if u.service == harness.ServiceMailHog {
		info.MailCatcher = cmp.Or(u.o.MailCatcher, harness.MailHog)
	}
	return info
}

// identify completes what Info says by what the server answers.
func (u *unit) identify(ctx context.Context, probe *fleet.Probe) {
	info := u.Info()
	switch u.service {
	case harness.ServiceMongo:
		db := probe.Database()
		if db.FerretDB == "unknown" {
			db.FerretDB = u.image.Version
		}
		info.Version = db.String()
	case harness.ServiceMailHog:
		info.HasUI = endpoint.HasMailPage(ctx, probe.MailCatcher, fleet.URL(probe.Ports[0]))
	default:
		info.HasUI = endpoint.HasPage(ctx, fleet.URL(probe.Ports[0]))
	}
	u.found.Store(&info)
}

func (u *unit) logFile() string { return filepath.Join(u.o.Dir, string(u.service)+".log") }

// Begin implements [fleet.Unit].
func (u *unit) Begin(ctx context.Context, ports []int) (fleet.Instance, error) {
	if err := u.create(ctx, ports); err != nil {
		return nil, fmt.Errorf("create the container of %s: %w", u.service, engine.Explain(err))
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start %s: %w", u.service, context.Cause(ctx))
	}
	probe := &fleet.Probe{Service: u.service, Ports: ports, ReplicaSet: u.o.ReplicaSet, MailCatcher: u.o.MailCatcher}
	i := &instance{
		unit: u, container: u.container, probe: probe, done: make(chan struct{}),
		log: logbook.New(logbook.Options{File: u.logFile(), OnLine: probe.Line}),
	}
	if err := i.start(ctx); err != nil {
		if portTaken(err.Error()) {
			return nil, u.explainPorts(err)
		}
		return nil, fmt.Errorf("start the container of %s from the image %s: %w", u.service, u.image.Name, engine.Explain(err))
	}
	u.last.Store(i)
	return i, nil
}

// explainPorts names the port that is taken, and the process that holds it.
func (u *unit) explainPorts(err error) error {
	for _, p := range u.ports {
		if taken := port.Check(p, string(u.service)); taken != nil {
			err = taken
			break
		}
	}
	return &refusal{err}
}

// refusal is an error of a start that wraps errPortTaken without saying so.
type refusal struct{ error }

func (r *refusal) Unwrap() []error { return []error{r.error, errPortTaken} }

// create makes the container, unless there is one that publishes these ports.
func (u *unit) create(ctx context.Context, ports []int) error {
	if u.container != nil && slices.Equal(u.ports, ports) {
		return nil
	}
	if u.container != nil {
		if err := removeContainers(ctx, u.stack.engine, []string{u.container.GetContainerID()}); err != nil {
			return err
		}
		u.container = nil
	}
	u.ports = ports
	// If it were cancelled, the engine might make the container after we have looked for what to remove.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithNoStart(),
		testcontainers.WithLogger(tclog.NewNoopLogger()),
		testcontainers.WithName(u.stack.name() + "-" + string(u.service)),
		testcontainers.WithLabels(u.stack.labels(u.service)),
		testcontainers.WithExposedPorts(u.inside()...),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			// The fleet looks at the server, more often than an image's own health check and without its cost.
			c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		}),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.PortBindings = network.PortMap{}
			for i, inside := range u.inside() {
				h.PortBindings[network.MustParsePort(inside)] = []network.PortBinding{
					{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), HostPort: strconv.Itoa(ports[i])},
				}
			}
			// The output is read as it is printed. A second copy, kept by the engine, would only cost time.
			h.LogConfig = container.LogConfig{Type: "none"}
		}),
	}
	if u.service == harness.ServiceInngest {
		options = append(options, testcontainers.WithEnv(map[string]string{"DO_NOT_TRACK": "1"}),
			testcontainers.WithCmd(append([]string{"inngest"}, fleet.InngestArgs("0.0.0.0", u.o)...)...))
	}
	if u.service == harness.ServiceMongo && u.o.ReplicaSet {
		options = append(options, testcontainers.WithCmd(append([]string{"mongod"}, fleet.MongodArgs("0.0.0.0", ports[0], u.o)...)...))
	}
	if u.service == harness.ServiceMailHog && u.o.MailCatcher == harness.Mailpit {
		options = append(options, testcontainers.WithCmd(fleet.MailpitArgs()...))
	}
	c, err := testcontainers.Run(ctx, u.image.Name, options...)
	if err != nil {
		return reaperError(err)
	}
	u.container = c
	return nil
}

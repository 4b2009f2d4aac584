package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// The names of backends.
const (
	backendAuto       = "auto"
	backendLocal      = "local"
	backendContainers = "containers"
	backendAttach     = "attach"
)

func backendNames() []string {
	return []string{backendAuto, backendLocal, backendContainers, backendAttach}
}

// chooseBackend returns the backend that the options name. For auto it prints which one it chose, and why.
func (o upOptions) chooseBackend(ctx context.Context, p *printer) (harness.Backend, error) {
	switch o.backend {
	case backendLocal:
		return local.New(local.Options{}), nil
	case backendContainers:
		return containersBackend()
	case backendAttach:
		return attach.New(attach.Options{}), nil
	}
	want := harness.BackendOptions{MailCatcher: harness.MailCatcher(o.mail), Progress: p.progress}
	if isSim(o.inngest) { // it runs in this process
		want.Services = []harness.Service{harness.ServiceMongo, harness.ServiceMailHog}
	}
	b, why, err := chooseContainers(ctx, want, local.New(local.Options{}))
	if err != nil {
		return nil, fmt.Errorf("choose a backend: %w", err)
	}
	p.say("backend", "%s", why)
	return b, nil
}

// What can run as a stack's Inngest.
const (
	inngestAuto    = "auto"
	inngestServer  = "server"
	inngestStart   = "start"
	inngestSim     = "sim"
	inngestSimJump = "sim-jump"
)

// onSim ends the name of a backend on which sim runs as Inngest.
const onSim = " (sim)"

func inngests() []string {
	return []string{inngestAuto, inngestServer, inngestStart, inngestSim, inngestSimJump}
}

// standsIn reports whether sim stands in for the dev server, which the backend would have to build first.
func standsIn(ctx context.Context, b harness.Backend) bool {
	if b.Name() != backendLocal {
		return false
	}
	_, err := toolchain.Find(ctx, harness.ServiceInngest, toolchain.Options{})
	return errors.Is(err, toolchain.ErrNotBuilt)
}

// isSim reports whether an Inngest of this name is sim.
func isSim(name string) bool { return name == inngestSim || name == inngestSimJump }

// withInngest returns the backend with the Inngest of a name that is one of inngests, configured by o if it is sim.
func withInngest(b harness.Backend, name string, o sim.Options) harness.Backend {
	switch name {
	case inngestSim:
		return simstack.New(b, simstack.Options{Name: b.Name() + onSim, Sim: o})
	case inngestSimJump:
		return simstack.New(b, simstack.Options{Name: b.Name() + onSim, Sim: o, Pace: sim.Jump})
	default:
		return b
	}
}

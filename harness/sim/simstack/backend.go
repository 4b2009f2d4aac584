package simstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Options configures the backend. The zero value is ready to use.
type Options struct {
	// Name is the backend's name, as tests and HARNESS_BACKENDS have it. Empty: "sim".
	Name string
	// Pace says how the clock goes. Zero: with the wall clock.
	Pace sim.Pace
	// Sim configures the Sim that is started, and those that replace it when it is restarted. Its RetryInterval and Logger
	// are those of the stack. Its Page, where it has none, is the one in the cache of built servers, once it is there.
	Sim sim.Options
}

// Backend is another backend with a Sim in place of its Inngest server. It is safe for concurrent use.
type Backend struct {
	base harness.Backend
	o    Options

	mu  sync.Mutex
	all map[string]*unit // by the address of the Inngest server that each stands for
}

// New returns the backend on top of another one, which starts MongoDB and MailHog. It starts nothing.
func New(base harness.Backend, o Options) *Backend {
	o.Name = cmp.Or(o.Name, "sim")
	if o.Sim.Page == nil {
		if home, err := toolchain.PageHome(toolchain.Options{}); err == nil { // without a cache there is no page
			o.Sim.Page = toolchain.PageFiles(home)
		}
	}
	return &Backend{base: base, o: o, all: map[string]*unit{}}
}

// Name implements [harness.Backend].
func (b *Backend) Name() string { return b.o.Name }

// Limits of a start and of a graceful shutdown, which waits for requests in flight.
const (
	startTimeout = 10 * time.Second
	grace        = time.Second
)

// Start implements [harness.Backend].
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (_ harness.Servers, err error) {
	if o.Keys != (harness.Keys{}) {
		return nil, fmt.Errorf("run the self-hosted Inngest server beside sim: %w: use the local backend", harness.ErrUnsupported)
	}
	wanted, err := fleet.Wanted(b.Name(), o)
	if err != nil {
		return nil, err
	}
	if err := port.CheckAll(port.Wish{Port: o.Ports.Inngest, For: "Inngest"}); err != nil {
		return nil, err
	}
	none, err := fleet.Start(ctx, fleet.Options{Backend: b.Name()})
	if err != nil {
		return nil, err
	}
	s := &servers{Servers: none, sim: none, unit: &unit{backend: b, options: o}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	base := o
	base.Ports.Inngest, base.Connect, base.Progress = 0, false, fleet.Serialised(o.Progress)
	base.Services = slices.DeleteFunc(wanted, func(s harness.Service) bool { return s == harness.ServiceInngest })
	if len(base.Services) > 0 {
		started, err := b.base.Start(ctx, base)
		if err != nil {
			return nil, err
		}
		s.Servers = started
	}
	if len(o.Services) > 0 && !slices.Contains(o.Services, harness.ServiceInngest) {
		return s, nil
	}
	s.unit.log = logbook.New(logbook.Options{File: filepath.Join(o.Dir, string(harness.ServiceInngest)+".log")})
	if err := s.unit.log.Open(); err != nil {
		return nil, fmt.Errorf("open the log of inngest (sim): %w", err)
	}
	started, err := fleet.Start(ctx, fleet.Options{Backend: b.Name(), StartTimeout: startTimeout, Grace: grace, Progress: base.Progress}, s.unit)
	if err != nil {
		return nil, err
	}
	s.sim = started
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[s.Endpoints().Inngest] = s.unit
	return s, nil
}

// Sim returns what runs in place of a stack's Inngest server: another Sim after each restart. It is nil while it is
// stopped, and for a stack that is not on this backend. The stack closes it.
func (b *Backend) Sim(st *stack.Stack) *sim.Sim {
	b.mu.Lock()
	u := b.all[st.Endpoints().Inngest]
	b.mu.Unlock()
	if u == nil {
		return nil
	}
	if i := u.current.Load(); i != nil && !i.ended() {
		return i.sim
	}
	return nil
}

// servers are those of the other backend, whose methods Done and Err serve since a Sim does not die, and a fleet of one Sim.
type servers struct {
	harness.Servers
	sim  *fleet.Fleet
	unit *unit
}

func (s *servers) of(name harness.Service) harness.Servers {
	if name == harness.ServiceInngest {
		return s.sim
	}
	return s.Servers
}

// Endpoints implements [harness.Servers].
func (s *servers) Endpoints() harness.Endpoints {
	ends := s.Servers.Endpoints()
	ends.Inngest = s.sim.Endpoints().Inngest
	return ends
}

// Describe implements [harness.Servers].
func (s *servers) Describe() []harness.ServerInfo {
	return append(s.Servers.Describe(), s.sim.Describe()...)
}

// Reach implements [harness.Servers]: a Sim is in this process, wherever the other servers are.
func (s *servers) Reach(_ context.Context, addr string) (string, error) { return addr, nil }

// Start implements [harness.Servers].
func (s *servers) Start(ctx context.Context, name harness.Service) error {
	return s.of(name).Start(ctx, name)
}

// Stop implements [harness.Servers].
func (s *servers) Stop(ctx context.Context, name harness.Service) error {
	return s.of(name).Stop(ctx, name)
}

// Kill implements [harness.Servers].
func (s *servers) Kill(ctx context.Context, name harness.Service) error {
	return s.of(name).Kill(ctx, name)
}

// Pause implements [harness.Servers].
func (s *servers) Pause(ctx context.Context, name harness.Service) error {
	return s.of(name).Pause(ctx, name)
}

// Resume implements [harness.Servers].
func (s *servers) Resume(ctx context.Context, name harness.Service) error {
	return s.of(name).Resume(ctx, name)
}

// Tail implements [harness.Servers].
func (s *servers) Tail(name harness.Service) []string { return s.of(name).Tail(name) }

// StartedAt returns when the Sim was started the last time.
func (s *servers) StartedAt(name harness.Service) time.Time { return s.sim.StartedAt(name) }

// Close implements [harness.Servers].
func (s *servers) Close(ctx context.Context) error {
	err := errors.Join(s.sim.Close(ctx), s.Servers.Close(ctx))
	b := s.unit.backend
	b.mu.Lock()
	maps.DeleteFunc(b.all, func(_ string, u *unit) bool { return u == s.unit })
	b.mu.Unlock()
	if s.unit.log != nil {
		err = errors.Join(err, s.unit.log.Close())
	}
	return err
}

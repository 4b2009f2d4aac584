package simstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Options configures the backend. The zero value is ready to use.
type Options struct {
	// Name is the backend's name, as tests and HARNESS_BACKENDS have it. Empty: "sim".
	Name string
	// Pace says how the clock goes. Zero: with the wall clock.
	Pace sim.Pace
	// Ignore names what apps may configure although a Sim does not model it.
	Ignore []sim.Feature
	// Keep is how many ended runs are kept: see [sim.Options].Keep. Zero: 10,000.
	Keep int
}

// Backend is another backend with a Sim in the place of its Inngest server. It is safe for concurrent use.
type Backend struct {
	base harness.Backend
	o    Options

	mu  sync.Mutex
	all map[string]*servers // by the Inngest server's address
}

// New returns the backend on top of another one, which starts MongoDB and MailHog. It starts nothing.
func New(base harness.Backend, o Options) *Backend {
	o.Name = cmp.Or(o.Name, "sim")
	return &Backend{base: base, o: o, all: map[string]*servers{}}
}

// Name implements [harness.Backend].
func (b *Backend) Name() string { return b.o.Name }

// Start implements [harness.Backend].
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (_ harness.Servers, err error) {
	for _, f := range b.o.Ignore {
		if !f.Known() {
			return nil, fmt.Errorf("start inngest (sim): Options.Ignore names %q, which is no feature of Inngest's", f)
		}
	}
	if o.Ports.Inngest != 0 {
		if err := port.Check(o.Ports.Inngest, "Inngest"); err != nil {
			return nil, err
		}
	}
	s := &servers{backend: b, options: o}
	base := o
	base.Ports.Inngest, base.WithoutInngest = 0, true
	base.Progress = serialised(o.Progress)
	if s.base, err = b.base.Start(ctx, base); err != nil {
		return nil, err
	}
	began := time.Now()
	s.log = logbook.New(logbook.Options{File: filepath.Join(o.Dir, string(harness.ServiceInngest)+".log")})
	if err = s.log.Open(); err != nil {
		err = fmt.Errorf("open the log of inngest (sim): %w", err)
	} else {
		err = s.start()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	if base.Progress != nil {
		base.Progress(harness.Progress{Subject: string(harness.ServiceInngest), Doing: "ready", Elapsed: time.Since(began), Done: true})
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("start inngest (sim): %w", err), s.Close(context.WithoutCancel(ctx)))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[s.Endpoints().Inngest] = s
	return s, nil
}

// serialised makes progress safe to call from several goroutines.
func serialised(progress func(harness.Progress)) func(harness.Progress) {
	if progress == nil {
		return nil
	}
	var mu sync.Mutex
	return func(p harness.Progress) {
		mu.Lock()
		defer mu.Unlock()
		progress(p)
	}
}

// Sim returns what runs in the place of a stack's Inngest server: another one after that has been stopped and run again.
// It is nil while it is stopped, and for a stack that is not on this backend. The stack closes it.
func (b *Backend) Sim(st *stack.Stack) *sim.Sim {
	b.mu.Lock()
	s := b.all[st.Endpoints().Inngest]
	b.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sim
}

func (b *Backend) forget(s *servers) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[s.url()] == s {
		delete(b.all, s.url())
	}
}

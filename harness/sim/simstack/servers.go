package simstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// Source is the [harness.ServerInfo].Source of a Sim.
const Source = "in process"

// servers are the other backend's, and a Sim behind a listener on loopback.
type servers struct {
	backend *Backend
	base    harness.Servers
	options harness.BackendOptions
	log     *logbook.Book
	addr    string // where it listens: chosen by the first start, before anybody else has the servers

	mu     sync.Mutex
	sim    *sim.Sim
	http   *http.Server
	served chan struct{} // closed when http has ended
	gate   *gate
	freed  bool
}

// start starts a Sim, on its old address if it had one.
func (s *servers) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.freed {
		return fmt.Errorf("%s cannot be started: its stack is closed", harness.ServiceInngest)
	}
	if s.sim != nil {
		return nil
	}
	l, err := s.listen()
	if err != nil {
		return fmt.Errorf("start inngest (sim): %w: start again, or let the harness choose with --ports free", err)
	}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	s.sim = sim.New(sim.Options{
		RetryInterval: s.options.RetryInterval, Ignore: s.backend.o.Ignore, Keep: s.backend.o.Keep, Logger: logger,
	})
	s.sim.Drive(s.backend.o.Pace)
	s.gate = newGate(s.sim.Handler())
	s.http = &http.Server{Handler: s.gate, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}
	s.served = make(chan struct{})
	logger.Info("sim is up, in process", "address", s.url(), "like", "Inngest v"+sim.Version)
	go func() {
		defer close(s.served)
		if err := s.http.Serve(politeListener{l}); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the listener failed", "error", err)
		}
	}()
	return nil
}

// listen listens where it did before.
func (s *servers) listen() (net.Listener, error) {
	if s.addr != "" {
		return net.Listen("tcp", s.addr)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.Ports.Inngest)))
	if err == nil {
		s.addr = l.Addr().String()
	}
	return l, err
}

// stop ends the Sim, and with it its runs and its knowledge of apps, as the dev server's end does. Requests under way are
// given until grace is over.
func (s *servers) stop(ctx context.Context, grace time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(ctx, grace)
}

// end does what stop does. The lock is held.
func (s *servers) end(ctx context.Context, grace time.Duration) error {
	if s.sim == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	s.gate.open()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // it is to end, in order or not
	}
	<-s.served
	err := s.sim.Close()
	s.sim, s.http, s.gate = nil, nil, nil
	return err
}

// grace is how long requests under way may take when the Sim is stopped in order.
const grace = time.Second

func (s *servers) url() string { return "http://" + s.addr }

// Endpoints implements [harness.Servers].
func (s *servers) Endpoints() harness.Endpoints {
	ends := s.base.Endpoints()
	ends.Inngest = s.url()
	return ends
}

// Describe implements [harness.Servers].
func (s *servers) Describe() []harness.ServerInfo {
	return append(s.base.Describe(), harness.ServerInfo{
		Service: harness.ServiceInngest, Version: "sim, like Inngest v" + sim.Version, Source: Source, LogFile: s.log.File(),
	})
}

// Reach implements [harness.Servers]: a Sim is in this process, wherever the other servers are.
func (s *servers) Reach(_ context.Context, addr string) (string, error) { return addr, nil }

// Stop implements [harness.Servers].
func (s *servers) Stop(ctx context.Context, name harness.Service) error {
	if name != harness.ServiceInngest {
		return s.base.Stop(ctx, name)
	}
	return s.stop(ctx, grace)
}

// Kill implements [harness.Servers].
func (s *servers) Kill(ctx context.Context, name harness.Service) error {
	if name != harness.ServiceInngest {
		return s.base.Kill(ctx, name)
	}
	return s.stop(ctx, 0)
}

// Run implements [harness.Servers].
func (s *servers) Run(ctx context.Context, name harness.Service) error {
	if name != harness.ServiceInngest {
		return s.base.Run(ctx, name)
	}
	return s.start()
}

// Pause implements [harness.Servers].
func (s *servers) Pause(ctx context.Context, name harness.Service) error {
	if name != harness.ServiceInngest {
		return s.base.Pause(ctx, name)
	}
	return s.running(func() {
		s.sim.Pause()
		s.gate.close()
	})
}

// Resume implements [harness.Servers].
func (s *servers) Resume(ctx context.Context, name harness.Service) error {
	if name != harness.ServiceInngest {
		return s.base.Resume(ctx, name)
	}
	return s.running(func() {
		s.sim.Resume()
		s.gate.open()
	})
}

func (s *servers) running(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sim == nil {
		return fmt.Errorf("%s is not running", harness.ServiceInngest)
	}
	f()
	return nil
}

// Tail implements [harness.Servers].
func (s *servers) Tail(name harness.Service) []string {
	if name != harness.ServiceInngest {
		return s.base.Tail(name)
	}
	return s.log.Tail()
}

// Died implements [harness.Servers]. A Sim does not die.
func (s *servers) Died() <-chan error { return s.base.Died() }

// Close implements [harness.Servers].
func (s *servers) Close(ctx context.Context) error {
	s.mu.Lock()
	freed := s.freed
	s.freed = true // before the lock is given back: a Run at the same time must not start what nobody would stop
	err := s.end(ctx, grace)
	s.mu.Unlock()
	if !freed {
		s.backend.forget(s)
		err = errors.Join(err, s.log.Close())
	}
	return errors.Join(err, s.base.Close(ctx))
}

// gate holds requests back while it is closed: they are taken, and nothing answers.
type gate struct {
	handler http.Handler

	mu   sync.Mutex
	shut chan struct{} // closed when it opens; nil while it is open
}

func newGate(h http.Handler) *gate { return &gate{handler: h} }

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		select {
		case <-shut:
		case <-r.Context().Done():
			return
		}
	}
	g.handler.ServeHTTP(w, r)
}

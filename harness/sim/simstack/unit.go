package simstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/thishost"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// Source is the [harness.ServerInfo].Source of a Sim.
const Source = "in process"

// unit is a Sim behind a listener on loopback.
type unit struct {
	backend *Backend
	options harness.BackendOptions
	log     *logbook.Book
	current atomic.Pointer[instance]
}

// Ports implements [fleet.Unit].
func (u *unit) Ports() []int { return fleet.Ports(harness.ServiceInngest, u.options.Ports) }

// PortTaken implements [fleet.Unit].
func (u *unit) PortTaken(err error) bool {
	return u.options.Ports.Inngest == 0 && errors.Is(err, syscall.EADDRINUSE)
}

// Info implements [fleet.Unit].
func (u *unit) Info() harness.ServerInfo {
	info := harness.ServerInfo{
		Service: harness.ServiceInngest, Version: "sim, like Inngest v" + sim.Version, Source: Source, HasUI: u.backend.o.Sim.HasPage(),
	}
	if u.log != nil {
		info.LogFile = u.log.File()
	}
	return info
}

// Begin implements [fleet.Unit].
func (u *unit) Begin(ctx context.Context, ports []int) (fleet.Instance, error) {
	l, err := u.listen(ctx, fleet.Loopback(ports[0]))
	if err != nil {
		return nil, fmt.Errorf("start inngest (sim): %w: start again, or let the harness choose with --ports free", err)
	}
	// Answers of the app are in the log.
	secrets := secret.New(secret.Values(os.Environ(), harness.DevEventKey))
	logger := slog.New(slog.NewTextHandler(secrets.Writer(u.log), nil))
	i := &instance{log: u.log, done: make(chan struct{})}
	options := u.backend.o.Sim
	options.RetryInterval, options.Logger, options.Network = u.options.RetryInterval, logger, true
	i.sim = sim.New(options)
	i.sim.RunInBackground(u.backend.o.Pace)
	i.gate = &gate{handler: thishost.Guard(i.sim.Handler())}
	i.http = &http.Server{Handler: i.gate, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}
	logger.Info("sim is up, in process", "address", fleet.URL(ports[0]), "like", "Inngest v"+sim.Version)
	i.served.Go(func() {
		if err := i.http.Serve(lingeringListener{l}); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the listener failed", "error", err)
		}
	})
	u.current.Store(i)
	return i, nil
}

// againFor is how long a Sim that is started again tries to listen on its port.
const againFor = 2 * time.Second

// listen listens on the unit's port. A program that this process starts has a copy of every listener for a moment, also of the
// last Sim's, which keeps the port taken.
func (u *unit) listen(ctx context.Context, addr string) (l net.Listener, err error) {
	if u.current.Load() == nil {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, againFor)
	defer cancel()
	err = poll.Until(ctx, time.Millisecond, func(ctx context.Context) (err error) {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		return err
	})
	return l, err
}

// instance is one Sim, which replaces the one before it. It ends only when it is told to.
type instance struct {
	log    *logbook.Book
	sim    *sim.Sim
	http   *http.Server
	gate   *gate
	served sync.WaitGroup // of http
	done   chan struct{}
}

// Name implements [fleet.Instance].
func (*instance) Name() string { return string(harness.ServiceInngest) }

// Done implements [fleet.Instance].
func (i *instance) Done() <-chan struct{} { return i.done }

// Err implements [fleet.Instance].
func (*instance) Err() error { return nil }

// Tail implements [fleet.Instance].
func (i *instance) Tail() []string { return i.log.Tail() }

// LogFile implements [fleet.Instance].
func (i *instance) LogFile() string { return i.log.File() }

// Look implements [fleet.Instance]: the Sim accepts requests from the beginning.
func (*instance) Look(context.Context) error { return nil }

func (i *instance) ended() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// End implements [fleet.Instance]. The Sim's runs, and the apps that it knows, end with it. Requests in flight may take until
// grace is over.
func (i *instance) End(ctx context.Context, grace time.Duration) error {
	if i.ended() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	i.gate.open()
	if i.http.Shutdown(ctx) != nil {
		_ = i.http.Close() // requests in flight have had their time
	}
	i.served.Wait()
	defer close(i.done)
	return i.sim.Close(context.WithoutCancel(ctx)) // its calls are cancelled: it does not take long
}

// Pause implements [fleet.Instance].
func (i *instance) Pause(context.Context) error {
	i.sim.Pause()
	i.gate.close()
	return nil
}

// Resume implements [fleet.Instance].
func (i *instance) Resume(context.Context) error {
	i.sim.Resume()
	i.gate.open()
	return nil
}

// gate holds requests back while it is closed: they are accepted, and nothing answers.
type gate struct {
	handler http.Handler

	mu   sync.Mutex
	shut chan struct{} // closed when it opens; nil while it is open
}

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

// lingeringListener accepts connections whose Close waits until the other side has noticed it. A Sim restarts within a
// millisecond; a client that still kept a connection to the last one would lose its next request on it.
type lingeringListener struct{ net.Listener }

func (l lingeringListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lingeringConn{c.(*net.TCPConn)}, nil
}

type lingeringConn struct{ *net.TCPConn }

// lingerTime bounds the wait for the other side to close its end.
const lingerTime = 200 * time.Millisecond

func (c lingeringConn) Close() error {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, c.TCPConn) // until the other side closes its end, or the deadline
	}
	return c.TCPConn.Close()
}

// Package fleet supervises the servers of a stack for the backends that start servers.
//
// A backend says how one server is started: a [Unit]. The [Fleet] implements [harness.Servers] for all of them: it chooses
// ports, waits until a server is usable, serialises starts and stops, restarts servers, and reports the exit of one that
// was not told to end.
//
//	f, err := fleet.Start(ctx, fleet.Options{Backend: "local", StartTimeout: 30 * time.Second, Grace: time.Second}, units...)
//	if err != nil { … } // all that was started has ended again
//	defer f.Close(context.Background())
package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// A Unit is one server of a fleet. Begin is not called concurrently with itself; the other methods may be called at any
// time.
type Unit interface {
	// Ports returns the ports that the server needs: fixed numbers, or zero for any free one. MailHog's are those of its
	// API and of SMTP; the first one of another server is the one that it is reached by.
	Ports() []int

	// Begin starts the server on the given ports and returns without waiting until it answers. When it fails, nothing of
	// this start is left running.
	Begin(ctx context.Context, ports []int) (Instance, error)

	// PortTaken reports whether a start that failed with err may succeed on other ports.
	PortTaken(err error) bool

	// Info describes the server.
	Info() harness.ServerInfo
}

// An Instance is a server from one start to the exit that follows it. Its methods are safe for concurrent use.
type Instance interface {
	proc.Program

	// Look returns nil when the server is usable. A [*MovedError] ends the wait for it.
	Look(ctx context.Context) error

	// End shuts the server down gracefully and kills it after grace; a grace of zero kills it immediately. It returns
	// when the server has ended, and does nothing to one that had ended before.
	End(ctx context.Context, grace time.Duration) error

	// Pause freezes the server, Resume lets it go on.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// Options configures a Fleet.
type Options struct {
	// Backend is the backend's name, for messages. Required.
	Backend string
	// StartTimeout bounds the time from the start of a server until it is usable. Required.
	StartTimeout time.Duration
	// Grace is how long a server may take to shut down before it is killed.
	Grace time.Duration
	// Progress receives a line when a server is usable. It is called from several goroutines: see [Serialised]. Required.
	Progress func(harness.Progress)
	// Reach implements [harness.Servers].Reach. Nil: Inngest reaches every address of this machine as it is.
	Reach func(ctx context.Context, addr string) (string, error)
	// EndAll ends all servers when the fleet closes, and frees what they share. Nil: each is ended with Grace.
	EndAll func(ctx context.Context) error
	// Free frees what the servers share once all have ended. Nil: nothing.
	Free func() error

	// Keys are those of the Inngest server, for Endpoints.
	Keys harness.Keys
	// ReplicaSet says that MongoDB runs as a replica set, for Endpoints.
	ReplicaSet bool
	// After names the services that must be usable before a service is started the first time.
	After map[harness.Service][]harness.Service
	// KeepUp are the services that are started again when they end by themselves, until they are usable, as by a restart
	// policy. Done does not report them.
	KeepUp []harness.Service
}

// restartPause is the time between an exit of a server that is kept up, or a failed start of it, and the next start.
const restartPause = 500 * time.Millisecond

// Fleet implements [harness.Servers] for servers that it has started. It is safe for concurrent use.
type Fleet struct {
	o       Options
	servers map[harness.Service]*server

	alive    context.Context // ends when the fleet closes
	endLife  context.CancelCauseFunc
	closing  sync.Once
	closeErr error

	watching sync.WaitGroup // goroutines that wait for an exit

	exited sync.Once
	exit   error // the first exit without being told to; written before done is closed
	done   chan struct{}
}

// server is a unit and its state.
type server struct {
	service harness.Service
	unit    Unit
	current atomic.Pointer[Instance] // the last one that was started; nil before the first
	began   atomic.Int64             // when, in nanoseconds of Unix time

	keptUp bool          // see Options.KeepUp
	first  chan struct{} // closed when it is usable for the first time
	busy   chan struct{} // holds a token while the server is started or ended; guards what follows
	ports  []int         // constant once the server has been usable
	usable bool          // it has been started and not been told to end: its exit is unexpected
	proven bool          // it has been usable once: from then on it keeps its ports
	wanted bool          // it has been usable and has not been told to end since
	closed bool
	// freePorts ends the keeping of its ports; nil before it is proven.
	freePorts func()
}

// program is the name of the server's program.
func (s *server) program() string { return Program(s.service, s.unit.Info().MailCatcher) }

// attempts is how often a server is started on newly chosen ports when another program took one in the meantime.
const attempts = 3

// Start starts all units concurrently and returns when all of them are usable. When one fails, or ctx ends, it ends the
// others and closes the fleet. ctx bounds the start only.
func Start(ctx context.Context, o Options, units ...Unit) (*Fleet, error) {
	f := &Fleet{o: o, servers: make(map[harness.Service]*server), done: make(chan struct{})}
	f.alive, f.endLife = context.WithCancelCause(context.WithoutCancel(ctx))
	g, gctx := errgroup.WithContext(ctx)
	for _, u := range units {
		s := &server{service: u.Info().Service, unit: u, first: make(chan struct{}), busy: make(chan struct{}, 1)}
		s.keptUp = slices.Contains(o.KeepUp, s.service)
		f.servers[s.service] = s
	}
	for _, s := range f.servers {
		g.Go(func() error {
			for _, other := range o.After[s.service] {
				select {
				case <-f.servers[other].first:
				case <-gctx.Done():
					return nil // the error is that of the other one, or of ctx
				}
			}
			return f.start(gctx, s)
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("start the servers: %w", context.Cause(ctx))
	}
	if err != nil {
		// The context of the start may have ended; what has been started has to end all the same.
		return nil, errors.Join(err, f.Close(context.WithoutCancel(ctx)))
	}
	return f, nil
}

// start starts a server unless it runs. A server that has never been usable is tried on other ports when its own are taken.
func (f *Fleet) start(ctx context.Context, s *server) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return f.startLocked(ctx, s)
}

// startLocked is start for a caller that holds the server's lock.
func (f *Fleet) startLocked(ctx context.Context, s *server) error {
	if s.closed {
		return f.closedError(s)
	}
	if s.running() {
		return nil
	}
	f.noteExit(s) // of an instance that has just ended
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.alive, func() { cancel(f.closedError(s)) })()
	for tried := 1; ; tried++ {
		if s.ports == nil {
			var err error
			if s.ports, err = choose(s.unit.Ports()); err != nil {
				return err
			}
		}
		err := f.startOnce(ctx, s)
		if err == nil || s.proven || tried == attempts || !s.unit.PortTaken(err) {
			return err
		}
		s.ports = nil
	}
}

func (f *Fleet) closedError(s *server) error {
	return fmt.Errorf("%s cannot be started: its stack is closed", s.service)
}

// choose returns the wanted ports, with a free one in the place of each zero.
func choose(wanted []int) ([]int, error) {
	ports, err := port.Free(len(wanted))
	if err != nil {
		return nil, err
	}
	for i, p := range wanted {
		if p != 0 {
			ports[i] = p
		}
	}
	return ports, nil
}

// startOnce starts a server and waits until it is usable. The caller holds the server's lock.
func (f *Fleet) startOnce(ctx context.Context, s *server) error {
	began := time.Now()
	i, err := s.unit.Begin(ctx, s.ports)
	if err != nil {
		return err
	}
	s.current.Store(&i)
	s.began.Store(began.UnixNano())
	if err := f.awaitUsable(ctx, i); err != nil {
		return errors.Join(fmt.Errorf("%s did not come up: %w", s.program(), err), i.End(context.WithoutCancel(ctx), 0))
	}
	if !s.proven {
		s.freePorts = port.Keep(s.ports)
		close(s.first)
	}
	s.usable, s.proven, s.wanted = true, true, true
	f.watching.Go(func() { f.watchExit(s, i) })
	f.o.Progress(harness.Progress{Subject: s.program(), Doing: "ready", Elapsed: time.Since(began), Done: true})
	return nil
}

func (f *Fleet) awaitUsable(ctx context.Context, i Instance) error {
	ctx, cancel := context.WithTimeout(ctx, f.o.StartTimeout)
	defer cancel()
	moved := make(chan error, 1)
	err := proc.AwaitReady(ctx, i, func(ctx context.Context) error {
		err := i.Look(ctx)
		if errors.As(err, new(*MovedError)) {
			moved <- err
			return nil // to end the wait
		}
		return err
	})
	select {
	case err := <-moved:
		return err
	default:
		return err
	}
}

// watchExit waits until an instance ends. If it should still be running, it is reported.
func (f *Fleet) watchExit(s *server, i Instance) {
	<-i.Done()
	_ = s.lock(context.Background()) // it has no end, so there is no error
	defer s.unlock()
	if *s.current.Load() == i {
		f.noteExit(s)
	}
}

// keepUp starts a server that has ended by itself until it is usable, is told to end, or the fleet closes.
func (f *Fleet) keepUp(s *server) {
	for {
		select {
		case <-time.After(restartPause):
		case <-f.alive.Done():
			return
		}
		if s.lock(f.alive) != nil {
			return
		}
		done := !s.wanted || f.startLocked(f.alive, s) == nil // a server that does not start is in its log
		s.unlock()
		if done {
			return
		}
	}
}

// noteExit reports the exit of a server that should be running. The caller holds the server's lock.
func (f *Fleet) noteExit(s *server) {
	if !s.usable {
		return
	}
	s.usable = false
	if s.keptUp {
		f.watching.Go(func() { f.keepUp(s) })
		return
	}
	f.exited.Do(func() {
		f.exit = (*s.current.Load()).Err()
		close(f.done)
	})
}

// lock waits until no other call starts or ends the server, or ctx ends.
func (s *server) lock(ctx context.Context) error {
	select {
	case s.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait until another call has started or stopped %s: %w", s.service, context.Cause(ctx))
	}
}

func (s *server) unlock() { <-s.busy }

// running reports whether the server is usable and has not exited. The caller holds the server's lock.
func (s *server) running() bool {
	if !s.usable {
		return false
	}
	select {
	case <-(*s.current.Load()).Done():
		return false
	default:
		return true
	}
}

// end ends a server and keeps it from being reported as dead.
func (f *Fleet) end(ctx context.Context, name harness.Service, grace time.Duration) error {
	s, err := f.server(name)
	if err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.end(ctx, grace)
}

// end is called with the server's lock held.
func (s *server) end(ctx context.Context, grace time.Duration) error {
	s.usable, s.wanted = false, false
	i := s.current.Load()
	if i == nil || s.closed {
		return nil
	}
	return (*i).End(ctx, grace)
}

// onRunning calls do with the running instance of a server.
func (f *Fleet) onRunning(ctx context.Context, name harness.Service, do func(Instance) error) error {
	s, err := f.server(name)
	if err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if !s.running() {
		return fmt.Errorf("%s is not running", name)
	}
	return do(*s.current.Load())
}

func (f *Fleet) server(name harness.Service) (*server, error) {
	if s, ok := f.servers[name]; ok {
		return s, nil
	}
	return nil, unknown(f.o.Backend, name)
}

// Endpoints implements [harness.Servers].
func (f *Fleet) Endpoints() harness.Endpoints {
	ends := harness.Endpoints{Keys: f.o.Keys}
	if s, ok := f.servers[harness.ServiceMongo]; ok {
		ends.Mongo = MongoURI(s.ports[0], f.o.ReplicaSet)
	}
	if s, ok := f.servers[harness.ServiceMailHog]; ok {
		ends.MailHog, ends.SMTP = URL(s.ports[0]), Loopback(s.ports[1])
	}
	if s, ok := f.servers[harness.ServiceInngest]; ok {
		ends.Inngest = URL(s.ports[0])
	}
	return ends
}

// Describe implements [harness.Servers].
func (f *Fleet) Describe() []harness.ServerInfo {
	var infos []harness.ServerInfo
	for _, name := range services {
		if s, ok := f.servers[name]; ok {
			infos = append(infos, s.unit.Info())
		}
	}
	return infos
}

// Reach implements [harness.Servers].
func (f *Fleet) Reach(ctx context.Context, addr string) (string, error) {
	if f.o.Reach == nil {
		return addr, nil
	}
	return f.o.Reach(ctx, addr)
}

// Start implements [harness.Servers].
func (f *Fleet) Start(ctx context.Context, name harness.Service) error {
	s, err := f.server(name)
	if err != nil {
		return err
	}
	return f.start(ctx, s)
}

// Stop implements [harness.Servers].
func (f *Fleet) Stop(ctx context.Context, name harness.Service) error {
	return f.end(ctx, name, f.o.Grace)
}

// Kill implements [harness.Servers].
func (f *Fleet) Kill(ctx context.Context, name harness.Service) error { return f.end(ctx, name, 0) }

// Pause implements [harness.Servers].
func (f *Fleet) Pause(ctx context.Context, name harness.Service) error {
	return f.onRunning(ctx, name, func(i Instance) error { return i.Pause(ctx) })
}

// Resume implements [harness.Servers].
func (f *Fleet) Resume(ctx context.Context, name harness.Service) error {
	return f.onRunning(ctx, name, func(i Instance) error { return i.Resume(ctx) })
}

// Tail implements [harness.Servers].
func (f *Fleet) Tail(name harness.Service) []string {
	if s, ok := f.servers[name]; ok {
		if i := s.current.Load(); i != nil {
			return (*i).Tail()
		}
	}
	return nil
}

// StartedAt returns when a server was started the last time, also by the fleet itself.
func (f *Fleet) StartedAt(name harness.Service) time.Time {
	if s, ok := f.servers[name]; ok {
		return time.Unix(0, s.began.Load())
	}
	return time.Time{}
}

// Done implements [harness.Servers].
func (f *Fleet) Done() <-chan struct{} { return f.done }

// Err implements [harness.Servers].
func (f *Fleet) Err() error {
	select {
	case <-f.done:
		return f.exit
	default:
		return nil
	}
}

// Close implements [harness.Servers]. A start that is under way is called off.
func (f *Fleet) Close(ctx context.Context) error {
	f.closing.Do(func() { f.closeErr = f.close(ctx) })
	return f.closeErr
}

func (f *Fleet) close(ctx context.Context) error {
	f.endLife(errors.New("the stack is closed"))
	var g errgroup.Group
	for _, s := range f.servers {
		g.Go(func() (err error) {
			_ = s.lock(context.Background()) // a start under way has been called off
			defer s.unlock()
			if f.o.EndAll == nil {
				err = s.end(ctx, f.o.Grace)
			}
			s.usable, s.closed = false, true
			if s.freePorts != nil {
				s.freePorts()
			}
			return err
		})
	}
	err := g.Wait()
	if f.o.EndAll != nil {
		err = f.o.EndAll(ctx)
	}
	if err == nil {
		f.watching.Wait()
	}
	if f.o.Free != nil {
		err = errors.Join(err, f.o.Free())
	}
	return err
}

package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// Options configures a [Stack]. The zero value is ready to use.
type Options struct {
	// Ports are the ports to use. A zero port means any free one.
	Ports Ports

	// Dir holds logs and scratch data. Empty: a temporary directory, removed by Close.
	Dir string

	// Database is the name of the app's database. Empty: "app".
	Database string

	// AppPath is where the app serves Inngest. Empty: "/api/inngest".
	AppPath string

	// RunHeader names the header of an email that holds the id of the run that sent it. Empty: "X-Inngest-Run-Id".
	RunHeader string

	// RetryInterval is the pause before Inngest retries a failed step, in whole seconds. Zero leaves it to the
	// server: 15 s and up to 30 s of jitter for the first retry.
	RetryInterval time.Duration

	// AppEnv holds further variables, as "KEY=value", for an app that runs as a program. They win over what its
	// [Command] and the stack set.
	AppEnv []string

	// AppGrace is how long the app may take to finish what is in flight when it is ended in order. Zero: 1.5 s.
	AppGrace time.Duration

	// WithoutTaps leaves out the recording proxies between app, Inngest and MailHog. A trace then comes from the
	// servers' own accounts alone, and no fault can be scripted.
	WithoutTaps bool

	// Shared says that others use the stack at the same time, who know nothing of each other. What the app sends past
	// its steps then may be anybody's, and no verdict depends on it; nor does one on emails without a run that were sent
	// while none of the event's runs was being called.
	Shared bool

	// Progress is told what takes long. Nil is silent. It is called from one goroutine at a time.
	Progress func(Progress)
}

// eventKey is what a stack's apps send events with. The dev server takes any key.
const eventKey = "harness"

// A Stack is three servers and at most one app, with what it takes to send events and to see what became of them.
// Its methods are safe for concurrent use. Close frees it.
type Stack struct {
	options Options
	backend string
	servers Servers
	api     *inngestapi.Client
	inbox   *inbox.Client
	wires   *wires
	ledger  *ledger
	ownsDir bool
	// attached says that the servers go on when the stack is closed.
	attached bool

	secrets atomic.Pointer[secret.Set]

	died chan error
	life context.Context // ends when Close begins
	end  context.CancelFunc

	closed   chan struct{} // closed when the first Close is done
	closeErr error         // what it returned; written before

	// changing is held, by sending to it, while the app is started, ended or synced, which can take as long as the app
	// does. mu guards the fields, for a moment.
	changing chan struct{}
	mu       sync.Mutex
	app      *app
	lastSync error
}

// Start starts the servers by means of a backend. When it fails it has freed all that it started. ctx bounds the
// start only: the stack stays up until Close.
func Start(ctx context.Context, b Backend, o Options) (_ *Stack, err error) {
	o.Database = cmp.Or(o.Database, "app")
	o.AppPath = cmp.Or(o.AppPath, "/api/inngest")
	o.RunHeader = cmp.Or(o.RunHeader, "X-Inngest-Run-Id")
	o.AppGrace = cmp.Or(o.AppGrace, appGrace)
	if o.RetryInterval < 0 || o.RetryInterval%time.Second != 0 {
		return nil, fmt.Errorf("retry interval %v: the Inngest server knows whole seconds only", o.RetryInterval)
	}
	s := &Stack{options: o, backend: b.Name(), died: make(chan error, 1), changing: make(chan struct{}, 1), closed: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	s.keepSecret(nil)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if s.servers, err = b.Start(ctx, BackendOptions{
		Ports: o.Ports, Dir: s.options.Dir, RetryInterval: o.RetryInterval, Progress: o.Progress,
	}); err != nil {
		return nil, fmt.Errorf("start the stack on the %s backend: %w", b.Name(), err)
	}
	if host, ok := s.servers.(AppHost); ok {
		s.attached = true
		if env, ok := host.HostedApp(); ok {
			s.app = &app{env: env, runner: hosted{}}
			o.WithoutTaps = true // there is no way to put them between
		}
	}
	ends := s.servers.Endpoints()
	s.api = inngestapi.New(ends.Inngest, inngestapi.Options{EventKey: eventKey})
	s.inbox = inbox.New(ends.MailHog, inbox.Options{RunHeader: o.RunHeader})
	if s.wires, err = newWires(ends, o); err != nil {
		return nil, err
	}
	s.ledger = newLedger(s.wires.taps)
	go func() {
		select {
		case err := <-s.servers.Died():
			s.report(err)
		case <-s.life.Done():
		}
	}()
	return s, nil
}

func (s *Stack) makeDir() error {
	if s.options.Dir != "" {
		if err := os.MkdirAll(s.options.Dir, 0o755); err != nil {
			return fmt.Errorf("make the stack's directory: %w", err)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "harness-")
	if err != nil {
		return fmt.Errorf("make a directory for the stack's logs: %w", err)
	}
	s.options.Dir, s.ownsDir = dir, true
	return nil
}

// report delivers the first death.
func (s *Stack) report(err error) {
	select {
	case s.died <- err:
	default:
	}
}

// Died delivers the exit, with the end of its log, of a server or app that ended without being told to: of the first
// one, and of later ones to whoever goes on reading. What nobody reads in time is dropped but for one.
func (s *Stack) Died() <-chan error { return s.died }

// Backend is the name of the backend that started the servers.
func (s *Stack) Backend() string { return s.backend }

// Endpoints are the addresses of the servers themselves, past the recording proxies.
func (s *Stack) Endpoints() Endpoints { return s.servers.Endpoints() }

// Describe lists the servers in the order mongo, mailhog, inngest.
func (s *Stack) Describe() []ServerInfo { return s.servers.Describe() }

// Dir holds the stack's logs.
func (s *Stack) Dir() string { return s.options.Dir }

// API is a client of the Inngest server. The stack closes it.
func (s *Stack) API() *inngestapi.Client { return s.api }

// Inbox is a client of MailHog. The stack closes it.
func (s *Stack) Inbox() *inbox.Client { return s.inbox }

// Event is an event to send.
type Event = inngestapi.Event

// Send sends events to the Inngest server and returns the id, a ULID, that it gave to each. The app is not asked.
func (s *Stack) Send(ctx context.Context, events ...Event) ([]string, error) {
	ids, err := s.api.Send(ctx, events...)
	if err != nil {
		return nil, err
	}
	for i, e := range events {
		s.ledger.sent(e.ID, ids[i])
	}
	return ids, nil
}

// Stop ends a service in order. A server keeps its address; [Stack.Run] starts it again.
func (s *Stack) Stop(ctx context.Context, name Service) error {
	if name == App {
		return s.endApp(ctx, s.options.AppGrace)
	}
	return s.servers.Stop(ctx, name)
}

// Kill ends a service at once, as a crash would. An app that runs as a handler in this process cannot be killed.
func (s *Stack) Kill(ctx context.Context, name Service) error {
	if name == App {
		return s.endApp(ctx, 0)
	}
	return s.servers.Kill(ctx, name)
}

// Run starts a service that Stop or Kill ended and returns when it is usable. The Inngest server forgets its apps
// when it ends, and an app may have changed: after either of them the app is synced again.
func (s *Stack) Run(ctx context.Context, name Service) error {
	if name == App {
		return s.rerunApp(ctx)
	}
	if err := s.servers.Run(ctx, name); err != nil {
		return err
	}
	if name != Inngest || s.current() == nil {
		return nil
	}
	return s.Sync(ctx)
}

// Restart is Stop followed by Run.
func (s *Stack) Restart(ctx context.Context, name Service) error {
	if err := s.Stop(ctx, name); err != nil {
		return err
	}
	return s.Run(ctx, name)
}

// Pause freezes a service: its connections stay open, nothing answers. Resume lets it go on.
func (s *Stack) Pause(ctx context.Context, name Service) error {
	if name == App {
		return s.withApp(runner.pause)
	}
	return s.servers.Pause(ctx, name)
}

// Resume lets a paused service go on.
func (s *Stack) Resume(ctx context.Context, name Service) error {
	if name == App {
		return s.withApp(runner.resume)
	}
	return s.servers.Resume(ctx, name)
}

// withApp lets f act on the app as it is now, also while it is being started or ended.
func (s *Stack) withApp(f func(runner) error) error {
	a := s.current()
	if a == nil {
		return errNoApp
	}
	return f(a.runner)
}

// AwaitEvent waits until the app has sent an event with this id of its own and the server has taken it, and returns
// the ULID that the server gave it: of the first such event, since the server drops later ones. With taps it learns of
// it at once; without, it asks the server, again and again, for the events of the last minute.
func (s *Stack) AwaitEvent(ctx context.Context, ownID string) (string, error) {
	s.ledger.claim(keyEvent(ownID))
	l := &listener{news: make(chan struct{}, 1)}
	s.ledger.listen(keyEvent(ownID), l)
	defer s.ledger.ignore(l)
	since := time.Now().Add(-time.Minute)
	beat := firstBeatTapless
	for {
		if accepted := s.ledger.look(keyEvent(ownID)).accepted; len(accepted) > 0 {
			return accepted[0], nil
		}
		var strike <-chan time.Time
		if s.wires.taps == nil {
			if id, err := s.findEvent(ctx, ownID, since); err != nil || id != "" {
				return id, err
			}
			strike = time.After(beat)
			beat = min(2*beat, lastBeatTapless)
		}
		select {
		case <-l.news:
		case <-strike:
		case <-ctx.Done():
			return "", fmt.Errorf("the app has not sent an event with the id %q: %w", ownID, ctx.Err())
		}
	}
}

// findEvent returns the ULID of the first event with this id of the sender's own, or "".
func (s *Stack) findEvent(ctx context.Context, ownID string, since time.Time) (string, error) {
	events, err := s.api.Events(ctx, inngestapi.EventFilter{Since: since})
	if err != nil {
		return "", fmt.Errorf("look for the event with the id %q: %w", ownID, err)
	}
	first := ""
	for _, e := range events {
		if e.OwnID == ownID && (first == "" || e.ID < first) {
			first = e.ID
		}
	}
	return first, nil
}

// State describes the stack for the state file.
func (s *Stack) State() State {
	ends := s.servers.Endpoints()
	state := State{
		Backend: s.backend,
		Inngest: StateURL{ends.Inngest},
		MailHog: StateMailHog{URL: ends.MailHog, SMTP: ends.SMTP},
		Mongo:   StateMongo{ends.Mongo},
	}
	if uri, err := mongouri.WithDatabase(ends.Mongo, s.options.Database); err == nil { // without an app it was not looked at yet
		state.Mongo.URI = uri
	}
	if env, ok := s.Env(); ok {
		state.App = StateApp{URL: env.AppURL, Path: s.options.AppPath}
		state.Mongo.URI = env.MongoURI
	}
	return state
}

// Taps are the recording proxies; nil on a stack without them.
func (s *Stack) Taps() *tap.Set { return s.wires.taps }

// Tail returns the last lines of a service's log, oldest first, without secrets. An app that runs as a handler in this process logs
// where the test does: it has none.
func (s *Stack) Tail(name Service) []string {
	if name != App {
		redact := s.secrets.Load().Lines()
		var tail []string
		for _, line := range s.servers.Tail(name) {
			tail = append(tail, redact(line))
		}
		return tail
	}
	if a := s.current(); a != nil {
		return a.runner.tail()
	}
	return nil
}

// appLog returns what the app printed from a moment on.
func (s *Stack) appLog(since time.Time) []string {
	if a := s.current(); a != nil {
		return a.runner.since(since)
	}
	return nil
}

// Close stops the app, then the servers, and frees all that the stack made. ctx bounds how long they are given to end
// by themselves. It may be called more than once: a later call waits, as long as its own ctx lasts, until the first is
// done, and returns what that returned.
func (s *Stack) Close(ctx context.Context) error {
	s.mu.Lock()
	first := s.life.Err() == nil
	s.end()
	s.mu.Unlock()
	if first {
		s.closeErr = s.close(ctx)
		close(s.closed)
		return s.closeErr
	}
	select {
	case <-s.closed:
		return s.closeErr
	default:
	}
	select {
	case <-s.closed:
		return s.closeErr
	case <-ctx.Done():
		return fmt.Errorf("wait for the stack, which another call is closing: %w", ctx.Err())
	}
}

// close frees all that has been made so far, also by a start that failed half-way.
func (s *Stack) close(ctx context.Context) error {
	var errs []error
	select {
	case s.changing <- struct{}{}: // what was changing has been told to give up; nothing else will begin
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("close the stack while its app is being started or ended: %w", ctx.Err()))
	}
	errs = append(errs, s.signOff(ctx))
	if a := s.current(); a != nil {
		errs = append(errs, a.runner.end(ctx, s.options.AppGrace))
	}
	if s.wires != nil {
		errs = append(errs, s.wires.close(ctx))
	}
	if s.ledger != nil {
		s.ledger.close()
	}
	if s.inbox != nil {
		s.inbox.Close()
	}
	if s.api != nil {
		s.api.Close()
	}
	if s.servers != nil {
		errs = append(errs, s.servers.Close(ctx))
	}
	if s.ownsDir {
		errs = append(errs, os.RemoveAll(s.options.Dir))
	}
	return errors.Join(errs...)
}

package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// HandlerFunc makes an app that runs in this process: its routes, the one at [Options].AppPath included. It is called
// again when the app is run again after a stop. If the handler has a method Close(context.Context) error it is called
// when the app is stopped.
type HandlerFunc func(ctx context.Context, env Env) (http.Handler, error)

// Command is an app that runs as a program, in any language, that listens on the port that PORT names.
type Command struct {
	// Args are the program and its arguments. Required.
	Args []string
	// Dir is the working directory. Empty: this process's.
	Dir string
	// Env holds further variables as "KEY=value"; they win over what the stack sets.
	Env []string
	// OnLine is given each line of output; nil drops them. All of them are in app.log in the stack's directory.
	OnLine func(line string)
	// StartTimeout bounds the time until the program answers, which for a wrapper such as `go run` includes a build.
	// Zero: 60 s.
	StartTimeout time.Duration
}

const (
	// appGrace is the default of Options.AppGrace.
	appGrace = 1500 * time.Millisecond
	// appStartTimeout is the default of Command.StartTimeout.
	appStartTimeout = 60 * time.Second
)

// app is the one app of a stack, in one of its incarnations. It never changes: the next incarnation is another value.
type app struct {
	env    Env
	make   func(env Env) runner // makes the next incarnation
	runner runner
}

// runner is one incarnation of an app: from its start to its end.
type runner interface {
	// start returns when the app answers.
	start(ctx context.Context) error
	// end ends it: with what is in flight finished within grace, or at once with a grace of zero.
	end(ctx context.Context, grace time.Duration) error
	pause() error
	resume() error
	tail() []string
	// since returns what it printed from a moment on, as far as that is kept.
	since(time.Time) []string
	// died is closed when it ends; cause then tells why, nil for an end that was asked for.
	died() <-chan struct{}
	cause() error
}

// RunHandler runs an app in this process and syncs it. A stack runs one app at a time.
func (s *Stack) RunHandler(ctx context.Context, f HandlerFunc) error {
	s.keepSecret(nil)
	return s.runApp(ctx, func(env Env) runner { return &handlerRunner{env: env, f: f} })
}

// RunCommand runs an app as a program, waits until it answers, and syncs it. A stack runs one app at a time.
func (s *Stack) RunCommand(ctx context.Context, c Command) error {
	if len(c.Args) == 0 {
		return errors.New("no command to run: name a program that serves Inngest functions on PORT")
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = appStartTimeout
	}
	c.Env = slices.Concat(c.Env, s.options.AppEnv)
	s.keepSecret(c.Env)
	said := &transcript{} // of all incarnations: what one said before it was killed explains what the next one finds
	return s.runApp(ctx, func(env Env) runner {
		return &commandRunner{
			Command: c, env: env, path: s.options.AppPath, said: said, redact: s.secrets.Load().Lines(),
			logFile: filepath.Join(s.options.Dir, "app.log"),
		}
	})
}

func (s *Stack) runApp(ctx context.Context, make func(Env) runner) error {
	return s.change(ctx, func(ctx context.Context, running *app) error {
		if running != nil {
			return errors.New("this stack runs an app already: stop that one, or start a stack of its own")
		}
		a, err := s.startIncarnation(ctx, make)
		if err != nil {
			return err
		}
		if err := s.syncStarted(ctx, a); err != nil {
			s.install(nil)
			return errors.Join(err, a.runner.end(context.WithoutCancel(ctx), s.options.AppGrace))
		}
		return nil
	})
}

var (
	// errClosed is the answer to whoever wants to change the app of a stack that is closed, or being closed.
	errClosed = errors.New("this stack is closed: start another")
	errNoApp  = errors.New("the stack runs no app: start one with RunHandler or RunCommand")
)

// change calls f with the app as it is now, nil where there is none, while nobody else changes it. Meanwhile whoever
// only asks about the app is answered. The context that f gets ends with ctx, and when the stack is closed before f
// returns.
func (s *Stack) change(ctx context.Context, f func(context.Context, *app) error) error {
	select {
	case s.changing <- struct{}{}:
	case <-s.life.Done():
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("wait until the app has been started or ended by somebody else: %w", ctx.Err())
	}
	defer func() { <-s.changing }()
	if s.life.Err() != nil {
		return errClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	keep := context.AfterFunc(s.life, func() { cancel(errClosed) })
	defer keep() // not cancel: an app may have taken the context for its own life
	return f(ctx, s.current())
}

// changeRunning is change for what only a stack with an app can do.
func (s *Stack) changeRunning(ctx context.Context, f func(context.Context, *app) error) error {
	return s.change(ctx, func(ctx context.Context, a *app) error {
		if a == nil {
			return errNoApp
		}
		return f(ctx, a)
	})
}

// current is the app as it is now; nil where there is none.
func (s *Stack) current() *app {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app
}

func (s *Stack) install(a *app) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = a
}

// portTries is how often an app is started on another port because somebody else took the one chosen for it.
const portTries = 3

// startIncarnation starts an app on a fresh port, points the proxies at it, and makes it the stack's. It is part of a
// change.
func (s *Stack) startIncarnation(ctx context.Context, make func(Env) runner) (*app, error) {
	a := &app{make: make}
	for try := 1; ; try++ {
		var err error
		if a.env, err = s.nextEnv(); err != nil {
			return nil, err
		}
		a.runner = make(a.env)
		if err = a.runner.start(ctx); err == nil {
			break
		}
		err = fmt.Errorf("start the app: %w", s.redactError(errors.Join(err, a.runner.end(context.WithoutCancel(ctx), 0))))
		if try == portTries || ctx.Err() != nil || !s.wires.robbed(a.env.Addr) {
			return nil, err
		}
	}
	if err := s.wires.toApp(a.env.Addr); err != nil {
		return nil, errors.Join(err, a.runner.end(context.WithoutCancel(ctx), s.options.AppGrace))
	}
	s.install(a)
	go func() {
		<-a.runner.died()
		if err := a.runner.cause(); err != nil {
			s.report(s.redactError(err))
		}
	}()
	return a, nil
}

// nextEnv is the environment of the app's next incarnation.
func (s *Stack) nextEnv() (Env, error) {
	addr, err := s.wires.listen(s.options.Ports.App)
	if err != nil {
		return Env{}, err
	}
	ends := s.servers.Endpoints()
	db, err := mongouri.WithDatabase(ends.Mongo, s.options.Database)
	if err != nil {
		return Env{}, err
	}
	env := Env{
		Addr:       addr,
		InngestURL: s.wires.inngest(),
		EventKey:   eventKey,
		MongoURI:   db,
		SMTPAddr:   s.wires.smtp(),
	}
	env.AppURL = "http://" + s.wires.app(env.Addr)
	return env, nil
}

// Reload starts the next incarnation of an app that runs as a program beside the one that is up, and ends the old one
// when the new one answers and is synced. When that fails the old one stays.
func (s *Stack) Reload(ctx context.Context) error {
	return s.changeRunning(ctx, func(ctx context.Context, old *app) error {
		next, err := s.startIncarnation(ctx, old.make)
		if err != nil {
			return err
		}
		if err := s.syncStarted(ctx, next); err != nil {
			s.install(old)
			return errors.Join(err, s.wires.toApp(old.env.Addr), next.runner.end(context.WithoutCancel(ctx), s.options.AppGrace))
		}
		return old.runner.end(context.WithoutCancel(ctx), s.options.AppGrace)
	})
}

// Env returns what the app was told about the stack; ok is false where the stack runs no app.
func (s *Stack) Env() (_ Env, ok bool) {
	a := s.current()
	if a == nil {
		return Env{}, false
	}
	return a.env, true
}

// endApp ends the app; a stack without one has nothing to end.
func (s *Stack) endApp(ctx context.Context, grace time.Duration) error {
	return s.change(ctx, func(ctx context.Context, a *app) error {
		if a == nil {
			return nil
		}
		return a.runner.end(ctx, grace)
	})
}

func (s *Stack) rerunApp(ctx context.Context) error {
	return s.changeRunning(ctx, func(ctx context.Context, a *app) error {
		select {
		case <-a.runner.died():
		default:
			return nil // it is running
		}
		a, err := s.startIncarnation(ctx, a.make)
		if err != nil {
			return err
		}
		return s.syncStarted(ctx, a)
	})
}

// Sync tells the Inngest server about the app's functions and returns when the server lists them.
func (s *Stack) Sync(ctx context.Context) error {
	return s.changeRunning(ctx, func(ctx context.Context, a *app) error { return s.sync(ctx, a.env) })
}

// EnsureSynced syncs the app again when the Inngest server no longer knows it, as after a restart by somebody else.
// again says that it did.
func (s *Stack) EnsureSynced(ctx context.Context) (again bool, err error) {
	err = s.changeRunning(ctx, func(ctx context.Context, a *app) error {
		served, err := s.endpoint(ctx, a.env)
		if err != nil {
			return err
		}
		if known, err := s.api.Serves(ctx, served); err != nil || known {
			return err
		}
		err = s.sync(ctx, a.env)
		again = err == nil
		return err
	})
	if errors.Is(err, errClosed) || errors.Is(err, errNoApp) {
		err = nil // there is nothing to sync
	}
	return again, err
}

// dyingTime bounds the wait for the end of an app whose sync has failed: one that ends in it is heard of a little later.
const dyingTime = 300 * time.Millisecond

// syncStarted syncs an app that has just answered. One that ends meanwhile did so as its last deed, or somebody else
// answered in its place: then its end is what went wrong.
func (s *Stack) syncStarted(ctx context.Context, a *app) error {
	err := s.sync(ctx, a.env)
	if err == nil {
		return nil
	}
	timer := time.NewTimer(dyingTime)
	defer timer.Stop()
	select {
	case <-a.runner.died():
		return errors.Join(s.redactError(a.runner.cause()), err)
	case <-timer.C:
		return err
	}
}

// sync is Sync for a caller that has begun a change.
func (s *Stack) sync(ctx context.Context, env Env) (err error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lastSync = err
	}()
	served, err := s.endpoint(ctx, env)
	if err != nil {
		return err
	}
	_, err = s.api.Sync(ctx, served)
	return s.redactError(err)
}

// SyncError is why the app's last sync failed; nil where it did not, or where there was none.
func (s *Stack) SyncError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSync
}

// endpoint is where an app serves its functions: as this process reaches it, and as the server does.
func (s *Stack) endpoint(ctx context.Context, env Env) (inngestapi.App, error) {
	addr := s.wires.app(env.Addr)
	host, err := s.servers.Reach(ctx, addr)
	if err != nil {
		return inngestapi.App{}, fmt.Errorf("find an address under which Inngest reaches the app: %w", err)
	}
	return inngestapi.App{URL: "http://" + addr + s.options.AppPath, Host: host}, nil
}

// signOff makes servers that go on forget the stack's own app, which they would go on calling.
func (s *Stack) signOff(ctx context.Context) error {
	a := s.current()
	if !s.attached || a == nil || a.runner == (hosted{}) {
		return nil
	}
	served, err := s.endpoint(ctx, a.env)
	if err != nil {
		return err
	}
	return s.api.RemoveApp(ctx, served)
}

// hosted is an app that somebody else keeps up.
type hosted struct{}

func (hosted) start(context.Context) error              { return nil }
func (hosted) end(context.Context, time.Duration) error { return nil }
func (hosted) tail() []string                           { return nil }
func (hosted) since(time.Time) []string                 { return nil }
func (hosted) died() <-chan struct{}                    { return nil }
func (hosted) cause() error                             { return nil }
func (hosted) pause() error                             { return hosted{}.refuse() }
func (hosted) resume() error                            { return hosted{}.refuse() }
func (hosted) refuse() error {
	return fmt.Errorf("pause or resume an app that somebody else keeps up: %w", ErrUnsupported)
}

// handlerRunner runs an app in this process.
type handlerRunner struct {
	env     Env
	f       HandlerFunc
	handler http.Handler
	server  *http.Server // nil where the start failed
	done    chan struct{}
	err     error

	ending sync.Once
	endErr error
}

func (r *handlerRunner) start(ctx context.Context) (err error) {
	r.done = make(chan struct{})
	l, err := net.Listen("tcp", r.env.Addr)
	if err != nil {
		close(r.done)
		return fmt.Errorf("listen for the app: %w", err)
	}
	if r.handler, err = r.f(ctx, r.env); err != nil {
		close(r.done)
		return errors.Join(fmt.Errorf("make the app: %w", err), l.Close())
	}
	r.server = &http.Server{Handler: r.handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.err = fmt.Errorf("the app's listener failed: %w", err)
		}
	}()
	return nil
}

func (r *handlerRunner) end(ctx context.Context, grace time.Duration) error {
	if r.server == nil {
		return nil
	}
	if grace == 0 {
		return fmt.Errorf("kill an app that runs in this process: %w: run it as a command", ErrUnsupported)
	}
	r.ending.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		errs := []error{}
		if err := r.server.Shutdown(ctx); err != nil {
			errs = append(errs, r.server.Close())
		}
		if c, ok := r.handler.(interface{ Close(context.Context) error }); ok {
			errs = append(errs, c.Close(ctx))
		}
		<-r.done
		r.endErr = errors.Join(errs...)
	})
	return r.endErr
}

func (*handlerRunner) pause() error {
	return fmt.Errorf("pause an app that runs in this process: %w: run it as a command", ErrUnsupported)
}
func (*handlerRunner) resume() error            { return nil }
func (*handlerRunner) tail() []string           { return nil }
func (*handlerRunner) since(time.Time) []string { return nil }
func (r *handlerRunner) died() <-chan struct{}  { return r.done }
func (r *handlerRunner) cause() error           { return r.err }

// commandRunner runs an app as a program.
type commandRunner struct {
	Command
	env     Env
	path    string
	logFile string
	redact  func(line string) string
	process *proc.Process
	said    *transcript
}

// transcript keeps the last lines that a program printed, with their times.
type transcript struct {
	mu    sync.Mutex
	lines []saidLine
}

type saidLine struct {
	at   time.Time
	text string
}

// keptLines is how many lines a transcript keeps.
const keptLines = 2000

func (t *transcript) add(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == keptLines {
		t.lines = slices.Delete(t.lines, 0, keptLines/4)
	}
	t.lines = append(t.lines, saidLine{time.Now(), text})
}

func (t *transcript) since(at time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var texts []string
	for _, l := range t.lines {
		if !l.at.Before(at) {
			texts = append(texts, l.text)
		}
	}
	return texts
}

func (r *commandRunner) start(ctx context.Context) error {
	p, err := proc.Start(ctx, proc.Spec{
		Name: "app", Path: r.Args[0], Args: r.Args[1:], Dir: r.Dir,
		Env: r.env.environ(r.Env), LogFile: r.logFile, Redact: r.redact, OnLine: r.hear,
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", strings.Join(r.Args, " "), err)
	}
	r.process = p
	ctx, cancel := context.WithTimeout(ctx, r.StartTimeout)
	defer cancel()
	err = p.WaitReady(ctx, r.answers)
	if late := (*proc.NotReadyError)(nil); errors.As(err, &late) && ctx.Err() != nil {
		_, listen := splitAddr(r.env.Addr)
		late.What = fmt.Sprintf("%s has been running for %v without answering on port %s, the one in its environment variable PORT",
			strings.Join(r.Args, " "), r.StartTimeout, listen)
	}
	return err
}

// hear keeps a line and passes it on.
func (r *commandRunner) hear(line string) {
	r.said.add(line)
	if r.OnLine != nil {
		r.OnLine(line)
	}
}

// answers returns nil when the app answers HTTP, whatever it says: whether it serves functions is for the sync to
// find out, which can say more about it.
func (r *commandRunner) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.env.Addr+r.path, nil)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (r *commandRunner) end(ctx context.Context, grace time.Duration) error {
	if r.process == nil {
		return nil
	}
	return r.process.Stop(ctx, grace)
}

func (r *commandRunner) pause() error                { return r.process.Pause() }
func (r *commandRunner) resume() error               { return r.process.Resume() }
func (r *commandRunner) tail() []string              { return r.process.Tail() }
func (r *commandRunner) since(at time.Time) []string { return r.said.since(at) }
func (r *commandRunner) died() <-chan struct{}       { return r.process.Done() }
func (r *commandRunner) cause() error                { return r.process.Err() }

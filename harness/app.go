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

// app is the one app of a stack.
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
	return s.runApp(ctx, func(env Env) runner {
		return &commandRunner{
			Command: c, env: env, path: s.options.AppPath,
			logFile: filepath.Join(s.options.Dir, "app.log"),
		}
	})
}

func (s *Stack) runApp(ctx context.Context, make func(Env) runner) error {
	s.mu.Lock()
	if s.closed || s.app != nil {
		s.mu.Unlock()
		return errors.New("this stack is closed or runs an app already: stop that one, or start a stack of its own")
	}
	a := &app{make: make}
	s.app = a
	err := s.startIncarnation(ctx, a)
	if err != nil {
		s.app = nil
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.Sync(ctx); err != nil {
		return errors.Join(err, s.removeApp(ctx))
	}
	return nil
}

// portTries is how often an app is started on another port because somebody else took the one chosen for it.
const portTries = 3

// startIncarnation starts the app on a fresh port and points the proxies at it. The caller holds s.mu.
func (s *Stack) startIncarnation(ctx context.Context, a *app) error {
	var r runner
	var env Env
	for try := 1; ; try++ {
		var err error
		if env, err = s.nextEnv(); err != nil {
			return err
		}
		r = a.make(env)
		if err = r.start(ctx); err == nil {
			break
		}
		err = fmt.Errorf("start the app: %w", errors.Join(err, r.end(context.WithoutCancel(ctx), 0)))
		if try == portTries || ctx.Err() != nil || !s.wires.robbed(env.Addr) {
			return err
		}
	}
	if err := s.wires.toApp(env.Addr); err != nil {
		return errors.Join(err, r.end(context.WithoutCancel(ctx), s.options.AppGrace))
	}
	a.env, a.runner = env, r
	go func() {
		<-r.died()
		if err := r.cause(); err != nil {
			s.report(err)
		}
	}()
	return nil
}

// nextEnv is the environment of the app's next incarnation.
func (s *Stack) nextEnv() (Env, error) {
	addr, err := s.wires.listen(s.options.Ports.App)
	if err != nil {
		return Env{}, err
	}
	ends := s.servers.Endpoints()
	db, err := mongoURI(ends.Mongo, s.options.Database)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app == nil || s.closed {
		return errors.New("no app to reload, or the stack is closed")
	}
	old, oldEnv := s.app.runner, s.app.env
	if err := s.startIncarnation(ctx, s.app); err != nil {
		return err
	}
	if err := s.sync(ctx); err != nil {
		failed := s.app.runner
		s.app.runner, s.app.env = old, oldEnv
		return errors.Join(err, s.wires.toApp(oldEnv.Addr), failed.end(context.WithoutCancel(ctx), s.options.AppGrace))
	}
	return old.end(context.WithoutCancel(ctx), s.options.AppGrace)
}

// Env returns what the app was told about the stack; ok is false where the stack runs no app.
func (s *Stack) Env() (_ Env, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app == nil {
		return Env{}, false
	}
	return s.app.env, true
}

func (s *Stack) hasApp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app != nil
}

func (s *Stack) withApp(f func(*app) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app == nil {
		return errors.New("the stack runs no app")
	}
	return f(s.app)
}

// endApp ends the app; a stack without one has nothing to end.
func (s *Stack) endApp(ctx context.Context, grace time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app == nil {
		return nil
	}
	return s.app.runner.end(ctx, grace)
}

func (s *Stack) rerunApp(ctx context.Context) error {
	return s.withApp(func(a *app) error {
		if s.closed {
			return errors.New("the stack is closed")
		}
		select {
		case <-a.runner.died():
		default:
			return nil // it is running
		}
		if err := s.startIncarnation(ctx, a); err != nil {
			return err
		}
		return s.sync(ctx)
	})
}

// removeApp ends the app and makes room for another.
func (s *Stack) removeApp(ctx context.Context) error {
	err := s.endApp(context.WithoutCancel(ctx), s.options.AppGrace)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app = nil
	return err
}

// Sync tells the Inngest server about the app's functions and returns when the server lists them.
func (s *Stack) Sync(ctx context.Context) error {
	return s.withApp(func(*app) error { return s.sync(ctx) })
}

// sync is Sync for a caller that holds s.mu.
func (s *Stack) sync(ctx context.Context) (err error) {
	defer func() { s.lastSync = err }()
	app, err := s.endpoint(ctx)
	if err != nil {
		return err
	}
	_, err = s.api.Sync(ctx, app)
	return err
}

// endpoint is where the app serves its functions: as this process reaches it, and as the server does. The caller holds
// s.mu.
func (s *Stack) endpoint(ctx context.Context) (inngestapi.App, error) {
	addr := s.wires.app(s.app.env.Addr)
	host, err := s.servers.Reach(ctx, addr)
	if err != nil {
		return inngestapi.App{}, fmt.Errorf("find an address under which Inngest reaches the app: %w", err)
	}
	return inngestapi.App{URL: "http://" + addr + s.options.AppPath, Host: host}, nil
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
	server  *http.Server
	done    chan struct{}
	err     error
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
	r.server = nil
	return errors.Join(errs...)
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
	process *proc.Process
	said    transcript
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
		Env: r.env.environ(r.Env), LogFile: r.logFile, OnLine: r.hear,
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", strings.Join(r.Args, " "), err)
	}
	r.process = p
	ctx, cancel := context.WithTimeout(ctx, r.StartTimeout)
	defer cancel()
	err = p.WaitReady(ctx, r.answers)
	if err != nil && ctx.Err() != nil {
		_, listen := splitAddr(r.env.Addr)
		err = fmt.Errorf("%s has been running for %v without answering on port %s, the one in its environment variable PORT: %w",
			strings.Join(r.Args, " "), r.StartTimeout, listen, err)
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

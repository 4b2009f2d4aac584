package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// ErrNoApp is returned by operations on the app of a stack that runs none.
var ErrNoApp = errors.New("the stack runs no app: start one with RunHandler or RunCommand")

const (
	// appGrace is the default of Options.AppGrace.
	appGrace = 1500 * time.Millisecond

	// portTries is how often an app is started on another port because another process took the one chosen for it.
	portTries = 3

	// connectPoll is how often the server is asked whether it lists the app's connection.
	connectPoll = 50 * time.Millisecond

	// exitTime is how long to wait for the end of an app whose sync has failed: the exit of one that crashed during the
	// sync is reported a little later.
	exitTime = time.Second
)

// App controls the one app of a [Stack]. Each start, also that of a reload, makes a new incarnation of it. Its methods
// are safe for concurrent use.
type App struct {
	stack    *Stack
	attached bool // the servers keep running when the stack is closed

	// changing holds a token while the app is being started, stopped or synced, which can take as long as the app does.
	changing chan struct{}

	mu       sync.Mutex // guards the fields below, for a moment
	now      *incarnation
	database string // see UseDatabase
	syncErr  error
	noneDone chan struct{} // never closed: Done of a stack without an app
}

func newApp(s *Stack, attached bool) *App {
	return &App{stack: s, attached: attached, database: s.options.Database, changing: make(chan struct{}, 1), noneDone: make(chan struct{})}
}

// An incarnation is the app from one start to its end. It never changes.
type incarnation struct {
	began  time.Time
	env    harness.Env
	make   func(env harness.Env, n int) runner // makes the next one; n counts the instances of an app that has several
	runner runner
}

// ended reports whether it has ended, or there is none.
func (i *incarnation) ended() bool {
	if i == nil {
		return true
	}
	select {
	case <-i.runner.done():
		return true
	default:
		return false
	}
}

// addrs are the addresses of its instances.
func (i *incarnation) addrs() (addrs []string) {
	all, ok := i.runner.(*replicas)
	if !ok {
		return []string{i.env.Addr}
	}
	for _, env := range all.envs {
		addrs = append(addrs, env.Addr)
	}
	return addrs
}

// end stops the app. The taps first close their idle connections to it: the HTTP client opens some in advance, and an app
// waits for a connection on which no call has begun.
func (i *incarnation) end(ctx context.Context, r *routes, grace time.Duration) error {
	return errors.Join(r.toApp(i.addrs()...), i.runner.stop(ctx, grace))
}

// A runner runs one incarnation.
type runner interface {
	// start returns when the app answers. ctx bounds the start only.
	start(ctx context.Context) error
	// stop stops it gracefully, with up to grace for requests in flight; with a grace of zero it kills it.
	stop(ctx context.Context, grace time.Duration) error
	pause() error
	resume() error
	tail() []string
	// log returns what it printed since a time, as far as that is kept.
	log(since time.Time) []string
	// done is closed when it has ended; err then says why, nil for an end that was asked for.
	done() <-chan struct{}
	err() error
}

// RunHandler runs an app in this process and syncs it. A stack runs one app at a time. ctx bounds the start only.
func (s *Stack) RunHandler(ctx context.Context, f HandlerFunc) error {
	s.redactor.learn(s.options.AppEnv)
	return hinted(s.servers, s.app.run(ctx, func(env harness.Env, _ int) runner { return &handlerRunner{env: env, makeHandler: f} }))
}

// RunCommand runs an app as a program, waits until it answers, and syncs it; with [Options.Connect] it waits until the app
// is connected. A stack runs one app at a time. ctx bounds the start only.
func (s *Stack) RunCommand(ctx context.Context, c Command) error {
	if len(c.Args) == 0 {
		return errors.New("no command to run: name a program that serves Inngest functions on PORT")
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = appStartTimeout
	}
	c.Env = slices.Concat(c.Env, s.options.AppEnv)
	s.redactor.learn(c.Env)
	printed := &transcript{} // of all incarnations: what one printed before it was killed explains what the next one finds
	var printing sync.Mutex
	err := s.app.run(ctx, func(env harness.Env, n int) runner {
		r := &commandRunner{
			Command: c, env: env, ready: s.readiness(env), printed: printed, redact: s.redactor.Lines(),
			logFile: filepath.Join(s.options.Dir, string(harness.ServiceApp)+".log"),
		}
		if n > 0 {
			r.logFile = filepath.Join(s.options.Dir, string(harness.Replica(n))+".log")
			if c.OnLine != nil {
				r.OnLine = func(line string) {
					printing.Lock()
					defer printing.Unlock()
					c.OnLine(fmt.Sprintf("[%d] %s", n, line))
				}
			}
		}
		return r
	})
	return hinted(s.servers, err)
}

// Env returns the app's configuration; ok is false where the stack runs no app.
func (a *App) Env() (env harness.Env, ok bool) {
	now := a.current()
	if now == nil {
		return harness.Env{}, false
	}
	return now.env, true
}

// Done is closed when the app's current incarnation has ended. The next incarnation has another channel.
func (a *App) Done() <-chan struct{} {
	if now := a.current(); now != nil {
		return now.runner.done()
	}
	return a.noneDone
}

// Err says why the app's current incarnation ended; nil while it runs, and for an end that was asked for. errors.As finds
// an [ExitError].
func (a *App) Err() error {
	now := a.current()
	if now == nil {
		return nil
	}
	select {
	case <-now.runner.done():
		return hinted(a.stack.servers, a.stack.redactor.Error(now.runner.err()))
	default:
		return nil
	}
}

// UseDatabase gives the app's next incarnations another database than [Options].Database.
func (a *App) UseDatabase(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.database = name
}

// Reload starts the next incarnation of an app that runs as a program beside the current one, and stops the current one
// when the next one answers and is synced. When that fails the current one stays.
func (a *App) Reload(ctx context.Context) error {
	return a.changeRunning(ctx, func(ctx context.Context, old *incarnation) error {
		next, err := a.begin(ctx, old.make)
		if err != nil {
			return err
		}
		if err := a.syncStarted(ctx, next); err != nil {
			a.install(old)
			return errors.Join(err, a.stack.routes.toApp(old.addrs()...), next.runner.stop(context.WithoutCancel(ctx), a.stack.options.AppGrace))
		}
		return old.runner.stop(context.WithoutCancel(ctx), a.stack.options.AppGrace)
	})
}

// Sync registers the app's functions with the Inngest server and returns when the server lists them.
//
// Of an app that connects, it waits until the server lists a connection.
func (a *App) Sync(ctx context.Context) error {
	return a.changeRunning(ctx, func(ctx context.Context, now *incarnation) error { return a.sync(ctx, now, time.Time{}) })
}

// EnsureSynced syncs the app again when the Inngest server does not know it any more, for example because another program
// has restarted the server. again reports whether it did.
func (a *App) EnsureSynced(ctx context.Context) (again bool, err error) {
	if a.stack.options.Connect {
		return false, nil // it connects again by itself
	}
	err = a.changeRunning(ctx, func(ctx context.Context, now *incarnation) error {
		served, err := a.endpoint(ctx, now.env)
		if err != nil {
			return err
		}
		if known, err := a.stack.api.Serves(ctx, served); err != nil || known {
			return err
		}
		err = a.sync(ctx, now, time.Time{})
		again = err == nil
		return err
	})
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrNoApp) {
		err = nil // there is nothing to sync
	}
	return again, err
}

// SyncError is why the last sync failed; nil where it succeeded, or where there was none.
func (a *App) SyncError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.syncErr
}

// current is the current incarnation; nil where there is none.
func (a *App) current() *incarnation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *App) install(now *incarnation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
}

// run starts the first incarnation.
func (a *App) run(ctx context.Context, make func(harness.Env, int) runner) error {
	return a.change(ctx, func(ctx context.Context, running *incarnation) error {
		if running != nil {
			return errors.New("this stack runs an app already: stop that one, or start a stack of its own")
		}
		first, err := a.begin(ctx, make)
		if err != nil {
			return err
		}
		if err := a.syncStarted(ctx, first); err != nil {
			a.install(nil)
			return errors.Join(err, first.runner.stop(context.WithoutCancel(ctx), a.stack.options.AppGrace))
		}
		return nil
	})
}

// stop stops the app; a stack without one has nothing to stop.
func (a *App) stop(ctx context.Context, grace time.Duration) error {
	return a.change(ctx, func(ctx context.Context, now *incarnation) error {
		if now == nil {
			return nil
		}
		return now.end(ctx, a.stack.routes, grace)
	})
}

// restart starts the next incarnation of an app that has ended.
func (a *App) restart(ctx context.Context) error {
	return a.changeRunning(ctx, func(ctx context.Context, now *incarnation) error {
		select {
		case <-now.runner.done():
		default:
			return nil // it is running
		}
		next, err := a.begin(ctx, now.make)
		if err != nil {
			return err
		}
		return a.syncStarted(ctx, next)
	})
}

// withRunner calls f with the current incarnation, also while it is being started or stopped.
func (a *App) withRunner(f func(runner) error) error {
	now := a.current()
	if now == nil {
		return ErrNoApp
	}
	return f(now.runner)
}

func (a *App) tail() []string {
	if now := a.current(); now != nil {
		return now.runner.tail()
	}
	return nil
}

// log returns what the app printed since a time.
func (a *App) log(since time.Time) []string {
	if now := a.current(); now != nil {
		return now.runner.log(since)
	}
	return nil
}

// change calls f with the current incarnation, nil where there is none, while no other change is in progress. Queries
// are answered meanwhile. The context of f ends with ctx and when the stack is closed.
func (a *App) change(ctx context.Context, f func(context.Context, *incarnation) error) error {
	select {
	case a.changing <- struct{}{}:
	case <-a.stack.closing.Done():
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait until another call has started or stopped the app: %w", ctx.Err())
	}
	defer func() { <-a.changing }()
	if a.stack.closing.Err() != nil {
		return ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(a.stack.closing, func() { cancel(ErrClosed) })()
	return f(ctx, a.current())
}

// changeRunning is change for a stack that has an app.
func (a *App) changeRunning(ctx context.Context, f func(context.Context, *incarnation) error) error {
	return a.change(ctx, func(ctx context.Context, now *incarnation) error {
		if now == nil {
			return ErrNoApp
		}
		return f(ctx, now)
	})
}

// begin starts an incarnation on unused ports, directs the proxies to it, and makes it the current one. The caller is in a
// change.
func (a *App) begin(ctx context.Context, make func(harness.Env, int) runner) (*incarnation, error) {
	routes := a.stack.routes
	next := &incarnation{make: make}
	for try := 1; ; try++ {
		next.began = time.Now()
		envs, err := a.nextEnvs()
		if err != nil {
			return nil, err
		}
		next.env = envs[0]
		if len(envs) == 1 {
			next.runner = make(next.env, 0)
		} else {
			next.runner = newReplicas(envs, make)
		}
		if err = next.runner.start(ctx); err == nil {
			break
		}
		err = fmt.Errorf("start the app: %w", a.stack.redactor.Error(errors.Join(err, next.runner.stop(context.WithoutCancel(ctx), 0))))
		if try == portTries || ctx.Err() != nil || !slices.ContainsFunc(next.addrs(), routes.portTaken) {
			return nil, err
		}
	}
	if err := routes.toApp(next.addrs()...); err != nil {
		return nil, errors.Join(err, next.runner.stop(context.WithoutCancel(ctx), a.stack.options.AppGrace))
	}
	a.install(next)
	return next, nil
}

// nextEnvs are the environments of the next incarnation's instances.
func (a *App) nextEnvs() (envs []harness.Env, err error) {
	routes := a.stack.routes
	a.mu.Lock()
	database := a.database
	a.mu.Unlock()
	db, err := mongouri.WithDatabase(a.stack.servers.Endpoints().Mongo, database)
	if err != nil {
		return nil, err
	}
	keys := a.stack.servers.Endpoints().Keys
	for range max(1, a.stack.options.Replicas) {
		addr, err := routes.listenAddr(a.stack.options.Ports.App)
		if err != nil {
			return nil, err
		}
		envs = append(envs, harness.Env{
			Addr:       addr,
			AppURL:     "http://" + routes.appAddr(addr),
			InngestURL: routes.inngestURL(),
			Connect:    a.stack.options.Connect,
			EventKey:   cmp.Or(keys.Event, harness.DevEventKey),
			SigningKey: keys.Signing,
			MongoURI:   db,
			SMTPAddr:   routes.smtpAddr(),
		})
	}
	return envs, nil
}

// syncStarted syncs an incarnation that has just answered. If it exits during the sync, its exit is reported first:
// either the sync crashed it, or another process answered on its port.
func (a *App) syncStarted(ctx context.Context, now *incarnation) error {
	err := a.sync(ctx, now, time.Time{})
	if err == nil {
		return nil
	}
	timer := time.NewTimer(exitTime)
	defer timer.Stop()
	select {
	case <-now.runner.done():
		return errors.Join(a.stack.redactor.Error(now.runner.err()), err)
	case <-timer.C:
		return err
	}
}

// sync is Sync for a caller that is in a change. The connection of an app that connects counts only if it was made at that
// time or later.
func (a *App) sync(ctx context.Context, now *incarnation, since time.Time) (err error) {
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.syncErr = err
	}()
	if a.stack.options.Connect {
		return a.stack.redactor.Error(a.stack.awaitConnection(ctx, now, since))
	}
	served, err := a.endpoint(ctx, now.env)
	if err != nil {
		return err
	}
	_, err = a.stack.api.Sync(ctx, served)
	return a.stack.redactor.Error(err)
}

// awaitConnection returns when the server lists a connection that the incarnation has made, at that time or later.
func (s *Stack) awaitConnection(ctx context.Context, now *incarnation, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, appStartTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-now.runner.done():
			end(errors.New("the app has ended"))
		case <-ctx.Done():
		}
	}()
	if since.Before(now.began) {
		since = now.began
	}
	return poll.Until(ctx, connectPoll, func(ctx context.Context) error { return s.connected(ctx, since, max(1, s.options.Replicas)) })
}

// connected returns nil if the server lists so many connections that were made at that time or later.
func (s *Stack) connected(ctx context.Context, since time.Time, wanted int) error {
	workers, err := s.api.Workers(ctx, since)
	if err == nil && len(workers) < wanted {
		err = fmt.Errorf("the Inngest server at %s lists %d of %s of the app: does it connect (INNGEST_CONNECT is 1), and to this "+
			"server (INNGEST_BASE_URL, INNGEST_DEV)?", s.Endpoints().Inngest, len(workers), text.Count(wanted, "connection", "connections"))
	}
	return err
}

// endpoint is where an app serves its functions, as this process and as the Inngest server reach it.
func (a *App) endpoint(ctx context.Context, env harness.Env) (inngestapi.App, error) {
	addr := a.stack.routes.appAddr(env.Addr)
	host, err := a.stack.servers.Reach(ctx, addr)
	if err != nil {
		return inngestapi.App{}, fmt.Errorf("find an address under which Inngest reaches the app: %w", err)
	}
	return inngestapi.App{URL: "http://" + addr + a.stack.options.AppPath, Host: host}, nil
}

// close stops the app for good. Servers that keep running forget it, because they would go on calling it.
func (a *App) close(ctx context.Context) error {
	var errs []error
	select {
	case a.changing <- struct{}{}: // a change in progress has been cancelled; no other will begin
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("close the stack while its app is being started or stopped: %w", ctx.Err()))
	}
	now := a.current()
	if now == nil {
		return errors.Join(errs...)
	}
	if a.attached && !a.stack.options.Connect && now.runner != (hostedRunner{}) {
		served, err := a.endpoint(ctx, now.env)
		if err == nil {
			err = a.stack.api.RemoveApp(ctx, served)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, now.end(ctx, a.stack.routes, a.stack.options.AppGrace))...)
}

// A hostedRunner stands for an app that another program keeps running.
type hostedRunner struct{}

func (hostedRunner) start(context.Context) error               { return nil }
func (hostedRunner) stop(context.Context, time.Duration) error { return nil }
func (hostedRunner) tail() []string                            { return nil }
func (hostedRunner) log(time.Time) []string                    { return nil }
func (hostedRunner) done() <-chan struct{}                     { return nil }
func (hostedRunner) err() error                                { return nil }
func (hostedRunner) pause() error                              { return hostedRunner{}.refuse() }
func (hostedRunner) resume() error                             { return hostedRunner{}.refuse() }
func (hostedRunner) refuse() error {
	return fmt.Errorf("pause or resume an app that another program keeps running: %w", harness.ErrUnsupported)
}

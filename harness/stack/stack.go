package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/follow"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// Options configures a [Stack]. The zero value is ready to use.
type Options struct {
	// Ports are the ports to use. A zero port means any free one.
	Ports harness.Ports

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

	// Production has Inngest and the app run as in production: the self-hosted server on Redis and PostgreSQL, with keys that
	// are made for the stack, and the app in production mode. False: the dev server, and development mode.
	Production bool

	// Replicas is how many instances of the app run, each on a port of its own. The tap in front of them balances the load.
	// See [harness.Replica] for the faults of one. Zero: 1.
	Replicas int

	// MailCatcher is the program that catches the emails. Empty: [harness.MailHog]. An attached stack ignores it.
	MailCatcher harness.MailCatcher

	// Connect says that the app connects to the Inngest server (Connect), instead of serving functions at an address. The stack
	// waits until the server lists its connection, and sends no sync. The calls pass no recording proxy: a trace has them
	// from the server's account alone, faults cannot be scripted for them, and what only they would show cannot be judged.
	Connect bool

	// ReplicaSet has MongoDB run as a replica set of one member, as which it has transactions and change streams. The stand-in for
	// MongoDB cannot: Start then says what to do. False: a single server.
	ReplicaSet bool

	// AppEnv holds further variables, as "KEY=value", for an app that runs as a program. They take precedence over those
	// of its [Command] and of the stack.
	AppEnv []string

	// AppGrace is how long the app may take to finish requests in flight when it is stopped gracefully. Zero: 1.5 s.
	AppGrace time.Duration

	// WithoutTaps leaves out the recording proxies between app, Inngest and the mail server. A trace then comes from the
	// servers' own accounts alone, and no fault can be scripted.
	WithoutTaps bool

	// Shared says that tests run concurrently against this stack. Events sent outside steps then cannot be attributed to
	// a run, and verdicts ignore them. They also ignore emails without a run id that were sent while none of the event's
	// runs was being called.
	Shared bool

	// Services are the servers that the stack needs. Empty: all of them. Calls for the others fail. Only an attached stack can
	// do without some, and does without a mailbox where none is named.
	Services []harness.Service

	// Progress reports what takes long. Nil is silent. It is called from one goroutine at a time.
	Progress func(harness.Progress)
}

// ErrClosed is returned by operations on a stack that is closed or being closed.
var ErrClosed = errors.New("this stack is closed: start another")

// A Stack is a database, a mail catcher, an Inngest server and at most one app. Its methods are safe for concurrent use. It
// has many methods because it has one for each operation on a service. Close frees it.
type Stack struct {
	options  Options
	backend  string
	servers  harness.Servers
	api      *inngestapi.Client
	inbox    *inbox.Client
	routes   *routes
	ledger   *follow.Ledger
	app      *App
	redactor *Redactor
	ownsDir  bool

	closing   context.Context // ends when Close begins
	beginEnd  context.CancelFunc
	firstEnd  chan struct{} // holds a token for the first call of Close
	closed    chan struct{} // closed when the first Close has returned
	closedErr error         // what it returned; read only after closed
}

// Start starts the servers by means of a backend. When it fails it has freed everything that it started. ctx bounds the
// start only: the stack stays up until Close.
func Start(ctx context.Context, b harness.Backend, o Options) (_ *Stack, err error) {
	o.Database = cmp.Or(o.Database, "app")
	o.AppPath = cmp.Or(o.AppPath, harness.DefaultAppPath)
	o.RunHeader = cmp.Or(o.RunHeader, harness.DefaultRunHeader)
	o.AppGrace = cmp.Or(o.AppGrace, appGrace)
	if o.RetryInterval < 0 || o.RetryInterval%time.Second != 0 {
		return nil, fmt.Errorf("retry interval %v: the Inngest server knows whole seconds only", o.RetryInterval)
	}
	if o.Replicas < 0 || o.Replicas > 1 && o.WithoutTaps {
		return nil, fmt.Errorf("%d replicas: at least one, and only one without taps, which balance the load", o.Replicas)
	}
	s := &Stack{backend: b.Name(), redactor: &Redactor{}, firstEnd: make(chan struct{}, 1), closed: make(chan struct{})}
	s.firstEnd <- struct{}{}
	s.closing, s.beginEnd = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	if o.Dir, s.ownsDir, err = makeDir(o.Dir); err != nil {
		return nil, err
	}
	s.options = o
	s.redactor.learn(o.AppEnv) // for errors of the start
	var keys harness.Keys
	if o.Production {
		keys = newKeys()
	}
	if s.servers, err = b.Start(ctx, harness.BackendOptions{
		Ports: o.Ports, Dir: o.Dir, RetryInterval: o.RetryInterval, Progress: o.Progress, Keys: keys, Connect: o.Connect, Services: o.Services, ReplicaSet: o.ReplicaSet,
		MailCatcher: o.MailCatcher,
	}); err != nil {
		return nil, fmt.Errorf("start the stack on the %s backend: %w", b.Name(), err)
	}
	ends := s.servers.Endpoints()
	if ends.Keys != (harness.Keys{}) {
		s.redactor.others = []string{ends.Keys.Event, ends.Keys.Signing}
	}
	if keeper, ok := s.servers.(interface{ Secrets() []string }); ok {
		s.redactor.others = append(s.redactor.others, keeper.Secrets()...)
	}
	s.redactor.learn(o.AppEnv)
	host, attached := s.servers.(harness.AppHost)
	hosted, env := false, harness.Env{}
	if attached {
		env, hosted = host.HostedApp()
		o.WithoutTaps = o.WithoutTaps || hosted // taps cannot be put on the wires of an app that runs already
	}
	s.api = inngestapi.New(ends.Inngest, inngestapi.Options{EventKey: cmp.Or(ends.Keys.Event, harness.DevEventKey), SigningKey: ends.Keys.Signing})
	if s.routes, err = newRoutes(ends, o); err != nil {
		return nil, err
	}
	mail := inbox.Options{RunHeader: o.RunHeader}
	if s.routes.taps != nil {
		mail.Envelope = s.routes.taps.Envelope
	}
	s.inbox = inbox.New(ends.MailHog, mail)
	s.ledger = follow.NewLedger(s.routes.taps)
	s.app = newApp(s, attached)
	if hosted {
		s.app.install(&incarnation{env: env, runner: hostedRunner{}})
	}
	return s, nil
}

// newKeys returns keys for one stack.
func newKeys() harness.Keys {
	random := make([]byte, 48)
	_, _ = rand.Read(random) // it never fails
	return harness.Keys{Event: hex.EncodeToString(random[:16]), Signing: hex.EncodeToString(random[16:])}
}

// makeDir makes a directory, or a temporary one where dir is empty.
func makeDir(dir string) (made string, temporary bool, err error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", false, fmt.Errorf("make the stack's directory: %w", err)
		}
		return dir, false, nil
	}
	if dir, err = os.MkdirTemp("", "harness-"); err != nil {
		return "", false, fmt.Errorf("make a directory for the stack's logs: %w", err)
	}
	return dir, true, nil
}

// Done is closed when a server has ended without being told to. For the app see [App.Done].
func (s *Stack) Done() <-chan struct{} { return s.servers.Done() }

// Err returns how the first such server ended, with the end of its log; nil before. errors.As finds an [ExitError].
func (s *Stack) Err() error { return s.redactor.Error(s.servers.Err()) }

// Options are the options of the stack, with defaults and the directory filled in.
func (s *Stack) Options() Options { return s.options }

// Backend is the name of the backend that started the servers.
func (s *Stack) Backend() string { return s.backend }

// Endpoints are the addresses of the servers themselves, not those of the recording proxies.
func (s *Stack) Endpoints() harness.Endpoints { return s.servers.Endpoints() }

// Describe lists the servers in the order mongo, mailhog, inngest.
func (s *Stack) Describe() []harness.ServerInfo { return s.servers.Describe() }

// RunURL returns the address of a run in Inngest's own page; "" where the server has no page.
func (s *Stack) RunURL(runID string) string {
	for _, info := range s.servers.Describe() {
		if info.Service == harness.ServiceInngest && info.HasUI {
			return s.servers.Endpoints().Inngest + "/run?runID=" + url.QueryEscape(runID)
		}
	}
	return ""
}

// Dir is the directory that holds the stack's logs.
func (s *Stack) Dir() string { return s.options.Dir }

// API is a client of the Inngest server. The stack closes it.
func (s *Stack) API() *inngestapi.Client { return s.api }

// Inbox is a client of the mail catcher. The stack closes it.
func (s *Stack) Inbox() *inbox.Client { return s.inbox }

// Taps are the recording proxies; nil on a stack without them.
func (s *Stack) Taps() *tap.Set { return s.routes.taps }

// App controls the stack's app.
func (s *Stack) App() *App { return s.app }

// Env returns the app's configuration; ok is false where the stack runs no app.
func (s *Stack) Env() (env harness.Env, ok bool) { return s.app.Env() }

// Redactor removes the secrets of the stack's app from texts. Verdicts, traces, logs and errors of the stack have passed
// through it.
func (s *Stack) Redactor() *Redactor { return s.redactor }

// Send sends events to the Inngest server, not through the app, and returns the ULID that the server gave to each. When
// the server accepted only some of them, the error comes with their ids, and with "" for each of the others.
func (s *Stack) Send(ctx context.Context, events ...harness.Event) ([]string, error) {
	ids, err := s.api.Send(ctx, events...)
	for i, id := range ids {
		s.ledger.Sent(events[i].IdempotencyKey, id)
	}
	return ids, err
}

// Invoke starts a function, whatever triggers it, and returns the ULID of the event that the server makes for it. The
// function's id has the app's id and a dash before it; the server does not say that it knows no such function. data is that of
// the event, a JSON object or nil.
func (s *Stack) Invoke(ctx context.Context, function string, data json.RawMessage) (string, error) {
	id, err := s.api.Invoke(ctx, function, data)
	if err == nil {
		s.ledger.Sent("", id)
	}
	return id, err
}

const (
	// shownPoll is how often the server is asked for an event that it may be about to show.
	shownPoll = 20 * time.Millisecond
	// shownWithin is how long an event is waited for that the server has accepted: [inngestapi.VisibleWithin], and more on a machine
	// under load.
	shownWithin = 6 * time.Second
	// newEvent is how old an event is at most, by clocks that may differ, that the server may not show yet.
	newEvent = time.Minute
)

// Event returns an event by its ULID, or [inngestapi.ErrNotFound]. The server accepts an event a moment before it shows it: for a
// new one Event waits, 6 seconds at most.
func (s *Stack) Event(ctx context.Context, id string) (e inngestapi.ReceivedEvent, err error) {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return e, fmt.Errorf("%q is no id of an event: %w", id, err)
	}
	waiting, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	_ = poll.Until(waiting, shownPoll, func(context.Context) error {
		if e, err = s.api.Event(ctx, id); errors.Is(err, inngestapi.ErrNotFound) && time.Since(parsed.Timestamp()) < newEvent {
			return err
		}
		return nil // it is there, or there is an error that waiting does not change
	})
	return e, err
}

// AwaitShown returns when the server shows the latest n events that it has accepted from this stack, or through its taps:
// 6 seconds after the call at most, since one that the server has lost is never shown.
func (s *Stack) AwaitShown(ctx context.Context, n int) error {
	ids, err := follow.Accepted(ctx, s.ledger, n)
	waiting, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	for _, id := range ids {
		_, _ = s.Event(waiting, id) // whether the server answers, the caller's own question tells
	}
	return err
}

// AwaitEvent waits until the app has sent an event with this idempotency key and the server has accepted it, and returns
// the ULID that the server gave to the first such event; it drops later ones. Without taps it polls the server for the
// events of the last minute.
func (s *Stack) AwaitEvent(ctx context.Context, key string) (string, error) {
	var find func(context.Context) (string, error)
	if s.routes.taps == nil {
		since := time.Now().Add(-time.Minute)
		find = func(ctx context.Context) (string, error) { return s.findEvent(ctx, key, since) }
	}
	id, err := s.ledger.AwaitKey(ctx, key, find)
	if ctx.Err() != nil && err != nil {
		return "", fmt.Errorf("the app has not sent an event with the id %q: %w", key, err)
	}
	return id, err
}

// findEvent returns the ULID of the first event with an idempotency key, or "".
func (s *Stack) findEvent(ctx context.Context, key string, since time.Time) (string, error) {
	events, err := s.api.Events(ctx, inngestapi.EventFilter{Since: since})
	if err != nil {
		return "", fmt.Errorf("look for the event with the id %q: %w", key, err)
	}
	first := ""
	for _, e := range events {
		if e.IdempotencyKey == key && (first == "" || e.EventID < first) {
			first = e.EventID
		}
	}
	return first, nil
}

// Close stops the app, then the servers, and frees everything that the stack made. ctx bounds how long they may take to
// end gracefully. It may be called more than once: a later call waits until the first is done, or its own ctx ends, and
// returns the same error.
func (s *Stack) Close(ctx context.Context) error {
	s.beginEnd()
	select {
	case <-s.firstEnd:
		s.closedErr = s.close(ctx)
		close(s.closed)
		return s.closedErr
	default:
	}
	select {
	case <-s.closed:
		return s.closedErr
	default:
	}
	select {
	case <-s.closed:
		return s.closedErr
	case <-ctx.Done():
		return fmt.Errorf("wait for the stack, which another call is closing: %w", ctx.Err())
	}
}

// close frees everything that has been made so far, also by a start that failed.
func (s *Stack) close(ctx context.Context) error {
	var errs []error
	if s.app != nil {
		errs = append(errs, s.app.close(ctx))
	}
	if s.routes != nil {
		// The app has ended. What is still open is of no use, and the servers need their time to end.
		ending, cancel := context.WithTimeout(ctx, time.Second)
		errs = append(errs, s.routes.close(ending))
		cancel()
	}
	if s.ledger != nil {
		s.ledger.Close()
	}
	if s.inbox != nil {
		errs = append(errs, s.inbox.Close(ctx))
	}
	if s.api != nil {
		errs = append(errs, s.api.Close(ctx))
	}
	if s.servers != nil {
		errs = append(errs, s.servers.Close(ctx))
	}
	if s.ownsDir {
		errs = append(errs, os.RemoveAll(s.options.Dir))
	}
	return errors.Join(errs...)
}

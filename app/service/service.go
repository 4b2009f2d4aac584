package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/dispatch"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/httpapi"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/app/telemetry"
)

// openTimeout limits connecting to the database.
const openTimeout = 15 * time.Second

// dispatchLease is how long one process has to send an event before another may send it.
const dispatchLease = 10 * time.Second

// Deps override parts of the configuration. The zero value overrides nothing.
type Deps struct {
	// Store is used instead of the configured database. The caller closes it, after the Service.
	Store app.Store
	// Mailer is used instead of the configured SMTP server.
	Mailer functions.Mailer
	// Logger receives the log. Nil: nothing is logged.
	Logger *slog.Logger
	// Functions are served instead of functions.All.
	Functions []functions.Function
}

// Service is the running app. Its methods are safe for concurrent use.
type Service struct {
	config  config.Config
	logger  *slog.Logger
	handler http.Handler
	calls   calls
	// draining: a stop has begun, and calls are still accepted.
	draining atomic.Bool

	telemetry  *telemetry.Telemetry
	metrics    *http.Server // nil: metrics are not served
	store      app.Store
	ownsStore  bool
	stop       context.CancelFunc // ends the dispatcher and the sending of events
	dispatched chan struct{}      // closed when the dispatcher has ended
	worker     *inngest.Worker    // nil: Inngest calls the app
	closeOnce  sync.Once
	closeErr   error
}

// New connects to the database, unless deps has a Store, and starts the dispatcher. The caller calls Close. Ctx limits
// only the start.
func New(ctx context.Context, c config.Config, deps Deps) (*Service, error) {
	s := &Service{
		config:     c,
		logger:     cmp.Or(deps.Logger, slog.New(slog.DiscardHandler)),
		store:      deps.Store,
		dispatched: make(chan struct{}),
	}
	mailer := deps.Mailer
	if mailer == nil {
		smtp, err := email.NewSMTP(email.SMTPOptions{
			Host: c.MailHost, Port: c.MailPort, User: c.MailUser, Pass: c.MailPass, Timeout: c.MailTimeout / 3,
		})
		if err != nil {
			return nil, err
		}
		mailer = smtp
	}
	links, err := app.NewLinks(c.AppURL, c.LinkKey, c.APIToken, c.APITokenFallback)
	if err != nil {
		return nil, err
	}
	if s.store == nil {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		if s.store, err = mongostore.Open(ctx, c.MongoDBURI); err != nil {
			return nil, err
		}
		s.ownsStore = true
	}

	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.start(running, mailer, links, deps); err != nil {
		stop()
		close(s.dispatched)
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

func (s *Service) start(running context.Context, mailer functions.Mailer, links app.Links, deps Deps) error {
	c := s.config
	pace := app.Pace{
		DispatchLease:   min(dispatchLease, c.RedispatchAfter),
		RedispatchAfter: c.RedispatchAfter,
		ConfirmAfter:    c.ConfirmAfter,
		SendLease:       functions.SendLease(c.MailTimeout),
	}
	var err error
	s.telemetry, err = telemetry.New(running, telemetry.Options{
		Metrics: c.MetricsAddr != "", TracesURL: c.OTLPTracesURL, InstanceID: instanceID(c), Logger: s.logger,
	})
	if err != nil {
		return err
	}
	if s.metrics, err = s.serveMetrics(running); err != nil {
		return err
	}
	options := inngestOptions(c, s.logger)
	options.Connection = new(inngest.ConnectionError)
	client, serve, err := inngest.NewClient(running, options)
	if err != nil {
		return err
	}
	all := deps.Functions
	if all == nil {
		all = functions.All()
	}
	var worker *inngest.Worker
	var track func() func()
	if c.Connect {
		worker = inngest.NewWorker(options, inngest.WorkerOptions{
			InstanceID:  instanceID(c),
			Concurrency: c.ConnectConcurrency,
			Gateway:     c.ConnectGateway,
		})
		serve, track = nil, worker.Track
	}
	ids, err := functions.Register(client, functions.Deps{
		Store:       s.store,
		Mailer:      s.telemetry.Mailer(mailer),
		Links:       links,
		Logger:      s.logger,
		From:        c.MailFrom,
		TimeZone:    c.TimeZone,
		SendTimeout: c.MailTimeout,
		Pace:        pace,
		Track:       track,
		Observer:    s.telemetry,
	}, all...)
	if err != nil {
		return err
	}
	if longest := functions.RetrySchedule(c.MailTimeout); c.RedispatchAfter < longest && !c.Dev() {
		s.logger.Warn("REDISPATCH_AFTER is shorter than a run can take with all its retries; runs may overlap",
			"redispatchAfter", c.RedispatchAfter, "longestRun", longest)
	}

	tokens := slices.DeleteFunc([]string{c.APIToken, c.APITokenFallback}, func(token string) bool { return token == "" })
	api := inngest.NewAPI(options)
	dispatcher := dispatch.New(dispatch.Options{
		Store:         s.store,
		Sender:        s.telemetry.Sender(client),
		HasRun:        api.HasRun,
		Pace:          pace,
		Logger:        s.logger,
		Redispatching: s.telemetry.Redispatching,
		MaxPause:      min(30*time.Second, c.RedispatchAfter),
	})
	ready := s.registered(api, ids)
	if worker != nil {
		ready = connected(worker)
	}
	if err := s.telemetry.Watch(s.store.Outbox, s.reachable(api, ids, worker)); err != nil {
		return err
	}
	go func() {
		defer close(s.dispatched)
		dispatcher.Run(running)
	}()

	if worker != nil {
		s.worker = worker
		worker.Start(client)
	}
	s.handler = s.calls.tracked(s.telemetry.HTTP(httpapi.New(httpapi.Options{
		Store:     s.store,
		Offer:     dispatcher.Offer,
		MessageID: func(id string) string { return email.MessageID(id, domain(c.MailFrom.Address)) },
		Inngest:   serve,
		Ready:     s.ready(ready),
		Links:     links,
		Pace:      pace,
		TimeZone:  c.TimeZone,
		Tokens:    tokens,
		Rate:      c.APIRate,
		OpenPages: c.Dev(),
		Logger:    s.logger,

		TraceParent: s.telemetry.TraceParent,
	})))
	return nil
}

func inngestOptions(c config.Config, logger *slog.Logger) inngest.Options {
	return inngest.Options{
		Dev:                c.Dev(),
		ServeURL:           c.ServeURL,
		EventURL:           c.EventURL,
		APIURL:             c.APIURL,
		EventKey:           c.EventKey,
		SigningKey:         c.SigningKey,
		SigningKeyFallback: c.SigningKeyFallback,
		Logger:             logger,
	}
}

// Handler serves the whole app. After Close has begun it answers 503.
func (s *Service) Handler() http.Handler { return s.handler }

// ready returns a check for readiness: that of next, until the service drains.
func (s *Service) ready(next func(context.Context) string) func(context.Context) string {
	return func(ctx context.Context) string {
		if s.draining.Load() {
			return "draining"
		}
		return next(ctx)
	}
}

// Close shuts the app down gracefully: it refuses new calls, stops the dispatcher, waits for pending calls, also for those
// of a connection to Inngest, and closes the database that New opened. If ctx ends first, Close returns an error that names
// what it left unfinished. Later calls return the same error.
func (s *Service) Close(ctx context.Context) error {
	s.closeOnce.Do(func() {
		over := s.calls.close()
		disconnected := s.disconnect()
		s.stop()
		s.closeErr = errors.Join(
			wait(ctx, s.dispatched, "events being sent"),
			wait(ctx, over, "pending calls"),
			wait(ctx, disconnected, "pending calls of Inngest"),
		)
		if s.ownsStore {
			if err := s.store.Close(ctx); err != nil {
				s.closeErr = errors.Join(s.closeErr, fmt.Errorf("close the database: %w", err))
			}
		}
		s.closeTelemetry(ctx)
	})
	return s.closeErr
}

// disconnect begins to close the connection to Inngest, and returns a channel that is closed when its calls have ended.
func (s *Service) disconnect() <-chan struct{} {
	if s.worker != nil {
		return s.worker.Stop()
	}
	none := make(chan struct{})
	close(none)
	return none
}

func wait(ctx context.Context, over <-chan struct{}, what string) error {
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-over: // it had ended when the time was up
		return nil
	default:
		return fmt.Errorf("stopped without waiting longer for %s: %w", what, context.Cause(ctx))
	}
}

// Run serves on l until ctx ends, then shuts down gracefully within the configured SHUTDOWN_TIMEOUT. First it drains for
// DRAIN_DELAY: it says that it is not ready, and accepts all calls; a connection to Inngest begins to close. Then it accepts
// no new connections and finishes pending calls. It closes l and the Service. It returns nil if everything was finished.
func (s *Service) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		// A call of a function may take as long as a whole delivery and its recording.
		WriteTimeout: time.Minute + functions.SendLease(s.config.MailTimeout),
		IdleTimeout:  2 * time.Minute,
		ErrorLog:     slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		err = fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ShutdownTimeout)
	defer cancel()
	if err == nil {
		s.logger.Info("stopping: finishing pending calls", "drain", s.config.DrainDelay, "within", s.config.ShutdownTimeout)
		s.draining.Store(true)
		s.disconnect() // Inngest needs no time to notice, so its calls have all of it to finish
		select {
		case <-time.After(s.config.DrainDelay):
		case err = <-served:
			err = fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}
	shutdown := server.Shutdown(deadline)
	if shutdown != nil {
		shutdown = errors.Join(fmt.Errorf("stopped with connections still open: %w", shutdown), server.Close())
	}
	err = errors.Join(err, shutdown, s.Close(deadline))
	s.logger.Info("stopped", "finished", err == nil)
	return err
}

// instanceID is the configured id, or one that differs between hosts and between processes of a host, and stays the same
// over restarts, unless PORT is 0.
func instanceID(c config.Config) string {
	if c.InstanceID != "" {
		return c.InstanceID
	}
	host, err := os.Hostname()
	if err != nil {
		host = "app"
	}
	port := c.Port
	if port == 0 { // any free one, which is not known yet: the process id is another after a restart
		port = os.Getpid()
	}
	return fmt.Sprintf("%s-%d", host, port)
}

// Listen opens the configured address.
func Listen(ctx context.Context, c config.Config) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, fmt.Errorf("cannot listen (choose another PORT, or 0 for any free one): %w", err)
	}
	return l, nil
}

func domain(address string) string { return address[strings.LastIndex(address, "@")+1:] }

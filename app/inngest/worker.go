package inngest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/connect"
)

// patience is how long an attempt to connect may take, in which the SDK tries several times, and how long the SDK may try
// to restore a lost connection. By itself it would pause longer after each failure, and give up after five without saying
// so.
const patience = 10 * time.Second

// pollInterval is how often the state of the SDK's connection is read.
const pollInterval = 100 * time.Millisecond

// replyGrace is the time that the SDK has to hand in the answer of a call that ended after the SDK had stopped waiting for
// it. It does not say when it has done so; an answer that is not handed in costs another call.
const replyGrace = 250 * time.Millisecond

// WorkerOptions configure a Worker.
type WorkerOptions struct {
	// InstanceID names the process on the server. Two processes must not have the same. Required.
	InstanceID string
	// Concurrency is how many calls are executed at the same time. Zero: the SDK's limit, 1,000.
	Concurrency int64
	// Gateway is the URL to connect to, instead of the one that the server names. Empty: that one, with the host of the
	// API's URL if it names an unspecified address such as 0.0.0.0.
	Gateway string
}

// Worker connects a client to the server (Inngest calls this Connect): the functions are registered by that, and their
// calls arrive over the connection. It connects again whenever the connection is lost. It is safe for concurrent use.
type Worker struct {
	options Options
	worker  WorkerOptions
	logger  *slog.Logger

	patience time.Duration

	stop     context.CancelFunc
	stopped  chan struct{}
	current  atomic.Pointer[connect.WorkerConnection]
	failures atomic.Int64 // attempts to connect that failed, once logged
	calls    sync.WaitGroup
}

// NewWorker returns a Worker that is not yet connected. Its Track belongs around every function of the client.
func NewWorker(o Options, w WorkerOptions) *Worker {
	return &Worker{
		options:  o,
		worker:   w,
		logger:   cmp.Or(o.Logger, slog.New(slog.DiscardHandler)).With("instance", w.InstanceID),
		patience: patience,
		stopped:  make(chan struct{}),
	}
}

// Track says that a call begins. The caller calls done at its end.
func (w *Worker) Track() (done func()) {
	w.calls.Add(1)
	return w.calls.Done
}

// Start begins to connect the client, in the background. The caller calls Stop.
func (w *Worker) Start(client inngestgo.Client) {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() {
		defer close(w.stopped)
		w.run(ctx, client)
		w.finish()
	}()
}

func (w *Worker) run(ctx context.Context, client inngestgo.Client) {
	shortest, longest := w.patience/10, w.patience*2/5
	pause := shortest
	for ctx.Err() == nil {
		w.options.Connection.take() // what an earlier attempt left
		err := w.connect(ctx, client)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			pause = shortest
			continue
		}
		w.logger.Warn("not connected to Inngest; trying again", "cause", w.cause(err), "error", err, "in", pause)
		w.failures.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, longest)
		}
	}
}

// cause returns why an attempt to connect failed with err.
func (w *Worker) cause(err error) string {
	cause := cmp.Or(w.options.Connection.take(), err.Error())
	if strings.Contains(cause, "fallback signing key is required") { // what the SDK makes of a 401, without a fallback
		return "the server does not accept the signing key (401): " + cause
	}
	return cause
}

// Connected reports whether the connection is ready for calls.
func (w *Worker) Connected() bool {
	c := w.current.Load()
	return c != nil && (*c).State() == connect.ConnectionStateActive
}

// Stop begins to close the connection gracefully: the server sends no further calls, and those that run are finished, and
// their answers handed in by the server's API. It returns a channel that is closed when they are. Start must have been called.
func (w *Worker) Stop() <-chan struct{} {
	w.stop()
	return w.stopped
}

// connect makes one connection and returns when it is over: with an error if it could not be made, with nil if it was made
// and is lost, or is closed because ctx has ended.
func (w *Worker) connect(ctx context.Context, client inngestgo.Client) error {
	// The end of this context ends a start, and the goroutines that wait for calls.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	late := time.AfterFunc(w.patience, cancel)
	stopping := context.AfterFunc(ctx, cancel)
	c, err := inngestgo.Connect(running, inngestgo.ConnectOpts{
		Apps:                   []inngestgo.Client{client},
		InstanceID:             &w.worker.InstanceID,
		MaxWorkerConcurrency:   &w.worker.Concurrency,
		RewriteGatewayEndpoint: w.gateway,
	})
	inTime := late.Stop()
	if undisturbed := stopping(); err == nil && (!inTime || !undisturbed) {
		err = errors.Join(errors.New("the start was cancelled"), c.Close())
	}
	if err != nil {
		return err
	}
	w.current.Store(&c)
	w.watch(ctx, c)
	if !w.Connected() {
		cancel() // the SDK would wait five seconds for the end of a connection that has ended
	}
	if err := c.Close(); err != nil {
		w.logger.Warn("the connection to Inngest did not close gracefully", "error", err)
	}
	return nil
}

// watch logs when the connection is lost and made again. It returns when ctx has ended or the connection is to be replaced.
func (w *Worker) watch(ctx context.Context, c connect.WorkerConnection) {
	w.logger.Info("connected to Inngest", "server", w.options.APIURL)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var lost time.Time // zero: it is not
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch state := c.State(); {
		case state == connect.ConnectionStateActive:
			if !lost.IsZero() {
				w.logger.Info("connected to Inngest again", "after", time.Since(lost).Round(time.Millisecond))
			}
			lost = time.Time{}
		case lost.IsZero():
			w.logger.Warn("the connection to Inngest is lost; connecting again")
			lost = time.Now()
		case state == connect.ConnectionStateClosed || time.Since(lost) > w.patience:
			return
		}
	}
}

// finish waits for the calls that the SDK, which waits for five seconds, has left.
func (w *Worker) finish() {
	begin := time.Now()
	w.calls.Wait()
	if time.Since(begin) > time.Millisecond {
		time.Sleep(replyGrace)
	}
}

// gateway returns where to connect to, instead of the address that the server names.
func (w *Worker) gateway(named url.URL) (url.URL, error) {
	if w.worker.Gateway != "" {
		configured, err := url.Parse(w.worker.Gateway)
		if err != nil {
			return url.URL{}, err
		}
		return *configured, nil
	}
	// A server that listens on all interfaces names the address on which it listens.
	if ip := net.ParseIP(named.Hostname()); ip != nil && ip.IsUnspecified() {
		server, err := url.Parse(w.options.APIURL)
		if err != nil {
			return url.URL{}, err
		}
		named.Host = net.JoinHostPort(server.Hostname(), named.Port())
	}
	return named, nil
}

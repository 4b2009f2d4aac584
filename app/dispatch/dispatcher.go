package dispatch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// Sender sends an event; inngestgo.Client is one. It may retry.
type Sender interface {
	Send(ctx context.Context, event any) (id string, err error)
}

// Options configure a Dispatcher. Store, Sender, HasRun and Pace are required.
type Options struct {
	Store  app.Store
	Sender Sender
	// HasRun asks the server whether the event that it gave this id has a run. It returns soon after ctx has ended.
	HasRun func(ctx context.Context, eventID string) (bool, error)
	Pace   app.Pace
	// Redispatching receives why a notification is dispatched again. Nil: nothing is reported.
	Redispatching func(Cause)
	// Logger receives errors, and a line for each dispatch at debug level. Nil: nothing is logged.
	Logger *slog.Logger
	// Concurrency is the number of events sent at once, and of questions asked at once. Zero: 8.
	Concurrency int
	// MaxPause limits the growing pause between tries while sending fails. Zero: 30 s.
	MaxPause time.Duration
}

// Cause says why a dispatched notification is dispatched again.
type Cause string

// The causes of another dispatch.
const (
	// NoRun: the server has no run of the event.
	NoRun Cause = "no_run"
	// Lost: the run did not finish in time, or has given up.
	Lost Cause = "lost"
)

// scanPause is the pause between the end of one scan for due requests and the next. Where finding them takes long, it is thirty
// times as long as that, up to maxScanPause, so that scans do not keep a slow database busy.
const (
	scanPause    = time.Second
	maxScanPause = 5 * time.Second
)

// minPause is the pause after the first failure.
const minPause = 500 * time.Millisecond

// recordTimeout limits the recording of a dispatch, also during a stop.
const recordTimeout = 2 * time.Second

// backlog is the number of offered requests kept in memory. A scan finds the others.
const backlog = 1000

// batch is the number of due requests read at once.
const batch = 100

// Dispatcher sends events in the background once Run is called. Its methods are safe for concurrent use.
type Dispatcher struct {
	o     Options
	wake  chan struct{} // holds a token when something was offered
	sends chan struct{} // holds a token for each event that is being sent

	mu      sync.Mutex
	offered []app.Request
}

// New returns a Dispatcher that does nothing until Run is called.
func New(o Options) *Dispatcher {
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Redispatching == nil {
		o.Redispatching = func(Cause) {}
	}
	o.Concurrency = cmp.Or(o.Concurrency, 8)
	o.MaxPause = cmp.Or(o.MaxPause, 30*time.Second)
	return &Dispatcher{o: o, wake: make(chan struct{}, 1), sends: make(chan struct{}, o.Concurrency)}
}

// Offer requests that the event of r be sent as soon as possible. The caller has just stored r and holds its dispatch
// lease. Offer never blocks. If the event is not sent, a scan finds the request when the lease has expired.
func (d *Dispatcher) Offer(r app.Request) {
	d.mu.Lock()
	if len(d.offered) < backlog {
		d.offered = append(d.offered, r)
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run dispatches until ctx ends, then waits for pending sends. It leaves no goroutine behind.
func (d *Dispatcher) Run(ctx context.Context) {
	var (
		failures int // rounds in a row in which nothing could be sent
		nextScan time.Time
	)
	for ctx.Err() == nil {
		var round round
		if failures == 0 {
			d.each(d.takeOffered(), func(r app.Request) { d.send(ctx, r, &round) })
		} else {
			// The scan below tries one event. Offered requests are found by a scan after their lease.
			d.takeOffered()
		}
		if !time.Now().Before(nextScan) {
			limit := batch
			if failures > 0 {
				limit = 1
			}
			full, took := d.scanWhileOffered(ctx, limit, &round, failures == 0)
			nextScan = time.Now()
			if !full || round.failed.Load() > 0 {
				nextScan = nextScan.Add(min(max(scanPause, 30*took), maxScanPause))
			}
		}

		wake := d.wake
		switch {
		case round.sent.Load() > 0:
			failures = 0
		case round.failed.Load() > 0:
			failures++
			nextScan = time.Now().Add(min(minPause<<min(failures-1, 10), d.o.MaxPause))
		}
		if failures > 0 {
			wake = nil
		}
		timer := time.NewTimer(time.Until(nextScan))
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round counts the results of one turn.
type round struct {
	sent, failed atomic.Int32 // events
	silent       atomic.Bool  // a question to the server was not answered
}

// scanWhileOffered scans. With offered, it meanwhile sends what is offered, unless sending fails: a scan lasts long when the
// server answers its questions slowly.
func (d *Dispatcher) scanWhileOffered(ctx context.Context, limit int, round *round, offered bool) (full bool, took time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		full, took = d.scan(ctx, limit, round)
	}()
	for offered && round.failed.Load() == 0 {
		select {
		case <-done:
			return full, took
		case <-d.wake:
			d.each(d.takeOffered(), func(r app.Request) { d.send(ctx, r, round) })
		}
	}
	<-done
	return full, took
}

// scan sends the events of up to limit due requests, and returns whether there may be more, and how long finding them took.
func (d *Dispatcher) scan(ctx context.Context, limit int, round *round) (full bool, took time.Duration) {
	began := time.Now()
	due, err := d.o.Store.DueRequests(ctx, began, limit)
	if err != nil {
		if ctx.Err() == nil {
			d.o.Logger.Error("cannot read which notifications are due; trying again", "error", err)
		}
		return false, 0
	}
	took = time.Since(began)
	d.each(due, func(r app.Request) { d.takeAndSend(ctx, r, round) })
	return len(due) == limit, took
}

func (d *Dispatcher) takeOffered() []app.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	offered := d.offered
	d.offered = nil
	return offered
}

// each calls f for all requests, at most Options.Concurrency at once.
func (d *Dispatcher) each(requests []app.Request, f func(app.Request)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, d.o.Concurrency)
	for _, r := range requests {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(r)
		})
	}
	wg.Wait()
}

func (d *Dispatcher) takeAndSend(ctx context.Context, r app.Request, round *round) {
	before := r.Notification.Generation
	r, taken, err := app.Update(ctx, d.o.Store, r, func(n app.Notification) (app.Notification, bool) {
		return n.TakeForDispatch(time.Now(), d.o.Pace)
	})
	if err != nil {
		if ctx.Err() == nil {
			d.o.Logger.Error("cannot take a due notification; trying again", "request", r.ID, "error", err)
		}
		return
	}
	if !taken {
		return // another process has taken it, or it is final
	}
	cause := Lost
	if r.Notification.State == app.Dispatched {
		cause = NoRun
		if r, taken = d.confirm(ctx, r, round); !taken {
			return
		}
	}
	if r.Notification.Generation > before {
		d.o.Logger.Warn("notification was dispatched but did not finish; dispatching it again",
			"request", r.ID, "generation", r.Notification.Generation, "cause", cause)
		d.o.Redispatching(cause)
	}
	d.send(ctx, r, round)
}

// confirm asks the server for a run of the event of r, whose dispatch lease this process holds, and reports whether there
// is none: r is then to be sent again. After a question without an answer, the others of the round are put off.
func (d *Dispatcher) confirm(ctx context.Context, r app.Request, round *round) (app.Request, bool) {
	event := r.Notification.EventID
	change := func(n app.Notification) (app.Notification, bool) { return n.NotConfirmed(event, time.Now(), d.o.Pace) }
	if !round.silent.Load() {
		has, err := d.o.HasRun(ctx, event)
		switch {
		case ctx.Err() != nil:
			return r, false // stopping: the lease expires
		case err != nil:
			round.silent.Store(true)
			d.o.Logger.Warn("cannot ask Inngest whether the run of a notification exists; asking again later", "request", r.ID, "error", err)
		case has:
			change = func(n app.Notification) (app.Notification, bool) { return n.Begun(event, d.o.Pace) }
		default:
			change = func(n app.Notification) (app.Notification, bool) { return n.NotBegun(event, time.Now(), d.o.Pace) }
		}
	}
	r, changed, err := app.Update(ctx, d.o.Store, r, change)
	if err != nil && ctx.Err() == nil {
		d.o.Logger.Warn("could not record whether the run of a notification exists", "request", r.ID, "error", err)
	}
	return r, changed && r.Notification.State == app.Pending
}

// send sends the event of r, whose dispatch lease this process holds, and records the result.
func (d *Dispatcher) send(ctx context.Context, r app.Request, round *round) {
	if ctx.Err() != nil {
		return
	}
	event := r.Event()
	d.sends <- struct{}{}
	eventID, err := d.o.Sender.Send(ctx, event)
	<-d.sends
	if err != nil && ctx.Err() != nil {
		return // stopping: the lease expires
	}

	var change app.Change
	if err == nil {
		round.sent.Add(1)
		d.o.Logger.Debug("event sent", "request", r.ID, "event", event.IdempotencyKey)
		change = func(n app.Notification) (app.Notification, bool) {
			return n.Dispatch(r.Notification.Generation, eventID, time.Now(), d.o.Pace)
		}
	} else {
		round.failed.Add(1)
		err = withoutURL(err)
		d.o.Logger.Error("cannot send an event to Inngest; it is kept and sent later", "request", r.ID, "error", err)
		change = func(n app.Notification) (app.Notification, bool) {
			cause := "the event could not be sent to Inngest: " + err.Error()
			return n.DispatchFailed(r.Notification.Generation, cause, time.Now().Add(minPause))
		}
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if _, _, err := app.Update(ctx, d.o.Store, r, change); err != nil {
		// An event that was sent will be sent again with the same idempotency key, which is harmless.
		d.o.Logger.Warn("could not record a dispatch", "request", r.ID, "error", err)
	}
}

// withoutURL removes the URL from an HTTP client's error: that of the event API contains the event key.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

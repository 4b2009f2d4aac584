package simstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/follow"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// WorkbenchOptions configures a [Workbench]. The zero value is ready to use.
type WorkbenchOptions struct {
	// Sim configures the Sim.
	Sim sim.Options
	// AppPath is where the app serves Inngest. Empty: "/api/inngest".
	AppPath string
	// RunHeader names the header of an email that holds the id of the run that sent it. Empty: "X-Inngest-Run-Id".
	RunHeader string
}

// A Workbench is what a test of an app's functions needs, all of it in the test's process: a [sim.Sim] that is driven by
// hand, a mail server that keeps what it gets, and the same taps on the wires between them and the app that a
// [stack.Stack] has. There is no database: an app under such a test has a store in memory. All but Close may be called
// from several goroutines. Close frees it.
type Workbench struct {
	o      WorkbenchOptions
	sim    *sim.Sim
	front  *http.Server // of the Sim
	mail   *mailbox
	taps   *tap.Set
	ledger *follow.Ledger
	toApp  *tap.Wire
	app    *http.Server
	closer interface{ Close(context.Context) error } // of the app; may be nil
	endApp func()                                    // ends the app's context
	env    harness.Env
	api    *inngestapi.Client
}

// NewWorkbench starts the app and registers its functions. The app's Env has no MongoURI. ctx bounds the start only.
func NewWorkbench(ctx context.Context, app stack.HandlerFunc, o WorkbenchOptions) (_ *Workbench, err error) {
	o.AppPath = cmp.Or(o.AppPath, harness.DefaultAppPath)
	o.RunHeader = cmp.Or(o.RunHeader, harness.DefaultRunHeader)
	w := &Workbench{o: o, sim: sim.New(o.Sim), taps: tap.New(tap.Options{AppPath: o.AppPath, RunHeader: o.RunHeader})}
	w.ledger = follow.NewLedger(w.taps)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close(context.WithoutCancel(ctx)))
		}
	}()
	w.api = inngestapi.New(sim.BaseURL, inngestapi.Options{HTTPClient: w.sim.HTTPClient()})
	front, frontAddr, err := serve(w.sim.Handler())
	if err != nil {
		return nil, err
	}
	w.front = front
	if w.mail, err = openMailbox(w.sim.Now, o.RunHeader); err != nil {
		return nil, err
	}
	toSim, err := w.taps.API(loopback, "http://"+frontAddr)
	if err != nil {
		return nil, err
	}
	toMail, err := w.taps.SMTP(loopback, w.mail.addr)
	if err != nil {
		return nil, err
	}
	if w.toApp, err = w.taps.Calls(loopback, ""); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, fmt.Errorf("listen for the app: %w", err)
	}
	w.env = harness.Env{
		Addr: l.Addr().String(), AppURL: "http://" + w.toApp.Addr(), InngestURL: toSim.URL(), EventKey: harness.DevEventKey, SMTPAddr: toMail.Addr(),
	}
	// The app's context ends with ctx only during the start.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	w.endApp = func() { end(nil) }
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()
	handler, err := app(life, w.env)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the app: %w", err), l.Close())
	}
	w.closer, _ = handler.(interface{ Close(context.Context) error })
	w.app = serveOn(l, handler)
	if err := w.toApp.SetTarget("http://" + w.env.Addr); err != nil {
		return nil, err
	}
	return w, w.sim.RegisterURL(ctx, w.env.AppURL+o.AppPath)
}

const loopback = "127.0.0.1:0"

func serve(h http.Handler) (server *http.Server, addr string, err error) {
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, "", fmt.Errorf("listen for the sim: %w", err)
	}
	return serveOn(l, h), l.Addr().String(), nil
}

func serveOn(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until it is closed
	return server
}

// Sim is the executor. Drive it with [sim.Sim.Run] and its kind. The Workbench closes it.
func (w *Workbench) Sim() *sim.Sim { return w.sim }

// Taps are the recording proxies, which take scripted faults.
func (w *Workbench) Taps() *tap.Set { return w.taps }

// Env is the configuration of the app.
func (w *Workbench) Env() harness.Env { return w.env }

// Judge lets the Sim run until nothing is left to do, over sleeps and retries, and judges what followed from an event.
// eventID is the ULID that sending it returned. It waits for an email on its way as [Workbench.Trace] does. A millisecond passes afterwards. The error says that the expectation is not
// valid, or that ctx ended.
func (w *Workbench) Judge(ctx context.Context, eventID string, e harness.Expectation, o judge.Options) (*harness.Verdict, error) {
	if err := w.sim.Run(ctx); err != nil {
		return nil, fmt.Errorf("judge event %s: %w", eventID, err)
	}
	trace, err := w.Trace(ctx, eventID, e.Recipients()...)
	if err != nil {
		return nil, err
	}
	// An email that names no run belongs to the event before it, which only their times tell: the next event comes later.
	if err := w.sim.Advance(ctx, time.Millisecond); err != nil {
		return nil, fmt.Errorf("judge event %s: %w", eventID, err)
	}
	return judge.Judge(e, trace, o)
}

// AwaitEvent waits until the app has sent an event with an idempotency key, and returns its ULID.
func (w *Workbench) AwaitEvent(ctx context.Context, key string) (eventID string, err error) {
	return w.ledger.AwaitKey(ctx, key, nil)
}

// deliveryPatience is how long a Workbench at rest waits for an email that the app has begun to deliver.
const deliveryPatience = 5 * time.Second

// Trace returns what is known now of what followed from an event. Emails to the recipients that arrived since the event
// and name no run belong to it. Times are virtual, except those of deliveries: once the Sim has nothing left to do, Trace waits
// until an email that the app has begun to deliver is accepted, refused or given up, for at most 5 seconds.
func (w *Workbench) Trace(ctx context.Context, eventID string, recipients ...string) (*harness.Trace, error) {
	w.ledger.AwaitRoot(eventID)
	f := follow.New(follow.Sources{
		API: w.api, Inbox: w.mail, Ledger: w.ledger, Taps: w.taps, AllTapped: true, RunHeader: w.o.RunHeader,
		Now: w.sim.Now, Idle: w.sim.Idle,
	}, eventID, recipients)
	defer f.Close()
	patience, cancel := context.WithTimeout(ctx, deliveryPatience)
	defer cancel()
	for {
		t, err := f.Look(ctx)
		if err != nil || !w.sim.Idle() || !f.Delivering || f.Wait(patience) != nil {
			return t, cmp.Or(err, ctx.Err())
		}
	}
}

// Mail returns all emails that have arrived, in sequence.
func (w *Workbench) Mail(ctx context.Context) ([]*harness.Message, error) {
	return w.mail.Find(ctx, inbox.Filter{})
}

// Close ends the app and frees everything. It may be called more than once.
func (w *Workbench) Close(ctx context.Context) error {
	var errs []error
	if w.app != nil {
		// The tap closes its idle connections: the HTTP client opens some in advance, on which the app would wait for a call.
		errs = append(errs, w.toApp.SetTarget("http://"+w.env.Addr))
		if w.app.Shutdown(ctx) != nil {
			errs = append(errs, w.app.Close())
		}
		w.app = nil
	}
	if w.closer != nil {
		errs = append(errs, w.closer.Close(ctx))
		w.closer = nil
	}
	if w.endApp != nil {
		w.endApp()
	}
	errs = append(errs, w.sim.Close(ctx), w.taps.Close(ctx))
	w.ledger.Close()
	if w.front != nil {
		errs = append(errs, w.front.Close())
	}
	if w.mail != nil {
		errs = append(errs, w.mail.close())
		w.mail = nil
	}
	return errors.Join(errs...)
}

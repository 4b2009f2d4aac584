package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

const (
	// pollTapped is how often the server is asked for events that passed no tap, pollTapless for all of them.
	pollTapped, pollTapless = time.Second, 300 * time.Millisecond
	// It is asked as far back as inngestapi.VisibleWithin each time. Under load some events become visible later: so every
	// sweepEvery-th time it is asked as far back as sweep.
	sweep      = time.Minute
	sweepEvery = 8
	// firstEvents is how many are asked for first, so that there is something to see while the rest is read.
	firstEvents = 100
	// probeEvery is how often the services are looked at, probeTimeout how long each may take to answer.
	probeEvery, probeTimeout = 2 * time.Second, 1500 * time.Millisecond
	// While more may happen, a trace is taken again after a pause that doubles from firstPause to lastPause. News of the
	// event sets the pause to firstPause.
	firstPause, lastPause = 80 * time.Millisecond, 30 * time.Second
	// tracers is how many traces are taken at a time. They cost the server what a run costs it.
	tracers = 2
	// traceTimeout bounds one of them.
	traceTimeout = 10 * time.Second
)

// follower updates the board from the stack.
type follower struct {
	stack     *stack.Stack
	board     *board
	runHeader string
	kick      chan struct{} // asks for the server's events now
	queue     *queue

	mu       sync.Mutex
	triggers []string  // the events that some function subscribes to
	askedAt  time.Time // when the server was asked for them
}

// follow starts the goroutines that update the board until Close.
func (d *Dashboard) follow() *follower {
	f := &follower{stack: d.stack, board: d.board, runHeader: d.options.RunHeader, kick: make(chan struct{}, 1), queue: newQueue()}
	d.running.Go(func() { f.watchInbox(d.ctx) })
	d.running.Go(func() { f.watchTaps(d.ctx) })
	d.running.Go(func() { f.pollEvents(d.ctx, d.options.Keep) })
	d.running.Go(func() { f.probe(d.ctx) })
	for range tracers {
		d.running.Go(func() { f.trace(d.ctx) })
	}
	return f
}

// sent shows an event that the dashboard itself has sent, before the server does.
func (f *follower) sent(id string, e harness.Event) {
	data, _ := json.Marshal(e.Data) // it has been encoded before, so that it can be
	f.event(id, e.IdempotencyKey, e.Name, data, time.Now())
}

// event shows an event, with the secrets of the app left out as on its own page, and has it traced when it is new.
func (f *follower) event(id, key, name string, data json.RawMessage, at time.Time) {
	if f.board.event(id, key, name, stack.Redact(f.stack.Redactor(), data), at) {
		f.queue.news(id)
	}
}

func (f *follower) watchInbox(ctx context.Context) {
	for m, err := range f.stack.Inbox().Watch(ctx, inbox.Filter{}) {
		if err != nil {
			return
		}
		m = f.stack.Redactor().Mail(m)
		if event := f.board.mail(m, m.Header(f.runHeader)); event != "" {
			f.queue.news(event)
		}
	}
}

// watchTaps notes events and runs as the taps record them.
func (f *follower) watchTaps(ctx context.Context) {
	if f.stack.Taps() == nil {
		return
	}
	for c, err := range f.stack.Taps().Watch(ctx, 0) {
		if err == nil { // after a gap the server is asked for what was missed
			f.exchange(c)
		}
	}
}

func (f *follower) exchange(x tap.Exchange) {
	run := ""
	switch {
	case x.Dispatch != nil && x.Over():
		for _, e := range x.Dispatch.Events {
			if e.EventID != "" {
				f.event(e.EventID, e.IdempotencyKey, e.Name, e.Data, x.Ended)
			}
		}
		return
	case x.Call != nil:
		run = x.Call.RunID
		for _, e := range x.Call.Events {
			f.board.run(run, e.IdempotencyKey)
		}
	case x.Checkpoint != nil:
		run = x.Checkpoint.RunID
	case x.Mail != nil && x.Over():
		run = x.Mail.RunID
	}
	if run == "" {
		return
	}
	if event := f.board.run(run, ""); event != "" {
		f.queue.news(event)
		return
	}
	select { // its event has passed no tap
	case f.kick <- struct{}{}:
	default:
	}
}

// pollEvents asks the server for the events that passed no tap.
func (f *follower) pollEvents(ctx context.Context, keep int) {
	pause := pollTapped
	if f.stack.Taps() == nil {
		pause = pollTapless
	}
	tick := time.Tick(pause)
	since, limit := time.Unix(1, 0), min(firstEvents, keep)
	for n := 1; ; n++ {
		from := since
		if n%sweepEvery == 0 {
			from = since.Add(-sweep)
		}
		events, err := f.stack.API().Events(ctx, inngestapi.EventFilter{Since: from, Limit: limit, Internal: true})
		more := err == nil && limit < keep && len(events) == limit
		if err == nil {
			// The oldest first, so that the newest is traced first and stands on top.
			for _, e := range slices.Backward(events) {
				if !isConsequence(e) {
					f.event(e.EventID, e.IdempotencyKey, e.Name, e.Data, e.Received)
				}
				if from := e.Received.Add(-inngestapi.VisibleWithin); !more && from.After(since) {
					since = from
				}
			}
			limit = keep
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-f.kick:
		}
	}
}

// isConsequence reports whether the server made an event for what a run did: it belongs to the trace of that run's event. The
// others of the server's events start what nothing else did: a cron, and a function that was invoked by hand.
func isConsequence(e inngestapi.ReceivedEvent) bool {
	var data struct {
		Inngest struct {
			Correlation string `json:"correlation_id"`
		} `json:"_inngest"`
	}
	switch {
	case !strings.HasPrefix(e.Name, sdk.InternalEvents), e.Name == sdk.EventScheduled:
		return false
	case e.Name == sdk.EventFunctionInvoked:
		return json.Unmarshal(e.Data, &data) != nil || data.Inngest.Correlation != ""
	default:
		return true
	}
}

// trace takes traces of the events in the queue.
func (f *follower) trace(ctx context.Context) {
	for {
		id, err := f.queue.next(ctx)
		if err != nil {
			return
		}
		if f.unsubscribed(id) {
			f.queue.done(id, false)
			continue
		}
		taking, cancel := context.WithTimeout(ctx, traceTimeout)
		tr, err := f.stack.Trace(taking, id)
		cancel()
		again := err != nil || tr.Event == nil || !tr.Quiet
		if err == nil {
			f.board.trace(tr)
		}
		f.queue.done(id, again)
	}
}

// unsubscribed settles an event that no function subscribes to without asking the server for its trace: there may be
// thousands.
func (f *follower) unsubscribed(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	subscribed := func(name string) bool {
		return strings.HasPrefix(name, sdk.InternalEvents) || slices.ContainsFunc(f.triggers, func(pattern string) bool { return sdk.TriggerMatches(pattern, name) })
	}
	return f.board.unsubscribed(id, subscribed, f.askedAt.Add(-inngestapi.VisibleWithin))
}

func (f *follower) setTriggers(functions []inngestapi.Function, asked time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.triggers, f.askedAt = nil, asked
	for _, fn := range functions {
		for _, t := range fn.Triggers {
			f.triggers = append(f.triggers, t.Event)
		}
	}
}

// probe checks the services at intervals and updates the state of the stack.
func (f *follower) probe(ctx context.Context) {
	tick := time.Tick(probeEvery)
	for {
		began := time.Now()
		state, mailhog := f.look(ctx)
		if mailhog == nil && state.Inbox == 0 {
			f.board.forgetMail(began) // it was emptied elsewhere, or the mail catcher was restarted
		}
		f.board.setStack(state)
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// look checks every service. mailhog is why the inbox could not be counted.
func (f *follower) look(ctx context.Context) (_ stackState, mailhog error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var (
		wait               sync.WaitGroup
		mongo, engine, app error
		apps               []inngestapi.RegisteredApp
		functions          []inngestapi.Function
		count              int
	)
	env, hasApp := f.stack.Env()
	wait.Go(func() { mongo = reaches(ctx, hostOf(f.stack.Endpoints().Mongo)) })
	wait.Go(func() { count, mailhog = f.stack.Inbox().Count(ctx) })
	wait.Go(func() {
		asked := time.Now()
		if apps, engine = f.stack.API().Apps(ctx); engine != nil {
			return
		}
		if functions, engine = f.stack.API().Functions(ctx); engine == nil {
			f.setTriggers(functions, asked)
		}
	})
	if hasApp {
		wait.Go(func() { app = reaches(ctx, env.Addr) })
	}
	wait.Wait()

	state := stackState{Inbox: count, Services: []serviceState{}}
	problems := map[harness.Service]error{harness.ServiceMongo: mongo, harness.ServiceMailHog: mailhog, harness.ServiceInngest: engine}
	for _, info := range f.stack.Describe() {
		s := newService(info.Service, info.Version, problems[info.Service])
		switch {
		case info.Service == harness.ServiceMailHog && info.MailCatcher != "":
			if s.Title = info.MailCatcher.Title(); info.HasUI {
				s.URL = f.stack.Inbox().BaseURL()
			}
		case info.Service == harness.ServiceInngest && info.HasUI:
			s.URL = f.stack.Endpoints().Inngest
		}
		state.Services = append(state.Services, s)
	}
	if hasApp {
		s := newService(harness.ServiceApp, env.AppURL, app)
		s.URL = env.AppURL
		state.Services = append(state.Services, s)
	}
	state.App = syncState(hasApp, app, engine, f.stack.App().SyncError(), apps, functions)
	return state, mailhog
}

func newService(name harness.Service, detail string, problem error) serviceState {
	s := serviceState{Name: string(name), State: "up", Detail: detail}
	if problem != nil {
		s.State, s.Problem = "down", problem.Error()
	}
	return s
}

// syncState says whether the server knows the app, and if it does not, why.
func syncState(hasApp bool, down, engine, lastSync error, apps []inngestapi.RegisteredApp, functions []inngestapi.Function) appState {
	var known []string
	for _, fn := range functions {
		known = append(known, fn.ID)
	}
	var failed, names []string
	for _, a := range apps {
		if a.Error != "" {
			failed = append(failed, a.Error)
		}
		names = append(names, a.ID)
	}
	switch {
	case engine != nil:
		return appState{State: "unsynced", Detail: "Inngest does not answer: " + engine.Error()}
	case len(failed) > 0:
		return appState{State: "unsynced", Detail: strings.Join(failed, "; "), Functions: known}
	case hasApp && down != nil:
		return appState{State: "unsynced", Detail: "the app does not answer: " + down.Error(), Functions: known}
	case lastSync != nil:
		return appState{State: "unsynced", Detail: lastSync.Error(), Functions: known}
	case len(apps) == 0 && !hasApp:
		return appState{State: "none", Detail: "the stack runs no app"}
	case len(known) == 0:
		return appState{State: "unsynced", Detail: "Inngest knows no function of the app"}
	default:
		return appState{State: "synced", Detail: strings.Join(names, ", "), Functions: known}
	}
}

// reaches returns nil if an address accepts connections.
func reaches(ctx context.Context, addr string) error {
	if addr == "" {
		return errors.New("it has no address")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

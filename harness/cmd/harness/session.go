package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// stopTimeout bounds a graceful stop.
const stopTimeout = 10 * time.Second

// session is a stack from the moment its servers are up.
type session struct {
	stack   *stack.Stack
	dir     string // where the state file stands
	options upOptions
	command []string // the app's; empty for a stack without one
	printer *printer
	out     io.Writer
	began   time.Time
	standIn bool          // sim stands in for the server, which is to be built
	built   chan struct{} // closed when the build in the background has ended; nil before it begins
	front   *front
}

func (s *session) watching() bool { return len(s.options.watch) > 0 }

// run starts the app and keeps the stack up until ctx ends or a server or the app exits.
func (s *session) run(ctx context.Context) error {
	// Watching begins before the first start, so that a change during it counts.
	changes := make(chan string)
	if s.watching() {
		w, err := newWatcher(s.options.watch, s.front.answers.Wrote, s.front.answers.Changed)
		if err != nil {
			return err
		}
		defer w.close()
		watching, cancel := context.WithCancel(ctx)
		defer cancel()
		go w.run(watching, changes)
		s.printer.say("watch", "%d directories below %v", w.count(), s.options.watch)
	}
	if len(s.command) > 0 {
		started := s.front.answers.Starting()
		err := s.startApp(ctx)
		started(err)
		if err != nil && (!s.watching() || ctx.Err() != nil) {
			return err
		} else if err != nil {
			s.printer.say("app", "does not work, the next change starts it again: %s", brief(err))
		}
	}
	if err := statefile.Write(s.dir, s.state()); err != nil {
		return err
	}
	if err := s.announce(); err != nil {
		return err
	}
	return s.serve(ctx, changes)
}

func (s *session) startApp(ctx context.Context) error {
	began := time.Now()
	s.printer.progress(harness.Progress{Subject: "app", Doing: "starting"})
	err := s.stack.RunCommand(ctx, stack.Command{
		Args:         s.command,
		StartTimeout: s.options.appWait,
		OnLine:       s.output,
	})
	if err != nil {
		return err
	}
	if env, ok := s.stack.Env(); ok && s.options.taps {
		s.printer.say("app", "listens on %s, which is reached at %s, through the proxy that records", env.Addr, env.AppURL)
	}
	ready := "ready and synced"
	if s.options.connect {
		ready = "ready and connected"
	}
	s.printer.progress(harness.Progress{Subject: "app", Doing: ready, Elapsed: time.Since(began), Done: true})
	return nil
}

// goRunEnded is what `go run` prints when it is interrupted.
const goRunEnded = "signal: interrupt"

// output shows a line that the app wrote.
func (s *session) output(line string) {
	if line != goRunEnded {
		s.printer.output(line)
	}
}

func (s *session) state() statefile.State {
	ends, options := s.stack.Endpoints(), s.stack.Options()
	state := statefile.State{
		Backend: s.stack.Backend(),
		Inngest: statefile.Inngest{URL: ends.Inngest, EventKey: ends.Keys.Event, SigningKey: ends.Keys.Signing, StandIn: s.standIn},
		MailHog: statefile.MailHog{URL: ends.MailHog, SMTP: ends.SMTP},
		Mongo:   statefile.Mongo{URI: ends.Mongo},
	}
	for _, i := range s.stack.Describe() {
		if i.Service == harness.ServiceMailHog {
			state.MailHog.Program = i.MailCatcher
		}
	}
	if uri, err := mongouri.WithDatabase(ends.Mongo, options.Database); err == nil && ends.Mongo != "" { // without an app it has not been validated
		state.Mongo.URI = uri
	}
	if s.stack.Backend() == backendAttach { // its keys and logins are others': the environment has them
		state.Inngest.EventKey, state.Inngest.SigningKey = "", ""
		state.MailHog.URL = withoutLogin(state.MailHog.URL)
	}
	if env, ok := s.stack.Env(); ok {
		state.App = statefile.App{URL: env.AppURL, Path: options.AppPath, Connect: options.Connect}
		state.Mongo.URI = env.MongoURI
	}
	if s.front.board != nil {
		state.Dashboard.URL = s.front.url
	}
	state.API = s.front.api()
	return state
}

// announce prints what to open.
func (s *session) announce() error {
	p, state := s.printer, s.state()
	p.say("up", "on the %s backend after %s; Ctrl-C or `harness down` stops it", s.stack.Backend(), text.Elapsed(time.Since(s.began)))
	if s.options.json {
		// As in the file, which also names this process.
		state, _, err := statefile.Find(s.dir)
		if err != nil {
			return err
		}
		return writeJSON(s.out, state)
	}
	if len(s.command) == 0 {
		p.say("up", "there is no app; one that you start by hand gets the addresses from: eval \"$(harness env)\"")
	}
	return writeTable(s.out, stateRows(state, s.stack.Describe()))
}

// serve keeps the stack up. It returns when all that it started has ended.
func (s *session) serve(ctx context.Context, changes <-chan string) error {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { s.keepSynced(ctx) })
	s.built = make(chan struct{})
	go func() {
		defer close(s.built)
		s.build(ctx)
	}()

	app := s.stack.App().Done() // of the app whose exit has not been handled
	appDone := app              // nil once it has been
	stopReload := func() {}
	var reloaded <-chan struct{}           // nil while no reload is in progress
	restarted := time.NewTicker(syncCheck) // a client of the API may have stopped the app and started it again
	defer restarted.Stop()
	watchNext := func() { // of the app that has taken its place
		if now := s.stack.App().Done(); now != app {
			app, appDone = now, now
		}
	}
	fail := func(err error) error {
		stopReload()
		s.printer.say("up", "%s: everything is stopped", firstLine(brief(err)))
		return err
	}
	for {
		select {
		case <-ctx.Done():
			stopReload()
			return nil
		case <-s.stack.Done():
			return fail(s.stack.Err())
		case <-appDone:
			appDone = nil
			switch err := s.stack.App().Err(); {
			case err == nil: // a reload has stopped it, or a client of the API
			case s.watching():
				s.printer.say("app", "has ended by itself, the next change starts it again: %s", brief(err))
			default:
				return fail(err)
			}
		case <-reloaded:
			reloaded = nil
			watchNext()
		case <-restarted.C:
			watchNext()
		case file := <-changes:
			// A change during a reload makes what is being started outdated.
			stopReload()
			stopReload, reloaded = s.reload(ctx, file)
		}
	}
}

// brief returns an error without the app's output, which has been printed already.
func brief(err error) string {
	var e interface {
		error
		Brief() string
	}
	if errors.As(err, &e) {
		return e.Brief()
	}
	return err.Error()
}

// reload starts the changed app without waiting for it. It closes done in the end. stop cancels it and waits for its end.
func (s *session) reload(ctx context.Context, file string) (stop func(), done <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		began := time.Now()
		s.printer.progress(harness.Progress{Subject: "app", Doing: file + " changed, starting anew"})
		started := s.front.answers.Starting()
		err := s.nextApp(ctx)
		if ctx.Err() != nil { // another change has come, or the end
			return
		}
		started(err)
		switch {
		case err != nil:
			s.printer.say("app", "the change does not work: %s", brief(err))
			now := "no app is up"
			if _, ok := s.stack.Env(); ok {
				now = "the last good state stays up"
			}
			s.printer.say("app", "%s; the next change starts it again", now)
		default:
			s.printer.progress(harness.Progress{Subject: "app", Doing: "the change is up and synced", Elapsed: time.Since(began), Done: true})
		}
	}()
	return func() { cancel(); <-ended }, ended
}

func (s *session) nextApp(ctx context.Context) error {
	if _, ok := s.stack.Env(); ok {
		return s.stack.App().Reload(ctx)
	}
	if err := s.startApp(ctx); err != nil {
		return err
	}
	return statefile.Write(s.dir, s.state()) // it had no app
}

// syncCheck is how often to ask the server whether it still knows the app: a restarted server has forgotten it.
const syncCheck = 2 * time.Second

func (s *session) keepSynced(ctx context.Context) {
	tick := time.NewTicker(syncCheck)
	defer tick.Stop()
	var last string // the last error, which is printed once
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		again, err := s.stack.App().EnsureSynced(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && again:
			s.printer.say("inngest", "had forgotten the app: synced again")
		case err != nil && err.Error() != last:
			s.printer.say("inngest", "does not know the app, and syncing it again failed: %v", err)
		}
		last = ""
		if err != nil {
			last = err.Error()
		}
	}
}

// stop ends the stack, and what this process started for it. ended is the context that kept it up.
func (s *session) stop(ended context.Context) error {
	began := time.Now()
	timeout := stopTimeout
	if errors.Is(context.Cause(ended), errOrphaned) {
		timeout = orphanStop
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var err error
	if s.front != nil {
		// Bounded by itself, so that app and servers have time to end gracefully whatever the page does.
		closing, cancel := context.WithTimeout(ctx, timeout/5)
		err = s.front.close(closing)
		cancel()
		// Before the rest, since a stack whose parent has ended may be killed while it stops.
		if unwritten := s.front.answers.Close(); unwritten != nil {
			err = errors.Join(err, fmt.Errorf("write the report of the tests: %w", unwritten))
		}
	}
	if timeout == orphanStop {
		err = errors.Join(err, statefile.Remove(s.dir)) // for the same reason
	}
	err = errors.Join(err, s.stack.Close(ctx), statefile.Remove(s.dir))
	if err != nil {
		return fmt.Errorf("stop the stack: %w", err)
	}
	if s.built != nil {
		select {
		case <-s.built:
		case <-ctx.Done(): // a slow disk; the next build removes the rest
		}
	}
	s.printer.say("up", "stopped after %s", text.Elapsed(time.Since(began)))
	return nil
}

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// caller makes calls to apps, one after another, and keeps from one to the next what can be used again.
//
// An app in process is called on the caller's own goroutine, since a new one for each call, whose stack grows anew, would
// cost more than all else that is done for it. If the app hangs, that goroutine is lost to it, and the caller with it.
type caller struct {
	sim      *Sim
	ctx      context.Context // whose end gives up the call under way
	w        recorder
	watchdog *time.Timer

	mu    sync.Mutex
	under flight // the call under way
}

// flight is a call under way; zero once it has been answered or given up.
type flight struct {
	since   time.Time
	cancel  context.CancelFunc
	instead func(*answer)
}

// begin makes a caller ready for calls that ctx bounds, until end.
func (c *caller) begin(ctx context.Context) (end func()) {
	c.ctx = ctx
	if ctx.Done() == nil || c.sim.unguarded() {
		return func() {}
	}
	stop := context.AfterFunc(ctx, func() { c.giveUp(context.Cause(ctx)) })
	return func() { stop() }
}

// do calls the app and returns its answer. The Sim's lock is not held: the app may send events and checkpoints meanwhile.
//
// If the app hangs, instead is called with the failed answer on another goroutine, and once the app returns after all, ok is
// false: the goroutine that called do must then end without touching anything.
func (c *caller) do(call *call, instead func(*answer)) (a *answer, ok bool) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	req := c.sim.newRequest(ctx, call)
	if call.handler == nil {
		a = c.sim.post(req, cancel)
	} else if a, ok = c.serve(req, call.handler, cancel, instead); !ok {
		return nil, false
	}
	c.sim.understand(a)
	return a, true
}

// serve calls a handler in process. One that hangs has its context cancelled, and is left behind: see do.
func (c *caller) serve(req *http.Request, handler http.Handler, cancel context.CancelFunc, instead func(*answer)) (a *answer, ok bool) {
	c.guard(cancel, instead)
	c.w.reset()
	err := callHandler(handler, &c.w, req)
	lost := !c.landed()
	switch {
	case lost:
		return nil, false
	case err != nil:
		return &answer{err: err}, true
	}
	return &answer{Answer: sdk.Answer{Status: c.w.status, Header: c.w.sent, Body: slices.Clone(c.w.body.Bytes())}}, true
}

// guard watches over a call.
func (c *caller) guard(cancel context.CancelFunc, instead func(*answer)) {
	timeout := c.sim.options.CallTimeout
	if timeout < 0 {
		return
	}
	c.mu.Lock()
	c.under = flight{since: time.Now(), cancel: cancel, instead: instead}
	c.mu.Unlock()
	if c.ctx.Err() != nil { // it ended before there was anything to give up
		go c.giveUp(context.Cause(c.ctx))
	}
	if c.watchdog == nil {
		c.watchdog = time.AfterFunc(timeout, c.bark)
	} else {
		c.watchdog.Reset(timeout)
	}
}

// landed ends the watch. It returns false if the call has been given up, and with it this caller.
func (c *caller) landed() bool {
	if c.watchdog == nil {
		return true
	}
	c.watchdog.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	landed := c.under.cancel != nil
	c.under = flight{}
	return landed
}

// bark gives up a call that takes too long. A late bark at an earlier call does not harm the next one.
func (c *caller) bark() {
	c.mu.Lock()
	hangs := c.under.cancel != nil && time.Since(c.under.since) >= c.sim.options.CallTimeout
	c.mu.Unlock()
	if hangs {
		c.giveUp(c.sim.hung())
	}
}

// giveUp answers the call under way, if there is one, in place of the app.
func (c *caller) giveUp(err error) {
	c.mu.Lock()
	f := c.under
	c.under = flight{}
	c.mu.Unlock()
	if f.cancel != nil {
		f.cancel()
		f.instead(&answer{err: err, lost: true})
	}
}

func (s *Sim) hung() error {
	return fmt.Errorf("the app did not answer within %v of wall-clock time (sim.Options.CallTimeout)", s.options.CallTimeout)
}

// callAlone makes one call on a goroutine of its own and waits for the answer.
func (s *Sim) callAlone(ctx context.Context, one func(c *caller, instead func(*answer)) (*answer, bool)) *answer {
	answered := make(chan *answer, 2) // a hanging app answers for itself after all
	go func() {
		c := &caller{sim: s}
		defer c.begin(ctx)()
		if a, ok := one(c, func(a *answer) { answered <- a }); ok {
			answered <- a
		}
	}()
	return <-answered
}

// recorder is the least response writer that does what net/http's does.
type recorder struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

// reset makes it ready for the next answer.
func (w *recorder) reset() {
	if w.header == nil {
		w.header = make(http.Header, 8)
	}
	clear(w.header)
	w.sent, w.status = nil, 0
	w.body.Reset()
}

func (w *recorder) Header() http.Header { return w.header }
func (w *recorder) Flush()              { w.WriteHeader(http.StatusOK) }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len() > maxResponse {
		return len(p), nil // no more is looked at
	}
	return w.body.Write(p)
}

// callHandler calls a handler as net/http does, which survives a handler that panics and drops its connection: the server sees
// that and nothing else.
func callHandler(handler http.Handler, w *recorder, req *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Name: "Error", Message: unreachable, Stack: fmt.Sprintf("the app's handler panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	handler.ServeHTTP(w, req)
	w.WriteHeader(http.StatusOK)
	return nil
}

// post calls an app at its URL.
func (s *Sim) post(req *http.Request, cancel context.CancelFunc) *answer {
	stop := func() (before bool) { return true }
	if !s.unguarded() {
		stop = time.AfterFunc(s.options.CallTimeout, cancel).Stop
		defer stop()
	}
	resp, err := s.client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
		if err == nil {
			return &answer{Answer: sdk.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}}
		}
	}
	if expired := !stop(); expired && errors.Is(err, context.Canceled) {
		return &answer{err: s.hung()}
	}
	return &answer{err: &Error{Name: "Error", Message: unreachable, Stack: err.Error()}}
}

// unreachable is what the server says whatever keeps an answer from coming.
const unreachable = "Unable to reach SDK URL"

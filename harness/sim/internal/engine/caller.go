package engine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// caller calls apps. It is safe for concurrent use.
type caller struct {
	client  *http.Client
	timeout time.Duration // by the wall clock; negative: none
	clock   *clock.Clock
}

// do calls an app, in process if there is a handler, and returns its answer as read understands it. An app that does not answer before the
// timeout, or before ctx ends, is left behind with its context cancelled.
func (c *caller) do(ctx context.Context, req *http.Request, handler http.Handler, read func(*answer, *clock.Clock)) *answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.timeout >= 0 {
		hung := fmt.Errorf("the app did not answer within %v of wall-clock time (sim.Options.CallTimeout)", c.timeout)
		ctx, cancel = context.WithTimeoutCause(ctx, c.timeout, hung)
		defer cancel()
	}
	req = req.WithContext(ctx)
	answered := make(chan *answer, 1)
	go func() {
		var a *answer
		if handler != nil {
			a = serve(handler, req)
		} else {
			a = c.post(req)
		}
		read(a, c.clock)
		answered <- a
	}()
	select {
	case a := <-answered:
		if a.err != nil && ctx.Err() != nil {
			return &answer{err: context.Cause(ctx)}
		}
		return a
	case <-ctx.Done():
		return &answer{err: context.Cause(ctx)}
	}
}

// unreachable is the server's message for whatever keeps an answer from coming.
const unreachable = "Unable to reach SDK URL"

func noAnswer(why string) *answer {
	failed := newError("Error", unreachable)
	failed.Stack = why
	return &answer{err: failed}
}

// serve calls a handler as net/http does: a panic drops the connection, and the server sees no more than that.
func serve(handler http.Handler, req *http.Request) (a *answer) {
	defer func() {
		if p := recover(); p != nil {
			a = noAnswer(fmt.Sprintf("the app's handler panicked: %v\n%s", p, debug.Stack()))
		}
	}()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return &answer{Answer: sdk.Answer{Status: w.Code, Header: w.Result().Header, Body: w.Body.Bytes()}}
}

// post calls an app at its URL.
func (c *caller) post(req *http.Request) *answer {
	resp, err := c.client.Do(req)
	if err != nil {
		return noAnswer(err.Error())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return noAnswer(err.Error())
	}
	return &answer{Answer: sdk.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}}
}

package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
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
	fetcher *http.Client  // makes the requests of steps
	timeout time.Duration // by the wall clock; negative: none
	clock   *clock.Clock
}

// do calls an app, in process if there is a handler, and returns its answer as read understands it. An app that does not answer before the
// timeout, or before ctx ends, is left behind with its context cancelled.
func (c *caller) do(ctx context.Context, req *http.Request, handler http.Handler, read func(*answer, *clock.Clock)) *answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.timeout >= 0 {
		hung := fmt.Errorf("the app did not answer within %v of wall-clock time (--call-timeout; in Go, sim.Options.CallTimeout)", c.timeout)
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
			a = post(c.client, req)
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

// maxRedirects is how often the server follows a redirect.
const maxRedirects = 60

// followRedirect repeats a call at another address, as the server does: with its body, its headers and its query.
func followRedirect(req *http.Request, via []*http.Request) (err error) {
	if len(via) > maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	first := via[0]
	if first.GetBody != nil {
		if req.Body, err = first.GetBody(); err != nil {
			return err
		}
		req.ContentLength = first.ContentLength
	}
	maps.Copy(req.Header, first.Header)
	query := req.URL.Query()
	maps.Copy(query, first.URL.Query())
	req.URL.RawQuery = query.Encode()
	return nil
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
	if w.Code >= 300 && w.Code < 400 && w.Header().Get("Location") != "" {
		return post(&http.Client{Transport: &within{handler, w}, CheckRedirect: followRedirect}, req)
	}
	return &answer{Answer: sdk.Answer{Status: w.Code, Header: w.Result().Header, Body: w.Body.Bytes()}}
}

// post calls an app at its URL.
func post(client *http.Client, req *http.Request) *answer {
	resp, err := client.Do(req)
	if err != nil {
		return noAnswer(err.Error())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return noAnswer("Your server reset the connection while we were reading the reply: Unexpected ending response: " + err.Error())
	}
	return &answer{Answer: sdk.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}}
}

package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// An httpExchange is one request of the protocol and its answer.
type httpExchange struct {
	tap     *httpTap
	req     *http.Request
	body    []byte
	traffic traffic
	rec     *recorder
	call    *liveCall   // nil unless it is a call
	passed  atomic.Bool // the far side has, or may have, got the request
}

// runAbandonable runs a call, of which the server's side can be closed before the app's: see [Set.AbandonCalls].
func (e *httpExchange) runAbandonable() (*http.Response, error) {
	type answer struct {
		resp *http.Response
		err  error
	}
	near := e.req.Context()
	ctx, cancel := context.WithCancel(context.WithoutCancel(near))
	context.AfterFunc(e.tap.life, cancel)
	context.AfterFunc(near, func() {
		if !e.call.isAbandoned() {
			cancel()
		}
	})
	e.req = e.req.WithContext(ctx)
	answers := make(chan answer, 1)
	e.tap.active.Go(func() {
		resp, err := e.run()
		if e.call.isAbandoned() {
			cancel()
		}
		answers <- answer{resp, err}
	})
	select {
	case a := <-answers:
		return a.resp, a.err
	case <-e.call.abandoned:
		e.rec.publish(func(x *Exchange) { x.Call.GivenUp = time.Now() })
		return nil, errAbandoned
	}
}

// run records the request, lets faults act on it, and returns the answer for the near side. An error closes the near
// side's connection.
func (e *httpExchange) run() (*http.Response, error) {
	e.rec.publish(func(x *Exchange) {
		x.HTTP = &HTTP{Method: e.req.Method, Path: redactPath(e.req.URL.Path), RequestBytes: int64(len(e.body))}
		e.traffic.request(e.body, x)
	})
	if e.traffic.cutOff() {
		return e.fail(errors.New("cut with the call that it belongs to"))
	}
	fault, err := e.rec.apply(e.req.Context(), nil, e.traffic.before()...)
	if err != nil {
		e.traffic.onCut(fault)
		return e.fail(err)
	}
	if fault == nil {
		return e.receive(e.forward())
	}
	return e.perform(fault)
}

// perform carries out a fault that acts instead of passing the request on once.
func (e *httpExchange) perform(i *Injection) (*http.Response, error) {
	switch i.fault.Do {
	case Twice:
		e.rec.update(func(x *Exchange) {
			if x.Call != nil {
				x.Call.Repeated = true
			}
		})
		return e.receive(e.forwardTwice(i.fault))
	case Reply:
		return e.respond(i.fault.Code, "text/plain; charset=utf-8", []byte(i.fault.Text))
	case Discard:
		var body []byte
		e.rec.update(func(x *Exchange) { body = e.traffic.fakeAnswer(x) })
		return e.respond(http.StatusOK, "application/json", body)
	case Lose:
		select {
		case <-e.req.Context().Done():
		case <-e.tap.set.done:
		}
	default:
		e.traffic.onCut(i)
	}
	return e.fail(cut(i))
}

// receive reads the far side's answer, lets faults act on it, and returns it for the near side.
func (e *httpExchange) receive(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return e.fail(err)
	}
	if resp.StatusCode == http.StatusCreated {
		resp.Body = &streamed{e: e, resp: resp, upstream: resp.Body}
		return resp, nil
	}
	answer, rest, err := readBody(resp.Body, resp.ContentLength)
	if rest != nil {
		e.finish(resp.StatusCode, 0)
		resp.Body = rejoin(answer, rest, resp.Body)
		return resp, nil
	}
	_ = resp.Body.Close()
	if err == nil {
		err = e.handleAnswer(resp, answer)
	}
	if err != nil {
		return e.fail(err)
	}
	e.finish(resp.StatusCode, len(answer))
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

// handleAnswer records the answer and lets faults act on it. After an error it must not be passed on.
func (e *httpExchange) handleAnswer(resp *http.Response, body []byte) error {
	e.rec.update(func(x *Exchange) { e.traffic.answer(resp.StatusCode, resp.Header, body, x) })
	if e.call != nil && e.call.isAbandoned() {
		return errAbandoned
	}
	fault, err := e.rec.apply(e.req.Context(), nil, e.traffic.after()...)
	if fault != nil {
		e.traffic.onCut(fault)
		if err == nil {
			err = cut(fault)
		}
	}
	if err == nil && e.traffic.cutOff() {
		err = errors.New("cut with the step that it would have saved")
	}
	if err == nil && e.call != nil && e.call.isAbandoned() { // while a fault held the answer
		err = errAbandoned
	}
	return err
}

// forward passes the request on.
func (e *httpExchange) forward() (*http.Response, error) {
	req := e.req.WithContext(e.req.Context())
	// GetBody lets the transport open a new connection when the idle one turns out to be closed, as a client without
	// the tap would. The transport never sends twice what may have arrived.
	req.GetBody = func() (io.ReadCloser, error) {
		if len(e.body) == 0 {
			return http.NoBody, nil // else it is sent in chunks, and some apps refuse a body without a content type
		}
		return io.NopCloser(bytes.NewReader(e.body)), nil
	}
	req.Body, _ = req.GetBody()
	resp, err := e.tap.send(req)
	if e.tap.target.Load() != nil && !notConnected(err) {
		e.passed.Store(true)
	}
	return resp, err
}

// forwardTwice passes the request on twice and returns one of the answers when both are there.
func (e *httpExchange) forwardTwice(f Fault) (*http.Response, error) {
	var resp [2]*http.Response
	var errs [2]error
	deliver := func(i int) {
		if resp[i], errs[i] = e.forward(); errs[i] != nil {
			return
		}
		var body []byte
		body, errs[i] = io.ReadAll(resp[i].Body)
		_ = resp[i].Body.Close()
		resp[i].Body = io.NopCloser(bytes.NewReader(body))
	}
	if f.Concurrent {
		var both sync.WaitGroup
		both.Go(func() { deliver(0) })
		both.Go(func() { deliver(1) })
		both.Wait()
	} else {
		deliver(0)
		deliver(1)
	}
	if f.Second {
		return resp[1], errs[1]
	}
	return resp[0], errs[0]
}

// respond answers in place of the far side.
func (e *httpExchange) respond(status int, contentType string, body []byte) (*http.Response, error) {
	e.finish(status, len(body))
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {contentType}},
		ContentLength: int64(len(body)),
		Request:       e.req,
		Body:          io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// finish ends an exchange whose answer is about to be passed on. The record comes first, so the effect of an answer is
// never visible before its record.
func (e *httpExchange) finish(status, size int) {
	e.rec.update(func(x *Exchange) { x.HTTP.Status, x.HTTP.AnswerBytes = status, int64(size) })
	e.rec.end(nil)
	e.traffic.done()
}

// fail ends an exchange without an answer.
func (e *httpExchange) fail(err error) (*http.Response, error) {
	e.rec.update(func(x *Exchange) {
		if x.Call != nil && e.passed.Load() && x.Call.Status == 0 {
			x.Call.Unanswered, x.Call.Abandoned = true, e.req.Context().Err() != nil || e.call.isAbandoned()
		}
	})
	e.rec.end(err)
	e.traffic.done()
	return nil, err
}

// streamed is the body of an answer that the SDK streams: white space while the function runs, then the answer. The
// white space passes at once; the answer is held back until it is complete, so that faults can still act on it.
type streamed struct {
	e        *httpExchange
	resp     *http.Response
	upstream io.ReadCloser
	answer   *bytes.Reader // nil until the answer is complete
	over     sync.Once
}

func (b *streamed) Read(p []byte) (int, error) {
	if b.answer != nil {
		return b.answer.Read(p)
	}
	n, err := b.upstream.Read(p)
	if err == nil && len(bytes.TrimSpace(p[:n])) == 0 {
		return n, nil
	}
	whole := bytes.Clone(p[:n])
	if err == nil {
		var rest []byte
		rest, err = io.ReadAll(b.upstream)
		whole = append(whole, rest...)
	} else if err == io.EOF {
		err = nil
	}
	if err == nil {
		err = b.e.handleAnswer(b.resp, whole)
	}
	if err != nil {
		b.over.Do(func() { _, _ = b.e.fail(err) })
		return 0, err
	}
	b.over.Do(func() { b.e.finish(b.resp.StatusCode, len(whole)) })
	b.answer = bytes.NewReader(whole)
	return b.answer.Read(p)
}

// Close before the answer is complete means that the near side has gone away.
func (b *streamed) Close() error {
	b.over.Do(func() { _, _ = b.e.fail(errSenderGone) })
	return b.upstream.Close()
}

package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// httpTap is the tap on an HTTP wire: a reverse proxy whose transport records, and lets faults act.
type httpTap struct {
	set    *Set
	side   Side
	server *http.Server
	base   *http.Transport
	target atomic.Pointer[url.URL] // nil: none yet
	active sync.WaitGroup          // handlers: Server.Close does not wait for them
	cancel context.CancelFunc      // ends the handlers' context, and with it upgraded connections
}

// maxBody is the size up to which a body is read as a whole, so that it can be parsed, matched and sent twice. A
// larger one passes unread. Inngest takes and sends nothing as large.
const maxBody = 32 << 20

func newHTTPTap(s *Set, side Side) *httpTap {
	t := &httpTap{
		set:  s,
		side: side,
		// Asking for compression or for a proxy would be a change of what crosses.
		base: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 512},
	}
	silent := log.New(io.Discard, "", 0) // the log has it all, and their messages hold addresses with keys in them
	proxy := &httputil.ReverseProxy{
		Rewrite:       t.rewrite,
		Transport:     t,
		FlushInterval: -1,
		BufferPool:    copyBuffers{},
		ErrorLog:      silent,
		// An error of ours must not look like an answer of the far side's.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	var base context.Context
	base, t.cancel = context.WithCancel(context.Background())
	t.server = &http.Server{
		ErrorLog:    silent,
		BaseContext: func(net.Listener) context.Context { return base },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.active.Add(1)
			defer t.active.Done()
			proxy.ServeHTTP(w, r)
		}),
	}
	return t
}

// copyBuffers lends the reverse proxy what it copies answers with.
type copyBuffers struct{}

var copyPool = sync.Pool{New: func() any { return new([32 << 10]byte) }}

func (copyBuffers) Get() []byte  { return copyPool.Get().(*[32 << 10]byte)[:] }
func (copyBuffers) Put(b []byte) { copyPool.Put((*[32 << 10]byte)(b)) }

func (t *httpTap) serve(ln net.Listener) { _ = t.server.Serve(ln) }

func (t *httpTap) retarget(target string) error {
	if target == "" {
		t.target.Store(nil)
		return nil
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return fmt.Errorf("the target %q is not a base URL such as http://127.0.0.1:3000", target)
	}
	t.target.Store(u)
	t.base.CloseIdleConnections()
	return nil
}

func (t *httpTap) shutdown(ctx context.Context) {
	if err := t.server.Shutdown(ctx); err != nil {
		_ = t.server.Close()
	}
	t.cancel()
	t.active.Wait()
	t.base.CloseIdleConnections()
}

// rewrite undoes what a reverse proxy usually does to a request.
func (t *httpTap) rewrite(r *httputil.ProxyRequest) {
	if u := t.target.Load(); u != nil {
		r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
	}
	r.Out.Host = r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := r.In.Header[h]; ok {
			r.Out.Header[h] = v
		}
	}
}

// traffic is one kind of message, from request to answer.
type traffic interface {
	// request reads the request into the record.
	request(body []byte, c *Crossing)
	// doomed says that an earlier fault has cut this one off too.
	doomed() bool
	// before and after are the moments on either side of the far side's work.
	before() []moment
	after() []moment
	// dropped is told that a fault cut the exchange at before or after.
	dropped(*Injection)
	// answer reads the answer into the record.
	answer(status int, header http.Header, body []byte, c *Crossing)
	// swallowed makes up the answer to what is not passed on.
	swallowed(c *Crossing) []byte
	// done is called when the exchange is over, however it ended.
	done()
}

// RoundTrip implements http.RoundTripper for the reverse proxy.
func (t *httpTap) RoundTrip(req *http.Request) (*http.Response, error) {
	kind := t.classify(req)
	if kind == nil {
		return t.pass(req)
	}
	body, rest, err := readUpTo(req.Body, req.ContentLength, maxBody)
	if err != nil {
		return nil, err // the near side gave up before its request was whole
	}
	if rest != nil {
		req.Body = rejoin(body, rest, req.Body)
		return t.pass(req)
	}
	e := &exchange{tap: t, req: req, body: body, traffic: kind, x: t.set.begin(t.side)}
	return e.run()
}

// classify returns nil for what is not part of the protocol.
func (t *httpTap) classify(req *http.Request) traffic {
	path := req.URL.Path
	if t.side == InngestToApp {
		switch {
		case req.Method == http.MethodPost && req.URL.Query().Get(sdk.QueryFunction) != "":
			return &callTraffic{set: t.set, query: req.URL.Query()}
		case req.Method == http.MethodPut && path == t.set.options.AppPath:
			return &syncTraffic{at: AtSync}
		}
		return nil
	}
	if req.Method != http.MethodPost {
		return nil
	}
	if run, ok := sdk.CheckpointPath(path); ok {
		return &checkpointTraffic{set: t.set, run: run}
	}
	switch {
	case strings.HasPrefix(path, "/e/"):
		return &eventTraffic{set: t.set}
	case path == "/fn/register":
		return &syncTraffic{at: AtRegister}
	}
	return nil
}

// pass lets through what is not part of the protocol. It is recorded where it is the app that speaks to the server,
// and where it fails; a browser at the app is nobody's business.
func (t *httpTap) pass(req *http.Request) (*http.Response, error) {
	if t.side == InngestToApp && !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, req.Method) {
		now := time.Now()
		t.set.asked.CompareAndSwap(nil, &now)
	}
	x := t.set.begin(t.side)
	outside := HTTP{Method: req.Method, Path: redactPath(req.URL.Path), RequestBytes: max(req.ContentLength, 0)}
	resp, err := t.send(req)
	if err != nil {
		x.update(func(c *Crossing) { c.HTTP = &outside })
		x.end(err)
		return nil, err
	}
	if t.side == AppToInngest {
		outside.Status, outside.AnswerBytes = resp.StatusCode, max(resp.ContentLength, 0)
		x.update(func(c *Crossing) { c.HTTP = &outside })
		x.end(nil)
	}
	return resp, nil
}

func (t *httpTap) send(req *http.Request) (*http.Response, error) {
	if t.target.Load() == nil {
		return nil, errors.New("the far side is not there yet")
	}
	return t.base.RoundTrip(req)
}

// An exchange is one request of the protocol and its answer.
type exchange struct {
	tap     *httpTap
	req     *http.Request
	body    []byte
	traffic traffic
	x       *crossing
}

func (e *exchange) run() (*http.Response, error) {
	e.x.publish(func(c *Crossing) {
		c.HTTP = &HTTP{Method: e.req.Method, Path: redactPath(e.req.URL.Path), RequestBytes: int64(len(e.body))}
		e.traffic.request(e.body, c)
	})
	if e.traffic.doomed() {
		return e.fail(errors.New("cut with the call that it belongs to"))
	}
	fault, err := e.tap.set.apply(e.req.Context(), e.x, nil, e.traffic.before()...)
	if err != nil {
		if fault != nil {
			e.traffic.dropped(fault)
		}
		return e.fail(err)
	}
	deliver := e.once
	if fault != nil {
		switch fault.fault.Do {
		case Reply:
			return e.own(fault.fault.Code, "text/plain; charset=utf-8", []byte(fault.fault.Text))
		case Swallow:
			var body []byte
			e.x.update(func(c *Crossing) { body = e.traffic.swallowed(c) })
			return e.own(http.StatusOK, "application/json", body)
		case Lose:
			select {
			case <-e.req.Context().Done():
			case <-e.tap.set.done:
			}
			return e.fail(cut(fault))
		case Twice:
			deliver = func() (*http.Response, error) { return e.twice(fault.fault) }
		default:
			e.traffic.dropped(fault)
			return e.fail(cut(fault))
		}
	}
	resp, err := deliver()
	if err != nil {
		return e.fail(err)
	}
	if resp.StatusCode == http.StatusCreated {
		resp.Body = &streamed{e: e, resp: resp, upstream: resp.Body}
		return resp, nil
	}
	answer, rest, err := readUpTo(resp.Body, resp.ContentLength, maxBody)
	if err != nil {
		_ = resp.Body.Close()
		return e.fail(err)
	}
	if rest != nil {
		e.finish(resp.StatusCode, 0)
		resp.Body = rejoin(answer, rest, resp.Body)
		return resp, nil
	}
	_ = resp.Body.Close()
	if err := e.answered(resp, answer); err != nil {
		return e.fail(err)
	}
	e.finish(resp.StatusCode, len(answer))
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

// answered records the answer and lets faults act on it. After an error it must not be passed on.
func (e *exchange) answered(resp *http.Response, body []byte) error {
	e.x.update(func(c *Crossing) { e.traffic.answer(resp.StatusCode, resp.Header, body, c) })
	fault, err := e.tap.set.apply(e.req.Context(), e.x, nil, e.traffic.after()...)
	if fault != nil {
		e.traffic.dropped(fault)
		if err == nil {
			err = cut(fault)
		}
	}
	if err != nil {
		return err
	}
	if e.traffic.doomed() {
		return errors.New("cut with the step that it would have saved")
	}
	return nil
}

// once passes the request on.
func (e *exchange) once() (*http.Response, error) {
	req := e.req.WithContext(e.req.Context())
	req.Body = io.NopCloser(bytes.NewReader(e.body))
	// With this the transport may open a new connection when the one it kept turns out to be closed, as a client
	// that speaks to the far side directly would. It never sends twice what may have arrived.
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(e.body)), nil }
	return e.tap.send(req)
}

// twice passes the request on twice and returns one of the answers when both are in.
func (e *exchange) twice(f Fault) (*http.Response, error) {
	var resp [2]*http.Response
	var errs [2]error
	deliver := func(i int) {
		if resp[i], errs[i] = e.once(); errs[i] != nil {
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

// own answers in the far side's place.
func (e *exchange) own(status int, contentType string, body []byte) (*http.Response, error) {
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

// finish ends an exchange whose answer is handed over now. It comes before the answer, so that whoever has seen the
// effect of an answer finds it recorded.
func (e *exchange) finish(status, size int) {
	e.x.update(func(c *Crossing) { c.HTTP.Status, c.HTTP.AnswerBytes = status, int64(size) })
	e.x.end(nil)
	e.traffic.done()
}

// fail ends an exchange without an answer.
func (e *exchange) fail(err error) (*http.Response, error) {
	e.x.end(err)
	e.traffic.done()
	return nil, err
}

// streamed is the body of an SDK that streams: white space while the function runs, then the answer. The white space
// passes as it comes; the answer is held back until it is whole, so that faults can still act on it.
type streamed struct {
	e        *exchange
	resp     *http.Response
	upstream io.ReadCloser
	answer   *bytes.Reader // once it is whole
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
		err = b.e.answered(b.resp, whole)
	}
	if err != nil {
		b.over.Do(func() { _, _ = b.e.fail(err) })
		return 0, err
	}
	b.over.Do(func() { b.e.finish(b.resp.StatusCode, len(whole)) })
	b.answer = bytes.NewReader(whole)
	return b.answer.Read(p)
}

// Close without a whole answer means that the near side has gone away.
func (b *streamed) Close() error {
	b.over.Do(func() { _, _ = b.e.fail(errSenderGone) })
	return b.upstream.Close()
}

// readUpTo reads a body of up to limit bytes. Of a larger one it returns the beginning, and the reader of the rest.
// length is what the header says of it; negative when it says nothing.
func readUpTo(body io.Reader, length, limit int64) (_ []byte, rest io.Reader, err error) {
	switch {
	case body == nil:
		return nil, nil, nil
	case length > limit:
		return nil, body, nil
	case length >= 0:
		read := make([]byte, length)
		_, err := io.ReadFull(body, read)
		return read, nil, err
	}
	read, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(read)) > limit {
		return read, body, nil
	}
	return read, nil, nil
}

// rejoin puts a body together again whose beginning has been read.
func rejoin(read []byte, rest io.Reader, c io.Closer) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), c}
}

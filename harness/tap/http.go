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
	"github.com/odoo-maintenance/inngest-harness/harness/internal/thishost"
)

// httpTap is the tap on an HTTP wire: a reverse proxy whose transport records exchanges and lets faults act on them.
type httpTap struct {
	set    *Set
	side   Side
	server *http.Server
	base   *http.Transport
	target atomic.Pointer[targets] // nil: none yet
	active sync.WaitGroup          // handlers: Server.Close does not wait for them
	life   context.Context         // of the handlers
	cancel context.CancelFunc      // ends life, and with it upgraded connections
}

// maxBody is the size in bytes up to which a body is read as a whole, so that it can be parsed, matched and sent twice.
// A larger body passes unread. Inngest neither accepts nor sends bodies as large.
const maxBody = 32 << 20

func newHTTPTap(s *Set, side Side) *httpTap {
	t := &httpTap{
		set:  s,
		side: side,
		// Neither compression nor a proxy is asked for: either would change the messages.
		base: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 512},
	}
	silent := log.New(io.Discard, "", 0) // the exchanges hold the errors; the proxy's messages would show URLs with keys in them
	proxy := &httputil.ReverseProxy{
		Rewrite:       t.rewrite,
		Transport:     t,
		FlushInterval: -1,
		ErrorLog:      silent,
		// An error of the tap must not look like an answer from the far side.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	handler := http.Handler(proxy)
	if side == AppToInngest { // an app may answer pages of other sites; that is for the app to decide
		handler = thishost.Guard(proxy)
	}
	t.life, t.cancel = context.WithCancel(context.Background())
	t.server = &http.Server{
		ErrorLog:    silent,
		BaseContext: func(net.Listener) context.Context { return t.life },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.active.Add(1)
			defer t.active.Done()
			handler.ServeHTTP(w, r)
		}),
	}
	return t
}

func (t *httpTap) serve(ln net.Listener) { _ = t.server.Serve(ln) }

// targets are the addresses of the far side, which take turns.
type targets struct {
	urls []*url.URL
	turn atomic.Uint64
}

func (t *httpTap) retarget(addresses ...string) error {
	if len(addresses) == 1 && addresses[0] == "" {
		t.target.Store(nil)
		return nil
	}
	var to targets
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return fmt.Errorf("the target %q is not a base URL such as http://127.0.0.1:3000", address)
		}
		to.urls = append(to.urls, u)
	}
	t.target.Store(&to)
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

// rewrite sets the target and undoes what a reverse proxy usually changes in a request.
func (t *httpTap) rewrite(r *httputil.ProxyRequest) {
	if to := t.target.Load(); to != nil { // send chooses one
		r.Out.URL.Scheme, r.Out.URL.Host = to.urls[0].Scheme, to.urls[0].Host
	}
	r.Out.Host = r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := r.In.Header[h]; ok {
			r.Out.Header[h] = v
		}
	}
}

// RoundTrip implements http.RoundTripper for the reverse proxy.
func (t *httpTap) RoundTrip(req *http.Request) (*http.Response, error) {
	kind := t.classify(req)
	if kind == nil {
		return t.pass(req)
	}
	body, rest, err := readBody(req.Body, req.ContentLength)
	if err != nil {
		return nil, err // the near side closed the connection within its request
	}
	if rest != nil {
		req.Body = rejoin(body, rest, req.Body)
		return t.pass(req)
	}
	e := &httpExchange{tap: t, req: req, body: body, traffic: kind, rec: t.set.begin(t.side)}
	if call, ok := kind.(*callTraffic); ok {
		e.call = call.call
		return e.runAbandonable()
	}
	return e.run()
}

// classify returns the kind of a request, nil for one that is not part of the protocol.
func (t *httpTap) classify(req *http.Request) traffic {
	path := req.URL.Path
	if t.side == InngestToApp {
		switch {
		case req.Method == http.MethodPost && req.URL.Query().Get(sdk.QueryFunction) != "":
			return &callTraffic{set: t.set, query: req.URL.Query(), call: &liveCall{abandoned: make(chan struct{})}}
		case req.Method == http.MethodPut && path == t.set.options.AppPath:
			return &syncTraffic{set: t.set, at: AtSync}
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
		return &syncTraffic{set: t.set, at: AtRegister}
	}
	return nil
}

// pass forwards a request that is not part of the protocol. It is recorded if the app sent it to the server, or if it
// fails. A browser's requests to the app are not recorded.
func (t *httpTap) pass(req *http.Request) (*http.Response, error) {
	if t.side == InngestToApp && !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, req.Method) {
		now := time.Now()
		t.set.asked.CompareAndSwap(nil, &now)
	}
	rec := t.set.begin(t.side)
	outside := HTTP{Method: req.Method, Path: redactPath(req.URL.Path), RequestBytes: max(req.ContentLength, 0)}
	resp, err := t.send(req)
	if err != nil {
		rec.update(func(x *Exchange) { x.HTTP = &outside })
		rec.end(err)
		return nil, err
	}
	if t.side == AppToInngest {
		outside.Status, outside.AnswerBytes = resp.StatusCode, max(resp.ContentLength, 0)
		rec.update(func(x *Exchange) { x.HTTP = &outside })
		rec.end(nil)
	}
	return resp, nil
}

// send sends a request to the next target that accepts a connection.
func (t *httpTap) send(req *http.Request) (resp *http.Response, err error) {
	to := t.target.Load()
	if to == nil {
		return nil, errors.New("the far side is not there yet")
	}
	if len(to.urls) == 1 {
		return t.base.RoundTrip(req)
	}
	turn := to.turn.Add(1)
	for i := range uint64(len(to.urls)) {
		u := to.urls[(turn+i)%uint64(len(to.urls))]
		try := req.Clone(req.Context())
		try.URL.Scheme, try.URL.Host = u.Scheme, u.Host
		if req.Body != nil {
			try.Body = io.NopCloser(req.Body) // a failed try would close it, unread
		}
		resp, err = t.base.RoundTrip(try)
		harmless := req.Method == http.MethodGet || req.Method == http.MethodHead
		if err == nil || req.Context().Err() != nil || !harmless && !notConnected(err) {
			break
		}
	}
	return resp, err
}

// notConnected reports whether err says that the far side has accepted no connection.
func notConnected(err error) bool {
	dial, _ := errors.AsType[*net.OpError](err)
	return dial != nil && dial.Op == "dial"
}

// readBody reads a body of up to maxBody bytes. Of a larger body it returns the beginning, and a reader of the rest. length
// is the Content-Length, for which it allocates at once; negative when unknown.
func readBody(body io.Reader, length int64) (_ []byte, rest io.Reader, err error) {
	if body == nil {
		return nil, nil, nil
	}
	var read bytes.Buffer
	read.Grow(int(min(max(length, 0), maxBody)) + bytes.MinRead)
	if _, err := read.ReadFrom(io.LimitReader(body, maxBody+1)); err != nil || read.Len() <= maxBody {
		return read.Bytes(), nil, err
	}
	return read.Bytes(), body, nil
}

// rejoin returns a body made of its beginning, which has been read, and its rest.
func rejoin(read []byte, rest io.Reader, c io.Closer) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), c}
}

// Package gateway lets the workers of apps connect to a simulated server, which then calls them over their connections instead
// of at an address.
package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Path is where workers connect.
const Path = "/v0/connect"

const subprotocol = "v0.connect.inngest.com"

// Times and limits of the server, by the wall clock.
const (
	helloTimeout = 5 * time.Second
	heartbeat    = 10 * time.Second // between two signs of life of a worker
	missedBeats  = 5                // after so many a worker is taken for dead
	leaseTime    = 2 * time.Minute  // a call is given up unless its worker says in this time that it goes on
	writeTimeout = 10 * time.Second
	maxApps      = 10
	maxMessage   = 64 << 20
)

// Worker is a copy of a connection.
type Worker struct {
	ID, InstanceID             string
	Apps                       []string
	SDK, Platform, Environment string
	Concurrency                int // calls at a time; 0: no limit
	Connected, LastSeen        time.Time
	Draining                   bool // it takes no more calls
}

// Gateway accepts connections of workers and calls them. It is safe for concurrent use.
type Gateway struct {
	register func(registration []byte, handler http.Handler) error
	closed   <-chan struct{}

	mu      sync.Mutex
	workers []*worker
	calls   map[string]*call // under way, by request id
	changed chan struct{}    // closed, and replaced, when a worker can take more calls
}

// worker is one connection.
type worker struct {
	Worker
	socket *websocket.Conn
	ready  bool
	busy   int
	gone   chan struct{} // closed at its end
}

// call is one call of an app.
type call struct {
	acked bool
	lease time.Time // until when
	reply chan fields
}

// New returns a gateway. Apps that connect are registered by register, with the handler that calls them. Connections end when
// closed is.
func New(register func(registration []byte, handler http.Handler) error, closed <-chan struct{}) *Gateway {
	return &Gateway{register: register, closed: closed, calls: map[string]*call{}, changed: make(chan struct{})}
}

// Workers returns the connections, oldest first.
func (g *Gateway) Workers() []Worker {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Worker, len(g.workers))
	for i, w := range g.workers {
		out[i] = w.Worker
	}
	return out
}

// Routes adds the gateway's addresses to a server.
func (g *Gateway) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+Path+"/start", g.start)
	mux.HandleFunc("POST "+Path+"/flush", g.flush)
	mux.HandleFunc("GET "+Path, g.connect)
}

// start tells a worker where to connect.
func (g *Gateway) start(w http.ResponseWriter, r *http.Request) {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		http.Error(w, "workers connect over a socket: serve sim.Sim.Handler on loopback", http.StatusNotImplemented)
		return
	}
	answer := message{}.text(1, ulid.Make().String()).text(2, "ws://"+local.String()+Path).text(3, "gw-dev").text(4, "sim").text(5, "sim")
	_, _ = w.Write(answer)
}

// flush takes a reply whose worker lost its connection.
func (g *Gateway) flush(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxMessage))
	var reply fields
	if err == nil {
		reply, err = parse(raw)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.replied(reply)
	_, _ = w.Write(message{}.text(1, reply.text(1)))
}

// connect serves a worker's connection from beginning to end.
func (g *Gateway) connect(rw http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(rw, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}, InsecureSkipVerify: true})
	if err != nil {
		return // it has answered
	}
	defer func() { _ = socket.CloseNow() }()
	socket.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-g.closed:
		case <-ctx.Done():
		}
	}()
	w := &worker{socket: socket, gone: make(chan struct{})}
	if err := g.welcome(ctx, w); err != nil {
		_ = socket.Close(websocket.StatusPolicyViolation, text(err))
		return
	}
	g.join(w)
	defer g.leave(w)
	for {
		if err := g.listen(ctx, w); err != nil {
			return
		}
	}
}

// text shortens an error to what fits a close frame.
func text(err error) string {
	s := err.Error()
	return s[:min(len(s), 120)]
}

// welcome exchanges greetings with a worker and registers its apps.
func (g *Gateway) welcome(ctx context.Context, w *worker) error {
	if err := w.send(ctx, gatewayHello, nil); err != nil {
		return err
	}
	timeout, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	k, hello, err := w.read(timeout)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("connect_worker_hello_timeout")
	case err != nil:
		return fmt.Errorf("connect_worker_hello_invalid_payload: %w", err)
	case k != workerConnect:
		return errors.New("connect_worker_hello_invalid_msg")
	case len(hello.bytes[5]) > maxApps:
		return errors.New("connect_too_many_apps_per_connection")
	}
	now := time.Now()
	w.Worker = Worker{
		ID: hello.text(1), InstanceID: hello.text(2), Concurrency: int(hello.numbers[14]), Connected: now, LastSeen: now,
		SDK: hello.text(12) + ":v" + hello.text(11), Platform: hello.text(10), Environment: hello.text(8),
	}
	w.ready = hello.numbers[6] == 0 // or it says so itself
	for _, raw := range hello.bytes[5] {
		app, err := parse(raw)
		if err == nil {
			err = g.sync(w, app)
		}
		if err != nil {
			_ = w.send(ctx, gatewayNoSync, nil)
			return fmt.Errorf("connect_invalid_function_config: %w", err)
		}
	}
	return w.send(ctx, gatewayReady, message{}.text(1, heartbeat.String()).text(2, (leaseTime/4).String()).text(3, "0s"))
}

// sync registers one of a worker's apps.
func (g *Gateway) sync(w *worker, app fields) error {
	name := app.text(1)
	w.Apps = append(w.Apps, name)
	body, err := json.Marshal(map[string]any{
		"url": "ws://connect?app_name=" + name, "sdk": w.SDK, "appName": name, "functions": json.RawMessage(app.data(4)),
	})
	if err != nil {
		return err
	}
	return g.register(body, &appHandler{g, name})
}

func (g *Gateway) join(w *worker) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.workers = append(g.workers, w)
	g.change()
}

func (g *Gateway) leave(w *worker) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.workers = slices.DeleteFunc(g.workers, func(o *worker) bool { return o == w })
	close(w.gone)
	g.change()
}

// change wakes calls that wait for a worker.
func (g *Gateway) change() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// listen takes one message of a worker.
func (g *Gateway) listen(ctx context.Context, w *worker) error {
	alive, cancel := context.WithTimeout(ctx, missedBeats*heartbeat)
	defer cancel()
	k, m, err := w.read(alive)
	if err != nil {
		return err
	}
	g.mu.Lock()
	w.LastSeen = time.Now()
	c := g.calls[m.text(1)]
	switch k {
	case workerReady:
		w.ready = true
		g.change()
	case workerPause:
		w.Draining = true
	case requestAck:
		if c != nil {
			c.acked = true
		}
	case extendLease:
		if c != nil {
			c.lease = w.LastSeen.Add(leaseTime)
		}
	}
	g.mu.Unlock()
	switch k {
	case workerBeat:
		return w.send(ctx, gatewayBeat, nil)
	case workerReply:
		g.replied(m)
		return w.send(ctx, gatewayReplied, message{}.text(1, m.text(1)))
	case extendLease:
		answer := message{}.copied(m, 1, 2, 3, 4, 5)
		if c != nil {
			answer = answer.text(6, ulid.Make().String())
		}
		return w.send(ctx, gatewayLease, answer)
	}
	return nil
}

// replied gives a reply to the call that waits for it.
func (g *Gateway) replied(reply fields) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[reply.text(1)]; c != nil {
		select {
		case c.reply <- reply:
		default: // a second reply
		}
	}
}

// send writes a message to the worker.
func (w *worker) send(ctx context.Context, k kind, payload message) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return w.socket.Write(ctx, websocket.MessageBinary, message{}.number(1, uint64(k)).data(2, payload))
}

// read reads a message of the worker.
func (w *worker) read(ctx context.Context) (kind, fields, error) {
	_, raw, err := w.socket.Read(ctx)
	if err != nil {
		return 0, fields{}, err
	}
	outer, err := parse(raw)
	if err != nil {
		return 0, fields{}, err
	}
	inner, err := parse(outer.data(2))
	return kind(outer.numbers[1]), inner, err
}

// appHandler calls an app over a connection of one of its workers, as if it were served at an address.
type appHandler struct {
	gateway *Gateway
	app     string
}

func (h *appHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	query, id := r.URL.Query(), cmp.Or(r.Header.Get(sdk.HeaderRequestID), ulid.Make().String())
	reply, err := h.gateway.ask(r.Context(), h.app, id, message{}.text(1, id).text(5, h.app).text(7, query.Get(sdk.QueryFunction)).
		text(8, cmp.Or(sdk.TargetStep(query), sdk.AnyStep)).data(9, payload).data(10, []byte("{}")).data(11, []byte("{}")).
		text(12, r.Header.Get(sdk.HeaderRunID)).text(13, ulid.Make().String()).text(14, r.Header.Get(sdk.HeaderJobID)))
	header := w.Header()
	header.Set(sdk.HeaderSDK, cmp.Or(reply.text(9), "connect"))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		name, message, _ := strings.Cut(err.Error(), ": ")
		_ = json.NewEncoder(w).Encode(map[string]string{"name": name, "message": message})
		return
	}
	header.Set(sdk.HeaderRequestVersion, fmt.Sprint(reply.numbers[10]))
	if reply.numbers[7] != 0 {
		header.Set(sdk.HeaderNoRetry, "true")
	}
	if at := reply.text(8); at != "" {
		header.Set(sdk.HeaderRetryAfter, at)
	}
	switch reply.numbers[5] {
	case replyDone:
		w.WriteHeader(http.StatusOK)
	case replyNotCompleted:
		w.WriteHeader(http.StatusPartialContent)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = w.Write(reply.data(6))
}

var (
	errNoWorker = errors.New("connect_no_healthy_connection: Could not find a healthy connection")
	errSilent   = errors.New("connect_worker_stopped_responding: The worker stopped responding")
)

// ask has a worker of the app answer a request. One that was lost before a worker had it goes to another worker.
func (g *Gateway) ask(ctx context.Context, app, id string, request message) (fields, error) {
	c := &call{reply: make(chan fields, 1)}
	g.mu.Lock()
	g.calls[id] = c
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.calls, id)
	}()
	for {
		w, err := g.pick(ctx, app, c)
		if err != nil {
			return fields{}, err
		}
		reply, again, err := g.await(ctx, w, c, request)
		g.mu.Lock()
		w.busy--
		g.change()
		g.mu.Unlock()
		if !again {
			return reply, err
		}
	}
}

// pick waits for a worker of the app that can take a call, and gives it one more: the one that has the fewest.
func (g *Gateway) pick(ctx context.Context, app string, c *call) (*worker, error) {
	for {
		g.mu.Lock()
		var best *worker
		healthy := false
		for _, w := range g.workers {
			if !slices.Contains(w.Apps, app) || w.Draining {
				continue
			}
			healthy = true // or about to be: it has connected, and says soon that it is ready
			if w.ready && (w.Concurrency == 0 || w.busy < w.Concurrency) && (best == nil || w.busy < best.busy) {
				best = w
			}
		}
		if best != nil {
			best.busy++
			c.lease = time.Now().Add(leaseTime)
		}
		changed := g.changed
		g.mu.Unlock()
		switch {
		case best != nil:
			return best, nil
		case !healthy:
			return nil, errNoWorker
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// await sends the request to a worker and waits for the reply, which may come over another connection. again says that the
// worker was gone before it had the request.
func (g *Gateway) await(ctx context.Context, w *worker, c *call, request message) (reply fields, again bool, err error) {
	if w.send(ctx, gatewayRequest, request) != nil && ctx.Err() == nil {
		_ = w.socket.CloseNow()
	}
	gone, tick := w.gone, time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case reply := <-c.reply:
			return reply, false, nil
		case <-ctx.Done():
			return fields{}, false, ctx.Err()
		case <-gone:
			gone = nil
		case <-tick.C:
		}
		g.mu.Lock()
		acked, over := c.acked, time.Now().After(c.lease)
		g.mu.Unlock()
		switch {
		case gone == nil && !acked:
			return fields{}, true, nil
		case over:
			return fields{}, false, errSilent
		}
	}
}

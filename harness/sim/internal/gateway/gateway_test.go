package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

const patience = time.Minute

// env is a gateway with an app named "shop".
type env struct {
	t       *testing.T
	gateway *Gateway
	url     string
	apps    chan string // registered
	app     http.Handler
	closed  chan struct{}
}

func newEnv(t *testing.T) *env {
	e := &env{t: t, apps: make(chan string, 10), closed: make(chan struct{})}
	e.gateway = New(func(body []byte, handler http.Handler) error {
		var r sdk.Registration
		require.NoError(t, json.Unmarshal(body, &r))
		if len(r.Functions) == 0 {
			return errSilent
		}
		e.apps <- r.App()
		return nil
	}, e.closed)
	e.app = &appHandler{e.gateway, "shop"}
	mux := http.NewServeMux()
	e.gateway.Routes(mux)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	e.url = srv.URL
	return e
}

// testWorker is a worker that does what a test says.
type testWorker struct {
	*worker
	t *testing.T
}

func (e *env) dial() *testWorker {
	ws, _, err := websocket.Dial(e.t.Context(), strings.Replace(e.url, "http", "ws", 1)+Path, &websocket.DialOptions{Subprotocols: []string{subprotocol}})
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = ws.CloseNow() })
	w := &testWorker{&worker{socket: ws}, e.t}
	w.expect(gatewayHello)
	return w
}

// connect returns a worker that is connected and takes so many calls at a time.
func (e *env) connect(id string, concurrency uint64) *testWorker {
	w := e.dial()
	before := len(e.gateway.Workers())
	app := message{}.text(1, "shop").data(4, []byte(`[{"id":"shop-f"}]`))
	w.tell(workerConnect, message{}.text(1, id).text(2, id).data(5, app).number(14, concurrency).text(11, "1").text(12, "test"))
	ready := w.expect(gatewayReady)
	require.Equal(e.t, "10s", ready.text(1))
	require.Equal(e.t, "shop", <-e.apps)
	require.Eventually(e.t, func() bool { return len(e.gateway.Workers()) > before }, patience, time.Millisecond)
	return w
}

func (w *testWorker) tell(k kind, payload message) {
	require.NoError(w.t, w.send(w.t.Context(), k, payload))
}

func (w *testWorker) expect(wanted kind) fields {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	k, m, err := w.read(ctx)
	require.NoError(w.t, err)
	require.Equal(w.t, wanted, k)
	return m
}

// call calls the app. The answer comes once a worker replies.
func (e *env) call(id string) <-chan *httptest.ResponseRecorder {
	answered := make(chan *httptest.ResponseRecorder, 1)
	req := httptest.NewRequestWithContext(e.t.Context(), http.MethodPost, "/?fnId=shop-f&stepId=step", strings.NewReader(`{"event":{}}`))
	req.Header.Set(sdk.HeaderRequestID, id)
	go func() {
		rec := httptest.NewRecorder()
		e.app.ServeHTTP(rec, req)
		answered <- rec
	}()
	return answered
}

func (e *env) answer(of <-chan *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	select {
	case rec := <-of:
		return rec
	case <-time.After(patience):
		require.FailNow(e.t, "the app does not answer")
		return nil
	}
}

func done(id, body string) message {
	return message{}.text(1, id).number(5, replyDone).data(6, []byte(body)).text(9, "test:v1").number(10, 2)
}

func TestGateway_CallsWorker(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.connect("one", 0)
	answered := e.call("r1")
	req := w.expect(gatewayRequest)
	require.Equal(t, []string{"r1", "shop", "shop-f", "step", `{"event":{}}`}, []string{req.text(1), req.text(5), req.text(7), req.text(8), req.text(9)})
	w.tell(requestAck, message{}.text(1, "r1"))
	w.tell(extendLease, message{}.text(1, "r1").text(10, "lease"))
	require.NotEmpty(t, w.expect(gatewayLease).text(6), "the call goes on")
	w.tell(workerReply, done("r1", `"hi"`).text(8, "17").number(7, 1))
	require.Equal(t, "r1", w.expect(gatewayReplied).text(1))
	rec := e.answer(answered)
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, `"hi"`, rec.Body.String())
	require.Equal(t, "test:v1", rec.Header().Get(sdk.HeaderSDK))
	require.Equal(t, "2", rec.Header().Get(sdk.HeaderRequestVersion))
	require.Equal(t, "true", rec.Header().Get(sdk.HeaderNoRetry))
	require.Equal(t, "17", rec.Header().Get(sdk.HeaderRetryAfter))
	w.tell(extendLease, message{}.text(1, "r1"))
	require.Empty(t, w.expect(gatewayLease).text(6), "the call is over")
	w.tell(workerBeat, nil)
	w.expect(gatewayBeat)
}

func TestGateway_FailsCallWithoutWorker(t *testing.T) {
	t.Parallel()
	rec := newEnv(t).call("r1")
	answer := <-rec
	require.Equal(t, http.StatusInternalServerError, answer.Code)
	require.JSONEq(t, `{"name":"connect_no_healthy_connection","message":"Could not find a healthy connection"}`, answer.Body.String())
	require.NotEmpty(t, answer.Header().Get(sdk.HeaderSDK), "an error of the app's, as on the server: it is tried again")
}

func TestGateway_CallsAnotherWorkerIfOneIsLostBeforeItTookTheCall(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	first := e.connect("one", 0)
	answered := e.call("r1")
	first.expect(gatewayRequest)
	second := e.connect("two", 0)
	require.NoError(t, first.socket.CloseNow())
	second.expect(gatewayRequest)
	second.tell(workerReply, done("r1", `"second"`))
	require.Equal(t, `"second"`, e.answer(answered).Body.String())
}

func TestGateway_WaitsForReplyOfWorkerThatLostItsConnection(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	first := e.connect("one", 0)
	answered := e.call("r1")
	first.expect(gatewayRequest)
	first.tell(requestAck, message{}.text(1, "r1"))
	first.tell(workerBeat, nil)
	first.expect(gatewayBeat) // so the gateway has it
	require.NoError(t, first.socket.CloseNow())
	resp, err := http.Post(e.url+Path+"/flush", "application/protobuf", strings.NewReader(string(done("r1", `"late"`))))
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	flushed, err := parse(raw)
	require.NoError(t, err)
	require.Equal(t, "r1", flushed.text(1))
	require.Equal(t, `"late"`, e.answer(answered).Body.String())
}

func TestGateway_WaitsForRoom(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.connect("one", 1)
	first, second := e.call("r1"), e.call("r2")
	id := w.expect(gatewayRequest).text(1)
	w.tell(workerBeat, nil)
	w.expect(gatewayBeat) // and no second request
	w.tell(workerReply, done(id, `"first"`))
	w.expect(gatewayReplied)
	other := w.expect(gatewayRequest).text(1)
	require.NotEqual(t, id, other)
	w.tell(workerReply, done(other, `"second"`))
	require.Len(t, []string{e.answer(first).Body.String(), e.answer(second).Body.String()}, 2)
}

func TestGateway_SparesWorkerThatPauses(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.connect("one", 0)
	w.tell(workerPause, nil)
	require.Eventually(t, func() bool { return e.gateway.Workers()[0].Draining }, patience, time.Millisecond)
	require.Equal(t, http.StatusInternalServerError, e.answer(e.call("r1")).Code)
}

func TestGateway_ListsWorkers(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.connect("one", 3)
	got := e.gateway.Workers()
	require.Len(t, got, 1)
	require.Equal(t, Worker{
		ID: "one", InstanceID: "one", Apps: []string{"shop"}, SDK: "test:v1", Concurrency: 3, Connected: got[0].Connected, LastSeen: got[0].LastSeen,
	}, got[0])
	require.NoError(t, w.socket.Close(websocket.StatusNormalClosure, "WORKER_SHUTDOWN"))
	require.Eventually(t, func() bool { return len(e.gateway.Workers()) == 0 }, patience, time.Millisecond)
}

func TestGateway_RefusesWhatIsNoGreeting(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for name, say := range map[string]func(w *testWorker){
		"connect_worker_hello_invalid_msg":     func(w *testWorker) { w.tell(workerBeat, nil) },
		"connect_worker_hello_invalid_payload": func(w *testWorker) { w.tell(workerConnect, message{0xff}) },
		"connect_invalid_function_config": func(w *testWorker) {
			w.tell(workerConnect, message{}.data(5, message{}.text(1, "shop").data(4, []byte(`[]`))))
			w.expect(gatewayNoSync)
		},
		"connect_too_many_apps_per_connection": func(w *testWorker) {
			m := message{}
			for range maxApps + 1 {
				m = m.data(5, message{}.text(1, "shop"))
			}
			w.tell(workerConnect, m)
		},
	} {
		w := e.dial()
		say(w)
		_, _, err := w.read(t.Context())
		require.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err), name)
		require.ErrorContains(t, err, name)
	}
}

func TestGateway_ClosesConnections(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	w := e.connect("one", 0)
	close(e.closed)
	_, _, err := w.read(t.Context())
	require.Error(t, err)
	require.Eventually(t, func() bool { return len(e.gateway.Workers()) == 0 }, patience, time.Millisecond)
}

package inngest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

const waiting = time.Minute

// connecting returns a worker that connects to a server, and its log. Its function f calls its argument.
func connecting(t *testing.T, server string, patience time.Duration, f func()) (*Worker, *bytes.Buffer) {
	var log bytes.Buffer
	options := Options{
		ServeURL: &url.URL{Scheme: "https", Host: "plant.example"}, EventURL: server, APIURL: server, EventKey: "event-key",
		SigningKey: "signkey-test-0123456789abcdef",
	}
	options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	options.Connection = new(ConnectionError)
	client, _, err := NewClient(t.Context(), options)
	require.NoError(t, err)
	w := NewWorker(options, WorkerOptions{InstanceID: "one", Concurrency: 3})
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "f"}, inngestgo.EventTrigger("e", nil),
		func(context.Context, inngestgo.Input[map[string]any]) (any, error) {
			defer w.Track()()
			f()
			return "done", nil
		})
	require.NoError(t, err)
	w.patience = patience
	w.Start(client)
	t.Cleanup(func() { <-w.Stop() })
	return w, &log
}

func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(waiting):
		require.FailNow(t, "there is no "+what)
	}
	return v
}

func TestWorker_RegistersFunctionsAndExecutesCalls(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, _ := connecting(t, g.URL, patience, func() {})
	c := receive(t, g.workers, "worker")
	require.Equal(t, "one", c.hello[2])
	require.Contains(t, c.hello[5], AppID+"-f")
	require.Equal(t, "3", c.hello[14])
	require.Eventually(t, w.Connected, waiting, time.Millisecond)
	c.call("r1")
	require.Equal(t, `"done"`, c.expect(workerReply)[6])
	c.send(gatewayReplied, map[protowire.Number]string{1: "r1"})
	go c.drain()
	<-w.Stop()
	require.False(t, w.Connected())
}

// The SDK would stop after five attempts.
func TestWorker_ConnectsAgainHoweverLongTheServerIsAway(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, log := connecting(t, g.URL, 200*time.Millisecond, func() {})
	first := make(chan struct{})
	go func() { // with little patience the worker may give up a connection and make another
		for {
			select {
			case c := <-g.workers:
				go c.drain()
				if g.starts.Load() <= 8 {
					go func() { <-first; _ = c.CloseNow() }()
				}
			case <-t.Context().Done():
				return
			}
		}
	}()
	require.Eventually(t, w.Connected, waiting, time.Millisecond)
	g.refuse.Store(true)
	close(first)
	require.Eventually(t, func() bool { return !w.Connected() && g.starts.Load() > 8 }, waiting, time.Millisecond)
	g.refuse.Store(false)
	require.Eventually(t, w.Connected, waiting, time.Millisecond)
	<-w.Stop()
	require.Contains(t, log.String(), `msg="the connection to Inngest is lost; connecting again" instance=one`)
	require.Regexp(t, `msg="not connected to Inngest; trying again" instance=one cause="[^"]*unexpected status code: 503`, log.String())
	require.NotContains(t, log.String(), "mode=connect", "the SDK's many errors")
}

func TestWorker_StopWaitsForCallsLongerThanTheSDK(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	begun, end := make(chan struct{}), make(chan struct{})
	w, _ := connecting(t, g.URL, patience, func() { close(begun); <-end })
	release := sync.OnceFunc(func() { close(end) })
	t.Cleanup(release)
	c := receive(t, g.workers, "worker")
	require.Eventually(t, w.Connected, waiting, time.Millisecond)
	c.call("r1")
	receive(t, begun, "call")
	stopped := w.Stop()
	c.drain() // the SDK closes the connection at once
	given := func() bool { return (*w.current.Load()).State() == connect.ConnectionStateClosed }
	require.Eventually(t, given, waiting, time.Millisecond, "the SDK waits for the call by itself now: is finish still needed?")
	select {
	case <-stopped:
		require.Fail(t, "the call is not finished")
	default:
	}
	release()
	require.Equal(t, `"done"`, receive(t, g.answers, "answer by the API")[6])
	receive(t, stopped, "end of the stop")
}

func TestWorker_SaysWhyItIsNotConnected(t *testing.T) {
	t.Parallel()
	unauthorized := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(unauthorized.Close)
	const gone = "http://127.0.0.1:1"
	wrong := newGateway(t)
	wrong.names = "ws" + gone[len("http"):] + "/v0/connect"
	for name, c := range map[string]struct{ server, cause string }{
		"no server":       {gone, "connection refused"},
		"a wrong key":     {unauthorized.URL, `the server does not accept the signing key \(401\)`},
		"a wrong gateway": {wrong.URL, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, log := connecting(t, c.server, 500*time.Millisecond, func() {})
			require.Eventually(t, func() bool { return w.failures.Load() > 1 }, waiting, time.Millisecond)
			<-w.Stop()
			require.Regexp(t, `level=WARN msg="not connected to Inngest; trying again" instance=one cause="[^\n]*`+c.cause, log.String())
		})
	}
}

// By HTTP, the SDK logs the same.
func TestWorker_LogsFailingCallsAsErrors(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, log := connecting(t, g.URL, patience, func() { panic("the function is broken") })
	c := receive(t, g.workers, "worker")
	require.Eventually(t, w.Connected, waiting, time.Millisecond)
	c.call("r1")
	require.Contains(t, c.expect(workerReply)[6], "the function is broken")
	go c.drain()
	<-w.Stop()
	require.Regexp(t, `level=ERROR msg="error calling function" mode=connect .*function_slug=`+AppID+`-f .*the function is broken`, log.String())
}

func TestSDKLog_KeepsTheLevelOfWhatConcernsCalls(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	last := new(ConnectionError)
	logger := slog.New(sdkLog{Handler: slog.NewTextHandler(&log, nil), last: last}).With("mode", "connect")
	logger.Error("could not establish connection", "err", "refused")
	logger.Error("could not establish connection", "err", context.Canceled)
	require.Empty(t, log.String())
	require.Equal(t, "could not establish connection: refused", last.take())
	require.Empty(t, last.take())
	for _, message := range aboutCalls {
		logger.Error(message, "err", "bad")
		require.Contains(t, log.String(), `level=ERROR msg="`+message+`" mode=connect err=bad`)
	}
	logger.With("run_id", "01R", "function_slug", "f").Error("error decoding sdk request", "error", "bad")
	require.Contains(t, log.String(), `level=ERROR msg="error decoding sdk request"`)
	require.Empty(t, last.take())
}

func TestWorker_StopsWhileItIsNotConnected(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.refuse.Store(true)
	w, _ := connecting(t, g.URL, patience, func() {})
	require.Eventually(t, func() bool { return g.starts.Load() > 0 }, waiting, time.Millisecond)
	receive(t, w.Stop(), "end of the stop")
}

func TestWorker_ConnectsToTheGatewayThatIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ api, configured, named, want string }{
		"by the server":                         {"http://inngest:8288", "", "ws://10.0.0.7:8289/v0/connect", "ws://10.0.0.7:8289/v0/connect"},
		"by the server, on all interfaces":      {"http://inngest:8288", "", "ws://0.0.0.0:8289/v0/connect", "ws://inngest:8289/v0/connect"},
		"by the server, on all IPv6 interfaces": {"http://[::1]:8288", "", "ws://[::]:8289/v0/connect", "ws://[::1]:8289/v0/connect"},
		"by the configuration":                  {"http://inngest:8288", "wss://gateway.example/v0/connect", "ws://10.0.0.7:8289/v0/connect", "wss://gateway.example/v0/connect"},
	} {
		w := NewWorker(Options{APIURL: c.api}, WorkerOptions{Gateway: c.configured})
		named, err := url.Parse(c.named)
		require.NoError(t, err)
		got, err := w.gateway(*named)
		require.NoError(t, err)
		require.Equal(t, c.want, got.String(), name)
	}
	g := newGateway(t)
	g.names = "ws://0.0.0.0:" + g.URL[len("http://127.0.0.1:"):] + "/v0/connect"
	w, _ := connecting(t, g.URL, patience, func() {})
	c := receive(t, g.workers, "worker")
	require.Eventually(t, w.Connected, waiting, time.Millisecond)
	go c.drain()
	<-w.Stop()
}

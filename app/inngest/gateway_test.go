package inngest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages between gateway and worker that the tests use.
const (
	gatewayHello   = 0
	workerConnect  = 1
	gatewayReady   = 2
	gatewayRequest = 3
	workerReply    = 6
	gatewayReplied = 7
)

// gateway is a server to which workers connect.
type gateway struct {
	*httptest.Server
	names   string // the address that it names; empty: its own
	refuse  atomic.Bool
	starts  atomic.Int64
	workers chan *connection
	answers chan map[protowire.Number]string // that came by the API
}

// connection is that of one worker.
type connection struct {
	*websocket.Conn
	t     *testing.T
	hello map[protowire.Number]string
	end   chan struct{}
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{workers: make(chan *connection, 10), answers: make(chan map[protowire.Number]string, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v0/connect/start", func(w http.ResponseWriter, r *http.Request) {
		g.starts.Add(1)
		if g.refuse.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		address := g.names
		if address == "" {
			address = strings.Replace(g.URL, "http", "ws", 1) + "/v0/connect"
		}
		_, _ = w.Write(message(map[protowire.Number]string{1: "01JXZ8N0000000000000000000", 2: address, 3: "group", 4: "s", 5: "s"}))
	})
	mux.HandleFunc("POST /v0/connect/flush", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.answers <- fields(body)
	})
	mux.HandleFunc("GET /v0/connect", func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"v0.connect.inngest.com"}})
		if err != nil {
			return
		}
		defer func() { _ = socket.CloseNow() }()
		c := &connection{Conn: socket, t: t, end: make(chan struct{})}
		c.send(gatewayHello, nil)
		if kind, hello, err := c.receive(); err == nil && kind == workerConnect {
			c.hello = hello
			c.send(gatewayReady, map[protowire.Number]string{1: "10s", 2: "10s"})
			g.workers <- c
			<-c.end
		}
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

// message is one with text fields.
func message(text map[protowire.Number]string) []byte {
	var m []byte
	for n, v := range text {
		m = protowire.AppendString(protowire.AppendTag(m, n, protowire.BytesType), v)
	}
	return m
}

// fields returns the text fields and, as text, the numbers of a message.
func fields(raw []byte) map[protowire.Number]string {
	all := map[protowire.Number]string{}
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		raw = raw[n:]
		switch kind {
		case protowire.BytesType:
			v, n := protowire.ConsumeString(raw)
			all[number], raw = v, raw[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(raw)
			all[number], raw = string(rune('0'+v)), raw[n:]
		default:
			return all
		}
	}
	return all
}

func (c *connection) send(kind uint64, payload map[protowire.Number]string) {
	m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), kind)
	m = protowire.AppendBytes(protowire.AppendTag(m, 2, protowire.BytesType), message(payload))
	_ = c.Write(context.Background(), websocket.MessageBinary, m)
}

func (c *connection) receive() (kind int, payload map[protowire.Number]string, err error) {
	_, raw, err := c.Read(context.Background())
	if err != nil {
		return 0, nil, err
	}
	outer := fields(raw)
	if outer[1] != "" {
		kind = int(outer[1][0] - '0')
	}
	return kind, fields([]byte(outer[2])), nil
}

// expect returns the next message of a kind.
func (c *connection) expect(kind int) map[protowire.Number]string {
	for {
		got, payload, err := c.receive()
		require.NoError(c.t, err, "waiting for a message of kind %d", kind)
		if got == kind {
			return payload
		}
	}
}

// call calls the function f.
func (c *connection) call(id string) {
	c.send(gatewayRequest, map[protowire.Number]string{
		1: id, 5: AppID, 7: AppID + "-f", 8: "step", 10: "lease",
		9: `{"event":{"name":"e","data":{}},"events":[],"steps":{},"ctx":{"fn_id":"7e8f9a00-0000-4000-8000-000000000001","run_id":"01R"}}`,
	})
}

// drain reads until the worker has closed the connection.
func (c *connection) drain() {
	for {
		if _, _, err := c.receive(); err != nil {
			close(c.end)
			return
		}
	}
}

package bridge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is an address of this machine that is not the one the server listens on.
const gateway = "127.0.0.2"

func TestReach_ForwardsToLoopback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "host ", r.Host) }))
	defer server.Close()
	b := bridge.New(gateway)
	defer b.Close()

	addr := strings.TrimPrefix(server.URL, "http://")
	reach, err := b.Reach(t.Context(), addr)
	require.NoError(t, err)
	require.NotEqual(t, addr, reach)
	again, err := b.Reach(t.Context(), addr)
	require.NoError(t, err)
	require.Equal(t, reach, again, "one forwarder for each address")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+reach, nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "host "+reach, string(body))
}

func TestReach_ClosesConnectionsToAMissingServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())

	b := bridge.New(gateway)
	defer b.Close()
	reach, err := b.Reach(t.Context(), addr)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", reach)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestClose_EndsConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	b := bridge.New(gateway)
	reach, err := b.Reach(t.Context(), l.Addr().String())
	require.NoError(t, err)
	conn, err := net.Dial("tcp", reach)
	require.NoError(t, err)
	defer conn.Close()
	far := <-accepted
	defer far.Close()
	_, err = fmt.Fprintln(far, "hello")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)

	b.Close()
	_, err = in.ReadByte()
	require.Error(t, err)
	_, err = b.Reach(t.Context(), l.Addr().String())
	require.ErrorContains(t, err, "is closed")
}

func TestReach_NamesTheHostOfAVirtualMachine(t *testing.T) {
	b := bridge.New("203.0.113.1") // reserved for documentation: no machine's address
	defer b.Close()
	reach, err := b.Reach(t.Context(), "127.0.0.1:3000")
	require.NoError(t, err)
	require.Equal(t, "host.docker.internal:3000", reach)
}

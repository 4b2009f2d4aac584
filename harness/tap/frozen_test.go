package tap_test

import (
	"bufio"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestSMTP_AppHangsUpOnFrozenMailServer(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 2)
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", frozenMailServer(t, lines))
	require.NoError(t, err)
	c := dialMail(t, w.Addr())
	c.expect(220)
	_, err = io.WriteString(c.conn, "EHLO app.test\r\n")
	require.NoError(t, err)
	require.Equal(t, "EHLO app.test\r\n", <-lines)
	require.NoError(t, c.conn.Close())
	got := await(t, s, "the end, although the server sends nothing", overMail)
	require.Empty(t, got.Err, "there was no delivery under way")
	require.Empty(t, <-lines, "the tap closed the connection")
}

// frozenMailServer sends its banner to one connection, and then nothing until the client closes it. It passes on what it
// reads, "" at the end.
func frozenMailServer(t *testing.T, lines chan<- string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "220 welcome\r\n")
		in := bufio.NewReader(conn)
		for err == nil {
			var line string
			line, err = in.ReadString('\n')
			lines <- line
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-served
	})
	return ln.Addr().String()
}

package tap_test

import (
	"bufio"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestAnAppThatHangsUpOnAFrozenMailServer(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 2)
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", frozenMailServer(t, heard))
	require.NoError(t, err)
	c := dialMail(t, w.Addr())
	c.hear(220)
	_, err = io.WriteString(c.conn, "EHLO app.test\r\n")
	require.NoError(t, err)
	require.Equal(t, "EHLO app.test\r\n", <-heard)
	require.NoError(t, c.conn.Close())
	got := await(t, s, "the end, although the server says nothing", overMail)
	require.Empty(t, got.Err, "there was no delivery under way")
	require.Equal(t, "", <-heard, "the server is told")
}

// frozenMailServer welcomes one connection, and then says nothing until it is hung up on.
func frozenMailServer(t *testing.T, heard chan<- string) (addr string) {
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
			heard <- line
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-served
	})
	return ln.Addr().String()
}

package tap_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestEnvelope_IsThatOfTheDelivery(t *testing.T) {
	t.Parallel()
	answer := make(chan string)
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", queueing(t, answer))
	require.NoError(t, err)
	_, ok := s.Envelope(t.Context(), "a1")
	require.False(t, ok, "nothing has been delivered")

	c := dialMail(t, w.Addr()).greet()
	c.command(250, "MAIL FROM:<app@plant.test> SIZE=10")
	c.command(250, "RCPT TO:<kim@plant.test>")
	c.command(250, "RCPT TO:<lee@plant.test>")
	c.command(354, "DATA")
	_, err = io.WriteString(c.conn, message+"\r\n.\r\n")
	require.NoError(t, err)
	answer <- "" // the mail server has the message

	// It may be seen there before the answer is here.
	got := make(chan harness.Envelope, 1)
	go func() {
		e, ok := s.Envelope(context.Background(), "a1")
		if !ok {
			t.Error("the envelope is not known")
		}
		got <- e
	}()
	ended, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, ok = s.Envelope(ended, "a1")
	require.False(t, ok, "not before the answer")
	answer <- "250 2.0.0 Ok: queued as a1\r\n"
	want := harness.Envelope{From: "app@plant.test", To: []string{"kim@plant.test", "lee@plant.test"}, Helo: "app.test"}
	require.Equal(t, want, <-got)
	_, ok = s.Envelope(t.Context(), "another")
	require.False(t, ok)
}

// queueing is a mail server for one connection. It receives from answer twice: once it has a message, and what to say of it.
func queueing(t *testing.T, answer <-chan string) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "220 post ESMTP\r\n")
		in, body := bufio.NewReader(conn), false
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			reply := ""
			switch {
			case body && line == ".\r\n":
				<-answer
				body, reply = false, <-answer
			case body:
			case line == "DATA\r\n":
				body, reply = true, "354 go on\r\n"
			default:
				reply = "250 ok\r\n"
			}
			_, _ = io.WriteString(conn, reply)
		}
	}()
	return ln.Addr().String()
}

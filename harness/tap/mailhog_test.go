package tap_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestRecords_CommandsRefusedAfterDelivery(t *testing.T) {
	t.Parallel()
	s, w, _ := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr()).greet()
	for range 2 {
		c.envelope("kim@plant.test").command(354, "DATA")
		c.command(250, message+"\r\n.")
		c.command(501, "second")
	}
	c.command(221, "QUIT")
	var after []harness.MailTransaction
	for _, x := range s.Exchanges() {
		if overMail(x) && len(x.Mail.After) > 0 {
			after = append(after, *x.Mail)
		}
	}
	require.Len(t, after, 2, "one for each email")
	m := after[0]
	require.Empty(t, m.To)
	require.Equal(t, []string{"kim@plant.test"}, m.After)
	require.Equal(t, "42@plant.test", m.MessageID)
	require.Equal(t, "01RUN", m.RunID)
	require.Len(t, m.Dialogue, 2)
	require.Equal(t, "(8 bytes that are no command)", m.Dialogue[0].Text)
	require.Regexp(t, "^501 ", m.Dialogue[1].Text)
}

func TestRecords_LinesInLF(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr()).greet()
	for _, line := range []string{"MAIL FROM:<app@plant.test>\n", "RCPT TO:<kim@plant.test>\n", "DATA\n", message + "\none\n\r\n.\r\n"} {
		_, err := io.WriteString(c.conn, line)
		require.NoError(t, err)
		_, _, err = c.text.ReadResponse(0)
		require.NoError(t, err)
	}
	m := await(t, s, "the delivery", overMail).Mail
	require.Equal(t, 2, m.BareLF)
	require.True(t, m.Accepted)
	var said []string
	for _, l := range m.Dialogue {
		said = append(said, l.Text)
	}
	require.Contains(t, said, "RCPT TO:<kim@plant.test> (the line ends in LF alone)")
	require.Contains(t, said, fmt.Sprintf("(message of %d bytes, in which LF stands 2 times without CR)", m.Size))
	require.Equal(t, message+"\none\n\r\n", server.letters()[0].text)

	c.envelope("lee@plant.test").command(354, "DATA")
	_, err := io.WriteString(c.conn, message+"\n.\n")
	require.NoError(t, err)
	require.NoError(t, c.conn.Close())
	x := await(t, s, "the delivery that does not end", func(x tap.Exchange) bool { return overMail(x) && x.Mail.To[0] == "lee@plant.test" })
	require.Contains(t, x.Err, "the app hung up in the middle of a delivery: lines of its message end in LF alone")
}

// silentServer accepts a connection, greets with a banner, answers lines as scripted, and keeps what it gets. hangUp closes
// the connection.
func silentServer(t *testing.T, banner string, replies ...string) (addr string, got func() []string, hangUp func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	lines, over := make(chan []string, 1), make(chan struct{})
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			lines <- nil
			return
		}
		defer func() { _ = conn.Close() }()
		go func() { <-over; _ = conn.Close() }()
		_, _ = io.WriteString(conn, banner+"\r\n")
		in := bufio.NewReader(conn)
		var all []string
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				lines <- all
				return
			}
			if all = append(all, line); len(replies) > 0 {
				_, _ = io.WriteString(conn, replies[0])
				replies = replies[1:]
			}
		}
	}()
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String(), sync.OnceValue(func() []string { return <-lines }), sync.OnceFunc(func() { close(over) })
}

func TestRecords_DeliveryThatMailServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	addr, _, hangUp := silentServer(t, "220 post ESMTP", "250 hello\r\n", "250 ok\r\n", "250 ok\r\n", "354 go on\r\n")
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", addr)
	require.NoError(t, err)
	c := dialMail(t, w.Addr()).greet()
	c.envelope("kim@plant.test").command(354, "DATA")
	_, err = io.WriteString(c.conn, message+"\r\n.\r\n")
	require.NoError(t, err)
	require.NoError(t, c.conn.Close(), "the app gives up")
	x := await(t, s, "the delivery under way", func(x tap.Exchange) bool { return x.Mail != nil && x.Mail.Size > 0 })
	require.False(t, x.Over())
	require.Equal(t, []string{"kim@plant.test"}, x.Mail.To)
	require.Equal(t, "01RUN", x.Mail.RunID)
	require.Equal(t, "post ESMTP", x.Mail.Server)
	again := await(t, s, "the report of progress", func(y tap.Exchange) bool { return y.ID == x.ID && y.Seq > x.Seq })
	require.False(t, again.Over())
	hangUp()
}

func TestRelay_MailHogGetsWhatItCanRead(t *testing.T) {
	t.Parallel()
	null, quoted := address.Encode(""), address.Encode(`"a>b"@plant.test`)
	const bare = "RCPT TO:kim@plant.test"
	for banner, want := range map[string][]string{
		"220 mailhog.example ESMTP MailHog": {"MAIL FROM:<" + null + ">\r\n", "RCPT TO:<kim@plant.test>\r\n", "RCPT TO:<" + quoted + ">\r\n", "DATA\r\n", "\r\n", ".\r\n"},
		"220 post ESMTP":                    {"MAIL FROM:<> SIZE=1\r\n", bare + "\r\n", `RCPT TO:<"a>b"@plant.test>` + "\r\n", "DATA\r\n", ".\r\n"},
	} {
		end := []string{"250 ok\r\n"}
		if len(want) == 6 {
			end = []string{"", "250 ok\r\n"}
		}
		addr, got, hangUp := silentServer(t, banner, append([]string{"250 hello\r\n", "250 Sender " + null + " ok\r\n", "250 ok\r\n", "250 Recipient " + quoted + " ok\r\n", "354 go on\r\n"}, end...)...)
		s := newSet(t, tap.Options{})
		w, err := s.SMTP("127.0.0.1:0", addr)
		require.NoError(t, err)
		c := dialMail(t, w.Addr()).greet()
		c.command(250, "MAIL FROM:<> SIZE=1")
		c.command(250, bare)
		c.command(250, `RCPT TO:<"a>b"@plant.test>`)
		c.command(354, "DATA")
		c.command(250, ".")
		m := await(t, s, "the delivery", overMail).Mail
		require.Empty(t, m.From)
		require.Equal(t, []string{"kim@plant.test", `"a>b"@plant.test`}, m.To)
		if len(want) == 6 {
			require.Equal(t, `250 Recipient "a>b"@plant.test ok`, m.Dialogue[len(m.Dialogue)-5].Text, "the app sees its own path")
		}
		require.NoError(t, c.conn.Close())
		require.Equal(t, want, got()[1:])
		hangUp()
	}
}

// A mail server refuses a message whose recipients it has all refused. One that takes what it gets, as MailHog does, must not
// take it where a fault has refused them in its place.
func TestFault_RefusedRecipientsLeaveNoMessage(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", rawMailServer(t, arrived))
	require.NoError(t, err)
	inject(t, s, tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 450})
	c := dialMail(t, w.Addr()).greet()
	c.command(250, "MAIL FROM:<app@plant.test>")
	c.command(450, "RCPT TO:<kim@plant.test>")
	c.command(503, "DATA")
	c.command(250, "RSET")
	c.envelope("kim@plant.test").command(354, "DATA")
	c.command(250, message+"\r\n.")
	c.command(250, "QUIT")
	require.Contains(t, <-arrived, "42@plant.test")
}

package tap_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// mailTap returns a tap in front of a mail server in process.
func mailTap(t testing.TB, o tap.Options) (*tap.Set, *tap.Wire, *mailServer) {
	t.Helper()
	server := newMailServer(t)
	s := newSet(t, o)
	w, err := s.SMTP("127.0.0.1:0", server.addr)
	require.NoError(t, err)
	return s, w, server
}

func TestRecords_Delivery(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr()).greet()
	c.command(250, "MAIL FROM:<app@plant.test>")
	c.command(250, "RCPT TO:<kim@plant.test>")
	c.command(550, "RCPT TO:<unknown@plant.test>")
	c.command(354, "DATA")
	c.command(250, message+"\r\n..dot\r\n.")
	got := await(t, s, "the delivery", overMail)
	c.command(221, "QUIT")

	require.Equal(t, []letter{{"app@plant.test", []string{"kim@plant.test"}, message + "\r\n.dot\r\n"}}, server.letters())
	require.Equal(t, tap.AppToMail, got.Wire)
	require.Empty(t, got.Err)
	m := *got.Mail
	require.False(t, m.AcceptedAt.Before(got.Began) || m.AcceptedAt.After(got.Ended))
	dialogue := make([]string, len(m.Dialogue))
	for i, l := range m.Dialogue {
		dialogue[i] = l.By + ": " + l.Text
	}
	m.Dialogue, m.AcceptedAt = nil, time.Time{}
	require.Equal(t, harness.MailTransaction{
		Connection: 1, From: "app@plant.test", To: []string{"kim@plant.test"}, Refused: []string{"unknown@plant.test"},
		MessageID: "42@plant.test", RunID: "01RUN", Size: int64(len(message + "\r\n..dot\r\n")), Accepted: true, Reported: true,
		Server: "ESMTP Service Ready",
	}, m)
	require.Equal(t, "app: EHLO app.test", dialogue[1])
	require.Equal(t, []string{
		"app: MAIL FROM:<app@plant.test>", "server: 250 2.0.0 Roger, accepting mail from <app@plant.test>",
		"app: RCPT TO:<kim@plant.test>", "server: 250 2.0.0 I'll make sure <kim@plant.test> gets this",
		"app: RCPT TO:<unknown@plant.test>", "server: 550 5.1.1 No such user",
		"app: DATA", "server: 354 Go ahead. End your data with <CR><LF>.<CR><LF>",
		fmt.Sprintf("app: (message of %d bytes)", m.Size), "server: 250 2.0.0 OK: queued",
	}, dialogue[len(dialogue)-10:])
}

func TestRecords_SeveralDeliveriesOnOneConnection(t *testing.T) {
	t.Parallel()
	s, w, _ := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr()).greet()
	for range 2 {
		c.envelope("kim@plant.test").command(354, "DATA")
		c.command(250, message+"\r\n.")
	}
	c.envelope("lee@plant.test").command(250, "RSET")
	c.command(221, "QUIT")
	var to []string
	for _, x := range s.Exchanges() {
		require.True(t, x.Over())
		require.EqualValues(t, 1, x.Mail.Connection)
		to = append(to, fmt.Sprint(x.Mail.To, x.Mail.Accepted))
	}
	require.Equal(t, []string{"[kim@plant.test] true", "[kim@plant.test] true", "[lee@plant.test] false"}, to)
}

// The message holds everything that looks like its end. It is sent in two pieces, cut at every byte.
func TestSMTP_MessagesPassUnchanged(t *testing.T) {
	t.Parallel()
	const sent = "Subject: x\r\n\r\n..\r\n.\r.\n..a\n.\n\r\n.\n\r\n\r\r\n..\r\n.\r\r\n.\r\n"
	arrived := make(chan string, 1)
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", rawMailServer(t, arrived))
	require.NoError(t, err)
	c := dialMail(t, w.Addr()).greet()
	for cut := range len(sent) {
		c.envelope("kim@plant.test").command(354, "DATA")
		_, err := io.WriteString(c.conn, sent[:cut])
		require.NoError(t, err)
		_, err = io.WriteString(c.conn, sent[cut:])
		require.NoError(t, err)
		c.expect(250)
		require.Equal(t, sent, <-arrived)
	}
	// A message without a line.
	c.envelope("kim@plant.test").command(354, "DATA")
	c.command(250, ".")
	require.Equal(t, ".\r\n", <-arrived)
}

func TestSMTP_Pipelining(t *testing.T) {
	t.Parallel()
	_, w, server := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr())
	c.expect(220)
	_, err := io.WriteString(c.conn, "EHLO app.test\r\nMAIL FROM:<app@plant.test>\r\nRCPT TO:<kim@plant.test>\r\nDATA\r\n"+
		message+"\r\n.\r\nMAIL FROM:<app@plant.test>\r\nRCPT TO:<lee@plant.test>\r\nDATA\r\n"+message+"\r\n.\r\nQUIT\r\n")
	require.NoError(t, err)
	for _, code := range []int{250, 250, 250, 354, 250, 250, 250, 354, 250, 221, 0} {
		c.expect(code)
	}
	require.Len(t, server.letters(), 2)
}

func TestSMTP_LargeMessage(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	body := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 10<<20/78)
	send(t, w.Addr(), "kim@plant.test", message+"\r\n"+body, 250)
	require.Equal(t, message+"\r\n"+body+"\r\n", server.letters()[0].text)
	require.EqualValues(t, len(message)+len(body)+4, await(t, s, "the delivery", overMail).Mail.Size)
}

func TestSMTP_MailServerHangsUp(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", ln.Addr().String())
	require.NoError(t, err)
	c := dialMail(t, w.Addr())
	far, err := ln.Accept()
	require.NoError(t, err)
	_, err = io.WriteString(far, "220 here\r\n")
	require.NoError(t, err)
	c.expect(220)
	_, err = io.WriteString(far, "421 going down\r\n")
	require.NoError(t, err)
	require.NoError(t, far.Close())
	require.Equal(t, "going down", c.expect(421), "the app gets it without a command")
	c.expect(0)
	require.Equal(t, "the mail server closed the connection", await(t, s, "the end", overMail).Err)
}

func TestSMTP_MailServerIsNotThere(t *testing.T) {
	t.Parallel()
	server := newMailServer(t)
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", "")
	require.NoError(t, err)
	dialRefused(t, w.Addr())
	require.Equal(t, "the mail server is not there yet", await(t, s, "the end", overMail).Err)

	require.NoError(t, w.SetTarget("127.0.0.1:1"))
	dialRefused(t, w.Addr())
	await(t, s, "why", func(c tap.Exchange) bool { return strings.HasPrefix(c.Err, "reach the mail server: dial tcp") })

	require.NoError(t, w.SetTarget(server.addr))
	send(t, w.Addr(), "kim@plant.test", message, 250)
	require.ErrorContains(t, w.SetTarget("nonsense"), `tap app→mail: the target "nonsense" is not a host:port`)
}

func TestSMTP_AppHangsUpWithinMessage(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr()).greet().envelope("kim@plant.test")
	c.command(354, "DATA")
	_, err := io.WriteString(c.conn, "Subject: half")
	require.NoError(t, err)
	require.NoError(t, c.conn.Close())
	require.Equal(t, "the app hung up in the middle of a delivery", await(t, s, "the end", overMail).Err)
	require.Empty(t, server.letters())
}

// Each fault acts in one delivery, which goes on command by command. Code 0 stands for a closed connection.
func TestFaults_AtEveryCommand(t *testing.T) {
	t.Parallel()
	const all = 10
	commands := [all]string{
		"", "EHLO app.test", "AUTH PLAIN " + plainAuth("app", secretPassword), "MAIL FROM:<app@plant.test>",
		"RCPT TO:<kim@plant.test>", "DATA", message + "\r\n.", "NOOP", "QUIT", "",
	}
	fine := [all]int{220, 250, 235, 250, 250, 354, 250, 250, 221, 0}
	index := map[tap.Point]int{
		tap.AtConnect: 0, tap.AtEHLO: 1, tap.AtAUTH: 2, tap.AtMAIL: 3, tap.AtRCPT: 4, tap.AtDATA: 5, tap.AtDot: 6, tap.AtQUIT: 8,
	}
	for at, n := range index {
		for _, do := range []tap.Action{tap.Drop, tap.Reply, tap.DropAnswer, tap.Delay, tap.DelayAnswer} {
			t.Run(fmt.Sprintf("%s at %s", do, at), func(t *testing.T) {
				t.Parallel()
				s, w, server := mailTap(t, tap.Options{})
				f := tap.Fault{At: at, Do: do}
				switch do {
				case tap.Reply:
					f.Code = 451
				case tap.Delay, tap.DelayAnswer:
					f.For = 30 * time.Millisecond
				}
				i := inject(t, s, f)
				if at == tap.AtConnect && do == tap.Drop {
					dialRefused(t, w.Addr())
					require.Equal(t, "cut by a fault: drop at connect", await(t, s, "the connection", overMail).Err)
					send(t, w.Addr(), "kim@plant.test", message, 250)
					return
				}
				began := time.Now()
				c := dialMail(t, w.Addr())
				for k, code := range fine {
					if k == n {
						code = map[tap.Action]int{tap.Reply: 451}[do]
						if f.For > 0 {
							code = fine[k]
						}
					}
					if commands[k] == "" {
						c.expect(code)
					} else {
						c.command(code, commands[k])
					}
					if k == n && f.For == 0 {
						break
					}
				}
				require.GreaterOrEqual(t, time.Since(began), f.For)
				require.Equal(t, 1, i.Applied())
				_ = c.conn.Close()

				delivered := n > 6 || f.For > 0 || at == tap.AtDot && do == tap.DropAnswer
				got := await(t, s, "the delivery", overMail)
				require.Equal(t, delivered, got.Mail.Accepted)
				require.Equal(t, delivered && !(at == tap.AtDot && do == tap.DropAnswer), got.Mail.Reported)
				if delivered {
					require.Len(t, server.letters(), 1)
				} else {
					require.Empty(t, server.letters())
				}
				if n <= 6 {
					require.Equal(t, []string{f.String()}, got.Faults)
				}
				// Once is once: the next delivery passes.
				send(t, w.Addr(), "kim@plant.test", message, 250)
			})
		}
	}
}

func plainAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

func TestFaults_ReplyKeepsSessionOpen(t *testing.T) {
	t.Parallel()
	for _, at := range []tap.Point{tap.AtMAIL, tap.AtRCPT, tap.AtDATA, tap.AtDot} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s, w, server := mailTap(t, tap.Options{})
			inject(t, s, tap.Fault{At: at, Do: tap.Reply, Code: 451, Text: "4.3.0 Later", Times: 2})
			c := dialMail(t, w.Addr()).greet()
			steps := []struct {
				at   tap.Point
				line string
				code int
			}{
				{tap.AtMAIL, "MAIL FROM:<app@plant.test>", 250}, {tap.AtRCPT, "RCPT TO:<kim@plant.test>", 250},
				{tap.AtDATA, "DATA", 354}, {tap.AtDot, message + "\r\n.", 250},
			}
			for try := range 3 {
				for _, step := range steps {
					if step.at == at && try < 2 {
						require.Equal(t, "4.3.0 Later", c.command(451, step.line))
						break
					}
					c.command(step.code, step.line)
				}
				c.command(250, "RSET")
			}
			require.Len(t, server.letters(), 1, "refused twice, then accepted, on one connection")
			var accepted []bool
			for _, x := range s.Exchanges() {
				if x.Over() {
					accepted = append(accepted, x.Mail.Accepted)
				}
			}
			require.Equal(t, []bool{false, false, true}, accepted)
		})
	}
}

func TestFaults_ReplyAtConnect(t *testing.T) {
	t.Parallel()
	s, w, _ := mailTap(t, tap.Options{})
	inject(t, s, tap.Fault{At: tap.AtConnect, Do: tap.Reply, Code: 554, Text: "Go away"})
	c := dialMail(t, w.Addr())
	require.Equal(t, "Go away", c.expect(554))
	c.command(503, "EHLO app.test")
	c.command(221, "QUIT")
	c.expect(0)
	inject(t, s, tap.Fault{At: tap.AtConnect, Do: tap.Reply, Code: 421})
	c = dialMail(t, w.Addr())
	require.Equal(t, "Scripted fault", c.expect(421))
	c.expect(0)
}

func TestFaults_LoseStallsUntilAppGivesUp(t *testing.T) {
	t.Parallel()
	for _, at := range []tap.Point{tap.AtConnect, tap.AtRCPT, tap.AtBody, tap.AtDot} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s, w, server := mailTap(t, tap.Options{})
			i := inject(t, s, tap.Fault{At: at, Do: tap.Lose})
			c := dialMail(t, w.Addr())
			if at != tap.AtConnect {
				c.greet().command(250, "MAIL FROM:<app@plant.test>")
				_, err := io.WriteString(c.conn, "RCPT TO:<kim@plant.test>\r\n")
				require.NoError(t, err)
			}
			if at != tap.AtConnect && at != tap.AtRCPT {
				c.expect(250)
				c.command(354, "DATA")
				_, err := io.WriteString(c.conn, message+"\r\n.\r\n")
				require.NoError(t, err)
			}
			reached(t, i)
			require.NoError(t, c.conn.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
			_, _, err := c.text.ReadResponse(0)
			require.ErrorContains(t, err, "timeout")
			require.NoError(t, c.conn.Close())
			got := await(t, s, "the end", overMail)
			require.Equal(t, "cut by a fault: lose at "+string(at), got.Err)
			require.Empty(t, server.letters())
		})
	}
}

func TestSet_CloseEndsStalledSession(t *testing.T) {
	t.Parallel()
	s, w, _ := mailTap(t, tap.Options{})
	i := inject(t, s, tap.Fault{At: tap.AtRCPT, Do: tap.Lose})
	c := dialMail(t, w.Addr()).greet()
	c.command(250, "MAIL FROM:<app@plant.test>")
	_, err := io.WriteString(c.conn, "RCPT TO:<kim@plant.test>\r\n")
	require.NoError(t, err)
	reached(t, i)
	require.NoError(t, s.Close(t.Context()))
	c.expect(0)
}

func TestFaults_MatchRecipient(t *testing.T) {
	t.Parallel()
	for _, at := range []tap.Point{tap.AtRCPT, tap.AtDATA, tap.AtDot} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s, w, server := mailTap(t, tap.Options{})
			i := inject(t, s, tap.Fault{At: at, To: "Kim@Plant.Test", Do: tap.Reply, Code: 550})
			send(t, w.Addr(), "lee@plant.test", message, 250)
			require.Zero(t, i.Applied())
			c := dialMail(t, w.Addr()).greet()
			c.command(250, "MAIL FROM:<app@plant.test>")
			c.command(250, "RCPT TO:<lee@plant.test>")
			codes := map[tap.Point][3]int{tap.AtRCPT: {550, 354, 250}, tap.AtDATA: {250, 550}, tap.AtDot: {250, 354, 550}}[at]
			c.command(codes[0], "RCPT TO:<kim@plant.test>")
			c.command(codes[1], "DATA")
			if codes[2] != 0 {
				c.command(codes[2], message+"\r\n.")
			}
			require.Equal(t, 1, i.Applied())
			require.Len(t, server.letters(), map[tap.Point]int{tap.AtRCPT: 2, tap.AtDATA: 1, tap.AtDot: 1}[at])
		})
	}
}

func TestFaults_SkipAndTimes(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	inject(t, s, tap.Fault{At: tap.AtConnect, Do: tap.Drop, Skip: 1, Times: 2})
	send(t, w.Addr(), "kim@plant.test", message, 250)
	dialRefused(t, w.Addr())
	dialRefused(t, w.Addr())
	send(t, w.Addr(), "kim@plant.test", message, 250)
	require.Len(t, server.letters(), 2)
}

func TestFaults_AtBody(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	inject(t, s, tap.Fault{At: tap.AtBody, Do: tap.Throttle, Rate: len(message) * 20})
	began := time.Now()
	send(t, w.Addr(), "kim@plant.test", message, 250)
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)

	hold := inject(t, s, tap.Fault{At: tap.AtBody, Do: tap.Hold, Bytes: 10})
	inject(t, s, tap.Fault{At: tap.AtBody, Do: tap.Drop, Bytes: 20})
	c := dialMail(t, w.Addr()).greet().envelope("kim@plant.test")
	c.command(354, "DATA")
	_, err := io.WriteString(c.conn, message+"\r\n.\r\n")
	require.NoError(t, err)
	reached(t, hold)
	hold.Release()
	c.expect(0)
	require.Equal(t, []string{"hold at body", "drop at body"},
		await(t, s, "the end", func(c tap.Exchange) bool { return overMail(c) && len(c.Faults) == 2 }).Faults)

	// A fault that lies beyond the end of one message waits for a longer one.
	beyond := inject(t, s, tap.Fault{At: tap.AtBody, Do: tap.Drop, Bytes: 1000})
	send(t, w.Addr(), "kim@plant.test", message, 250)
	require.Zero(t, beyond.Applied())
	send(t, w.Addr(), "kim@plant.test", message+strings.Repeat("x", 1000), 0)
	require.Equal(t, 1, beyond.Applied())
	require.Len(t, server.letters(), 2)
}

func TestFaults_AtSTARTTLS(t *testing.T) {
	t.Parallel()
	s, w, _ := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr())
	c.expect(220)
	require.NotContains(t, c.command(250, "EHLO app.test"), "STARTTLS", "the server does not offer it")
	inject(t, s, tap.Fault{At: tap.AtSTARTTLS, Do: tap.Reply, Code: 454, Text: "TLS not available"})
	require.Contains(t, c.command(250, "EHLO app.test"), "\nSTARTTLS\n")
	require.Equal(t, "TLS not available", c.command(454, "STARTTLS"))
	require.NotContains(t, c.command(250, "EHLO app.test"), "STARTTLS", "the fault is spent")
}

func TestFaults_HoldAtDot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		do        tap.Action
		appGone   bool
		drop      bool
		accepted  bool
		code      int
		wantError string
	}{
		"before, released":                      {do: tap.Hold, accepted: true, code: 250},
		"before, dropped":                       {do: tap.Hold, drop: true, wantError: "dropped while held by a fault"},
		"before, released when the app is gone": {do: tap.Hold, appGone: true, wantError: "the sender was gone when it could have been passed on"},
		"after, released":                       {do: tap.HoldAnswer, accepted: true, code: 250},
		"after, dropped":                        {do: tap.HoldAnswer, drop: true, accepted: true, wantError: "dropped while held by a fault"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w, server := mailTap(t, tap.Options{})
			hold := inject(t, s, tap.Fault{At: tap.AtDot, To: "kim@plant.test", Do: test.do})
			c := dialMail(t, w.Addr()).greet().envelope("kim@plant.test")
			c.command(354, "DATA")
			_, err := io.WriteString(c.conn, message+"\r\n.\r\n")
			require.NoError(t, err)
			reached(t, hold)
			held := s.Exchanges()[0]
			require.False(t, held.Over())
			require.Equal(t, []string{holdName(test.do)}, held.Faults, "the fault is recorded before Reached is closed")
			require.Equal(t, test.do == tap.HoldAnswer, held.Mail.Accepted)
			require.Len(t, server.letters(), map[tap.Action]int{tap.HoldAnswer: 1}[test.do])
			if test.appGone {
				require.NoError(t, c.conn.Close())
			}
			if test.drop {
				hold.Drop()
			} else {
				hold.Release()
			}
			if !test.appGone {
				c.expect(test.code)
			}
			if test.code != 0 {
				c.command(221, "QUIT")
			}
			got := await(t, s, "the end", overMail)
			require.Equal(t, test.wantError, got.Err)
			require.Equal(t, test.accepted, got.Mail.Accepted)
			require.Equal(t, test.code == 250, got.Mail.Reported)
			require.Len(t, server.letters(), map[bool]int{true: 1}[test.accepted])
			hold.Release() // again is harmless
			send(t, w.Addr(), "kim@plant.test", message, 250)
		})
	}
}

func holdName(a tap.Action) string { return string(a) + ` at dot to "kim@plant.test"` }

func TestSMTP_RecordsNoCredentials(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	login := []string{"AUTH LOGIN", base64.StdEncoding.EncodeToString([]byte("app")), base64.StdEncoding.EncodeToString([]byte(secretPassword))}

	c := dialMail(t, w.Addr()).greet()
	c.command(235, "AUTH PLAIN "+plainAuth("app", secretPassword))
	c.envelope("kim@plant.test").command(354, "DATA")
	c.command(250, message+"\r\n.")

	c = dialMail(t, w.Addr()).greet()
	c.command(334, login[0])
	c.command(334, login[1])
	c.command(235, login[2])
	c.envelope("kim@plant.test").command(354, "DATA")
	c.command(250, message+"\r\n.")

	// A client that does not wait for the challenge sends its password as if it were a command.
	inject(t, s, tap.Fault{At: tap.AtAUTH, Do: tap.Reply, Code: 454})
	c = dialMail(t, w.Addr()).greet()
	_, err := io.WriteString(c.conn, strings.Join(login, "\r\n")+"\r\n")
	require.NoError(t, err)
	c.expect(454)
	for range 2 {
		_, _, err := c.text.ReadResponse(5)
		require.NoError(t, err)
	}
	_ = c.conn.Close()
	await(t, s, "the third connection", func(x tap.Exchange) bool { return overMail(x) && x.Mail.Connection == 3 })

	require.Len(t, server.letters(), 2)
	all, err := json.Marshal(s.Exchanges())
	require.NoError(t, err)
	for _, secret := range []string{secretPassword, plainAuth("app", secretPassword), login[1], login[2]} {
		require.NotContains(t, string(all), secret)
	}
	require.Contains(t, string(all), `"text":"AUTH PLAIN ***"`)
	require.Contains(t, string(all), "bytes that are no command")
}

func TestFaults_ChanceFollowsSeed(t *testing.T) {
	t.Parallel()
	outcomes := func(seed uint64) (all []bool) {
		s, w, _ := mailTap(t, tap.Options{Seed: seed})
		inject(t, s, tap.Fault{At: tap.AtConnect, Do: tap.Reply, Code: 421, Chance: 0.3, Times: -1})
		for range 100 {
			c := dialMail(t, w.Addr())
			code, _, err := c.text.ReadResponse(0)
			require.NoError(t, err)
			all = append(all, code == 421)
			_ = c.conn.Close()
		}
		return all
	}
	first := outcomes(7)
	hit := 0
	for _, o := range first {
		if o {
			hit++
		}
	}
	require.InDelta(t, 30, hit, 15)
	require.Equal(t, first, outcomes(7), "one seed, one outcome")
	require.NotEqual(t, first, outcomes(8))
}

func TestWire_CloseCutsOffOpenSessions(t *testing.T) {
	t.Parallel()
	_, w, _ := mailTap(t, tap.Options{})
	idle := dialMail(t, w.Addr()).greet()
	busy := dialMail(t, w.Addr()).greet().envelope("kim@plant.test")
	ctx, cancel := contextDone(30 * time.Millisecond)
	defer cancel()
	require.NoError(t, w.Close(ctx))
	require.NoError(t, w.Close(ctx), "twice is harmless")
	idle.expect(0)
	busy.expect(0)
	_, err := net.Dial("tcp", w.Addr())
	require.Error(t, err)
}

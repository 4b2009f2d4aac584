package email_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/email"
)

// script maps points of the dialogue to the server's answers. wellAnswers has those of the other points.
type script map[point]answer

// point is a moment at which the server replies: "greeting", the verb of a command, or "." for the end of the message.
type point string

// answer is the text of a reply without its line end, or one of the constants.
type answer string

const (
	stall answer = "stall" // send nothing until the client closes the connection
	drop  answer = "drop"  // close the connection
)

var wellAnswers = script{
	"greeting": "220 mail.plant.test", "EHLO": "250-mail.plant.test\r\n250 AUTH PLAIN", "HELO": "250 mail.plant.test",
	"AUTH": "235 welcome", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go ahead", ".": "250 queued",
	"RSET": "250 ok", "QUIT": "221 bye", "*": "501 cancelled", "STARTTLS": "220 go ahead",
}

// scripted is a server for one connection.
type scripted struct {
	options  email.SMTPOptions
	stalled  chan struct{} // closed when it stalls
	received chan string   // every line it received; closed when the connection is closed
}

func startScripted(t *testing.T, s script) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &scripted{
		options: email.SMTPOptions{
			Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "kim", Pass: "hunter2", Timeout: time.Minute,
		},
		stalled:  make(chan struct{}),
		received: make(chan string, 10_000),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(server.received)
		conn, err := listener.Accept()
		if err != nil {
			return // the test ended without connecting
		}
		defer conn.Close()
		server.serve(conn, s)
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done // waits until the client has closed the connection
	})
	return server
}

func (server *scripted) serve(conn net.Conn, s script) {
	lines := bufio.NewScanner(conn)
	reply := func(at point) bool {
		answer, ok := s[at]
		if !ok {
			answer = wellAnswers[at]
		}
		switch answer {
		case stall:
			close(server.stalled)
			io.Copy(io.Discard, conn)
			return false
		case drop:
			return false
		}
		fmt.Fprintf(conn, "%s\r\n", answer)
		return true
	}
	if !reply("greeting") {
		return
	}
	for inMessage := false; lines.Scan(); {
		line := lines.Text()
		server.received <- line
		at := point(strings.SplitN(line, " ", 2)[0])
		switch {
		case inMessage && line != ".":
			continue
		case line == "DATA":
			inMessage = s[at] == "" || strings.HasPrefix(string(s[at]), "354")
		case line == ".":
			inMessage = false
		}
		if !reply(at) || at == "QUIT" {
			return
		}
	}
}

func (server *scripted) send(ctx context.Context, t *testing.T) error {
	t.Helper()
	return newSMTP(t, server.options).Send(ctx, render(t, notification()))
}

// faultPoints are all points of the dialogue, each with its phase and the phase's text in errors.
var faultPoints = []struct {
	at    point
	phase string
	words string
}{
	{"greeting", email.PhaseGreeting, "wait for the server's greeting"},
	{"EHLO", email.PhaseHello, "introduce ourselves (EHLO)"},
	{"AUTH", email.PhaseAuth, "log in (AUTH)"},
	{"MAIL", email.PhaseMail, "name the sender (MAIL FROM)"},
	{"RCPT", email.PhaseRcpt, "name the recipient (RCPT TO)"},
	{"DATA", email.PhaseData, "hand over the message (DATA)"},
	{".", email.PhaseAccept, "wait for the server to accept the message"},
}

func TestSend_RefusedInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, p := range faultPoints {
		for reply, permanent := range map[answer]bool{
			"421 4.3.2 going down": false, "451 4.7.1 try later": false, "550 5.1.1 no such user": true, "554 5.7.1 no": true,
			"299 what is this": false, "600 neither is this": false,
		} {
			t.Run(fmt.Sprintf("%s %s", p.at, reply), func(t *testing.T) {
				t.Parallel()
				if p.at == "RCPT" && reply[0] == '2' {
					reply = "651 neither is this" // the client accepts any 2xx there
				}
				server := startScripted(t, script{p.at: reply, "HELO": reply})
				failed := sendError(t, server.send(t.Context(), t))
				require.Equal(t, p.phase, failed.Phase)
				require.Equal(t, string(reply[:3]), fmt.Sprint(failed.Code))
				require.Equal(t, permanent, failed.Permanent)
				require.EqualError(t, failed, fmt.Sprintf("send email through 127.0.0.1:%d: %s: %s", server.options.Port, p.words, reply))
			})
		}
	}
}

func TestSend_DroppedInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, p := range faultPoints {
		t.Run(string(p.at), func(t *testing.T) {
			t.Parallel()
			server := startScripted(t, script{p.at: drop})
			failed := sendError(t, server.send(t.Context(), t))
			require.Equal(t, p.phase, failed.Phase)
			require.Zero(t, failed.Code)
			require.False(t, failed.Permanent)
			// EOF or a reset, depending on unread data.
			require.ErrorContains(t, failed, p.words+": ")
		})
	}
	server := startScripted(t, script{"MAIL": drop})
	require.EqualError(t, server.send(t.Context(), t), fmt.Sprintf(
		"send email through 127.0.0.1:%d: name the sender (MAIL FROM): the server closed the connection: EOF", server.options.Port))
}

// patience is enough for what does not stall.
const patience = time.Second

func TestSend_StalledInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, p := range faultPoints {
		t.Run(string(p.at), func(t *testing.T) {
			t.Parallel()
			server := startScripted(t, script{p.at: stall})
			server.options.Timeout = patience
			failed := sendError(t, server.send(t.Context(), t))
			require.Equal(t, p.phase, failed.Phase)
			require.Zero(t, failed.Code)
			require.False(t, failed.Permanent)
			require.ErrorIs(t, failed, os.ErrDeadlineExceeded)
			require.ErrorContains(t, failed, p.words+": no answer within 1s: ")
		})
	}
}

func TestSend_CancelledInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, p := range faultPoints {
		t.Run(string(p.at), func(t *testing.T) {
			t.Parallel()
			server := startScripted(t, script{p.at: stall}) // the timeout is a minute
			cause := errors.New("shutting down")
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-server.stalled
				cancel(cause)
			}()
			failed := sendError(t, server.send(ctx, t))
			require.False(t, failed.Permanent)
			require.ErrorIs(t, failed, cause)
			if p.at == "greeting" && failed.Phase == email.PhaseConnect {
				return // the server stalled before the client knew that it was connected
			}
			require.Equal(t, p.phase, failed.Phase)
			require.EqualError(t, failed, fmt.Sprintf("send email through 127.0.0.1:%d: %s: shutting down", server.options.Port, p.words))
		})
	}
}

func TestSend_ObeysContextDeadline(t *testing.T) {
	t.Parallel()
	server := startScripted(t, script{".": stall})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	failed := sendError(t, server.send(ctx, t))
	require.ErrorIs(t, failed, context.DeadlineExceeded)
	require.False(t, failed.Permanent)
}

// After the server has accepted the message, no error can undo that.
func TestSend_SucceedsWhateverFollowsAcceptance(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]answer{
		"drop": drop, "421": "421 going down", "550": "550 no", "garbage": "\x00\xff", "stall": stall,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startScripted(t, script{"QUIT": last})
			start := time.Now()
			require.NoError(t, server.send(t.Context(), t))
			require.Less(t, time.Since(start), 30*time.Second, "QUIT waits as long as another phase")
		})
	}
	t.Run("cancellation", func(t *testing.T) {
		t.Parallel()
		server := startScripted(t, script{"QUIT": stall})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-server.stalled
			cancel()
		}()
		require.NoError(t, server.send(ctx, t))
	})
}

func TestSend_FallsBackToHELO(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script    script
		code      int
		permanent bool
	}{
		"works":             {script: script{"EHLO": "502 what"}},
		"busy":              {script{"EHLO": "502 what", "HELO": "421 busy"}, 421, false},
		"refuses":           {script{"EHLO": "502 what", "HELO": "550 go away"}, 550, true},
		"busy and hangs up": {script{"EHLO": "421 busy", "HELO": drop}, 421, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startScripted(t, c.script)
			server.options.User, server.options.Pass = "", ""
			err := server.send(t.Context(), t)
			if c.code == 0 {
				require.NoError(t, err)
				return
			}
			failed := sendError(t, err)
			require.Equal(t, email.PhaseHello, failed.Phase)
			require.Equal(t, c.code, failed.Code)
			require.Equal(t, c.permanent, failed.Permanent)
		})
	}
}

func TestSend_TLSFailures(t *testing.T) {
	t.Parallel()
	const offer = "250-mail.plant.test\r\n250 STARTTLS"
	for name, c := range map[string]struct {
		script   script
		implicit bool
		code     int
		want     string
	}{
		"not now":              {script: script{"STARTTLS": "454 4.7.0 TLS not available"}, code: 454, want: "454 4.7.0 TLS not available"},
		"never":                {script: script{"STARTTLS": "502 5.5.1 not implemented"}, code: 502, want: "502 5.5.1 not implemented"},
		"dropped":              {script: script{"STARTTLS": drop}, want: "the server closed the connection"},
		"stalled":              {script: script{"STARTTLS": stall}, want: "no answer within 1s"},
		"not TLS":              {script: script{"STARTTLS": "220 go ahead\r\n220 only joking, this is not TLS"}, want: "TLS"},
		"implicit, stalled":    {script: script{"greeting": stall}, implicit: true, want: "no answer within 1s"},
		"implicit, not spoken": {implicit: true, want: "TLS"},
		"implicit, hangs up":   {script: script{"greeting": drop}, implicit: true, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script{"EHLO": offer}
			for at, a := range c.script {
				s[at] = a
			}
			server := startScripted(t, s)
			server.options.ImplicitTLS, server.options.Timeout = c.implicit, patience
			failed := sendError(t, server.send(t.Context(), t))
			require.Equal(t, email.PhaseTLS, failed.Phase)
			require.Equal(t, c.code, failed.Code)
			require.False(t, failed.Permanent, "a TLS failure does not concern the message")
			require.ErrorContains(t, failed, "encrypt the connection (TLS): ")
			require.ErrorContains(t, failed, c.want)
			for line := range server.received {
				require.NotContains(t, line, "AUTH", "logged in without encryption")
				require.NotContains(t, line, "MAIL", "continued without encryption")
			}
		})
	}
}

// An attacker on the network can append replies to the last one before encryption.
func TestSend_DiscardsRepliesInjectedBeforeTLS(t *testing.T) {
	t.Parallel()
	certificate, roots := selfSigned(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	received := make(chan string, 10)
	go func() {
		defer close(received)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		lines := bufio.NewScanner(conn)
		fmt.Fprint(conn, "220 mail\r\n")
		lines.Scan() // EHLO
		fmt.Fprint(conn, "250-mail\r\n250 STARTTLS\r\n")
		lines.Scan() // STARTTLS
		fmt.Fprint(conn, "220 go ahead\r\n250-injected\r\n250 AUTH PLAIN\r\n")
		encrypted := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		lines = bufio.NewScanner(encrypted)
		for lines.Scan() {
			received <- lines.Text()
			fmt.Fprint(encrypted, "250 mail\r\n")
		}
	}()
	t.Cleanup(func() { listener.Close() })
	client := newSMTP(t, email.SMTPOptions{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, User: "kim", Pass: "hunter2",
		Timeout: 5 * time.Second, TLSConfig: &tls.Config{RootCAs: roots},
	})
	failed := sendError(t, client.Send(t.Context(), render(t, notification())))
	require.Contains(t, []string{email.PhaseTLS, email.PhaseAuth}, failed.Phase)
	for line := range received {
		require.NotContains(t, line, "AUTH")
	}
}

// Some servers repeat an unknown command.
func TestSendError_HoldsNoPassword(t *testing.T) {
	t.Parallel()
	token := base64.StdEncoding.EncodeToString([]byte("\x00kim\x00hunter2"))
	server := startScripted(t, script{"AUTH": answer("500-oh\r\n500 unknown command: AUTH PLAIN " + token + " (password hunter2)")})
	failed := sendError(t, server.send(t.Context(), t))
	require.EqualError(t, failed, fmt.Sprintf(
		"send email through 127.0.0.1:%d: log in (AUTH): 500 oh unknown command: AUTH PLAIN [redacted] (password [redacted])", server.options.Port))
	for err := error(failed); err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), token)
	}
}

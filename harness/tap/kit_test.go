package tap_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestMain(m *testing.M) {
	// The SDK has a logger of its own, which would warn of every fault.
	_ = os.Setenv("LOG_LEVEL", "error")
	// It also leaves the answer to a registration unread and open, and with it a connection.
	http.DefaultClient.Transport = readThrough{&http.Transport{DisableKeepAlives: true}}
	goleak.VerifyTestMain(m)
}

// readThrough reads every answer to its end before it hands it over.
type readThrough struct{ base http.RoundTripper }

func (r readThrough) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

func newSet(t testing.TB, o tap.Options) *tap.Set {
	t.Helper()
	s := tap.New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Close(ctx))
	})
	return s
}

func inject(t testing.TB, s *tap.Set, f tap.Fault) *tap.Injection {
	t.Helper()
	i, err := s.Inject(f)
	require.NoError(t, err)
	return i
}

// reached waits until a fault acts.
func reached(t testing.TB, i *tap.Injection) {
	t.Helper()
	select {
	case <-i.Reached():
	case <-time.After(patience):
		require.FailNow(t, "the fault was never reached")
	}
}

// await returns the first record, old or new, that is as wanted.
func await(t testing.TB, s *tap.Set, what string, wanted func(tap.Exchange) bool) tap.Exchange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for c, err := range s.Watch(ctx, 0) {
		require.NoError(t, err)
		if wanted(c) {
			return c
		}
	}
	require.FailNow(t, "never recorded: "+what)
	return tap.Exchange{}
}

func overMail(c tap.Exchange) bool { return c.Mail != nil && c.Over() }

// mailServer is a mail server in process that keeps what it accepts.
type mailServer struct {
	addr     string
	mu       sync.Mutex
	accepted []letter
}

type letter struct {
	from string
	to   []string
	text string
}

func newMailServer(t testing.TB) *mailServer {
	t.Helper()
	m := &mailServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{server: m}, nil }))
	server.AllowInsecureAuth = true
	server.MaxMessageBytes = 64 << 20
	server.ErrorLog = log.New(io.Discard, "", 0)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m.addr = ln.Addr().String()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return m
}

func (m *mailServer) letters() []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]letter(nil), m.accepted...)
}

type mailSession struct {
	server *mailServer
	letter letter
}

func (s *mailSession) Reset()        { s.letter = letter{} }
func (s *mailSession) Logout() error { return nil }
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.letter.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "unknown@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user"}
	}
	s.letter.to = append(s.letter.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.letter.text = string(text)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.accepted = append(s.server.accepted, s.letter)
	return nil
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }
func (s *mailSession) Auth(mech string) (sasl.Server, error) {
	check := func(user, pass string) error {
		if pass != secretPassword {
			return errors.New("wrong password")
		}
		return nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
}

// loginServer is the server's side of AUTH LOGIN: it asks for a name, then for a password.
type loginServer struct {
	check func(user, password string) error
	asked int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

// mailClient speaks SMTP by hand.
type mailClient struct {
	t    testing.TB
	conn net.Conn
	text *textproto.Conn
}

func dialMail(t testing.TB, addr string) *mailClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	return &mailClient{t, conn, textproto.NewConn(conn)}
}

// dialRefused connects and requires that the connection is closed without a banner.
func dialRefused(t testing.TB, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return // the reset was faster than the end of connect
	}
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	n, err := conn.Read(make([]byte, 1))
	require.Zero(t, n)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection stays open")
}

// rawMailServer is a mail server for one connection that passes on the messages that it gets, with the line that ends
// them.
func rawMailServer(t testing.TB, arrived chan<- string) (addr string) {
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
		_, _ = io.WriteString(conn, "220 raw\r\n")
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line != "DATA\r\n" {
				_, _ = io.WriteString(conn, "250 fine\r\n")
				continue
			}
			_, _ = io.WriteString(conn, "354 go\r\n")
			text := ""
			for text != ".\r\n" && !strings.HasSuffix(text, "\r\n.\r\n") {
				b, err := in.ReadByte()
				if err != nil {
					return
				}
				text += string(b)
			}
			arrived <- text
			_, _ = io.WriteString(conn, "250 accepted\r\n")
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-served
	})
	return ln.Addr().String()
}

// expect reads a reply and requires its code. Code 0 means that the connection must be closed instead.
func (c *mailClient) expect(code int) string {
	c.t.Helper()
	got, text, err := c.text.ReadResponse(0)
	if code == 0 {
		var timeout net.Error
		require.Error(c.t, err, "got %d %s", got, text)
		require.False(c.t, errors.As(err, &timeout) && timeout.Timeout(), "the connection stays open")
		return ""
	}
	require.NoError(c.t, err)
	require.Equal(c.t, code, got, text)
	return text
}

func (c *mailClient) command(code int, line string) string {
	c.t.Helper()
	_, err := io.WriteString(c.conn, line+"\r\n")
	require.NoError(c.t, err)
	return c.expect(code)
}

// greet goes as far as MAIL.
func (c *mailClient) greet() *mailClient {
	c.t.Helper()
	c.expect(220)
	c.command(250, "EHLO app.test")
	return c
}

// envelope goes as far as DATA, exclusively.
func (c *mailClient) envelope(to string) *mailClient {
	c.t.Helper()
	c.command(250, "MAIL FROM:<app@plant.test>")
	c.command(250, "RCPT TO:<"+to+">")
	return c
}

// send sends a whole message on a new connection and requires the reply to its end.
func send(t testing.TB, addr, to, text string, code int) {
	t.Helper()
	c := dialMail(t, addr).greet().envelope(to)
	c.command(354, "DATA")
	c.command(code, text+"\r\n.")
	_ = c.conn.Close()
}

const message = "Message-ID: <42@plant.test>\r\nX-Inngest-Run-Id: 01RUN\r\nSubject: hello\r\n\r\nhello"

// secretPassword must never be found in a record. In base64 it stands in its AUTH lines.
const secretPassword = "open-sesame-83651"

func contextDone(after time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), after)
}

package email_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app/email"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// delivery is a message as the server received it.
type delivery struct {
	from, to   string
	user, pass string
	mechanism  string
	encrypted  bool
	data       string
}

// mailServer is an SMTP server that keeps all messages.
type mailServer struct {
	options   email.SMTPOptions // for a client of this server
	mu        sync.Mutex
	delivered []delivery
}

func (s *mailServer) all() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]delivery(nil), s.delivered...)
}

// one returns the only message.
func (s *mailServer) one(t *testing.T) delivery {
	t.Helper()
	all := s.all()
	require.Len(t, all, 1)
	return all[0]
}

type serverOptions struct {
	startTLS, implicitTLS bool
	mechanisms            []string // of AUTH; the user is kim, the password hunter2
	utf8                  bool
}

func startServer(t *testing.T, o serverOptions) *mailServer {
	t.Helper()
	s := &mailServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c, mechanisms: o.mechanisms}, nil
	}))
	server.Domain, server.AllowInsecureAuth, server.EnableSMTPUTF8 = "mail.plant.test", true, o.utf8
	server.ErrorLog = log.New(io.Discard, "", 0)
	certificate, roots := selfSigned(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().(*net.TCPAddr)
	if o.startTLS {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	if o.implicitTLS {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.NoError(t, <-done)
	})
	s.options = email.SMTPOptions{
		Host: "127.0.0.1", Port: address.Port, ImplicitTLS: o.implicitTLS, TLSConfig: &tls.Config{RootCAs: roots},
	}
	return s
}

// session implements smtp.AuthSession.
type session struct {
	server     *mailServer
	conn       *smtp.Conn
	mechanisms []string
	current    delivery
}

func (s *session) AuthMechanisms() []string { return s.mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, pass string) error {
		if user != "kim" || pass != "hunter2" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong user or password"}
		}
		s.current.user, s.current.pass, s.current.mechanism = user, pass, mechanism
		return nil
	}
	if mechanism == sasl.Plain {
		return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
	}
	return &loginServer{check: check}, nil
}

// loginServer is the server side of LOGIN, which go-sasl lacks.
type loginServer struct {
	check func(user, pass string) error
	user  string
	asked int
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

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.current.from = from
	_, s.current.encrypted = s.conn.TLSConnectionState()
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.current.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.current.data = string(data)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.delivered = append(s.server.delivered, s.current)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// selfSigned returns a certificate for 127.0.0.1, and the roots that trust it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func newSMTP(t *testing.T, o email.SMTPOptions) *email.SMTP {
	t.Helper()
	s, err := email.NewSMTP(o)
	require.NoError(t, err)
	return s
}

func TestSend_Delivers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server    serverOptions
		user      string
		encrypted bool
		mechanism string
	}{
		"as MailHog does":                {server: serverOptions{mechanisms: []string{"PLAIN"}}},
		"PLAIN on loopback":              {server: serverOptions{mechanisms: []string{"PLAIN"}}, user: "kim", mechanism: "PLAIN"},
		"STARTTLS":                       {server: serverOptions{startTLS: true}, encrypted: true},
		"STARTTLS, PLAIN before LOGIN":   {server: serverOptions{startTLS: true, mechanisms: []string{"LOGIN", "PLAIN"}}, user: "kim", encrypted: true, mechanism: "PLAIN"},
		"STARTTLS, LOGIN":                {server: serverOptions{startTLS: true, mechanisms: []string{"CRAM-MD5", "LOGIN"}}, user: "kim", encrypted: true, mechanism: "LOGIN"},
		"implicit TLS":                   {server: serverOptions{implicitTLS: true}, encrypted: true},
		"implicit TLS, PLAIN":            {server: serverOptions{implicitTLS: true, mechanisms: []string{"PLAIN"}}, user: "kim", encrypted: true, mechanism: "PLAIN"},
		"server with addresses in UTF-8": {server: serverOptions{utf8: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, c.server)
			if c.user != "" {
				server.options.User, server.options.Pass = c.user, "hunter2"
			}
			m := render(t, notification())
			require.NoError(t, newSMTP(t, server.options).Send(t.Context(), m))

			got := server.one(t)
			require.Equal(t, "maintenance@plant.test", got.from)
			require.Equal(t, "kim@plant.test", got.to)
			require.Equal(t, c.encrypted, got.encrypted)
			require.Equal(t, c.mechanism, got.mechanism)
			e := parseMessage(t, []byte(got.data))
			require.Equal(t, m.MessageID, e.GetHeader("Message-Id"))
			require.Equal(t, m.Text, strings.ReplaceAll(e.Text, "\r\n", "\n"))
			require.Equal(t, m.HTML, strings.ReplaceAll(e.HTML, "\r\n", "\n"))
		})
	}
}

// Texts that look like SMTP or MIME arrive unchanged, in one message to one recipient.
func TestSend_DeliversHostileTextsUnchanged(t *testing.T) {
	t.Parallel()
	server := startServer(t, serverOptions{})
	client := newSMTP(t, server.options)
	sent := map[string]*email.Message{}
	for name, n := range samples(t) {
		n.MessageID = email.MessageID(name, "plant.test")
		m := render(t, n)
		sent[m.MessageID] = m
		require.NoError(t, client.Send(t.Context(), m), name)
	}
	for _, got := range server.all() {
		e := parseMessage(t, []byte(got.data))
		m := sent[e.GetHeader("Message-Id")]
		require.NotNil(t, m, got.data)
		require.Equal(t, m.To.Address, got.to)
		require.Equal(t, m.Text, strings.ReplaceAll(e.Text, "\r\n", "\n"))
		require.Equal(t, m.Subject, e.GetHeader("Subject"))
		delete(sent, m.MessageID)
	}
	require.Empty(t, sent, "not delivered")
}

func TestSend_IsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	server := startServer(t, serverOptions{startTLS: true})
	client, m := newSMTP(t, server.options), render(t, notification())
	var all sync.WaitGroup
	failed := make(chan error, 20)
	for range cap(failed) {
		all.Go(func() { failed <- client.Send(t.Context(), m) })
	}
	all.Wait()
	for range cap(failed) {
		require.NoError(t, <-failed)
	}
	require.Len(t, server.all(), cap(failed))
}

func TestSend_NonASCIIAddressNeedsSMTPUTF8(t *testing.T) {
	t.Parallel()
	n := notification()
	n.To.Address = "kïm@bücher.test"
	m := render(t, n)

	able := startServer(t, serverOptions{utf8: true})
	require.NoError(t, newSMTP(t, able.options).Send(t.Context(), m))
	require.Equal(t, "kïm@xn--bcher-kva.test", able.one(t).to)

	unable := startServer(t, serverOptions{})
	failed := sendError(t, newSMTP(t, unable.options).Send(t.Context(), m))
	require.Equal(t, email.PhaseMail, failed.Phase)
	require.ErrorContains(t, failed, "has letters outside ASCII before the @, and the server takes no such addresses (SMTPUTF8)")
	require.Empty(t, unable.all())
}

func TestSend_NeverFallsBackToUnencryptedConnection(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]serverOptions{
		"STARTTLS":     {startTLS: true, mechanisms: []string{"PLAIN"}},
		"implicit TLS": {implicitTLS: true, mechanisms: []string{"PLAIN"}},
	} {
		server := startServer(t, o)
		server.options.TLSConfig = nil // the server's certificate is not in the system's roots
		server.options.User, server.options.Pass = "kim", "hunter2"
		failed := sendError(t, newSMTP(t, server.options).Send(t.Context(), render(t, notification())))
		require.Equal(t, email.PhaseTLS, failed.Phase, name)
		require.False(t, failed.Permanent, "a certificate can be replaced")
		require.ErrorContains(t, failed, "encrypt the connection (TLS): ")
		require.ErrorContains(t, failed, "certificate")
		require.Empty(t, server.all())
	}

	// TLS is configured, but the server does not use it.
	server := startServer(t, serverOptions{})
	server.options.ImplicitTLS = true
	failed := sendError(t, newSMTP(t, server.options).Send(t.Context(), render(t, notification())))
	require.Equal(t, email.PhaseTLS, failed.Phase)
	require.False(t, failed.Permanent)
}

func TestSend_LoginFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mechanisms []string
		permanent  bool
		code       int
		want       string
	}{
		"wrong password":        {[]string{"PLAIN"}, true, 535, "log in (AUTH): 535 5.7.8 wrong user or password"},
		"wrong password, LOGIN": {[]string{"LOGIN"}, true, 535, "log in (AUTH): 535 5.7.8 wrong user or password"},
		"other mechanisms":      {[]string{"CRAM-MD5", "XOAUTH2"}, false, 0, "of the server's AUTH mechanisms (CRAM-MD5 XOAUTH2) none is PLAIN or LOGIN"},
		"no mechanism":          {nil, false, 0, "log in (AUTH): a user is configured, but the server offers no AUTH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, serverOptions{mechanisms: c.mechanisms})
			server.options.User, server.options.Pass = "kim", "not-hunter2"
			failed := sendError(t, newSMTP(t, server.options).Send(t.Context(), render(t, notification())))
			require.Equal(t, email.PhaseAuth, failed.Phase)
			require.Equal(t, c.code, failed.Code)
			require.Equal(t, c.permanent, failed.Permanent)
			require.ErrorContains(t, failed, c.want)
			require.Empty(t, server.all())
		})
	}
}

func TestNewSMTP_RejectsInvalidOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]email.SMTPOptions{
		"SMTP server: the host is missing":                          {Port: 25},
		`SMTP server: "mail:25/x" is not a host name or IP address`: {Host: "mail:25/x", Port: 25},
		"SMTP server: port 0 is not between 1 and 65535":            {Host: "mail"},
		"SMTP server: port 65536 is not between 1 and 65535":        {Host: "mail", Port: 65536},
		"SMTP server: timeout -1s is negative":                      {Host: "mail", Port: 25, Timeout: -time.Second},
		"SMTP server: there is a password but no user":              {Host: "mail", Port: 25, Pass: "hunter2"},
	} {
		_, err := email.NewSMTP(o)
		require.EqualError(t, err, want)
	}
}

// sendError returns err as the *SendError that it must be.
func sendError(t *testing.T, err error) *email.SendError {
	t.Helper()
	var failed *email.SendError
	require.ErrorAs(t, err, &failed)
	require.Error(t, failed.Err)
	require.NotEmpty(t, failed.Server)
	require.ErrorIs(t, err, failed.Err)
	return failed
}

func TestSend_RejectsInvalidMessage(t *testing.T) {
	t.Parallel()
	m := render(t, notification())
	m.To.Address = ""
	failed := sendError(t, newSMTP(t, email.SMTPOptions{Host: "mail.plant.test", Port: 25}).Send(t.Context(), m))
	require.True(t, failed.Permanent)
	require.EqualError(t, failed, "send email through mail.plant.test:25: write the message: recipient: there is no email address")
}

func TestSend_NoServerListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	client := newSMTP(t, email.SMTPOptions{Host: "127.0.0.1", Port: port})

	failed := sendError(t, client.Send(t.Context(), render(t, notification())))
	require.Equal(t, email.PhaseConnect, failed.Phase)
	require.False(t, failed.Permanent)
	var refused *net.OpError
	require.ErrorAs(t, failed, &refused)

	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	failed = sendError(t, client.Send(ctx, render(t, notification())))
	require.Equal(t, email.PhaseConnect, failed.Phase)
	require.ErrorIs(t, failed, cause)
}

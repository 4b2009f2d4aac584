package tap_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/textproto"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestSMTP_RelaysBDAT(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	c := dialMail(t, w.Addr()).greet().envelope("kim@plant.test")
	head, tail := message[:40], message[40:]
	_, err := io.WriteString(c.conn, fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", len(head), head, len(tail), tail))
	require.NoError(t, err)
	c.expect(250)
	c.expect(250)
	got := await(t, s, "the delivery", overMail).Mail
	require.True(t, got.Accepted && got.Reported)
	require.Equal(t, []any{int64(len(message)), "42@plant.test", "01RUN"}, []any{got.Size, got.MessageID, got.RunID})
	require.Equal(t, message, server.letters()[0].text)
	c.command(501, "BDAT lots")
	c.command(221, "QUIT")
}

func TestSMTP_RelaysTLS(t *testing.T) {
	t.Parallel()
	certificates := httptest.NewTLSServer(nil)
	t.Cleanup(certificates.Close)
	m := &mailServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{server: m}, nil }))
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.TLSConfig = &tls.Config{Certificates: certificates.TLS.Certificates}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	s := newSet(t, tap.Options{})
	w, err := s.SMTP("127.0.0.1:0", ln.Addr().String())
	require.NoError(t, err)

	c := dialMail(t, w.Addr()).greet()
	c.command(220, "STARTTLS")
	secure := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is this test's own
	require.NoError(t, secure.Handshake())
	c.conn, c.text = secure, textproto.NewConn(secure)
	c.command(250, "EHLO app.test")
	c.envelope("kim@plant.test").command(354, "DATA")
	c.command(250, message+"\r\n.")
	c.command(221, "QUIT")
	_ = c.conn.Close()
	got := await(t, s, "the session", overMail).Mail
	require.True(t, got.TLS)
	require.False(t, got.Accepted, "only the app and the mail server can know")
	require.Empty(t, got.From)
	require.Len(t, m.letters(), 1)
}

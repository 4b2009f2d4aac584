package inbox_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/smtp"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/servertest"
)

// hog is the MailHog that the tests share: each writes to recipients of its own.
var hog *servertest.Server

func TestMain(m *testing.M) {
	servertest.Main(m, func(ctx context.Context) (_ *servertest.Server, err error) {
		hog, err = servertest.MailHog(ctx)
		return hog, err
	})
}

// ownMailHog starts a MailHog for one test: one that counts, clears, kills or fills it.
func ownMailHog(t testing.TB) *servertest.Server {
	s, err := servertest.MailHog(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}

func newClient(t testing.TB, baseURL string) *inbox.Client {
	c := inbox.New(baseURL, inbox.Options{})
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return c
}

// limit is a context for what should take milliseconds.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// short is a context for what is meant to run out of time.
func short(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// recipient returns an address that no other test has.
func recipient() string { return fmt.Sprintf("kim%d@plant.test", recipients.Add(1)) }

var recipients atomic.Int64

// sender delivers over one SMTP connection. It is not safe for concurrent use.
type sender struct {
	tb testing.TB
	c  *smtp.Client
}

func newSender(tb testing.TB, s *servertest.Server) *sender {
	c, err := smtp.Dial(s.SMTP)
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	return &sender{tb, c}
}

// deliver returns when MailHog has accepted the message. It may be called from any goroutine.
func (s *sender) deliver(raw string, to ...string) {
	if err := s.try(raw, to); err != nil {
		s.tb.Errorf("deliver to %v: %v", to, err)
	}
}

func (s *sender) try(raw string, to []string) error {
	if err := s.c.Mail("bounce@plant.test"); err != nil {
		return err
	}
	for _, a := range to {
		if err := s.c.Rcpt(a); err != nil {
			return err
		}
	}
	w, err := s.c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(raw)); err != nil {
		return err
	}
	return w.Close()
}

// note is a message with a subject and further headers.
func note(subject string, headers ...string) string {
	lines := append([]string{"From: Desk <desk@plant.test>", "Subject: " + subject}, headers...)
	return strings.Join(append(lines, "", "hello", ""), "\r\n")
}

func subjects(ms []*harness.Message) []string {
	var s []string
	for _, m := range ms {
		s = append(s, m.Subject)
	}
	return s
}

// proxied puts a reverse proxy with a fault in it before a real MailHog.
func proxied(t testing.TB, s *servertest.Server, fault func(*httputil.ReverseProxy)) *httptest.Server {
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	p := httputil.NewSingleHostReverseProxy(target)
	fault(p)
	if change := p.ModifyResponse; change != nil {
		p.ModifyResponse = func(r *http.Response) error {
			if r.Request.URL.Path == "/api/v1/info" {
				return nil // by which a client tells MailHog from Mailpit
			}
			return change(r)
		}
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return srv
}

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
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// shared are the mail catchers that the tests share: each writes to recipients of its own.
var shared = map[harness.MailCatcher]*servertest.Server{}

func TestMain(m *testing.M) {
	servertest.Main(m, func(ctx context.Context) (all []*servertest.Server, err error) {
		for _, which := range harness.MailCatchers() {
			if shared[which], err = servertest.Mail(ctx, which); err != nil {
				return all, err
			}
			all = append(all, shared[which])
		}
		return all, nil
	})
}

// A catcher is a mail catcher in one test. Emails are delivered to it as the app's are: through a tap.
type catcher struct {
	*servertest.Server
	which harness.MailCatcher
	taps  *tap.Set
	smtp  string // the tap's
}

func newCatcher(t testing.TB, which harness.MailCatcher, s *servertest.Server) *catcher {
	taps := tap.New(tap.Options{})
	wire, err := taps.SMTP("127.0.0.1:0", s.SMTP)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taps.Close(context.Background())) })
	return &catcher{s, which, taps, wire.Addr()}
}

// onEach runs a test on each of the shared mail catchers.
func onEach(t *testing.T, f func(t *testing.T, box *catcher)) {
	for _, which := range harness.MailCatchers() {
		t.Run(string(which), func(t *testing.T) {
			t.Parallel()
			f(t, newCatcher(t, which, shared[which]))
		})
	}
}

// ownCatcher starts a mail catcher for one test: one that counts, clears, kills or fills it.
func ownCatcher(t testing.TB, which harness.MailCatcher) *catcher {
	s, err := servertest.Mail(t.Context(), which)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return newCatcher(t, which, s)
}

// onOwn runs a test on a mail catcher of its own of each kind.
func onOwn(t *testing.T, f func(t *testing.T, own *catcher)) {
	for _, which := range harness.MailCatchers() {
		t.Run(string(which), func(t *testing.T) {
			t.Parallel()
			f(t, ownCatcher(t, which))
		})
	}
}

// client returns a client of the mail catcher, clientAt one at another address that leads to it.
func (s *catcher) client(t testing.TB) *inbox.Client { return s.clientAt(t, s.URL) }

func (s *catcher) clientAt(t testing.TB, baseURL string) *inbox.Client {
	c := s.open(baseURL)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return c
}

// open is clientAt for a client that the test closes.
func (s *catcher) open(baseURL string) *inbox.Client {
	return inbox.New(baseURL, inbox.Options{Envelope: s.taps.Envelope})
}

// newClient returns a client of what is no mail catcher of a test.
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

func (s *catcher) sender(tb testing.TB) *sender { return newSender(tb, s.smtp) }

func newSender(tb testing.TB, addr string) *sender {
	c, err := smtp.Dial(addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	return &sender{tb, c}
}

// deliver returns when the mail catcher has accepted the message. It may be called from any goroutine.
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

// proxied puts a reverse proxy with a fault in it before a real mail catcher. The fault changes answers with a list.
func proxied(t testing.TB, s *catcher, fault func(*httputil.ReverseProxy)) *httptest.Server {
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Set("Accept-Encoding", "identity") // a fault reads the answer
	}}
	fault(p)
	if change := p.ModifyResponse; change != nil {
		p.ModifyResponse = func(r *http.Response) error {
			if r.Request.URL.Path != "/api/v2/messages" && r.Request.URL.Path != "/api/v1/messages" || r.Request.Method != http.MethodGet {
				return nil
			}
			return change(r)
		}
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return srv
}

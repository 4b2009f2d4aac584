package inbox_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/smtp"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/servertest"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// unread returns how many emails of a Mailpit are not marked as read.
func unread(t *testing.T, mailpit string) int {
	res, err := http.Get(mailpit + "/api/v1/messages?limit=1")
	require.NoError(t, err)
	defer res.Body.Close()
	var list struct{ Unread int }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&list))
	return list.Unread
}

// others is a Mailpit that another process has started, with other options. It keeps its emails when it is started again.
type others struct {
	*catcher
	start func(options ...string)
	kill  func()
}

func othersMailpit(t *testing.T, options ...string) *others {
	bin, err := toolchain.Ensure(t.Context(), toolchain.Mailpit, toolchain.Options{})
	require.NoError(t, err)
	free, err := port.Free(2)
	require.NoError(t, err)
	web, mail := fmt.Sprintf("127.0.0.1:%d", free[0]), fmt.Sprintf("127.0.0.1:%d", free[1])
	dir := t.TempDir()
	var cmd *exec.Cmd
	o := &others{}
	o.kill = func() {
		if cmd != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			cmd = nil
		}
	}
	o.start = func(options ...string) {
		cmd = exec.Command(bin.Path, append(options, "--listen", web, "--smtp", mail, "--database", "db", "--disable-version-check")...)
		cmd.Env, cmd.Dir = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, dir
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool {
			return endpoint.Mail(t.Context(), harness.Mailpit, "http://"+web) == nil && endpoint.SMTP(t.Context(), mail) == nil
		}, time.Minute, 10*time.Millisecond)
	}
	o.start(options...)
	t.Cleanup(o.kill)
	o.catcher = newCatcher(t, harness.Mailpit, &servertest.Server{URL: "http://" + web, SMTP: mail})
	return o
}

// gated is a proxy before a mail catcher that holds back what is pushed until open is closed. connected is closed once a client
// is among the receivers and has read the inbox.
func gated(t *testing.T, s *catcher, open <-chan struct{}) (baseURL string, connected <-chan struct{}) {
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	rest := httputil.NewSingleHostReverseProxy(target)
	registered := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			rest.ServeHTTP(w, r)
			return
		}
		client, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer client.CloseNow()
		server, _, err := websocket.Dial(r.Context(), s.URL+r.URL.Path, nil)
		if err != nil {
			return
		}
		defer server.CloseNow()
		server.SetReadLimit(-1)
		ctx := client.CloseRead(r.Context()) // answers its pings
		go func() {
			if server.Ping(ctx) == nil {
				close(registered)
			}
		}()
		for {
			kind, data, err := server.Read(ctx)
			if err != nil {
				return
			}
			select {
			case <-open:
			case <-ctx.Done():
				return
			}
			if client.Write(ctx, kind, data) != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, registered
}

// An email is reported because it is pushed, and not because the mail catcher is asked for it now and then.
func TestWait_ReturnsOnAPush(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		open := make(chan struct{})
		baseURL, connected := gated(t, box, open)
		c, s, kim := box.clientAt(t, baseURL), box.sender(t), recipient()
		s.deliver(note("first"), kim)
		_, err := c.Wait(limit(t), inbox.Filter{To: kim}) // found by reading the inbox, once it is connected
		require.NoError(t, err)
		<-connected

		s.deliver(note("second"), kim)
		late, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = c.Wait(late, inbox.Filter{To: kim, Subject: "second"})
		require.ErrorIs(t, err, context.DeadlineExceeded, "it was not pushed yet")
		close(open)
		_, err = c.Wait(limit(t), inbox.Filter{To: kim, Subject: "second"})
		require.NoError(t, err)
	})
}

// A delivery and a deletion between two looks leave the number of messages as it was.
func TestList_SeesADeletionThatADeliveryHides(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		fill(t, own, 300)
		c, other, s := own.client(t), own.client(t), own.sender(t)
		all, err := c.List(limit(t))
		require.NoError(t, err)
		for round := range 3 {
			require.NoError(t, other.Delete(limit(t), all[7].ID))
			s.deliver(note(fmt.Sprintf("0/%d", 300+round)), "kim@plant.test")
			gone := all[7].ID
			all, err = c.List(limit(t))
			require.NoError(t, err)
			require.Len(t, all, 300)
			require.False(t, slices.ContainsFunc(all, func(m *harness.Message) bool { return m.ID == gone }))
			require.Equal(t, fmt.Sprintf("0/%d", 300+round), all[299].Subject)
		}
	})
}

// Deliveries and deletions at once, read meanwhile: in the end the client knows what there is.
func TestList_IsExactAfterABurst(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		c, other := own.client(t), own.client(t)
		const senders, each = 4, 60
		done := make(chan struct{}, senders)
		var delivering sync.WaitGroup
		defer delivering.Wait()
		for i := range senders {
			s := own.sender(t)
			delivering.Go(func() {
				for n := range each {
					s.deliver(note(fmt.Sprintf("%d/%d", i, n)), "kim@plant.test")
				}
				done <- struct{}{}
			})
		}
		deleted := map[string]bool{}
		for running := senders; running > 0; {
			select {
			case <-done:
				running--
			default:
			}
			list, err := c.List(limit(t))
			require.NoError(t, err)
			for _, m := range list {
				// MailHog lists messages before it counts them: one that comes in between can hide a deletion until the next look.
				require.False(t, deleted[m.ID] && own.which != harness.MailHog, "%s was deleted before", m.Subject)
			}
			if len(list) > 5 {
				gone := list[len(list)/2].ID
				require.NoError(t, other.Delete(limit(t), gone))
				deleted[gone] = true
			}
		}
		list, err := c.List(limit(t))
		require.NoError(t, err)
		require.Len(t, list, senders*each-len(deleted))
		fresh, err := own.client(t).List(limit(t))
		require.NoError(t, err)
		require.ElementsMatch(t, subjects(fresh), subjects(list))
	})
}

// Mailpit v1.33.1 lists messages by their date if it is told to. So one that is new comes far down, as otherwise one can that is stored
// a little later than its neighbours. Emails that are older than a day are found, too.
func TestMailpit_FindsWhatIsListedFurtherDown(t *testing.T) {
	t.Parallel()
	box := othersMailpit(t, "--use-message-dates")
	c, other, s := box.client(t), box.client(t), box.sender(t)
	dated := func(subject string, ago time.Duration) string {
		return note(subject, "Date: "+time.Now().Add(-ago).Format(time.RFC1123Z))
	}
	for n := range 300 {
		s.deliver(dated(fmt.Sprint("recent ", n), time.Duration(300-n)*time.Minute), "kim@plant.test")
	}
	list, err := c.List(limit(t))
	require.NoError(t, err)
	require.Len(t, list, 300)
	old := list[3].ID
	s.deliver(dated("old", 100*24*time.Hour), "kim@plant.test")
	list, err = c.List(limit(t))
	require.NoError(t, err)
	require.Len(t, list, 301)
	require.Equal(t, "old", list[300].Subject, "what came last is last")

	require.NoError(t, other.Delete(limit(t), old))
	s.deliver(dated("older", 200*24*time.Hour), "kim@plant.test")
	list, err = c.List(limit(t))
	require.NoError(t, err)
	require.Len(t, list, 301)
	require.NotContains(t, subjects(list), "recent 3")
	require.Contains(t, subjects(list), "older")
}

func TestMailpit_RestartsWithItsDatabase(t *testing.T) {
	t.Parallel()
	box := othersMailpit(t)
	c := box.client(t)
	box.sender(t).deliver(note("kept"), "kim@plant.test")
	box.sender(t).deliver(note("removed"), "kim@plant.test")
	list, err := c.List(limit(t))
	require.NoError(t, err)
	require.Equal(t, []string{"kept", "removed"}, subjects(list))
	require.NoError(t, c.Delete(limit(t), list[1].ID))
	require.NoError(t, c.ReadToEnd(limit(t)))

	box.kill()
	require.ErrorContains(t, c.ReadToEnd(limit(t)), "Mailpit at "+box.URL+" cannot be reached (is it running?): ")
	got := make(chan error, 1)
	go func() {
		_, err := c.Wait(limit(t), inbox.Filter{Subject: "new"})
		got <- err
	}()
	box.start()
	box.sender(t).deliver(note("new"), "kim@plant.test")
	require.NoError(t, <-got)
	list, err = c.List(limit(t))
	require.NoError(t, err)
	require.Equal(t, []string{"kept", "new"}, subjects(list))
}

// While it is away it is not decided what it is, and nothing is deleted.
func TestMailpit_IsDecidedOnceItAnswers(t *testing.T) {
	t.Parallel()
	own := ownCatcher(t, harness.Mailpit)
	own.sender(t).deliver(note("first"), "kim@plant.test")
	var away atomic.Bool
	away.Store(true)
	target, err := url.Parse(own.URL)
	require.NoError(t, err)
	rest := httputil.NewSingleHostReverseProxy(target)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		rest.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c := own.clientAt(t, srv.URL)
	_, err = c.List(limit(t))
	require.EqualError(t, err, "ask the mail catcher at "+srv.URL+": it answered 503 Service Unavailable")
	require.ErrorContains(t, c.Clear(limit(t)), "503")
	require.ErrorContains(t, c.Delete(limit(t), "id0"), "503")
	away.Store(false)
	require.False(t, c.Lags())
	list, err := c.List(limit(t))
	require.NoError(t, err)
	require.Equal(t, []string{"first"}, subjects(list))
	away.Store(true)
	require.EqualError(t, c.Clear(limit(t)), "clear the inbox: ask Mailpit at "+srv.URL+": it answered 503 Service Unavailable")
	away.Store(false)
	n, err := c.Count(limit(t))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// Mailpit takes a list without ids, and ids that it does not know, for something else than what they say.
func TestMailpit_DeletesWhatWasListed(t *testing.T) {
	t.Parallel()
	own := ownCatcher(t, harness.Mailpit)
	s := own.sender(t)
	proxy := proxied(t, own, func(p *httputil.ReverseProxy) {
		rewrite := p.Rewrite
		p.Rewrite = func(r *httputil.ProxyRequest) {
			if r.In.Method == http.MethodDelete {
				s.deliver(note("between"), "kim@plant.test")
			}
			rewrite(r)
		}
	})
	c := own.clientAt(t, proxy.URL)
	require.NoError(t, c.Clear(limit(t)), "there is nothing to delete")
	s.deliver(note("first"), "kim@plant.test")
	require.ErrorIs(t, c.Delete(limit(t), ""), inbox.ErrNotFound)
	require.ErrorIs(t, c.Delete(limit(t), "latest"), inbox.ErrNotFound)
	n, err := c.Count(limit(t))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, c.Clear(limit(t)))
	list, err := c.List(limit(t))
	require.NoError(t, err)
	require.Equal(t, []string{"between"}, subjects(list), "what came after the listing stays")
}

// A message that is removed after it was listed is left out.
func TestMailpit_LeavesOutWhatIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	own := ownCatcher(t, harness.Mailpit)
	fill(t, own, 3)
	direct := own.client(t)
	all, err := direct.List(limit(t))
	require.NoError(t, err)
	var pages atomic.Int64
	proxy := proxied(t, own, func(p *httputil.ReverseProxy) {
		p.ModifyResponse = func(*http.Response) error {
			if pages.Add(1) == 1 {
				return direct.Delete(limit(t), all[1].ID)
			}
			return nil
		}
	})
	list, err := own.clientAt(t, proxy.URL).List(limit(t))
	require.NoError(t, err)
	require.Equal(t, []string{"0/0", "0/2"}, subjects(list))
}

// Without a tap, the recipients are those that Mailpit can tell.
func TestMailpit_WithoutATap(t *testing.T) {
	t.Parallel()
	own := ownCatcher(t, harness.Mailpit)
	s := newSender(t, own.SMTP)
	raw := note("s", "To: Kim <kim@plant.test>", "Cc: lee@plant.test")
	s.deliver(raw, "kim@plant.test", "ann@plant.test")
	list, err := own.client(t).List(limit(t))
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, raw, string(list[0].Raw), "as the app sent it")
	require.Equal(t, harness.Envelope{
		From: "bounce@plant.test", Helo: "localhost", To: []string{"kim@plant.test", "lee@plant.test", "ann@plant.test"},
	}, list[0].Envelope, "lee, to whom it was not sent, cannot be distinguished")
}

// What Mailpit adds is taken away, and nothing that the app has sent.
func TestMailpit_MessagesAreAsTheyWereSent(t *testing.T) {
	t.Parallel()
	box := newCatcher(t, harness.Mailpit, shared[harness.Mailpit])
	c, s := box.client(t), box.sender(t)
	for name, raw := range map[string]string{
		"without a Message-ID":                  note("s"),
		"with one":                              note("s", "Message-ID: <a@plant.test>"),
		"with a Received of its own":            "Received: from a (b) by c (Mailpit) with SMTP;\r\n\tSun, 29 Nov 2026 02:07:10 +0000\r\n" + note("s"),
		"with headers that Mailpit adds, first": "Message-ID: <a@plant.test>\r\nReturn-Path: <bounce@plant.test>\r\nReceived: from a\r\n" + note("s"),
		"8-bit":                                 note("s", "Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit") + "caf\xe9\r\n",
		"with dots":                             note("s") + ".\r\n..\r\n.a\r\n",
		"large":                                 note("s", "Content-Type: text/plain") + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 8<<10),
		"long line":                             note("s") + strings.Repeat("x", 100_000) + "\r\n",
	} {
		kim, hidden := recipient(), recipient()
		s.deliver(raw, kim, hidden)
		found, err := c.Find(limit(t), inbox.Filter{To: hidden})
		require.NoError(t, err)
		require.Len(t, found, 1, name)
		require.True(t, raw == string(found[0].Raw), "%s: %.300q", name, found[0].Raw)
		require.Equal(t, harness.Envelope{From: "bounce@plant.test", To: []string{kim, hidden}, Helo: "localhost"}, found[0].Envelope, name)
	}
}

// Mailpit speaks SMTPUTF8, 8BITMIME and AUTH, and the tap before it passes them on.
func TestMailpit_SpeaksExtensionsOfSMTP(t *testing.T) {
	t.Parallel()
	box := newCatcher(t, harness.Mailpit, shared[harness.Mailpit])
	s, n := box.sender(t), recipients.Add(1)
	from, to := "büro@plänt.test", fmt.Sprintf("jürgen%d@plänt.test", n)
	require.NoError(t, s.c.Auth(smtp.PlainAuth("", "kim", "secret", "127.0.0.1")))
	for _, extension := range []string{"SMTPUTF8", "8BITMIME", "SIZE", "AUTH"} {
		offered, _ := s.c.Extension(extension)
		require.True(t, offered, extension)
	}
	raw := "From: Büro <" + from + ">\r\nTo: Jürgen <" + to + ">\r\nSubject: Pümpe\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nÄrger\r\n"
	command := func(code int, format string, args ...any) {
		id, err := s.c.Text.Cmd(format, args...)
		require.NoError(t, err)
		s.c.Text.StartResponse(id)
		defer s.c.Text.EndResponse(id)
		_, _, err = s.c.Text.ReadResponse(code)
		require.NoError(t, err)
	}
	command(250, "MAIL FROM:<%s> SMTPUTF8 BODY=8BITMIME SIZE=%d", from, len(raw))
	command(250, "RCPT TO:<%s>", to)
	w, err := s.c.Data()
	require.NoError(t, err)
	_, err = io.WriteString(w, raw)
	require.NoError(t, err)
	require.NoError(t, w.Close())

	m, err := box.client(t).Wait(limit(t), inbox.Filter{To: to})
	require.NoError(t, err)
	require.Equal(t, harness.Envelope{From: from, To: []string{to}, Helo: "localhost"}, m.Envelope)
	require.Equal(t, "Pümpe", m.Subject)
	require.Equal(t, to, m.To[0].Address)
	require.Equal(t, "Ärger\n", m.Text)
	require.Equal(t, raw, string(m.Raw))
}

// With a certificate, Mailpit speaks STARTTLS. The tap passes it on and reads nothing of what follows.
func TestMailpit_STARTTLSPassesTheTap(t *testing.T) {
	t.Parallel()
	box := othersMailpit(t, "--smtp-tls-cert", "sans:localhost", "--smtp-tls-key", "sans:localhost")
	s := box.sender(t)
	require.NoError(t, s.c.StartTLS(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec // a certificate of its own
	s.deliver(note("secret", "To: kim@plant.test"), "kim@plant.test", "ann@plant.test")
	list, err := box.client(t).List(limit(t))
	require.NoError(t, err)
	require.Equal(t, []string{"secret"}, subjects(list))
	require.Equal(t, []string{"kim@plant.test", "ann@plant.test"}, list[0].Envelope.To, "by the headers that Mailpit has added to")
	for _, x := range box.taps.Exchanges() {
		require.True(t, x.Mail.TLS)
		require.Empty(t, x.Mail.To)
	}
}

// What the client relies on is so in the Mailpit that is pinned.
func TestMailpit_RefusesHeadersThatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newCatcher(t, harness.Mailpit, shared[harness.Mailpit]).sender(t)
	require.ErrorContains(t, s.try("From: a@b.test\r\nno header\r\n\r\nhello\r\n", []string{recipient()}), "451")
}

package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

func TestFind_ComparesTheEnvelope(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c, s := box.client(t), box.sender(t)
		kim, hidden := recipient(), recipient()
		s.deliver(note("for both", "To: "+kim), kim, hidden)
		s.deliver(note("for a namesake", "To: "+kim), "x"+kim)
		s.deliver(note("for kim again", "To: somebody.else@plant.test"), kim)

		found, err := c.Find(limit(t), inbox.Filter{To: kim})
		require.NoError(t, err)
		require.Equal(t, []string{"for both", "for kim again"}, subjects(found))
		require.Empty(t, cmp.Diff([]string{kim, hidden}, found[0].Envelope.To))
		require.Equal(t, "bounce@plant.test", found[0].Envelope.From)
		require.NotEmpty(t, found[0].ID)
		require.False(t, found[0].Received.IsZero())

		for filter, want := range map[string]struct {
			filter inbox.Filter
			found  []string
		}{
			"blind copies":            {inbox.Filter{To: hidden}, []string{"for both"}},
			"the domain has no case":  {inbox.Filter{To: kim[:len(kim)-len("plant.test")] + "PLANT.Test"}, []string{"for both", "for kim again"}},
			"the local part has none": {inbox.Filter{To: "K" + kim[1:]}, []string{"for both", "for kim again"}},
			"no recipient":            {inbox.Filter{To: "nobody@plant.test"}, nil},
			"not by substring":        {inbox.Filter{To: kim[1:]}, nil},
		} {
			found, err := c.Find(limit(t), want.filter)
			require.NoError(t, err)
			require.Equal(t, want.found, subjects(found), filter)
		}
	})
}

func TestFind_ComparesHeaders(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c, s := box.client(t), box.sender(t)
		kim := recipient()
		s.deliver(note("=?utf-8?q?P=C3=BCmpe?=", "X-Inngest-Run-Id: run-of-"+kim, "X-Tag: a", "X-Tag: =?utf-8?q?=C3=B6?="), kim)
		s.deliver(note("other"), kim)

		for name, tc := range map[string]struct {
			filter inbox.Filter
			found  bool
		}{
			"run":                 {inbox.Filter{RunID: "run-of-" + kim}, true},
			"another run":         {inbox.Filter{RunID: "run-of-nobody"}, false},
			"decoded subject":     {inbox.Filter{To: kim, Subject: "Pümpe"}, true},
			"part of a subject":   {inbox.Filter{To: kim, Subject: "Püm"}, false},
			"from":                {inbox.Filter{RunID: "run-of-" + kim, From: "desk@PLANT.test"}, true},
			"from is no envelope": {inbox.Filter{RunID: "run-of-" + kim, From: "bounce@plant.test"}, false},
			"repeated header":     {inbox.Filter{To: kim, Header: map[string]string{"x-tag": "ö"}}, true},
			"header not there":    {inbox.Filter{To: kim, Header: map[string]string{"X-None": "ö"}}, false},
			"condition holds":     {inbox.Filter{RunID: "run-of-" + kim, Match: func(m *harness.Message) bool { return m.Text == "hello\n" }}, true},
			"condition does not":  {inbox.Filter{RunID: "run-of-" + kim, Match: func(m *harness.Message) bool { return false }}, false},
		} {
			found, err := c.Find(limit(t), tc.filter)
			require.NoError(t, err)
			if !tc.found {
				require.Empty(t, found, name)
				continue
			}
			require.Equal(t, []string{"Pümpe"}, subjects(found), name)
		}
	})
}

func TestClient_RunHeaderCanHaveAnotherName(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c := inbox.New(box.URL, inbox.Options{RunHeader: "X-Run"})
		defer func() { require.NoError(t, c.Close(limit(t))) }()
		kim := recipient()
		box.sender(t).deliver(note("s", "X-Run:", "\trun-"+kim), kim)
		found, err := c.Find(limit(t), inbox.Filter{RunID: "run-" + kim})
		require.NoError(t, err)
		require.Len(t, found, 1)
	})
}

// What the mail catcher has accepted, the next question sees: no waiting, no luck.
func TestReadToEnd_SeesAllThatWasAccepted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c := box.client(t)
		var senders sync.WaitGroup
		for range 4 {
			s, kim := box.sender(t), recipient()
			senders.Go(func() {
				for n := 1; n <= 50; n++ {
					s.deliver(note(fmt.Sprint(n)), kim)
					found, err := c.Find(limit(t), inbox.Filter{To: kim})
					if err != nil || len(found) != n || found[n-1].Subject != fmt.Sprint(n) {
						t.Errorf("after delivery %d: %v, %v", n, subjects(found), err)
						return
					}
				}
			})
		}
		senders.Wait()
		require.NoError(t, c.ReadToEnd(limit(t)))
	})
}

func TestList_ReadsAllPagesDuringDeliveries(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		const senders, each = 4, 200
		var delivering sync.WaitGroup
		for i := range senders {
			s := own.sender(t)
			delivering.Go(func() {
				for n := range each {
					s.deliver(note(fmt.Sprintf("%d/%d", i, n)), "kim@plant.test")
				}
			})
		}
		done := make(chan struct{})
		go func() { delivering.Wait(); close(done) }()

		lists := 0
		for delivered := false; !delivered; lists++ {
			select {
			case <-done:
				delivered = true
			default:
			}
			c := own.open(own.URL) // a new one, that reads everything again
			list, err := c.List(limit(t))
			require.NoError(t, err)
			require.NoError(t, c.Close(limit(t)))
			requireComplete(t, subjects(list), delivered, senders, each)
		}
		t.Logf("read the inbox %d times", lists)
	})
}

// requireComplete checks that of each sender's messages there is an unbroken beginning, in order and once; all of them
// when whole.
func requireComplete(t *testing.T, subjects []string, whole bool, senders, each int) {
	t.Helper()
	next := make([]int, senders)
	for _, s := range subjects {
		var sender, n int
		_, err := fmt.Sscanf(s, "%d/%d", &sender, &n)
		require.NoError(t, err)
		require.Equal(t, next[sender], n, "sender %d's next message", sender)
		next[sender]++
	}
	if whole {
		require.Len(t, subjects, senders*each)
	}
}

func TestGet_ReturnsOneMessage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c, kim := box.client(t), recipient()
		box.sender(t).deliver(note("one"), kim)
		found, err := box.client(t).Find(limit(t), inbox.Filter{To: kim})
		require.NoError(t, err)

		m, err := c.Get(limit(t), found[0].ID)
		require.NoError(t, err)
		require.Equal(t, "one", m.Subject)
		_, err = c.Get(limit(t), "nothing@mailhog.example")
		require.ErrorIs(t, err, inbox.ErrNotFound)
		require.EqualError(t, err, `message "nothing@mailhog.example": the mailbox has no such message`)
	})
}

func TestClient_DeletesAndClears(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		c, s := own.client(t), own.sender(t)
		for _, subject := range []string{"one", "two", "three"} {
			s.deliver(note(subject), "kim@plant.test")
		}
		list, err := c.List(limit(t))
		require.NoError(t, err)
		require.NoError(t, c.Delete(limit(t), list[1].ID))
		list, err = c.List(limit(t))
		require.NoError(t, err)
		require.Equal(t, []string{"one", "three"}, subjects(list))
		require.ErrorIs(t, c.Delete(limit(t), "nothing@mailhog.example"), inbox.ErrNotFound)

		require.NoError(t, c.Clear(limit(t)))
		n, err := c.Count(limit(t))
		require.NoError(t, err)
		require.Zero(t, n)
		s.deliver(note("four"), "kim@plant.test")
		list, err = c.Find(limit(t), inbox.Filter{To: "kim@plant.test"})
		require.NoError(t, err)
		require.Equal(t, []string{"four"}, subjects(list))
	})
}

func TestList_SeesDeletionsByOtherClients(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		c, other, s := own.client(t), own.client(t), own.sender(t)
		for n := range 600 { // more than two pages, so that the deletion is beyond what is read for news
			s.deliver(note(fmt.Sprint(n)), "kim@plant.test")
		}
		list, err := c.List(limit(t))
		require.NoError(t, err)
		require.Len(t, list, 600)

		require.NoError(t, other.Delete(limit(t), list[7].ID))
		left, err := c.List(limit(t))
		require.NoError(t, err)
		require.Len(t, left, 599)
		require.Equal(t, "8", left[7].Subject)

		require.NoError(t, other.Clear(limit(t)))
		s.deliver(note("new"), "kim@plant.test")
		left, err = c.List(limit(t))
		require.NoError(t, err)
		require.Equal(t, []string{"new"}, subjects(left))
	})
}

// MailHog's JSON turns what is not UTF-8 into U+FFFD. Mailpit loses nothing.
func TestFind_RestoresBytesThatJSONDamages(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, box *catcher) {
		c, s, kim := box.client(t), box.sender(t), recipient()
		s.deliver(note("latin", "Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit")+"caf\xe9", kim)
		s.deliver(note("caf\xe9"), kim)
		found, err := c.Find(limit(t), inbox.Filter{To: kim})
		require.NoError(t, err)
		require.Equal(t, "hello\ncafé\n", found[0].Text)
		require.Empty(t, found[0].Problems)
		require.Equal(t, "caf\uFFFD", found[1].Subject)
		problem := "the header holds bytes that are not UTF-8, which were lost in MailHog's JSON: encode them (RFC 2047)"
		if box.which == harness.Mailpit {
			problem = "header Subject holds bytes that are not UTF-8"
		}
		require.Equal(t, []string{problem}, found[1].Problems)
	})
}

// Asking for those bytes by the message's id while messages are delivered would end MailHog.
func TestFind_LeavesDamagedBytesDuringDeliveries(t *testing.T) {
	t.Parallel()
	own := ownCatcher(t, harness.MailHog)
	latin := note("latin", "Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit") + "caf\xe9"
	s := own.sender(t)
	s.deliver(latin, "kim@plant.test")
	// Whenever the client looks, there is something new.
	proxy := proxied(t, own, func(p *httputil.ReverseProxy) {
		p.ModifyResponse = func(*http.Response) error {
			s.deliver(note("more"), "lee@plant.test")
			return nil
		}
	})
	found, err := own.clientAt(t, proxy.URL).Find(limit(t), inbox.Filter{To: "kim@plant.test"})
	require.NoError(t, err)
	require.Len(t, found[0].Problems, 1)
	require.Contains(t, found[0].Problems[0], "bytes that are not UTF-8 were lost in MailHog's JSON: deliveries did not pause, "+
		"and MailHog can be asked for them only then")

	found, err = own.client(t).Find(limit(t), inbox.Filter{To: "kim@plant.test"})
	require.NoError(t, err)
	require.Equal(t, "hello\ncafé\n", found[0].Text)
	require.Empty(t, found[0].Problems)
}

func TestClient_ErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		_, err := newClient(t, "http://127.0.0.1:1").List(limit(t))
		require.ErrorContains(t, err, "the mail catcher at http://127.0.0.1:1 cannot be reached (is it running?): dial tcp 127.0.0.1:1")

		stranger := httptest.NewServer(http.NotFoundHandler())
		defer stranger.Close()
		_, err = newClient(t, stranger.URL).List(limit(t))
		require.EqualError(t, err, "ask MailHog at "+stranger.URL+": it answered 404 Not Found")

		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
		defer page.Close()
		_, err = newClient(t, page.URL).List(limit(t))
		require.ErrorContains(t, err, page.URL+" does not answer as the mail catcher does (is it the address of the mail catcher?): ")

		_, err = newClient(t, "http://[::1").List(limit(t))
		require.ErrorContains(t, err, `the address "http://[::1" of the mail catcher: `)

		ctx, cancel := context.WithCancelCause(limit(t))
		cancel(errors.New("the test is over"))
		_, err = box.client(t).List(ctx)
		require.EqualError(t, err, "read the inbox: the test is over")
	})
}

func TestClient_SendsCredentialsAndDoesNotShowThem(t *testing.T) {
	t.Parallel()
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "kim" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"total":0,"items":[]}`)
	}))
	defer guarded.Close()
	c := newClient(t, "http://kim:secret@"+guarded.Listener.Addr().String()+"/")
	require.Equal(t, guarded.URL, c.BaseURL())
	list, err := c.List(limit(t))
	require.NoError(t, err)
	require.Empty(t, list)

	_, err = newClient(t, "http://kim:wrong@"+guarded.Listener.Addr().String()).List(limit(t))
	require.EqualError(t, err, "ask the mail catcher at "+guarded.URL+": it answered 401 Unauthorized")
}

func TestClose_EndsCalls(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c := box.open(box.URL)
		waited := make(chan error, 1)
		go func() {
			_, err := c.Wait(limit(t), inbox.Filter{To: recipient()})
			waited <- err
		}()
		require.NoError(t, c.ReadToEnd(limit(t)))
		require.NoError(t, c.Close(limit(t)))
		require.NoError(t, c.Close(limit(t)))
		require.ErrorIs(t, <-waited, inbox.ErrClosed)
		require.ErrorIs(t, c.ReadToEnd(limit(t)), inbox.ErrClosed)
		_, err := c.Wait(limit(t), inbox.Filter{})
		require.ErrorIs(t, err, inbox.ErrClosed)
	})
}

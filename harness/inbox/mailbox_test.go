package inbox_test

import (
	"net"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// A mailbox is one that emails can be delivered to.
type mailbox struct {
	url      string
	deliver  func(raw string, to ...string)
	readOnly bool
	// unseen reports whether the mailbox has all emails as they were delivered: unread. Nil where it does not tell.
	unseen func() bool
}

// What every mailbox does, whatever it is.
func testMailbox(t *testing.T, box mailbox) {
	kim := recipient()
	raw := func(subject string, more ...string) string {
		return note(subject, append(more, "To: Kim <"+kim+">")...)
	}
	box.deliver(raw("first", "X-Inngest-Run-Id: run-of-"+kim), kim)
	c := newClient(t, box.url)

	found, err := c.Find(limit(t), inbox.Filter{To: kim})
	require.NoError(t, err)
	require.Len(t, found, 1)
	first := found[0]
	require.Equal(t, "first", first.Subject)
	require.Equal(t, []string{kim}, first.Envelope.To)
	require.Equal(t, raw("first", "X-Inngest-Run-Id: run-of-"+kim), string(first.Raw))
	require.WithinDuration(t, time.Now(), first.Received, time.Minute)
	byRun, err := c.Find(limit(t), inbox.Filter{RunID: "run-of-" + kim})
	require.NoError(t, err)
	require.Equal(t, found, byRun)
	again, err := c.Get(limit(t), first.ID)
	require.NoError(t, err)
	require.Equal(t, first, again)
	none, err := c.Find(limit(t), inbox.Filter{To: "nobody@plant.test"})
	require.NoError(t, err)
	require.Empty(t, none)

	// A question sees all that was accepted before it, and who waits gets what comes.
	waited := make(chan *harness.Message, 1)
	go func() {
		m, err := c.Wait(limit(t), inbox.Filter{To: kim, Subject: "third"})
		if err != nil {
			t.Error(err)
		}
		waited <- m
	}()
	box.deliver(raw("second"), kim)
	found, err = c.Find(limit(t), inbox.Filter{To: kim})
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second"}, subjects(found))
	box.deliver(raw("third"), kim)
	require.Equal(t, "third", (<-waited).Subject)
	n, err := c.Count(limit(t))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 3)
	if box.unseen != nil {
		require.True(t, box.unseen(), "reading has marked an email as read")
	}
	if box.readOnly {
		require.ErrorIs(t, c.Delete(limit(t), first.ID), inbox.ErrReadOnly)
		require.ErrorIs(t, c.Clear(limit(t)), inbox.ErrReadOnly)
		_, err := c.Get(limit(t), first.ID)
		require.NoError(t, err)
	}
}

func TestMailbox_MailCatchers(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		testMailbox(t, mailbox{url: own.URL, deliver: own.sender(t).deliver, unseen: func() bool {
			return own.which != harness.Mailpit || unread(t, own.URL) == 3
		}})
	})
}

func TestMailbox_IMAP(t *testing.T) {
	t.Parallel()
	const password = "p@ss word"
	users, user := imapmemserver.New(), imapmemserver.NewUser("ops@plant.test", password)
	require.NoError(t, user.Create("INBOX", nil))
	users.AddUser(user)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return users.NewSession(), nil, nil
		},
		InsecureAuth: true, Caps: imap.CapSet{imap.CapIMAP4rev1: {}},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-served })
	client := func() *imapclient.Client {
		c, err := imapclient.DialInsecure(l.Addr().String(), nil)
		require.NoError(t, err)
		require.NoError(t, c.Login("ops@plant.test", password).Wait())
		return c
	}
	require.True(t, newClient(t, "imap://127.0.0.1:1").Lags())
	address := "imap://ops%40plant.test:p%40ss%20word@" + l.Addr().String()
	testMailbox(t, mailbox{
		url: address + "/INBOX", readOnly: true,
		deliver: func(raw string, _ ...string) {
			c := client()
			defer c.Close()
			add := c.Append("INBOX", int64(len(raw)), nil)
			_, err := add.Write([]byte(raw))
			require.NoError(t, err)
			require.NoError(t, add.Close())
			_, err = add.Wait()
			require.NoError(t, err)
		},
		unseen: func() bool {
			c := client()
			defer c.Close()
			status, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true, NumUnseen: true}).Wait()
			require.NoError(t, err)
			return *status.NumMessages == 3 && *status.NumUnseen == 3
		},
	})
	for what, url := range map[string]string{
		"log in to the mailbox":  "imap://ops%40plant.test:wrong@" + l.Addr().String(),
		"open the mailbox Other": address + "/Other",
		"cannot be reached":      "imap://ops:x@127.0.0.1:1",
	} {
		_, err := newClient(t, url).List(limit(t))
		require.ErrorContains(t, err, what)
		require.NotContains(t, err.Error(), "wrong")
		require.NotContains(t, err.Error(), "p@ss")
	}
}

package stack_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// An email may reach an IMAP mailbox long after the run that sent it has ended.
func TestJudge_WaitsForEmailsOfAnIMAPMailbox(t *testing.T) {
	t.Parallel()
	users, user := imapmemserver.New(), imapmemserver.NewUser("ops", "x")
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

	shop := ownShop(t, stack.Options{})
	st, err := stack.Start(t.Context(), attach.New(attach.Options{Endpoints: harness.Endpoints{
		Inngest: shop.Endpoints().Inngest, MailHog: "imap://ops:x@" + l.Addr().String(),
	}}), stack.Options{WithoutTaps: true, Services: []harness.Service{harness.ServiceInngest, harness.ServiceMailHog}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(t.Context()))) })
	ids, err := shop.Send(t.Context(), ordered("shop/ordered", "kim@shop.test"))
	require.NoError(t, err)
	judge := func(e harness.Expectation, timeout time.Duration) *harness.Verdict {
		v, err := st.Judge(t.Context(), ids[0], e, stack.JudgeOptions{Timeout: timeout})
		require.NoError(t, err)
		return v
	}

	runs := []harness.RunExpectation{ran("confirm")}
	require.NoError(t, judge(harness.Expectation{Runs: runs, NoOtherRuns: true}, time.Minute).Err())
	v := judge(harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test", Absent: true}}}, time.Second)
	require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
	require.Contains(t, v.Why, "an email may still be on its way to this mailbox")
	v = judge(harness.Expectation{Runs: runs, NoOtherMail: true}, time.Second)
	require.Equal(t, harness.CannotBeJudged, v.Outcome, "%s", v)
	toKim := harness.Expectation{Runs: runs, Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
	v = judge(toKim, time.Second)
	require.Equal(t, harness.Broken, v.Outcome, "%s", v)
	require.Contains(t, v.Why, "(within 1s)")

	// It comes while it is waited for.
	delivered := make(chan error, 1)
	timer := time.AfterFunc(500*time.Millisecond, func() {
		raw := "To: kim@shop.test\r\nSubject: thanks\r\n\r\nok\r\n"
		_, err := user.Append("INBOX", literal{strings.NewReader(raw), int64(len(raw))}, &imap.AppendOptions{})
		delivered <- err
	})
	defer timer.Stop()
	require.NoError(t, judge(toKim, time.Minute).Err())
	require.NoError(t, <-delivered)
	toKim.Mail[0].Copies = 1
	require.Equal(t, harness.CannotBeJudged, judge(toKim, time.Second).Outcome)
}

// literal is a text of a known size, as IMAP sends them.
type literal struct {
	*strings.Reader
	size int64
}

func (l literal) Size() int64 { return l.size }

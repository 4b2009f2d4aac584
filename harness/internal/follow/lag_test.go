package follow

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// listed is an inbox with these emails.
type listed []*harness.Message

func (l *listed) Find(_ context.Context, f inbox.Filter) (found []*harness.Message, err error) {
	for _, m := range *l {
		if f.Matches(m, harness.DefaultRunHeader) {
			found = append(found, m)
		}
	}
	return found, nil
}

func (*listed) Watch(context.Context, inbox.Filter) iter.Seq2[*harness.Message, error] { return nil }
func (*listed) ReadToEnd(context.Context) error                                        { return nil }

// The clock of a mail server may be behind: what comes since the first look is later than the event.
func TestMail_InLaggingInboxIsJudgedByItsArrival(t *testing.T) {
	t.Parallel()
	to := func(id string, at time.Time) *harness.Message {
		return &harness.Message{ID: id, Received: at, Envelope: harness.Envelope{To: []string{"kim@shop.test"}}}
	}
	box := &listed{to("earlier", noon.Add(-time.Second)), to("later", noon.Add(time.Second))}
	f := newForgetful(t)
	f.src.Inbox, f.src.MailLags, f.since, f.recipients = box, true, noon, []string{"kim@shop.test"}
	mail := func() (ids []string) {
		l := &look{Follower: f}
		_, err := l.readMail(t.Context())
		require.NoError(t, err)
		for _, m := range l.mail {
			ids = append(ids, m.ID)
		}
		return ids
	}
	require.Equal(t, []string{"later"}, mail())
	*box = append(*box, to("skewed", noon.Add(-10*time.Second)), to("old", noon.Add(-time.Hour)))
	require.Equal(t, []string{"skewed", "later"}, mail())
	f.src.MailLags = false
	require.Equal(t, []string{"later"}, mail(), "the mail server of the stack has the same clock")
}

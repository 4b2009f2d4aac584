package follow

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// under is a record of a delivery that has not ended.
func under(id uint64, began time.Time, run string, to ...string) tap.Exchange {
	return tap.Exchange{ID: id, Seq: id, Began: began,
		Mail: &harness.MailTransaction{To: to, RunID: run, Size: 10, Server: "mailhog.example ESMTP MailHog"}}
}

func TestPending_DeliveryUnderWay(t *testing.T) {
	t.Parallel()
	const waits = "the mail server has not answered yet whether it accepts an email to "
	for name, test := range map[string]struct {
		run, to string
		before  bool // the delivery began before the event
		shared  bool
		open    bool
	}{
		"of the run":                           {"01RUN", "any@shop.test", false, true, true},
		"to a recipient":                       {"", "Kim@shop.test", false, true, true},
		"of another run":                       {"02RUN", "kim@shop.test", false, false, false},
		"to another one":                       {"", "any@shop.test", false, true, false},
		"to another one on a stack of its own": {"", "any@shop.test", false, false, true},
		"begun before":                         {"", "kim@shop.test", true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForgetful(t)
			f.root, f.events, f.recipients, f.since, f.src.Shared = &harness.TraceEvent{}, []*tracedEvent{{}}, []string{"kim@shop.test"},
				noon, test.shared
			f.runs = []*tracedRun{{TraceRun: harness.TraceRun{ID: "01RUN"}, over: true}}
			l := &look{Follower: f}
			require.Empty(t, l.pending())
			began := noon.Add(time.Second)
			if test.before {
				began = noon.Add(-time.Second)
			}
			x := under(1, began, test.run, test.to)
			f.src.Ledger.add(x)
			if test.open {
				require.Equal(t, waits+test.to, l.pending())
			} else {
				require.Empty(t, l.pending())
			}
			x.Seq, x.Ended = 2, began.Add(time.Second)
			f.src.Ledger.add(x)
			require.Empty(t, l.pending(), "it has ended")
		})
	}
}

// away is an inbox that cannot be read, or that does not answer.
type away struct {
	Inbox
	paused bool
}

func (a away) ReadToEnd(ctx context.Context) error {
	if a.paused {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.New("it is away")
}

func TestLook_IsQuietWithoutInboxThatIsOptional(t *testing.T) {
	t.Parallel()
	for _, box := range []away{{}, {paused: true}} {
		f := newForgetful(t)
		f.src.Inbox, f.src.MailOptional = box, true
		f.root, f.events, f.registered, f.since = &harness.TraceEvent{}, []*tracedEvent{{}}, []inngestapi.Function{}, noon
		f.runs = []*tracedRun{{TraceRun: harness.TraceRun{ID: "01RUN"}, over: true}}
		accepted := under(1, noon.Add(time.Second), "01RUN", "kim@shop.test")
		accepted.Ended, accepted.Mail.Accepted = noon.Add(2*time.Second), true
		f.src.Ledger.add(accepted)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		trace, err := f.Look(ctx)
		require.NoError(t, err)
		require.NoError(t, ctx.Err(), "it does not take all the time")
		require.NotEmpty(t, trace.Deliveries)
		require.NotEmpty(t, trace.MailUnknown)
		require.True(t, trace.Quiet, trace.Unquiet)
	}
}

func TestLedger_DeliveriesUnderWayComeLast(t *testing.T) {
	t.Parallel()
	l := NewLedger(nil)
	t.Cleanup(l.Close)
	w := newWaiter()
	l.subscribe(keyRun("01RUN"), w)
	l.add(under(1, noon, "01RUN", "kim@shop.test"))
	<-w.news
	done := under(2, noon, "01RUN", "kim@shop.test")
	done.Ended = noon.Add(time.Second)
	l.add(done)
	found := l.deliveries(keyRun("01RUN"))
	require.Len(t, found, 2)
	require.False(t, found[0].Open)
	require.True(t, found[1].Open)
	require.Empty(t, l.deliveries(keyRecipient("kim@shop.test")), "they name their run")
}

func TestDeliveryNotes(t *testing.T) {
	t.Parallel()
	said := func(lines ...string) []harness.SMTPLine {
		var all []harness.SMTPLine
		for i := 0; i < len(lines); i += 2 {
			all = append(all, harness.SMTPLine{By: lines[i], Text: lines[i+1]})
		}
		return all
	}
	kim := []string{"kim@shop.test"}
	delivery := func(m harness.MailTransaction) harness.Delivery {
		return harness.Delivery{MailTransaction: m, Began: time.Now().Add(-time.Hour)}
	}
	large := delivery(harness.MailTransaction{To: kim, Size: 1 << 20, Server: "mailhog.example ESMTP MailHog"})
	large.Open = true
	small := delivery(harness.MailTransaction{To: kim, Size: 10, Server: "post ESMTP"})
	small.Open = true
	for name, test := range map[string]struct {
		d    harness.Delivery
		want string // "" for no note
	}{
		"nothing": {delivery(harness.MailTransaction{To: kim, Accepted: true,
			Dialogue: said("app", "DATA", "server", "354 go on", "server", "250 ok")}), ""},
		"small": {small, `^the mail server \(post ESMTP\) has taken 10 bytes of an email to kim@shop.test, and has not ` +
			`accepted it for 1h0m\d+s$`},
		"large": {large, `^the mail server \(mailhog.example ESMTP MailHog\) has taken 1048576 bytes .*; MailHog's time ` +
			`grows with the square of the size: .*--mail mailpit`},
		"refused": {delivery(harness.MailTransaction{To: kim, Accepted: true,
			Dialogue: said("app", "RCPT TO:<x>", "server", "550 no such user")}),
			`^in the delivery to kim@shop.test the app sent RCPT TO:<x>, and the mail server answered "550 no such user"$`},
		"not accepted": {delivery(harness.MailTransaction{To: kim, Dialogue: said("app", "DATA", "server", "451 later")}), ""},
		"by a fault": {delivery(harness.MailTransaction{To: kim, Accepted: true,
			Dialogue: said("app", "NOOP", "tap", "451 later")}), ""},
		"after": {delivery(harness.MailTransaction{After: kim,
			Dialogue: said("app", "(8 bytes that are no command)", "server", "500 Unrecognised command")}),
			`^after the email to kim@shop.test the app sent \(8 bytes that are no command\), and the mail server answered "500 ` +
				`Unrecognised command": a line with only a dot ends a message`},
		"another command after": {delivery(harness.MailTransaction{After: kim,
			Dialogue: said("app", "mail FROM:<b@shop.test>", "server", "552 mailbox full")}),
			`^in the delivery to kim@shop.test the app sent mail FROM:<b@shop.test>, and the mail server answered "552 mailbox full"$`},
		"LF": {delivery(harness.MailTransaction{To: kim, BareLF: 2, Accepted: true}),
			`^2 lines of the email to kim@shop.test end in LF alone`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notes := deliveryNotes([]harness.Delivery{test.d, test.d})
			if test.want == "" {
				require.Empty(t, notes)
				return
			}
			require.Len(t, notes, 1, "the same note once")
			require.Regexp(t, test.want, notes[0])
		})
	}
	var many []harness.Delivery
	for i := range 15 {
		many = append(many, delivery(harness.MailTransaction{To: kim, BareLF: i + 1}))
	}
	notes := deliveryNotes(many)
	require.Len(t, notes, 11)
	require.Equal(t, "5 more like these", notes[10])
}

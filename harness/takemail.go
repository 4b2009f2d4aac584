package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// othersShown is how many of the emails that belong to something else a trace names.
const othersShown = 5

// takeMail returns the event's emails, and those that came since and belong to something else. unshown says that it
// cannot be told yet whose an email is.
func (t *tracer) takeMail(ctx context.Context) (mail []TraceMail, others []*inbox.Message, unshown string, err error) {
	mine := map[string]bool{}
	for _, r := range t.runs {
		found, err := t.s.inbox.Find(ctx, inbox.Filter{RunID: r.ID})
		if err != nil {
			return nil, nil, "", err
		}
		for _, m := range found {
			mail, mine[m.ID] = append(mail, TraceMail{Message: m, RunID: r.ID}), true
		}
	}
	owners := owners{tracer: t}
	for _, to := range t.recipients {
		found, err := t.s.inbox.Find(ctx, inbox.Filter{To: to})
		if err != nil {
			return nil, nil, "", err
		}
		for _, m := range found {
			if mine[m.ID] || m.Received.Before(t.since) {
				continue
			}
			mine[m.ID] = true
			if run := t.runHeader(m); owners.hasNone(ctx, run, m.Received) {
				mail = append(mail, TraceMail{Message: m, Inferred: true, WrongRun: run})
			} else {
				others = append(others, m)
			}
		}
	}
	slices.SortStableFunc(mail, func(a, b TraceMail) int { return a.Received.Compare(b.Received) })
	t.strays = 0
	if t.s.options.Shared && t.s.wires.taps != nil {
		// The neighbours' emails are none of this event's business, as far as they can be told from its own.
		for _, m := range t.s.ledger.mailDuring(t.runIDs(), t.recipients) {
			if owners.hasNone(ctx, m.run, m.began) {
				t.strays++
			}
		}
		return mail, others, owners.unshown, owners.err
	}
	rest, err := t.s.inbox.Find(ctx, inbox.Filter{Match: func(m *inbox.Message) bool { return !mine[m.ID] && !m.Received.Before(t.since) }})
	for _, m := range rest {
		if owners.hasNone(ctx, t.runHeader(m), m.Received) {
			t.strays++
		}
	}
	return mail, others, owners.unshown, errors.Join(err, owners.err)
}

// runHeader is the run that an email names, "" for none.
func (t *tracer) runHeader(m *inbox.Message) string { return m.Header(t.s.options.RunHeader) }

// owners finds out whose emails are, as far as their headers tell.
type owners struct {
	*tracer
	unshown string // why there is an email of which it cannot be told yet
	err     error  // the first; nothing is asked after it
}

// hasNone says whether an email that names a run, and was sent at that time, is nobody's: it names none, or one that
// does not exist. The server is asked about no run twice, and about none that a tap saw it call.
func (o *owners) hasNone(ctx context.Context, run string, sent time.Time) bool {
	if run == "" || o.err != nil {
		return run == ""
	}
	if there, ok := o.named[run]; ok {
		return !there
	}
	there := o.s.ledger.look(keyRun(run)).called
	if _, err := ulid.ParseStrict(run); err == nil && !there {
		_, err := o.s.api.Run(ctx, run)
		switch there = err == nil; {
		case there:
		case !errors.Is(err, inngestapi.ErrNotFound):
			o.err = err
			return false
		case time.Since(sent) < inngestapi.VisibleWithin:
			o.unshown = fmt.Sprintf("the server does not show the run %s yet, which an email names", run)
			return false
		}
	}
	o.named[run] = there
	return !there
}

// deliveriesNotIn lists the Message-IDs that the mail server accepted from this trace's runs and that its emails lack.
func (t *tracer) deliveriesNotIn(trace *Trace) []string {
	var missing []string
	for _, d := range trace.Deliveries {
		if d.Accepted && d.Run != "" && !slices.ContainsFunc(trace.Mail, func(m TraceMail) bool { return m.MessageID == d.MessageID }) {
			missing = append(missing, d.MessageID)
		}
	}
	return missing
}

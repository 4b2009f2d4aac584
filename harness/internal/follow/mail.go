package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// readMail sorts the emails that arrived since the event. unshown says why an email cannot be attributed yet.
func (l *look) readMail(ctx context.Context) (unshown string, err error) {
	if l.src.Inbox == nil {
		return "", nil
	}
	if err := l.noteEarlier(ctx); err != nil {
		return "", err
	}
	mine := map[string]bool{}
	for _, r := range l.runs {
		found, err := l.src.Inbox.Find(ctx, inbox.Filter{RunID: r.ID})
		if err != nil {
			return "", err
		}
		for _, m := range found {
			l.mail, mine[m.ID] = append(l.mail, harness.TraceMail{Message: m, RunID: r.ID}), true
		}
	}
	runs := headerRuns{Follower: l.Follower}
	for _, to := range l.recipients {
		found, err := l.src.Inbox.Find(ctx, inbox.Filter{To: to})
		if err != nil {
			return "", err
		}
		for _, m := range found {
			if mine[m.ID] || l.before(m) {
				continue
			}
			mine[m.ID] = true
			if run := m.Header(l.src.RunHeader); runs.unattributed(ctx, run, m.Received) {
				l.mail = append(l.mail, harness.TraceMail{Message: m, Inferred: true, WrongRun: run})
			} else {
				l.otherMail = append(l.otherMail, m)
			}
		}
	}
	slices.SortStableFunc(l.mail, func(a, b harness.TraceMail) int { return a.Received.Compare(b.Received) })
	if l.src.Shared && l.src.Taps != nil && !l.src.Connected {
		// Emails of tests that run at the same time do not count, as far as they can be told apart.
		for _, m := range l.src.Ledger.mailDuring(l.runIDs(), l.recipients) {
			if runs.unattributed(ctx, m.run, m.began) {
				l.unattributedMail++
			}
		}
		return runs.unshown, runs.err
	}
	rest, err := l.src.Inbox.Find(ctx, inbox.Filter{Match: func(m *harness.Message) bool {
		return !mine[m.ID] && !l.before(m)
	}})
	for _, m := range rest {
		if runs.unattributed(ctx, m.Header(l.src.RunHeader), m.Received) {
			l.unattributedMail++
		}
	}
	return runs.unshown, errors.Join(err, runs.err)
}

// mailSkew is how much the clock of a lagging inbox may be behind the server's.
const mailSkew = time.Minute

// noteEarlier notes, once, which emails were in a lagging inbox before the event, by its own clock.
func (l *look) noteEarlier(ctx context.Context) error {
	if !l.src.MailLags || l.earlier != nil {
		return nil
	}
	found, err := l.src.Inbox.Find(ctx, inbox.Filter{Match: func(m *harness.Message) bool { return m.Received.Before(l.since) }})
	if err != nil {
		return err
	}
	l.earlier = map[string]bool{}
	for _, m := range found {
		l.earlier[m.ID] = true
	}
	return nil
}

// before reports whether an email arrived before the event. One that came to a lagging inbox since the first look did not, even
// if the inbox's clock is a little behind.
func (l *look) before(m *harness.Message) bool {
	if l.src.MailLags {
		return l.earlier[m.ID] || m.Received.Before(l.since.Add(-mailSkew))
	}
	return m.Received.Before(l.since)
}

// headerRuns finds out whether the runs that emails name exist.
type headerRuns struct {
	*Follower
	unshown string // why one run may yet turn out to exist
	err     error  // the first error; nothing is asked after it
}

// unattributed reports whether an email that was sent at that time names no run, or one that does not exist. It asks the
// server once for each run, and never for one that a tap saw being called.
func (h *headerRuns) unattributed(ctx context.Context, run string, sent time.Time) bool {
	if run == "" || h.err != nil {
		return run == ""
	}
	if exists, ok := h.exist[run]; ok {
		return !exists
	}
	exists := h.src.Ledger.get(keyRun(run)).called
	if _, err := ulid.ParseStrict(run); err == nil && !exists {
		_, err := h.src.API.Run(ctx, run)
		switch exists = err == nil; {
		case exists:
		case !errors.Is(err, inngestapi.ErrNotFound):
			h.err = err
			return false
		case h.src.now().Sub(sent) < h.src.VisibleWithin:
			h.unshown = fmt.Sprintf("an email names the run %s, which the server does not show yet", run)
			return false
		}
	}
	h.exist[run] = exists
	return !exists
}

// acceptedOutsideInbox reports whether the mail server has accepted an email of the trace's runs that the trace lacks.
func acceptedOutsideInbox(t *harness.Trace) bool {
	return slices.ContainsFunc(t.Deliveries, func(d harness.Delivery) bool {
		shown := func(m harness.TraceMail) bool { return m.MessageID == d.MessageID }
		return d.Accepted && !d.Forgotten && d.RunID != "" && !slices.ContainsFunc(t.Mail, shown)
	})
}

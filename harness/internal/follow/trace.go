package follow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// cutPatience is how long the app may be at work on a call after the server has hung up on it.
const cutPatience = 5 * time.Second

// unquiet says what may still happen; "" when nothing can but the delivery of emails.
func (f *Follower) unquiet() string {
	if f.noList != "" {
		return "which functions the event starts cannot be known: " + f.noList
	}
	if len(f.events[0].subscribed) == 0 && len(f.runs) == 0 {
		// A misspelt name and an app that is not synced look the same as an event without subscribers.
		return fmt.Sprintf("the server knows no function that is subscribed to %s, so nothing has picked it up", f.root.Name)
	}
	for _, e := range f.events {
		if fn, waiting := f.unstarted(e); waiting && !f.src.idle() {
			return fmt.Sprintf("%s is subscribed%s, and has not started", fn.ID, prefixed(", ", fn.Pending))
		}
	}
	for _, r := range f.runs {
		if !r.over {
			why := r.waits
			if calls := f.src.Ledger.callsOf(r.ID); why == "" && calls.open == 0 {
				why = calls.failed
			}
			return fmt.Sprintf("the run %s of %s is %s%s%s", r.ID, r.Function, r.Status, f.currentStep(r), prefixed(": ", why))
		}
		if r.StepsUnknown != "" {
			return fmt.Sprintf("which events the run %s of %s has sent cannot be known: %s", r.ID, r.Function, r.StepsUnknown)
		}
		if f.src.Connected && r.Status == harness.StatusCancelled {
			return fmt.Sprintf("the run %s of %s is %s, and the app may still be at work on a call of it: calls over the app's own "+
				"connection are not recorded", r.ID, r.Function, r.Status)
		}
		switch calls := f.src.Ledger.callsOf(r.ID); {
		case calls.open > 0:
			return fmt.Sprintf("the run %s of %s is %s, but the app is still being called for it", r.ID, r.Function, r.Status)
		case !calls.abandoned.IsZero() && !calls.last.After(calls.abandoned):
			return fmt.Sprintf("the run %s of %s is %s, but the server hung up on the last call of it: what the app did about it after "+
				"that cannot be known", r.ID, r.Function, r.Status)
		case time.Since(calls.abandoned) < cutPatience:
			return fmt.Sprintf("the run %s of %s is %s, but the server hung up on a call of it, at which the app may still be at work",
				r.ID, r.Function, r.Status)
		}
		if r.awaited != "" && !f.src.idle() {
			return fmt.Sprintf("the server does not show %s yet, which the run %s caused", r.awaited, r.ID)
		}
	}
	return ""
}

// pending says what may still happen, deliveries included; "" when nothing can but the arrival of accepted emails.
func (l *look) pending() string {
	underWay := l.underWay()
	l.Delivering = underWay != ""
	return cmp.Or(l.unquiet(), underWay)
}

// underWay says which email the mail server has begun to receive and not yet accepted; "" where there is none.
func (l *look) underWay() string {
	runs, since := l.runIDs(), l.tapSince()
	for _, d := range l.src.Ledger.openDeliveries() {
		// The mail server may accept it even after the app has given up.
		known := slices.ContainsFunc(d.To, func(to string) bool { return address.In(to, l.recipients) })
		unnamed := d.RunID == "" && !d.Began.Before(since) && (known || !l.src.Shared)
		if len(d.To) > 0 && !d.Accepted && (runs[d.RunID] || unnamed) {
			return fmt.Sprintf("the mail server has not answered yet whether it accepts an email to %s", strings.Join(d.To, ", "))
		}
	}
	return ""
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// currentStep describes the step at which a run is, or why it has not begun.
func (f *Follower) currentStep(r *tracedRun) string {
	if due := f.event(r.EventID).At; r.Status == harness.StatusQueued && due.After(f.src.now()) {
		return fmt.Sprintf(" until %s, the time (ts) of its event", clock(due, f.src.now()))
	}
	for _, s := range slices.Backward(r.Steps) {
		if !s.Status.Final() {
			return fmt.Sprintf(", in step %s (%s)", s.ID, s.Op)
		}
	}
	return ""
}

// maxOtherMail bounds the emails of other runs that a trace names.
const maxOtherMail = 5

// trace returns what is known.
func (l *look) trace(unquiet string) *harness.Trace {
	if l.root != nil && len(l.runs) == 0 {
		l.root.DuplicateOf = l.events[0].duplicateOf
	}
	trace := &harness.Trace{
		EventID: l.eventID, Event: l.root, Functions: l.events[0].subscribed, Mail: l.mail, Taken: l.src.now(),
		FunctionsUnknown: l.noList,
		Quiet:            unquiet == "", Unquiet: unquiet, OtherMailCount: len(l.otherMail), UnattributedMail: l.unattributedMail,
		UnattributedEvents:    l.outside.unattributed,
		UnattributedFunctions: l.outside.functions,
	}
	if trace.MailUnknown = l.mailUnknown; l.src.Inbox == nil {
		trace.MailUnknown = l.src.NoInbox
	}
	for _, m := range l.otherMail[max(0, len(l.otherMail)-maxOtherMail):] {
		trace.OtherMail = append(trace.OtherMail, harness.MailSummary{To: m.Envelope.To, Subject: m.Subject, Received: m.Received})
	}
	for _, r := range l.runs {
		trace.Runs = append(trace.Runs, r.TraceRun)
		trace.Deliveries = append(trace.Deliveries, l.src.Ledger.deliveries(keyRun(r.ID))...)
	}
	since := l.tapSince()
	for _, to := range l.recipients {
		for _, d := range l.src.Ledger.deliveries(keyRecipient(to)) {
			if !d.Began.Before(since) {
				trace.Deliveries = append(trace.Deliveries, d)
			}
		}
	}
	slices.SortStableFunc(trace.Deliveries, func(a, b harness.Delivery) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(trace.Runs, func(a, b harness.TraceRun) int {
		return cmp.Or(a.Queued.Compare(b.Queued), cmp.Compare(a.ID, b.ID))
	})
	trace.Evidence = l.evidence(trace)
	if l.src.AppLog != nil {
		trace.Log = l.src.AppLog(l.since)
	}
	if l.src.SyncError != nil {
		if err := l.src.SyncError(); err != nil {
			trace.SyncError = err.Error()
		}
	}
	return trace
}

// evidence says how it is known that nothing more can happen, or what may happen.
func (l *look) evidence(trace *harness.Trace) []string {
	notes := deliveryNotes(trace.Deliveries)
	if trace.Unquiet != "" {
		return append([]string{trace.Unquiet}, notes...)
	}
	var lines, ended []string
	runs := []string{}
	for _, r := range trace.Runs {
		ended, runs = append(ended, r.Function+" "+string(r.Status)), append(runs, r.ID)
	}
	if l.src.idle() {
		lines = append(lines, "the server has nothing left to do")
	}
	if len(runs) == 0 {
		lines = append(lines, "the event started no run")
	} else {
		lines = append(lines, fmt.Sprintf("%s ended, those of events they sent included: %s",
			text.Count(len(runs), "run has", "runs have"), text.List(ended, maxListed)))
	}
	for _, fn := range trace.Functions {
		if fn.NotStarted != "" {
			lines = append(lines, fn.ID+" was not started: "+fn.NotStarted)
		}
	}
	for _, r := range trace.Runs {
		for _, d := range r.Decisions {
			lines = append(lines, r.Function+" "+d)
		}
	}
	switch {
	case len(runs) == 0 || l.src.Taps == nil:
	case l.src.Connected:
		lines = append(lines, "the app is called over its own connection, and its calls are not recorded: that none is open is the server's account")
	default:
		calls := l.src.Ledger.callsOf(runs...)
		line := "the app was never called for them"
		if calls.count > 0 {
			line = fmt.Sprintf("no call of these runs is open: the app was called %s, and the last call ended at %s",
				text.Count(calls.count, "time", "times"), calls.last.Local().Format("15:04:05.000"))
		}
		lines = append(lines, line)
		if !calls.abandoned.IsZero() {
			lines = append(lines, fmt.Sprintf("the server hung up on a call at %s: what the app did about it after that cannot be known",
				calls.abandoned.Local().Format("15:04:05.000")))
		}
	}
	if trace.MailUnknown == "" {
		lines = append(lines, "the inbox was read to its end after that")
	}
	return slices.Concat(lines, l.outsideEvidence(), notes)
}

// maxListed bounds the runs that the evidence lists.
const maxListed = 6

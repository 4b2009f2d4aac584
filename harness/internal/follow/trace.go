package follow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// unquiet says what may still happen; "" when nothing can but the arrival of emails.
func (f *Follower) unquiet() string {
	if f.event.DuplicateOf != "" && len(f.runs) == 0 {
		return ""
	}
	if len(f.events[0].subscribed) == 0 && len(f.runs) == 0 {
		// A misspelt name and an app that is not synced look the same as an event without subscribers.
		return fmt.Sprintf("the server knows no function that is subscribed to %s, so nothing has picked it up", f.event.Name)
	}
	for _, e := range f.events {
		switch fn, waiting := f.unstarted(e); {
		case !waiting || f.src.idle():
		case fn.Conditional:
			return fmt.Sprintf("%s is subscribed on a condition or in batches, and the server does not tell whether it will start", fn.ID)
		default:
			return fmt.Sprintf("%s is subscribed and has not started", fn.ID)
		}
	}
	for _, r := range f.runs {
		if !r.over {
			why := fmt.Sprintf("the run %s of %s is %s%s", r.ID, r.Function, r.Status, r.currentStep())
			if f.src.Stuck != nil {
				why = strings.TrimSuffix(why+": "+f.src.Stuck(r.ID), ": ")
			}
			return why
		}
		if f.src.Ledger.calling(r.ID) {
			return fmt.Sprintf("the run %s of %s is %s, but the app is still being called for it", r.ID, r.Function, r.Status)
		}
		if r.awaited != "" && !f.src.idle() {
			return fmt.Sprintf("the server does not show %s yet, which the run %s caused", r.awaited, r.ID)
		}
	}
	return ""
}

// currentStep describes the step at which a run is.
func (r *tracedRun) currentStep() string {
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
	trace := &harness.Trace{
		EventID: l.eventID, Event: l.event, Functions: l.events[0].subscribed, Mail: l.mail, Taken: l.src.now(),
		Quiet: unquiet == "", Unquiet: unquiet, OtherMailCount: len(l.otherMail), UnattributedMail: l.unattributedMail, UnattributedEvents: l.outside.unattributed,
	}
	for _, m := range l.otherMail[max(0, len(l.otherMail)-maxOtherMail):] {
		trace.OtherMail = append(trace.OtherMail, harness.MailSummary{To: m.Envelope.To, Subject: m.Subject, Received: m.Received})
	}
	for _, r := range l.runs {
		trace.Runs = append(trace.Runs, r.TraceRun)
		trace.Deliveries = append(trace.Deliveries, l.src.Ledger.get(keyRun(r.ID)).deliveries...)
	}
	since := l.tapSince()
	for _, to := range l.recipients {
		for _, d := range l.src.Ledger.get(keyRecipient(to)).deliveries {
			if !d.Began.Before(since) {
				trace.Deliveries = append(trace.Deliveries, d)
			}
		}
	}
	slices.SortStableFunc(trace.Deliveries, func(a, b harness.Delivery) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(trace.Runs, func(a, b harness.TraceRun) int { return cmp.Or(a.Queued.Compare(b.Queued), cmp.Compare(a.ID, b.ID)) })
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
	if trace.Unquiet != "" {
		return []string{trace.Unquiet}
	}
	var lines []string
	switch {
	case trace.Event.DuplicateOf != "" && len(trace.Runs) == 0:
		lines = append(lines, "the server starts no run for an event whose id it has seen before")
	case l.src.idle():
		lines = append(lines, fmt.Sprintf("the server has nothing left to do: %s ended, those of events they sent included",
			text.Count(len(trace.Runs), "run has", "runs have")))
	default:
		lines = append(lines, fmt.Sprintf("the event was picked up by %s, and %s ended, those of events they sent included",
			text.Count(len(l.events[0].subscribed), "subscribed function", "subscribed functions"),
			text.Count(len(trace.Runs), "run has", "runs have")))
	}
	if l.src.Taps != nil {
		lines = append(lines, "no call of these runs is open")
	}
	lines = append(lines, "the inbox was read to its end after that")
	return append(lines, l.outsideEvidence()...)
}

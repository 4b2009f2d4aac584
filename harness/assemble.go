package harness

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// unquiet says why something may still happen, or "" when nothing can but what the inbox has yet to show.
func (t *tracer) unquiet() string {
	if t.event.DuplicateOf != "" && len(t.runs) == 0 {
		return ""
	}
	if len(t.events[0].listeners) == 0 && len(t.runs) == 0 {
		// A name that is misspelt and an app that is not synced look just like an event that nobody cares about.
		return fmt.Sprintf("the server knows no function that listens for %s, so that nothing has picked it up", t.event.Name)
	}
	for _, e := range t.events {
		switch f, waiting := t.unstarted(e); {
		case !waiting:
		case f.Conditional:
			return fmt.Sprintf("%s listens on a condition or in batches, and nothing tells whether it will start", f.ID)
		default:
			return fmt.Sprintf("%s listens and has not started", f.ID)
		}
	}
	for _, r := range t.runs {
		if !r.over {
			return fmt.Sprintf("the run %s of %s is %s%s", r.ID, r.Function, r.Status, r.doing())
		}
		if r.awaited != "" {
			return fmt.Sprintf("the server does not show %s yet, which there is because of the run %s", r.awaited, r.ID)
		}
	}
	return ""
}

// doing says what a run that is not over is at.
func (r *tracedRun) doing() string {
	for _, s := range slices.Backward(r.Steps) {
		if !terminal(s.Status) {
			return fmt.Sprintf(", in step %s (%s)", s.ID, s.Op)
		}
	}
	return ""
}

// trace puts together what is known.
func (t *tracer) trace(mail []TraceMail, others []*inbox.Message, unquiet string) *Trace {
	trace := &Trace{
		EventID: t.eventID, Event: t.event, Functions: t.events[0].listeners, Mail: mail, Taken: time.Now(),
		Quiet: unquiet == "", Unquiet: unquiet, OtherMailCount: len(others), StrayMail: t.strays, Suspects: t.suspects,
	}
	for _, m := range others[max(0, len(others)-othersShown):] {
		trace.OtherMail = append(trace.OtherMail, MailSummary{To: m.Envelope.To, Subject: m.Subject, Received: m.Received})
	}
	for _, r := range t.runs {
		trace.Runs = append(trace.Runs, r.TraceRun)
		trace.Deliveries = append(trace.Deliveries, t.s.ledger.look(keyRun(r.ID)).deliveries...)
	}
	for _, to := range t.recipients {
		for _, d := range t.s.ledger.look(keyRecipient(to)).deliveries {
			if !d.Began.Before(t.since) {
				trace.Deliveries = append(trace.Deliveries, d)
			}
		}
	}
	slices.SortStableFunc(trace.Deliveries, func(a, b Delivery) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(trace.Runs, func(a, b TraceRun) int { return cmp.Or(a.Queued.Compare(b.Queued), cmp.Compare(a.ID, b.ID)) })
	trace.Evidence = t.evidence(trace)
	trace.Log = t.s.appLog(t.since)
	if err := t.s.SyncError(); err != nil {
		trace.SyncError = err.Error()
	}
	return trace
}

// evidence says how it is known that nothing more can happen, or why it is not.
func (t *tracer) evidence(trace *Trace) []string {
	if trace.Unquiet != "" {
		return []string{trace.Unquiet}
	}
	var lines []string
	switch {
	case trace.Event.DuplicateOf != "" && len(trace.Runs) == 0:
		lines = append(lines, "the server starts nothing for an event whose id it has seen")
	default:
		lines = append(lines, fmt.Sprintf("the event was picked up by %s, and %s ended, those of events they sent included",
			count(len(t.events[0].listeners), "function that listens for it", "functions that listen for it"),
			count(len(trace.Runs), "run has", "runs have")))
	}
	lines = append(lines, "the inbox was read to its end after that")
	return append(lines, t.sendingEvidence()...)
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

package follow

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// decided returns what flow control did to an event and its runs, where the server tells.
func (l *look) decided(ctx context.Context, eventID string) ([]inngestapi.Decision, error) {
	if known, ok := l.decisions[eventID]; ok {
		return known, nil
	}
	all, err := l.src.API.Decisions(ctx, eventID)
	if l.decisions == nil {
		l.decisions = map[string][]inngestapi.Decision{}
	}
	l.decisions[eventID] = all
	return all, err
}

// readDecisions reads what flow control did to a run.
func (l *look) readDecisions(ctx context.Context, r *tracedRun) error {
	all, err := l.decided(ctx, r.EventID)
	r.Decisions, r.waits = nil, ""
	for _, d := range all {
		if d.Run != r.ID {
			continue
		}
		r.Decisions = append(r.Decisions, d.Text)
		if d.Pending {
			r.waits = d.Text
		}
	}
	return err
}

// readDecision reads why an event has not started a function. It reports whether the server tells.
func (l *look) readDecision(ctx context.Context, e *tracedEvent, t *harness.TraceFunction) (known bool, err error) {
	all, err := l.decided(ctx, e.EventID)
	for _, d := range all {
		switch {
		case !d.Of(t.App, t.ID):
			continue
		case d.Pending:
			t.Pending = d.Text
		case d.Run != "": // which is found at the next look
		case d.DuplicateOf != "":
			e.duplicateOf = d.DuplicateOf
			t.NotStarted = usedBefore(e.IdempotencyKey, d.DuplicateOf)
		default:
			t.NotStarted = d.Text
		}
		return true, nil
	}
	return false, err
}

package simstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// Trace returns what is known, now, of what followed from an event. recipients are addresses whose emails belong to it if
// they name no run. Times are virtual, those of deliveries excepted.
func (w *Workbench) Trace(ctx context.Context, eventID string, recipients ...string) (*harness.Trace, error) {
	t := &harness.Trace{EventID: eventID, Runs: []harness.TraceRun{}, Taken: w.sim.Now(), Quiet: true}
	event, err := w.api.Event(ctx, eventID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		t.Quiet, t.Unquiet = false, "sim does not know the event, or no longer"
		t.Evidence = []string{t.Unquiet}
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	t.Event = &harness.TraceEvent{Name: event.Name, ID: event.OwnID, Data: event.Data, Received: event.Received}
	if err := w.traceRuns(ctx, t); err != nil {
		return nil, err
	}
	if t.Functions, err = w.listeners(ctx, event.Name); err != nil {
		return nil, err
	}
	w.traceMail(t, recipients)
	w.traceDeliveries(t)
	t.Evidence = []string{"sim has nothing left to do for the event's runs"}
	for _, r := range t.Runs {
		if found, ok := w.sim.Find(r.ID); ok && !found.Status.Over() {
			t.Quiet, t.Unquiet = false, strings.TrimSuffix(fmt.Sprintf("the run %s of %s is %s: %s", r.ID, r.Function, r.Status, found.Stuck), ": ")
			t.Evidence = []string{t.Unquiet}
		}
	}
	return t, nil
}

// traceRuns finds the event's runs, and those of the events that there are because of them.
func (w *Workbench) traceRuns(ctx context.Context, t *harness.Trace) error {
	all := w.sim.Events()
	mine := []string{t.EventID}
	for i := 0; i < len(mine); i++ { // events are added on the way
		runs, err := w.api.EventRuns(ctx, mine[i])
		if err != nil {
			return err
		}
		for _, r := range runs {
			trace, err := w.api.Trace(ctx, r.ID)
			if err != nil {
				return err
			}
			run := harness.NewTraceRun(mine[i], r, trace)
			t.Runs = append(t.Runs, run)
			for _, e := range all {
				if causedBy(e, run) && !slices.Contains(mine, e.InternalID) {
					mine = append(mine, e.InternalID)
				}
			}
		}
	}
	for _, e := range all {
		if len(t.Runs) == 0 && e.ID == t.Event.ID && e.InternalID != t.EventID && len(w.sim.RunsOf(e.InternalID)) > 0 {
			t.Event.DuplicateOf = e.InternalID
		}
	}
	return nil
}

// causedBy says whether there is an event because of a run: a step sent it, or the server made it.
func causedBy(e sim.SentEvent, r harness.TraceRun) bool {
	for _, s := range r.Steps {
		if bytes.Contains(s.Output, []byte(`"`+e.InternalID+`"`)) {
			return true
		}
	}
	switch e.Name {
	case sim.EventFunctionInvoked:
		meta, _ := e.Data["_inngest"].(map[string]any)
		correlation, _ := meta["correlation_id"].(string)
		return strings.HasPrefix(correlation, r.ID+".")
	case sim.EventFunctionFinished, sim.EventFunctionFailed, sim.EventFunctionCancelled:
		return e.Data["run_id"] == r.ID
	}
	return false
}

func (w *Workbench) listeners(ctx context.Context, event string) ([]harness.TraceFunction, error) {
	known, err := w.api.Functions(ctx)
	if err != nil {
		return nil, err
	}
	found := []harness.TraceFunction{}
	for _, f := range known {
		for _, trigger := range f.Triggers {
			if trigger.Event == event {
				found = append(found, harness.TraceFunction{ID: f.ID, App: f.App, Conditional: trigger.Expression != ""})
			}
		}
	}
	return found, nil
}

// traceMail sorts the emails that have come by whether they belong to the trace.
func (w *Workbench) traceMail(t *harness.Trace, recipients []string) {
	for _, m := range w.mail.all() {
		if m.Received.Before(t.Event.Received) {
			continue
		}
		run := m.Header(w.o.RunHeader)
		toMine := slices.ContainsFunc(m.Envelope.To, func(to string) bool {
			return slices.ContainsFunc(recipients, func(r string) bool { return strings.EqualFold(r, to) })
		})
		_, there := w.sim.Find(run)
		switch {
		case slices.ContainsFunc(t.Runs, func(r harness.TraceRun) bool { return r.ID == run }):
			t.Mail = append(t.Mail, harness.TraceMail{Message: m, RunID: run})
		case !there && toMine:
			t.Mail = append(t.Mail, harness.TraceMail{Message: m, Inferred: true, WrongRun: run})
		case !there:
			t.StrayMail++
		case toMine:
			t.OtherMailCount++
			t.OtherMail = append(t.OtherMail, harness.MailSummary{To: m.Envelope.To, Subject: m.Subject, Received: m.Received})
		}
	}
}

func (w *Workbench) traceDeliveries(t *harness.Trace) {
	for _, c := range w.taps.Crossings() {
		if c.Mail != nil && slices.ContainsFunc(t.Runs, func(r harness.TraceRun) bool { return r.ID == c.Mail.Run }) {
			t.Deliveries = append(t.Deliveries, harness.Delivery{Mail: *c.Mail, Began: c.Began, Faults: c.Faults, Err: c.Err})
		}
	}
}

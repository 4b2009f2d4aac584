package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// lane is one line of an event's timeline: a hop, from when to when.
type lane struct {
	Label  string
	Detail string
	Kind   string // event, run, step, smtp, mail
	State  string
	Depth  int
	// After is when it began, from the event on; Took how long it lasted. Open says that it has not ended.
	After, Took time.Duration
	Open        bool
	Bars        []bar
}

// bar is a piece of a lane, in thousandths of the timeline's width.
type bar struct {
	X, Width int
	State    string
}

// lanesOf lays out what a trace tells, in the order in which a person follows it: a run, its steps, its emails.
func lanesOf(tr *harness.Trace) ([]lane, time.Duration) {
	start := tr.Event.Received
	span := spanOf(tr).Sub(start)
	span = max(span, time.Millisecond)
	place := func(from, to time.Time, state string) bar {
		x := max(0, min(1000, int(1000*from.Sub(start)/span)))
		end := max(x, min(1000, int(1000*to.Sub(start)/span)))
		const visible = 4
		b := bar{X: min(x, 1000-visible), State: state}
		b.Width = max(visible, end-b.X)
		return b
	}
	hop := func(kind, label, state string, depth int, from, to time.Time) lane {
		l := lane{Kind: kind, Label: label, State: state, Depth: depth, After: max(0, from.Sub(start))}
		if from.IsZero() {
			l.Open, l.After = true, 0
			return l
		}
		if l.Open = to.IsZero(); l.Open {
			to = tr.Taken
		}
		l.Took = max(0, to.Sub(from))
		l.Bars = []bar{place(from, to, state)}
		return l
	}

	lanes := []lane{hop("event", "Event received", stateCompleted, 0, start, start)}
	for i := range tr.Runs {
		r := &tr.Runs[i]
		run := hop("run", r.Function, word(r.Status), 0, earliest(r.Queued, r.Started), r.Ended)
		run.Detail = r.App
		lanes = append(lanes, run)
		for _, s := range r.Steps {
			l := hop("step", s.ID, word(s.Status), 1, s.Started, s.Ended)
			if len(s.Attempts) > 1 {
				l.Bars = nil
				for _, a := range s.Attempts {
					end := a.Ended
					if end.IsZero() {
						end = tr.Taken
					}
					l.Bars = append(l.Bars, place(a.Started, end, word(a.Status)))
				}
			}
			lanes = append(lanes, l)
		}
		for _, d := range tr.Deliveries {
			if d.RunID == r.ID {
				lanes = append(lanes, hop("smtp", "SMTP to "+cmp.Or(strings.Join(d.To, ", "), "nobody"), deliveryState(d), 1, d.Began, cmp.Or(d.AcceptedAt, d.Began)))
			}
		}
		for _, m := range tr.Mail {
			if m.RunID == r.ID {
				lanes = append(lanes, hop("mail", "In the inbox of "+strings.Join(m.Envelope.To, ", "), stateCompleted, 1, m.Received, m.Received))
			}
		}
	}
	return lanes, span
}

func deliveryState(d harness.Delivery) string {
	if d.Accepted {
		return stateCompleted
	}
	return stateFailed
}

// spanOf is the last moment that a trace tells of: now, where something goes on.
func spanOf(tr *harness.Trace) time.Time {
	last := tr.Event.Received
	for _, r := range tr.Runs {
		if r.Ended.IsZero() {
			return tr.Taken
		}
		last = latest(last, r.Ended)
		for _, s := range r.Steps {
			last = latest(last, s.Ended)
		}
	}
	for _, d := range tr.Deliveries {
		last = latest(last, d.AcceptedAt)
	}
	for _, m := range tr.Mail {
		last = latest(last, m.Received)
	}
	return last
}

func earliest(times ...time.Time) time.Time {
	times = slices.DeleteFunc(times, time.Time.IsZero)
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(times, time.Time.Compare)
}

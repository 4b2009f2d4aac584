// Package timeline lays out a trace for drawing: one row for each hop, from the event to its emails.
package timeline

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// State says how something stands, in the words and style classes of the pages.
type State string

// The states of rows and bars.
const (
	Waiting   State = "waiting" // queued, or between two attempts
	Running   State = "running"
	Completed State = "completed"
	Failed    State = "failed"
)

// StateOf returns the state that a status of a run, a step or an attempt stands for.
func StateOf(status harness.Status) State {
	switch status {
	case harness.StatusCompleted:
		return Completed
	case harness.StatusFailed, harness.StatusCancelled:
		return Failed
	case harness.StatusQueued:
		return Waiting
	}
	return Running
}

// A Timeline is a trace laid out in time.
type Timeline struct {
	Rows []Row
	// Span is the time from the first moment of the trace to the last: at least a millisecond.
	Span time.Duration
}

// A Row is one hop.
type Row struct {
	Depth int
	Kind  string // event, run, step, delivery or mail
	// Label names the event, the function, the step, the recipients of a delivery, or the subject of an email.
	Label string
	// Detail is a run's app and an email's recipients.
	Detail string
	State  State
	// After is when the hop began, from the first moment on, and Took how long it lasted. Open says that it has not ended.
	After, Took time.Duration
	Open        bool
	// Bars are empty for a hop that has not begun.
	Bars []Bar
	// Note says in a few words how the hop went.
	Note string
}

// A Bar is one stretch of a row, in percent of the span. A bar without width is a moment.
type Bar struct {
	Left, Width float64
	State       State
	Title       string
}

// Of returns the timeline of a trace: the event, then each run with its steps, deliveries and emails, then the deliveries
// and emails of no run. It returns nil if the trace has no times.
func Of(t *harness.Trace) *Timeline {
	l := &layout{trace: t}
	l.measure()
	if l.first.IsZero() {
		return nil
	}
	if e := t.Event; e != nil {
		l.moment(0, "event", e.Name, "", e.Received, "received", e.Received.Format("15:04:05.000"))
	}
	known := map[string]bool{}
	for i := range t.Runs {
		r := &t.Runs[i]
		known[r.ID] = true
		l.run(r)
		for _, s := range r.Steps {
			l.step(s, cmp.Or(r.Ended, t.Taken))
		}
		l.emails(func(run string) bool { return run == r.ID })
	}
	l.emails(func(run string) bool { return !known[run] })
	return &Timeline{Rows: l.rows, Span: l.span}
}

// layout makes the rows of one trace.
type layout struct {
	trace *harness.Trace
	first time.Time
	span  time.Duration
	rows  []Row
}

// measure finds the first and the last moment of the trace. The last is when the trace was taken while a run goes on.
func (l *layout) measure() {
	var last time.Time
	add := func(moments ...time.Time) {
		for _, m := range moments {
			if !m.IsZero() && (l.first.IsZero() || m.Before(l.first)) {
				l.first = m
			}
			if m.After(last) {
				last = m
			}
		}
	}
	if l.trace.Event != nil {
		add(l.trace.Event.Received)
	}
	for _, r := range l.trace.Runs {
		add(r.Queued, r.Started, cmp.Or(r.Ended, l.trace.Taken))
		for _, s := range r.Steps {
			add(s.Started, s.Ended)
		}
	}
	for _, d := range l.trace.Deliveries {
		add(d.Began, d.AcceptedAt)
	}
	for _, m := range l.trace.Mail {
		add(m.Received)
	}
	l.span = max(last.Sub(l.first), time.Millisecond)
}

func (l *layout) run(r *harness.TraceRun) {
	state, status := StateOf(r.Status), strings.ToLower(string(r.Status))
	began := cmp.Or(r.Started, r.Queued)
	row := l.hop(1, "run", r.Function, state, cmp.Or(r.Queued, r.Started), r.Ended)
	row.Detail, row.Note = r.App, status
	if !r.Queued.IsZero() && r.Started.After(r.Queued) {
		row.Bars = append(row.Bars, l.bar(r.Queued, r.Started, Waiting, "queued for "+elapsed(r.Queued, r.Started)))
	}
	if !began.IsZero() {
		row.Bars = append(row.Bars, l.bar(began, cmp.Or(r.Ended, l.trace.Taken, began), state, string(r.Status)))
		if !r.Ended.IsZero() {
			row.Note += " in " + elapsed(began, r.Ended)
		}
	}
	l.rows = append(l.rows, row)
}

// step adds a step. end is the latest time at which it can have ended.
func (l *layout) step(s harness.TraceStep, end time.Time) {
	state := StateOf(s.Status)
	row := l.hop(2, "step", s.ID, state, s.Started, s.Ended)
	row.Note = strings.ToLower(string(s.Status))
	if !s.Started.IsZero() && !s.Ended.IsZero() {
		row.Note = elapsed(s.Started, s.Ended)
	}
	var last time.Time
	for i, a := range s.Attempts {
		if !last.IsZero() && a.Started.After(last) {
			row.Bars = append(row.Bars, l.bar(last, a.Started, Waiting, "waits "+elapsed(last, a.Started)+" to try again"))
		}
		last = cmp.Or(a.Ended, end, a.Started)
		row.Bars = append(row.Bars, l.bar(a.Started, last, StateOf(a.Status), strings.TrimSpace(fmt.Sprintf("attempt %d %s %s", i+1, a.Status, a.Error))))
	}
	if len(row.Bars) == 0 && !s.Started.IsZero() {
		row.Bars = append(row.Bars, l.bar(s.Started, cmp.Or(s.Ended, end, s.Started), state, string(s.Status)))
	}
	if n := len(s.Attempts); n > 1 {
		row.Note += fmt.Sprintf(", %d attempts", n)
	}
	l.rows = append(l.rows, row)
}

// emails adds the deliveries and the emails whose run is chosen.
func (l *layout) emails(chosen func(run string) bool) {
	for _, d := range l.trace.Deliveries {
		if !chosen(d.RunID) || len(d.After) > 0 {
			continue
		}
		state, note, ended := Failed, "not accepted", d.Began
		if d.Open {
			state, note, ended = Waiting, "under way", l.trace.Taken
		}
		if d.Accepted {
			state, note, ended = Completed, "accepted after "+elapsed(d.Began, d.AcceptedAt), d.AcceptedAt
		}
		to := cmp.Or(strings.Join(append(append([]string{}, d.To...), d.Refused...), ", "), "no recipient")
		row := l.hop(2, "delivery", "SMTP to "+to, state, d.Began, ended)
		row.Bars, row.Note = []Bar{l.bar(d.Began, ended, state, note)}, note
		l.rows = append(l.rows, row)
	}
	for _, m := range l.trace.Mail {
		if chosen(m.RunID) {
			l.moment(2, "mail", m.Subject, strings.Join(m.Envelope.To, ", "), m.Received, "in the inbox", "+"+elapsed(l.first, m.Received))
		}
	}
}

// moment adds a hop that takes no time.
func (l *layout) moment(depth int, kind, label, detail string, at time.Time, what, note string) {
	row := l.hop(depth, kind, label, Completed, at, at)
	row.Detail, row.Note = detail, note
	row.Bars = []Bar{l.bar(at, at, Completed, what+" +"+elapsed(l.first, at))}
	l.rows = append(l.rows, row)
}

// hop returns a row without bars. One that has not ended lasts until the trace was taken.
func (l *layout) hop(depth int, kind, label string, state State, began, ended time.Time) Row {
	row := Row{Depth: depth, Kind: kind, Label: label, State: state, Open: ended.IsZero()}
	if !began.IsZero() {
		row.After = began.Sub(l.first)
		row.Took = max(0, cmp.Or(ended, l.trace.Taken).Sub(began))
	}
	return row
}

func (l *layout) bar(from, to time.Time, state State, title string) Bar {
	percent := func(m time.Time) float64 { return min(100, max(0, 100*float64(m.Sub(l.first))/float64(l.span))) }
	left := percent(from)
	return Bar{Left: left, Width: max(0, percent(to)-left), State: state, Title: title}
}

func elapsed(from, to time.Time) string { return text.Elapsed(max(0, to.Sub(from))).String() }

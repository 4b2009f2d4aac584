package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A timeline draws a trace: one row for each thing that took time, from the event to its emails.
type timeline struct {
	Rows  []row
	Total string
}

// A row is one line of a timeline.
type row struct {
	Depth int
	Kind  string // event, run, step, delivery or mail
	Label string
	// State is "ok", "bad" or "open".
	State string
	Bars  []bar
	Note  string
}

// A bar is one stretch of a row, in percent of the whole; one without width is a moment.
type bar struct {
	Left, Width float64
	State       string // ok, bad, open, or wait: queued, or between two attempts
	Title       string
}

// timelineOf returns the timeline of a trace; nil where it has no times.
func timelineOf(t *harness.Trace) *timeline {
	s := &scale{}
	if t.Event != nil {
		s.add(t.Event.Received)
	}
	for _, r := range t.Runs {
		s.add(r.Queued, r.Started, r.Ended)
		for _, step := range r.Steps {
			s.add(step.Started, step.Ended)
		}
	}
	for _, d := range t.Deliveries {
		s.add(d.Began, d.AcceptedAt)
	}
	for _, m := range t.Mail {
		s.add(m.Received)
	}
	if s.first.IsZero() {
		return nil
	}
	var rows []row
	if t.Event != nil {
		rows = append(rows, row{Kind: "event", Label: t.Event.Name, State: "ok", Bars: []bar{s.moment(t.Event.Received, "ok", "received")}, Note: t.Event.Received.Format("15:04:05.000")})
	}
	for i := range t.Runs {
		rows = append(rows, s.run(t, &t.Runs[i])...)
	}
	for _, d := range t.Deliveries {
		state, note := "bad", "not accepted"
		if d.Accepted {
			state, note = "ok", fmt.Sprintf("accepted after %s", short(d.AcceptedAt.Sub(d.Began)))
		}
		to := strings.Join(append(append([]string{}, d.To...), d.Refused...), ", ")
		rows = append(rows, row{Depth: 1, Kind: "delivery", Label: "SMTP to " + to, State: state,
			Bars: []bar{s.span(d.Began, cmp.Or(d.AcceptedAt, d.Began), state, note)}, Note: note})
	}
	for _, m := range t.Mail {
		rows = append(rows, row{Depth: 1, Kind: "mail", Label: m.Subject, State: "ok", Bars: []bar{s.moment(m.Received, "ok", "in the inbox")}, Note: s.after(m.Received)})
	}
	return &timeline{Rows: rows, Total: short(s.last.Sub(s.first))}
}

func (s *scale) run(t *harness.Trace, r *harness.TraceRun) []row {
	state := stateOf(r.Status)
	var bars []bar
	if !r.Queued.IsZero() && r.Started.After(r.Queued) {
		bars = append(bars, s.span(r.Queued, r.Started, "wait", "queued for "+short(r.Started.Sub(r.Queued))))
	}
	from := cmp.Or(r.Started, r.Queued)
	bars = append(bars, s.span(from, cmp.Or(r.Ended, t.Taken, from), state, string(r.Status)))
	note := strings.ToLower(string(r.Status))
	if !r.Ended.IsZero() && !from.IsZero() {
		note += " in " + short(r.Ended.Sub(from))
	}
	rows := []row{{Depth: 1, Kind: "run", Label: r.Function, State: state, Bars: bars, Note: note}}
	for _, step := range r.Steps {
		rows = append(rows, s.step(step))
	}
	return rows
}

func (s *scale) step(step harness.TraceStep) row {
	state := stateOf(step.Status)
	var bars []bar
	var last time.Time
	for i, a := range step.Attempts {
		if !last.IsZero() && a.Started.After(last) {
			bars = append(bars, s.span(last, a.Started, "wait", "waits "+short(a.Started.Sub(last))+" to try again"))
		}
		last = cmp.Or(a.Ended, a.Started)
		bars = append(bars, s.span(a.Started, last, stateOf(a.Status), strings.TrimSpace(fmt.Sprintf("attempt %d %s %s", i+1, a.Status, a.Error))))
	}
	if len(bars) == 0 {
		bars = append(bars, s.span(step.Started, cmp.Or(step.Ended, step.Started), state, string(step.Status)))
	}
	note := strings.ToLower(string(step.Status))
	if !step.Started.IsZero() && !step.Ended.IsZero() {
		note = short(step.Ended.Sub(step.Started))
	}
	if n := len(step.Attempts); n > 1 {
		note += fmt.Sprintf(", %d attempts", n)
	}
	return row{Depth: 2, Kind: "step", Label: step.ID, State: state, Bars: bars, Note: note}
}

func stateOf(status harness.Status) string {
	switch status {
	case harness.StatusCompleted:
		return "ok"
	case harness.StatusFailed, harness.StatusCancelled:
		return "bad"
	}
	return "open"
}

// scale maps moments to percent.
type scale struct{ first, last time.Time }

func (s *scale) add(moments ...time.Time) {
	for _, m := range moments {
		if m.IsZero() {
			continue
		}
		if s.first.IsZero() || m.Before(s.first) {
			s.first = m
		}
		if m.After(s.last) {
			s.last = m
		}
	}
}

func (s *scale) at(m time.Time) float64 {
	if m.IsZero() || !s.last.After(s.first) {
		return 0
	}
	return min(100, max(0, 100*float64(m.Sub(s.first))/float64(s.last.Sub(s.first))))
}

func (s *scale) moment(m time.Time, state, title string) bar {
	return bar{Left: s.at(m), State: state, Title: title + " " + s.after(m)}
}

func (s *scale) span(from, to time.Time, state, title string) bar {
	left := s.at(from)
	return bar{Left: left, Width: max(0, s.at(to)-left), State: state, Title: title}
}

// after says when something was, counted from the first moment.
func (s *scale) after(m time.Time) string {
	if m.IsZero() {
		return ""
	}
	return "+" + short(m.Sub(s.first))
}

// short prints a duration with as many digits as a person wants.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

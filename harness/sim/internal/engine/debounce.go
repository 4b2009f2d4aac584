package engine

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// debounce lets a function start when no event has come for a period, with the latest event.
type debounce struct {
	period  time.Duration
	timeout time.Duration // from the first event; zero: none
	key     key
}

// The shortest and the longest period of a debounce.
const (
	shortestDebounce = time.Second
	longestDebounce  = 7 * 24 * time.Hour
)

func parseDebounce(raw json.RawMessage) (*debounce, error) {
	config, err := configured[struct {
		Period  string  `json:"period"`
		Timeout string  `json:"timeout"`
		Key     *string `json:"key"`
	}](raw)
	if err != nil || config == nil {
		return nil, err
	}
	d := &debounce{}
	if d.period, err = str2duration.ParseDuration(config.Period); err != nil {
		return nil, err
	}
	if d.period < shortestDebounce || d.period > longestDebounce {
		return nil, fmt.Errorf("the period %v is not between %v and %v", d.period, shortestDebounce, longestDebounce)
	}
	d.timeout, _ = str2duration.ParseDuration(config.Timeout) // the server ignores what it cannot read
	if config.Key != nil && *config.Key != "" {
		d.key, err = parseCheckedKey(config.Key)
	}
	return d, err
}

// debounced is the events of one key that wait for no other to come.
type debounced struct {
	name     string
	function *function
	event    *event   // the latest
	others   []*event // that it took the place of
	latest   time.Time
	timer    *item
}

// hold lets an event wait, in place of the one before, or drops it if that is later by its timestamp.
func (m *machine) hold(f *function, e *event) {
	now := m.clock.Now()
	value, _ := f.debounce.key.value(e)
	name := f.ID + "\x00" + value
	d := m.admission.debounces[name]
	switch {
	case d == nil:
		d = &debounced{name: name, function: f, event: e}
		if f.debounce.timeout > 0 {
			d.latest = now.Add(f.debounce.timeout)
		}
		m.admission.debounces[name] = d
	case e.ts < d.event.ts:
		d.others = append(d.others, e)
		m.note(e, f, "debounced: event "+d.event.EventID+" has a later ts")
		return
	default:
		d.others = append(d.others, d.event)
		m.note(d.event, f, "debounced: event "+e.EventID+" took its place")
		d.event = e
		m.queue.remove(d.timer)
	}
	at := now.Add(f.debounce.period)
	if !d.latest.IsZero() && at.After(d.latest) {
		at = d.latest
	}
	m.notePending(e, f, f.debounce.key.named("debounced", value)+": it starts a run at "+m.shown(at)+" unless another event comes")
	d.timer = &item{at: at, kind: kindDebounce, subject: d}
	m.queue.push(d.timer)
}

// settle starts the run of the latest event.
func (m *machine) settle(d *debounced) {
	delete(m.admission.debounces, d.name)
	f := m.current(d.function)
	r := m.schedule(f, d.event, nil)
	if r == nil {
		return
	}
	if r.Status != harness.StatusSkipped {
		m.record(d.event, Decision{Function: f.ID, Run: r.ID, Text: "debounced: no other event came"})
	}
	for _, e := range d.others {
		m.note(e, f, "debounced into run "+r.ID+" of event "+d.event.EventID)
	}
}

package follow

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A flow is what the taps saw of calls, events and emails, in the order in which they began.
type flow struct {
	calls      []*call
	dispatches []*dispatch
	mails      []sentMail             // those that were accepted
	openCalls  map[uint64]*call       // calls in progress, by the id of their exchange
	openSends  map[uint64][]*dispatch // events in progress, by the id of their exchange
	// missed is the time up to which the flow may be incomplete; zero where nothing is missing.
	missed time.Time
}

// A call is one call of a run.
type call struct {
	run          string
	began, ended time.Time // ended is zero while it is in progress
	abandoned    bool      // the server hung up: the app may be at work on it still
	failed       string    // how the function, and no step of it, failed; empty: it did not
}

// A dispatch is one event on its way to the server.
type dispatch struct {
	tap.Event
	began time.Time
	over  bool
}

// A sentMail is one email on its way to the mail server.
type sentMail struct {
	to    []string
	run   string // the run that it names; may be empty
	began time.Time
}

// maxFlow bounds each list of a flow. When a list is full, its oldest quarter is dropped.
const maxFlow = 50_000

func newFlow() flow {
	return flow{openCalls: map[uint64]*call{}, openSends: map[uint64][]*dispatch{}}
}

// add enters a record. The first record of an exchange may have been dropped in favour of its last.
func (f *flow) add(c tap.Exchange) {
	switch {
	case c.Call != nil:
		f.addCall(c)
	case c.Dispatch != nil:
		f.addDispatches(c)
	case c.Mail != nil && c.Over() && c.Mail.Accepted:
		f.mails = append(f.mails, sentMail{c.Mail.To, c.Mail.RunID, c.Began})
		if len(f.mails) > maxFlow {
			f.missed = f.mails[maxFlow/4-1].began
			f.mails = slices.Delete(f.mails, 0, maxFlow/4)
		}
	}
}

// miss notes that records were dropped. What the log does not show as open any more has ended meanwhile.
func (f *flow) miss(log []tap.Exchange) {
	f.missed = time.Now()
	open := map[uint64]bool{}
	for _, x := range log {
		open[x.ID] = !x.Over()
	}
	maps.DeleteFunc(f.openCalls, func(id uint64, c *call) bool {
		if !open[id] {
			c.ended = f.missed
		}
		return !open[id]
	})
	maps.DeleteFunc(f.openSends, func(id uint64, events []*dispatch) bool {
		for _, e := range events {
			e.over = e.over || !open[id]
		}
		return !open[id]
	})
}

func (f *flow) addCall(c tap.Exchange) {
	open, ok := f.openCalls[c.ID]
	if !ok {
		open = &call{run: c.Call.RunID, began: c.Began}
		f.openCalls[c.ID], f.calls = open, append(f.calls, open)
		if len(f.calls) > maxFlow {
			f.missed = f.calls[maxFlow/4-1].began
			f.calls = slices.Delete(f.calls, 0, maxFlow/4)
		}
	}
	if c.Over() {
		open.ended, open.abandoned, open.failed = c.Ended, c.Call.Abandoned, failed(c.Call)
		delete(f.openCalls, c.ID)
	}
}

// failed says how a function, and no step of it, failed in a call; "" if it did not.
func failed(c *tap.Call) string {
	if c.Error == nil || len(c.Ops) > 0 {
		return ""
	}
	attempt := fmt.Sprint(c.Attempt)
	if c.MaxAttempts > 0 {
		attempt += fmt.Sprintf(" of %d", c.MaxAttempts)
	}
	return fmt.Sprintf("attempt %s failed: %s", attempt, c.Error.Message)
}

func (f *flow) addDispatches(c tap.Exchange) {
	events, ok := f.openSends[c.ID]
	if !ok {
		for range c.Dispatch.Events {
			events = append(events, &dispatch{began: c.Began})
		}
		f.openSends[c.ID], f.dispatches = events, append(f.dispatches, events...)
		if len(f.dispatches) > maxFlow {
			f.missed = f.dispatches[maxFlow/4-1].began
			f.dispatches = slices.Delete(f.dispatches, 0, maxFlow/4)
		}
	}
	for i, e := range events {
		e.Event, e.over = c.Dispatch.Events[i], c.Over()
	}
	if c.Over() {
		delete(f.openSends, c.ID)
	}
}

// during returns the events that the app began to send while one of these runs was being called. alone says of each whether no
// other run was being called then.
func (f *flow) during(runs map[string]bool) (found []dispatch, alone []bool) {
	mine := f.callsOf(runs)
	for _, d := range f.dispatches {
		covers := func(c *call) bool { return c.covers(d.began) }
		if !slices.ContainsFunc(mine, covers) {
			continue
		}
		found = append(found, *d)
		alone = append(alone, !slices.ContainsFunc(f.calls, func(c *call) bool { return !runs[c.run] && covers(c) }))
	}
	return found, alone
}

// sentDuring reports whether an event with this ULID was seen, and whether it may come from a call of one of these runs: also
// where the flow is incomplete, or their calls do not pass the taps.
func (f *flow) sentDuring(runs map[string]bool, eventID string) (seen, within bool) {
	mine := f.callsOf(runs)
	within = len(mine) == 0 || !f.missed.IsZero()
	for _, d := range f.dispatches {
		if d.EventID == eventID {
			seen = true
			within = within || slices.ContainsFunc(mine, func(c *call) bool { return c.maySend(d.began) })
		}
	}
	return seen, within
}

// began returns when a call in progress began; zero where it is not in progress.
func (f *flow) began(id uint64) time.Time {
	if c := f.openCalls[id]; c != nil {
		return c.began
	}
	return time.Time{}
}

// calls sums up the calls of some runs.
type calls struct {
	count, open int
	last        time.Time // when the last one ended
	abandoned   time.Time // when the last one ended that the server abandoned; zero: none was
	failed      string    // how the function failed in the last one
}

func (f *flow) summary(runs []string) (sum calls) {
	for _, c := range f.calls {
		if !slices.Contains(runs, c.run) {
			continue
		}
		sum.count++
		if c.ended.After(sum.last) {
			sum.last, sum.failed = c.ended, c.failed
		}
		if c.abandoned && c.ended.After(sum.abandoned) {
			sum.abandoned = c.ended
		}
	}
	for _, c := range f.openCalls {
		if slices.Contains(runs, c.run) {
			sum.open++
		}
	}
	return sum
}

func (f *flow) callsOf(runs map[string]bool) []*call {
	var calls []*call
	for _, c := range f.calls {
		if runs[c.run] {
			calls = append(calls, c)
		}
	}
	return calls
}

// covers reports whether a call was in progress at a time.
func (c *call) covers(at time.Time) bool {
	return !at.Before(c.began) && (c.ended.IsZero() || !at.After(c.ended))
}

// maySend reports whether what passed at a time may come from a call: the app may be at work on one that the server has
// abandoned.
func (c *call) maySend(at time.Time) bool {
	return c.covers(at) || c.abandoned && at.After(c.ended)
}

// mailDuring returns the emails that the app began to deliver while one of these runs was being called, without those that name
// one of these runs and those to known recipients.
func (f *flow) mailDuring(runs map[string]bool, known []string) []sentMail {
	mine := f.callsOf(runs)
	var found []sentMail
	for _, m := range f.mails {
		toKnown := slices.ContainsFunc(m.to, func(to string) bool { return address.In(to, known) })
		if !runs[m.run] && !toKnown && slices.ContainsFunc(mine, func(c *call) bool { return c.covers(m.began) }) {
			found = append(found, m)
		}
	}
	return found
}

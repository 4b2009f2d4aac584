package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// An event that a function sends through a step is known by the step's output. One that it sends past its steps, by a
// plain call of its client, is nobody's: on the wire it looks like what the app sends of its own accord. All that ties
// it to a run is that the run was being called when it crossed. This file draws the conclusions:
//
//   - On a stack that tests share, none. Who sent it cannot be known, and the evidence says so.
//   - On a stack of one's own, where nothing else can have made the app send it, it is the run's: its runs belong to the
//     trace, as inferred ones.
//   - On a stack of one's own where something else may have, it is a suspect, and nothing is denied in spite of it.
//
// An event that somebody asks for by its own id or judges by its ULID is accounted for by that.

// Suspect is an event that the app sent while a run of the trace was being called, and that no step has reported. It
// may be the run's or have another cause.
type Suspect struct {
	EventID string    `json:"eventId"`
	Name    string    `json:"name"`
	Sent    time.Time `json:"sent"`
}

// flow is what the taps saw of calls, events and emails, in the order in which they began.
type flow struct {
	calls    []*calling
	sendings []*sending
	mails    []mailing             // those that were accepted
	open     map[uint64]*calling   // by the crossing's id, while it crosses
	sent     map[uint64][]*sending // likewise
	// missed is up to when the flow may be incomplete; zero where nothing is missing.
	missed time.Time
}

// calling is one call of a run.
type calling struct {
	run          string
	began, ended time.Time // ended is zero while it is under way
}

// sending is one event on its way to the server.
type sending struct {
	tap.Event
	began time.Time
	over  bool
}

// mailing is one email on its way to the mail server.
type mailing struct {
	to    []string
	run   string // that it names, "" for none
	began time.Time
}

// keptFlow bounds a flow: how many calls, events and emails of each. When it is full the oldest quarter goes.
const keptFlow = 50_000

func newFlow() flow { return flow{open: map[uint64]*calling{}, sent: map[uint64][]*sending{}} }

// enter takes in a record. The first record of a crossing may have been left out in favour of its last.
func (f *flow) enter(c tap.Crossing) {
	switch {
	case c.Call != nil:
		call, ok := f.open[c.ID]
		if !ok {
			call = &calling{run: c.Call.Run, began: c.Began}
			f.open[c.ID], f.calls = call, append(f.calls, call)
			if len(f.calls) > keptFlow {
				f.missed = f.calls[keptFlow/4-1].began
				f.calls = slices.Delete(f.calls, 0, keptFlow/4)
			}
		}
		if c.Over() {
			call.ended = c.Ended
			delete(f.open, c.ID)
		}
	case c.Dispatch != nil:
		events, ok := f.sent[c.ID]
		if !ok {
			for range c.Dispatch.Events {
				events = append(events, &sending{began: c.Began})
			}
			f.sent[c.ID], f.sendings = events, append(f.sendings, events...)
			if len(f.sendings) > keptFlow {
				f.missed = f.sendings[keptFlow/4-1].began
				f.sendings = slices.Delete(f.sendings, 0, keptFlow/4)
			}
		}
		for i, e := range events {
			e.Event, e.over = c.Dispatch.Events[i], c.Over()
		}
		if c.Over() {
			delete(f.sent, c.ID)
		}
	case c.Mail != nil && c.Over() && c.Mail.Accepted:
		f.mails = append(f.mails, mailing{c.Mail.To, c.Mail.Run, c.Began})
		if len(f.mails) > keptFlow {
			f.missed = f.mails[keptFlow/4-1].began
			f.mails = slices.Delete(f.mails, 0, keptFlow/4)
		}
	}
}

// during returns the events that began to cross while one of these runs was being called, each with whether no other
// run was.
func (f *flow) during(runs map[string]bool) (found []sending, alone []bool) {
	mine := f.callsOf(runs)
	for _, s := range f.sendings {
		underWay := func(c *calling) bool { return c.underWay(s.began) }
		if !slices.ContainsFunc(mine, underWay) {
			continue
		}
		found = append(found, *s)
		alone = append(alone, !slices.ContainsFunc(f.calls, func(c *calling) bool { return !runs[c.run] && underWay(c) }))
	}
	return found, alone
}

func (f *flow) callsOf(runs map[string]bool) []*calling {
	var calls []*calling
	for _, c := range f.calls {
		if runs[c.run] {
			calls = append(calls, c)
		}
	}
	return calls
}

func (c *calling) underWay(at time.Time) bool {
	return !at.Before(c.began) && (c.ended.IsZero() || !at.After(c.ended))
}

// mailDuring returns the emails that began to cross while one of these runs was being called, other than those that
// name one of them and those to certain recipients.
func (f *flow) mailDuring(runs map[string]bool, known []string) []mailing {
	mine := f.callsOf(runs)
	var found []mailing
	for _, m := range f.mails {
		spokenOf := slices.ContainsFunc(m.to, func(to string) bool { return sameAddress(to, known) })
		if !runs[m.run] && !spokenOf && slices.ContainsFunc(mine, func(c *calling) bool { return c.underWay(m.began) }) {
			found = append(found, m)
		}
	}
	return found
}

// eventID is what an event's id looks like in the output of a step.
var eventID = regexp.MustCompile(`\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b`)

// report notes the events that steps of a run say they sent.
func (l *ledger) report(run string, ops []tap.Op) {
	for _, o := range ops {
		for _, id := range eventID.FindAllString(string(o.Data), -1) {
			p := l.page(keyReported(id))
			p.runs = append(p.runs, run)
		}
	}
}

// claim notes that somebody asks for what is under a key.
func (l *ledger) claim(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.page(key).claimed = true
}

// sendingsDuring is flow.during, with up to when it may be incomplete.
func (l *ledger) sendingsDuring(runs map[string]bool) (found []sending, alone []bool, missed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, alone = l.flow.during(runs)
	return found, alone, l.flow.missed
}

// mailDuring is flow.mailDuring.
func (l *ledger) mailDuring(runs map[string]bool, known []string) []mailing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flow.mailDuring(runs, known)
}

// catchUp waits until the ledger has everything that has crossed by now.
func (l *ledger) catchUp(ctx context.Context, taps *tap.Set) error {
	until := taps.Last()
	for {
		l.mu.Lock()
		read, more := l.read, l.more
		l.mu.Unlock()
		if read >= until {
			return nil
		}
		select {
		case <-more:
		case <-l.done: // the stack has been closed: there will be no more
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeSendings looks for events that the app sent while it ran what belongs to the trace, and draws the conclusions. It
// comes when all else is quiet, and says why it is not.
func (t *tracer) takeSendings(ctx context.Context, struck bool) (unquiet string, err error) {
	t.suspects, t.unknown, t.missed = nil, 0, false
	if t.s.wires.taps == nil {
		return "", nil
	}
	for {
		if err := t.s.ledger.catchUp(ctx, t.s.wires.taps); err != nil {
			return "", err
		}
		added, unquiet := t.sortSendings()
		if !added || unquiet != "" {
			if unquiet == "" {
				unquiet, err = t.awaitSuspects(ctx)
			}
			return unquiet, err
		}
		if err := t.takeRuns(ctx, struck); err != nil {
			return "", err
		}
		if unquiet := t.unquiet(); unquiet != "" {
			return unquiet, nil
		}
	}
}

// sortSendings tells the events that belong to the trace from the suspects; added says that there are some of the
// former.
func (t *tracer) sortSendings() (added bool, unquiet string) {
	runs := t.runIDs()
	found, alone, missed := t.s.ledger.sendingsDuring(runs)
	t.suspects, t.unknown = nil, 0
	if t.missed = !missed.IsZero() && !missed.Before(t.since); t.missed && !t.s.options.Shared {
		return false, "so much has crossed since the event that nobody knows any more what its runs have sent past their steps"
	}
	for i, s := range found {
		listeners := t.listeners(s.Name, "")
		if len(listeners) == 0 || t.accounted(s, runs) {
			continue
		}
		switch {
		case !s.over:
			return false, fmt.Sprintf("the app is sending an event %s, and began to while a run was being called", s.Name)
		case s.ServerID == "": // the server has not taken it
		case t.s.options.Shared:
			t.unknown++
		case alone[i] && !t.s.wires.taps.Asked(s.began):
			t.add(inngestapi.ReceivedEvent{ID: s.ServerID, OwnID: cmp.Or(s.ID, s.ServerID), Name: s.Name}, listeners)
			t.events[len(t.events)-1].inferred = true
			added = true
		default:
			t.suspects = append(t.suspects, Suspect{EventID: s.ServerID, Name: s.Name, Sent: s.began})
		}
	}
	return added, ""
}

func (t *tracer) runIDs() map[string]bool {
	ids := map[string]bool{}
	for _, r := range t.runs {
		ids[r.ID] = true
	}
	return ids
}

// accounted says whether it is known why the app sent an event, or that nothing comes of it.
func (t *tracer) accounted(s sending, runs map[string]bool) bool {
	l := t.s.ledger
	if s.ServerID != "" {
		reported := slices.ContainsFunc(l.look(keyReported(s.ServerID)).runs, func(run string) bool { return !runs[run] })
		if reported || t.has(s.ServerID) || l.look(keyRoot(s.ServerID)).claimed {
			return true
		}
	}
	if s.ID == "" {
		return false
	}
	own := l.look(keyEvent(s.ID))
	// Of events with one id of their own the server drops all but the first.
	return own.claimed || len(own.accepted) > 0 && s.ServerID != "" && own.accepted[0] != s.ServerID ||
		slices.ContainsFunc(t.events, func(e *tracedEvent) bool { return e.ownID == s.ID })
}

// suspectPatience is how long a suspect may take to start a run.
const suspectPatience = 5 * time.Second

// awaitSuspects says which run of a suspect is not over: it may yet send an email to somebody whom the question is
// about.
func (t *tracer) awaitSuspects(ctx context.Context) (unquiet string, err error) {
	for _, s := range t.suspects {
		if t.idle[s.EventID] {
			continue
		}
		runs, err := t.s.api.EventRuns(ctx, s.EventID)
		if err != nil && !errors.Is(err, inngestapi.ErrNotFound) {
			return "", err
		}
		what := fmt.Sprintf("the event %s (%s), which the app sent while a run was being called", s.Name, s.EventID)
		if len(runs) == 0 && time.Since(s.Sent) < suspectPatience {
			return what + ", may start a run", nil
		}
		for _, r := range runs {
			if !inngestapi.Final(r.Status) {
				return fmt.Sprintf("%s, has started the run %s of %s, which is %s", what, r.ID, r.Function, r.Status), nil
			}
		}
		t.idle[s.EventID] = true
	}
	return "", nil
}

// sendingEvidence says what is known, and what cannot be, of events that were sent past the steps.
func (t *tracer) sendingEvidence() []string {
	var lines []string
	for _, e := range t.events {
		if e.inferred {
			lines = append(lines, fmt.Sprintf("the app sent the event %s while one of these runs, and nothing else, was being called: it is taken to be that run's", e.id))
		}
	}
	for _, s := range t.suspects {
		lines = append(lines, fmt.Sprintf("the app sent the event %s (%s) while one of these runs was being called: whether it is that run's cannot be known", s.Name, s.EventID))
	}
	switch {
	case t.s.wires.taps == nil && len(t.runs) > 0:
		lines = append(lines, "events that these runs may have sent past their steps cannot be known without taps")
	case t.unknown > 0:
		lines = append(lines, fmt.Sprintf("the app sent %s past its steps while these runs were being called: on a shared stack it cannot be known whose",
			count(t.unknown, "event", "events")))
	case t.missed:
		lines = append(lines, "so much has crossed since the event that what these runs sent past their steps is not known any more")
	}
	return lines
}

// suspicion is why what an expectation denies cannot be known, though nothing contradicts it; "" where it can.
func (c *checker) suspicion() string {
	if len(c.t.Suspects) == 0 || !c.e.NoOtherRuns && !c.e.NoOtherMail && c.t.OtherMailCount == 0 {
		return ""
	}
	s := c.t.Suspects[0]
	return fmt.Sprintf("the app sent the event %s (%s) while a run was being called, and it may be that run's: send it through a step, or, where it has another cause, ask for it first (Stack.AwaitEvent)",
		s.Name, s.EventID)
}

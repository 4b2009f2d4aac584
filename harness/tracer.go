package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// tracer builds the trace of one event, again and again as more becomes known. It asks the servers only for what it
// does not know for good and has a reason to ask about: news from a tap or the inbox, or the slow beat of a clock.
// It is used by one goroutine.
type tracer struct {
	s          *Stack
	eventID    string
	recipients []string // addresses that the expectation speaks of
	since      time.Time

	listener *listener
	watching context.Context
	cancel   context.CancelFunc
	watchers sync.WaitGroup
	watched  map[string]bool

	event   *TraceEvent
	known   []inngestapi.Function // all that the server knows
	events  []*tracedEvent        // those whose runs belong to the trace, the event itself first
	runs    []*tracedRun
	beat    time.Duration
	struck  bool // the clock has struck since the last take
	settled bool
	// What takeSendings found: suspects, how many events there are of which nothing can be known, and whether some may
	// have been missed. idle are suspects that nothing more will come of.
	suspects []Suspect
	unknown  int
	missed   bool
	idle     map[string]bool
	strays   int             // emails since the event that are nobody's and go to nobody that the expectation speaks of
	named    map[string]bool // runs that emails name, and whether there is such a run
}

// tracedEvent is an event and who starts because of it.
type tracedEvent struct {
	id        string
	ownID     string // the sender's; the id again where there was none. It is what calls carry
	listeners []TraceFunction
	inferred  bool // it was sent while a run of the trace was being called, and that is all that ties it to it
}

// tracedRun is a run and what is known of it for good.
type tracedRun struct {
	TraceRun
	over bool // its end and its steps have been read
	// awaited names an event that there is because of it and that the server does not show yet.
	awaited string
}

// The clock's beat: how often the servers are asked although nothing told of news. It doubles from the first to the
// last. Without taps nothing tells of a run, so the clock beats faster.
const (
	firstBeat, lastBeat               = 40 * time.Millisecond, 500 * time.Millisecond
	firstBeatTapless, lastBeatTapless = 10 * time.Millisecond, 150 * time.Millisecond

	// endingBeat is the beat while a run has given its last answer and the server has yet to save it.
	endingBeat = 3 * time.Millisecond

	// endingTime is for how long after that answer the beat stays so fast.
	endingTime = time.Second

	// settleTime is how long after the end of a run the server may still be writing down what belongs to it.
	settleTime = 150 * time.Millisecond
)

func (s *Stack) newTracer(eventID string, recipients []string) *tracer {
	ctx, cancel := context.WithCancel(context.Background())
	tr := &tracer{
		s: s, eventID: eventID, recipients: recipients, events: []*tracedEvent{{id: eventID}},
		listener: &listener{news: make(chan struct{}, 1)},
		watching: ctx, cancel: cancel, watched: map[string]bool{}, idle: map[string]bool{}, named: map[string]bool{},
		beat: tapped(s, firstBeat, firstBeatTapless), struck: true,
	}
	if id, err := ulid.ParseStrict(eventID); err == nil {
		tr.since = id.Timestamp() // when the server received it
	}
	for _, to := range recipients {
		tr.watchInbox(inbox.Filter{To: to})
		s.ledger.listen(keyRecipient(to), tr.listener)
	}
	return tr
}

func tapped[V any](s *Stack, with, without V) V {
	if s.wires.taps != nil {
		return with
	}
	return without
}

func (t *tracer) close() {
	t.cancel()
	t.s.ledger.ignore(t.listener)
	t.watchers.Wait()
}

// watchInbox wakes the tracer when a matching email arrives.
func (t *tracer) watchInbox(f inbox.Filter) {
	if t.watched[f.String()] {
		return
	}
	t.watched[f.String()] = true
	t.watchers.Go(func() {
		for _, err := range t.s.inbox.Watch(t.watching, f) {
			if err != nil {
				return
			}
			t.listener.wake()
		}
	})
}

// wait returns when there may be something new, or an error when ctx ends.
func (t *tracer) wait(ctx context.Context) error {
	beat, ending := t.beat, t.ending()
	if ending {
		beat = endingBeat
	}
	timer := time.NewTimer(beat)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.listener.news:
	case <-timer.C:
		if !ending {
			t.struck = true
			t.beat = min(2*t.beat, tapped(t.s, lastBeat, lastBeatTapless))
		}
	}
	return nil
}

// ending says whether a tap has seen the last answer of a run that the server does not show as ended, or at all.
func (t *tracer) ending() bool {
	for _, e := range t.events {
		for _, id := range t.s.ledger.look(keyEvent(e.ownID)).runs {
			over := slices.ContainsFunc(t.runs, func(r *tracedRun) bool { return r.ID == id && r.over })
			if ended := t.s.ledger.look(keyRun(id)).ended; !over && !ended.IsZero() && time.Since(ended) < endingTime {
				return true
			}
		}
	}
	return false
}

// settle waits, once, until the server must have written down all that belongs to what it said has ended, and makes
// the next take read it again. It says whether there is anything to take again.
func (t *tracer) settle(ctx context.Context) bool {
	if t.settled {
		return false
	}
	t.settled = true
	select {
	case <-ctx.Done():
		return false
	case <-time.After(settleTime):
	}
	for _, r := range t.runs {
		r.over = false
	}
	t.struck = true
	return true
}

// take builds the trace as it is now known.
func (t *tracer) take(ctx context.Context) (*Trace, error) {
	struck := t.struck
	defer func() { t.struck = false }()
	if err := t.takeEvent(ctx); err != nil {
		return nil, err
	}
	if t.event == nil {
		return t.trace(nil, nil, "the server has not taken in the event"), nil
	}
	if err := t.takeRuns(ctx, struck); err != nil {
		return nil, err
	}
	unquiet := t.unquiet()
	if unquiet == "" {
		var err error
		if unquiet, err = t.takeSendings(ctx, struck); err != nil {
			return nil, err
		}
	}
	if unquiet == "" {
		// Only now, with every run over, does reading the inbox to its end say that no more mail will come.
		if err := t.s.inbox.ReadToEnd(ctx); err != nil {
			return nil, err
		}
	}
	mail, others, unshown, err := t.takeMail(ctx)
	if err != nil {
		return nil, err
	}
	unquiet = cmp.Or(unquiet, unshown)
	tr := t.trace(mail, others, unquiet)
	if unquiet == "" && len(t.deliveriesNotIn(tr)) > 0 {
		tr.Quiet, tr.Unquiet = false, "the mail server has accepted an email that the inbox does not show yet"
	}
	return tr, nil
}

// takeEvent reads the event and who listens for it.
func (t *tracer) takeEvent(ctx context.Context) error {
	if t.event == nil {
		e, err := t.s.api.Event(ctx, t.eventID)
		if errors.Is(err, inngestapi.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		t.event = &TraceEvent{Name: e.Name, ID: e.OwnID, Data: e.Data, Received: e.Received}
		if e.OwnID == t.eventID {
			t.event.ID = "" // the sender gave none
		}
		t.events[0].ownID = e.OwnID
		t.s.ledger.listen(keyEvent(e.OwnID), t.listener)
	}
	if len(t.runs) > 0 && t.known != nil {
		return nil // somebody listened; who else does now is of no matter
	}
	known, err := t.s.api.Functions(ctx)
	if err != nil {
		return err
	}
	t.known = known
	t.events[0].listeners = t.listeners(t.event.Name, "")
	if t.struck {
		return t.duplicate(ctx)
	}
	return nil
}

// idMemory is how long the server drops events with an id that it has seen.
const idMemory = 24 * time.Hour

// duplicate finds out whether the event's own id was used for another event, which started what there was to start. Of
// two that are sent at nearly the same time either may be that one, whatever their order: it is the one that has runs.
func (t *tracer) duplicate(ctx context.Context) error {
	if t.event.ID == "" || t.event.DuplicateOf != "" {
		return nil
	}
	// What was sent through here is known already; the server is asked about what was not.
	err := t.duplicateOf(ctx, t.s.ledger.look(keyEvent(t.event.ID)).accepted)
	if err != nil || t.event.DuplicateOf != "" || time.Since(t.event.Received) < inngestapi.VisibleWithin {
		return err
	}
	same, err := t.s.api.Events(ctx, inngestapi.EventFilter{Since: t.event.Received.Add(-idMemory), Until: t.event.Received.Add(inngestapi.VisibleWithin), Names: []string{t.event.Name}})
	if err != nil {
		return err
	}
	var others []string
	for _, e := range same {
		if e.OwnID == t.event.ID {
			others = append(others, e.ID)
		}
	}
	return t.duplicateOf(ctx, others)
}

// duplicateOf looks for one among the events with the same id of their own that has runs.
func (t *tracer) duplicateOf(ctx context.Context, others []string) error {
	for _, id := range others {
		if id == t.eventID {
			continue
		}
		runs, err := t.s.api.EventRuns(ctx, id)
		if err != nil && !errors.Is(err, inngestapi.ErrNotFound) {
			return err
		}
		if len(runs) > 0 {
			t.event.DuplicateOf = id
			return nil
		}
	}
	return nil
}

// takeRuns reads what is new of the runs.
func (t *tracer) takeRuns(ctx context.Context, struck bool) error {
	for i := 0; i < len(t.events); i++ { // events are added on the way
		e := t.events[i]
		if err := t.findRuns(ctx, e, struck); err != nil {
			return err
		}
		for _, r := range t.runs {
			if r.EventID != e.id {
				continue
			}
			if r.over && r.awaited != "" {
				if err := t.follow(ctx, r); err != nil {
					return err
				}
			}
			if r.over || !struck && t.s.wires.taps != nil && t.s.ledger.look(keyRun(r.ID)).ended.IsZero() {
				continue
			}
			if err := t.readRun(ctx, r, struck); err != nil {
				return err
			}
		}
	}
	return nil
}

// findRuns looks for runs of an event that are not known yet.
func (t *tracer) findRuns(ctx context.Context, e *tracedEvent, struck bool) error {
	if _, waiting := t.unstarted(e); !struck && !waiting {
		return nil
	}
	runs, err := t.s.api.EventRuns(ctx, e.id)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range runs {
		if slices.ContainsFunc(t.runs, func(known *tracedRun) bool { return known.ID == r.ID }) {
			continue
		}
		known := &tracedRun{TraceRun: TraceRun{ID: r.ID, EventID: e.id, Inferred: e.inferred}}
		known.update(r)
		t.runs = append(t.runs, known)
		t.s.ledger.listen(keyRun(r.ID), t.listener)
		t.watchInbox(inbox.Filter{RunID: r.ID})
	}
	return nil
}

// unstarted returns a function that listens for an event and has not started because of it.
func (t *tracer) unstarted(e *tracedEvent) (TraceFunction, bool) {
	for _, f := range e.listeners {
		if !slices.ContainsFunc(t.runs, func(r *tracedRun) bool { return r.EventID == e.id && r.Function == f.ID && r.App == f.App }) {
			return f, true
		}
	}
	return TraceFunction{}, false
}

func (r *tracedRun) update(now inngestapi.Run) {
	r.Function, r.App, r.Status, r.Output, r.Error = now.Function, now.App, now.Status, now.Output, now.Error
	r.Queued, r.Started, r.Ended = now.Queued, now.Started, now.Ended
}

// readRun reads a run, and its steps when it is over or the clock has struck.
func (t *tracer) readRun(ctx context.Context, r *tracedRun, struck bool) error {
	now, err := t.s.api.Run(ctx, r.ID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.update(now)
	if !terminal(r.Status) && !struck {
		return nil
	}
	trace, err := t.s.api.Trace(ctx, r.ID)
	if errors.Is(err, inngestapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Steps = steps(trace)
	r.over = terminal(r.Status)
	return t.follow(ctx, r)
}

// NewTraceRun returns a run that an event started as the server tells of it.
func NewTraceRun(eventID string, r inngestapi.Run, t inngestapi.RunTrace) TraceRun {
	run := tracedRun{TraceRun: TraceRun{ID: r.ID, EventID: eventID, Steps: steps(t)}}
	run.update(r)
	return run.TraceRun
}

func steps(trace inngestapi.RunTrace) []TraceStep {
	all := make([]TraceStep, 0, len(trace.Steps))
	for _, s := range trace.Steps {
		step := TraceStep{ID: s.ID, Op: s.Op, Status: s.Status, Input: s.Input, Output: s.Output, Error: s.Error, Started: s.Started, Ended: s.Ended}
		for _, a := range s.Attempts {
			step.Attempts = append(step.Attempts, TraceAttempt(a))
		}
		all = append(all, step)
	}
	return all
}

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
	tr := &Trace{
		EventID: t.eventID, Event: t.event, Functions: t.events[0].listeners, Mail: mail, Taken: time.Now(),
		Quiet: unquiet == "", Unquiet: unquiet, OtherMailCount: len(others), StrayMail: t.strays, Suspects: t.suspects,
	}
	for _, m := range others[max(0, len(others)-othersShown):] {
		tr.OtherMail = append(tr.OtherMail, MailSummary{To: m.Envelope.To, Subject: m.Subject, Received: m.Received})
	}
	for _, r := range t.runs {
		tr.Runs = append(tr.Runs, r.TraceRun)
		tr.Deliveries = append(tr.Deliveries, t.s.ledger.look(keyRun(r.ID)).deliveries...)
	}
	for _, to := range t.recipients {
		for _, d := range t.s.ledger.look(keyRecipient(to)).deliveries {
			if !d.Began.Before(t.since) {
				tr.Deliveries = append(tr.Deliveries, d)
			}
		}
	}
	slices.SortStableFunc(tr.Deliveries, func(a, b Delivery) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(tr.Runs, func(a, b TraceRun) int { return cmp.Or(a.Queued.Compare(b.Queued), cmp.Compare(a.ID, b.ID)) })
	tr.Evidence = t.evidence(tr)
	tr.Log = t.s.appLog(t.since)
	if err := t.s.SyncError(); err != nil {
		tr.SyncError = err.Error()
	}
	return tr
}

// evidence says how it is known that nothing more can happen, or why it is not.
func (t *tracer) evidence(tr *Trace) []string {
	if tr.Unquiet != "" {
		return []string{tr.Unquiet}
	}
	var lines []string
	switch {
	case tr.Event.DuplicateOf != "" && len(tr.Runs) == 0:
		lines = append(lines, "the server starts nothing for an event whose id it has seen")
	default:
		lines = append(lines, fmt.Sprintf("the event was picked up by %s, and %s ended, those of events they sent included",
			count(len(t.events[0].listeners), "function that listens for it", "functions that listen for it"),
			count(len(tr.Runs), "run has", "runs have")))
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

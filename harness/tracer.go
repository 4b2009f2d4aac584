package harness

import (
	"cmp"
	"context"
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
	took    time.Duration // by the last take
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

	// settleTime is how long after the end of a run the server may still be writing down what belongs to it. On a busy
	// machine, where it also answers late, it is settleLooks times what the last look took, up to longestSettle.
	settleTime, longestSettle = 150 * time.Millisecond, 2 * time.Second
	settleLooks               = 20
)

func (s *Stack) newTracer(eventID string, recipients []string) *tracer {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tracer{
		s: s, eventID: eventID, recipients: recipients, events: []*tracedEvent{{id: eventID}},
		listener: &listener{news: make(chan struct{}, 1)},
		watching: ctx, cancel: cancel, watched: map[string]bool{}, idle: map[string]bool{}, named: map[string]bool{},
		beat: tapped(s, firstBeat, firstBeatTapless), struck: true,
	}
	if id, err := ulid.ParseStrict(eventID); err == nil {
		t.since = id.Timestamp() // when the server received it
	}
	for _, to := range recipients {
		t.watchInbox(inbox.Filter{To: to})
		s.ledger.listen(keyRecipient(to), t.listener)
	}
	return t
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
// the next take read it again, be it the one when ctx has ended. It says whether there is anything to take again.
func (t *tracer) settle(ctx context.Context) bool {
	if t.settled {
		return false
	}
	t.settled = true
	select {
	case <-ctx.Done():
	case <-time.After(min(max(settleTime, settleLooks*t.took), longestSettle)):
	}
	for _, r := range t.runs {
		r.over = false
	}
	t.struck = true
	return true
}

// take builds the trace as it is now known.
func (t *tracer) take(ctx context.Context) (*Trace, error) {
	struck, began := t.struck, time.Now()
	defer func() {
		t.struck = false
		t.took = time.Since(began)
	}()
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
	trace := t.trace(mail, others, unquiet)
	if unquiet == "" && len(t.deliveriesNotIn(trace)) > 0 {
		trace.Quiet, trace.Unquiet = false, "the mail server has accepted an email that the inbox does not show yet"
	}
	return trace, nil
}

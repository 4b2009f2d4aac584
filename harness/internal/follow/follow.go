// Package follow builds the trace of one event from what the taps record and what the APIs of the servers tell.
package follow

import (
	"cmp"
	"context"
	"iter"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// An Inbox gives access to the captured emails.
type Inbox interface {
	// Find returns the emails that match a filter, as far as they are known.
	Find(ctx context.Context, f inbox.Filter) ([]*harness.Message, error)
	// Watch yields matching emails as they arrive, until ctx ends.
	Watch(ctx context.Context, f inbox.Filter) iter.Seq2[*harness.Message, error]
	// ReadToEnd returns when everything that has arrived by now is known.
	ReadToEnd(ctx context.Context) error
}

// Sources are where a trace comes from. API and Ledger are required.
type Sources struct {
	API    *inngestapi.Client
	Ledger *Ledger
	// Inbox is nil where no emails can be read. NoInbox says why.
	Inbox   Inbox
	NoInbox string
	// MailOptional says that a trace without emails will do where the inbox does not answer: [harness.Trace.MailUnknown] says why then.
	MailOptional bool
	// MailLags says that an email may reach the inbox after the mail server has accepted it, and that the trace is about emails:
	// it is never quiet then.
	MailLags bool
	// Taps are the recording proxies that Ledger reads; nil on a stack without them.
	Taps *tap.Set
	// Connected says that the app is called over a connection of its own to the server: the taps record none of its calls.
	Connected bool
	// AllTapped says that everything that the app sends passes the taps.
	AllTapped bool

	// Shared says that tests run concurrently against the same app. Events sent outside steps then cannot be attributed
	// to a run.
	Shared bool
	// RunHeader names the header of an email that holds the id of the run that sent it.
	RunHeader string

	// AppLog returns what the app printed since a time; nil where that is not known.
	AppLog func(since time.Time) []string
	// SyncError returns why the app's last sync failed; nil where that is not known.
	SyncError func() error

	// Now is the clock of the server and of the inbox. Nil: time.Now.
	Now func() time.Time
	// Idle reports whether the server has nothing left to do, so that what has not started will not start. Nil: not
	// known.
	Idle func() bool
	// VisibleWithin is how long the server may take to show what it has accepted.
	VisibleWithin time.Duration
}

func (s *Sources) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Sources) idle() bool { return s.Idle != nil && s.Idle() }

// A Follower builds the trace of one event, again and again as more becomes known. It asks the servers only for what may
// have changed: when a tap or the inbox reports news, and, less often, when the poll interval has elapsed. It is used by
// one goroutine.
type Follower struct {
	// Delivering says that an email was on its way to the mail server at the last Look.
	Delivering bool

	src        Sources
	eventID    string
	recipients []string // addresses that the expectation names
	since      time.Time

	waiter   *waiter
	watching context.Context
	cancel   context.CancelFunc
	watchers sync.WaitGroup
	watched  map[string]bool

	root       *harness.TraceEvent   // the event itself; nil until the server shows it
	registered []inngestapi.Function // all functions that the server knows
	noList     string                // why the server does not tell its functions
	events     []*tracedEvent        // events whose runs belong to the trace, the event itself first
	runs       []*tracedRun

	interval time.Duration
	due      bool // the poll interval has elapsed since the last look
	settled  bool
	lingered bool
	took     time.Duration // by the last look

	notStarted map[string]string // why functions do not start, by event and function

	beside *Follower // of the unattributed events; nil where there is none

	exist map[string]bool // runs that emails name, and whether the server knows them

	// earlier are the emails that were in a lagging inbox at the first look, from before the event. Nil before that look.
	earlier map[string]bool
}

// A tracedEvent is an event and the functions that it triggers. Calls of the app carry its idempotency key, which is the
// id where the sender chose none.
type tracedEvent struct {
	inngestapi.ReceivedEvent
	subscribed  []harness.TraceFunction
	duplicateOf string // an event with the same idempotency key that started the runs
	inferred    bool   // only the time at which it was sent connects it to the trace
}

// A tracedRun is a run and what is known of it for good.
type tracedRun struct {
	harness.TraceRun
	events []string // those of the trace that started it: several where it is a batch
	over   bool     // its end and its steps have been read
	// awaited names an event that the run caused and that the server does not show yet.
	awaited string
	waits   string // for what, or why it does not go on, where the server tells
}

// A look is one reading of the sources, and what it found.
type look struct {
	*Follower
	due bool // the poll interval has elapsed: ask also for what no news points to

	decisions map[string][]inngestapi.Decision // by event, as far as they were asked for

	mailUnknown      string // why no emails can be read
	mail             []harness.TraceMail
	otherMail        []*harness.Message
	unattributedMail int

	outside outside
}

// The poll interval doubles from the first to the last. Without taps nothing announces a change, so it is shorter.
const (
	firstInterval, lastInterval               = 40 * time.Millisecond, 500 * time.Millisecond
	firstIntervalTapless, lastIntervalTapless = 10 * time.Millisecond, 150 * time.Millisecond

	// restInterval is the last poll interval at a server without GraphQL: one in production, with a limit on requests.
	restInterval = 2 * time.Second

	// endingInterval is the poll interval while a run has given its last answer and the server has yet to save it,
	// for at most endingTime.
	endingInterval = 3 * time.Millisecond
	endingTime     = time.Second

	// settleTime is how long after the end of a run the server may still be saving what belongs to it. On a busy machine
	// it is settleLooks times the duration of the last look, up to longestSettle.
	settleTime, longestSettle = 150 * time.Millisecond, 2 * time.Second
	settleLooks               = 20

	// lingerTime is how long after its last answer an app may still send what it does not await, such as an email.
	lingerTime = 150 * time.Millisecond
)

// Intervals returns the first and the last poll interval.
func Intervals(taps *tap.Set) (first, last time.Duration) {
	if taps == nil {
		return firstIntervalTapless, lastIntervalTapless
	}
	return firstInterval, lastInterval
}

// New returns a Follower of the event with a ULID. Emails to the recipients that name no run are attributed to the event.
// The caller closes it.
func New(src Sources, eventID string, recipients []string) *Follower {
	ctx, cancel := context.WithCancel(context.Background())
	first, _ := Intervals(src.Taps)
	f := &Follower{
		src: src, eventID: eventID, recipients: recipients,
		events: []*tracedEvent{{ReceivedEvent: inngestapi.ReceivedEvent{EventID: eventID}}},
		waiter: newWaiter(), watching: ctx, cancel: cancel, watched: map[string]bool{},
		notStarted: map[string]string{}, exist: map[string]bool{}, interval: first, due: true,
	}
	if id, err := ulid.ParseStrict(eventID); err == nil {
		f.since = id.Timestamp() // when the server received it
	}
	for _, to := range recipients {
		f.watchInbox(inbox.Filter{To: to})
		src.Ledger.subscribe(keyRecipient(to), f.waiter)
	}
	return f
}

// Close frees the Follower.
func (f *Follower) Close() {
	if f.beside != nil {
		f.beside.Close()
	}
	f.cancel()
	f.src.Ledger.unsubscribe(f.waiter)
	f.watchers.Wait()
}

// watchInbox notifies the Follower of matching emails.
func (f *Follower) watchInbox(filter inbox.Filter) {
	if f.src.Inbox == nil || f.watched[filter.String()] {
		return
	}
	f.watched[filter.String()] = true
	f.watchers.Go(func() {
		for _, err := range f.src.Inbox.Watch(f.watching, filter) {
			if err != nil {
				return
			}
			f.waiter.notify()
		}
	})
}

// Wait returns nil when something may have changed, or the error of ctx when that ends.
func (f *Follower) Wait(ctx context.Context) error {
	interval, ending := f.interval, f.ending()
	if ending {
		interval = endingInterval
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.waiter.news:
	case <-timer.C:
		if !ending {
			_, last := Intervals(f.src.Taps)
			if f.src.API.ReadsREST() {
				last = restInterval
			}
			f.due, f.interval = true, min(2*f.interval, last)
		}
	}
	return nil
}

// ending reports whether a tap has seen the last answer of a run that the server does not show as ended yet.
func (f *Follower) ending() bool {
	for _, e := range f.events {
		for _, id := range f.src.Ledger.get(keyEvent(e.IdempotencyKey)).runs {
			r := f.run(id)
			ended := f.src.Ledger.get(keyRun(id)).ended
			if (r == nil || !r.over) && !ended.IsZero() && time.Since(ended) < endingTime {
				return true
			}
		}
	}
	return false
}

// Settle waits, once, until the server must have saved everything that belongs to the runs that it shows as ended, and
// makes the next Look read them again, also when ctx has ended. It returns false when there is nothing to read again.
func (f *Follower) Settle(ctx context.Context) bool {
	if f.settled {
		return false
	}
	f.settled = true
	pause(ctx, min(max(settleTime, settleLooks*f.took), longestSettle))
	for _, r := range f.runs {
		r.over = false
	}
	if f.beside != nil {
		for _, r := range f.beside.runs {
			r.over = false
		}
	}
	f.due = true
	return true
}

// Linger waits for what the app may send after its last answer. It returns false when it has waited and nothing has happened since.
func (f *Follower) Linger(ctx context.Context) bool {
	if f.lingered {
		return false
	}
	f.lingered = true
	pause(ctx, lingerTime)
	f.due = true
	return true
}

// pause waits until a time is over or ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Refresh makes the next Look ask for everything.
func (f *Follower) Refresh() { f.due = true }

// Since is when the server received the event.
func (f *Follower) Since() time.Time { return f.since }

// optionalMail is how long a look waits for an inbox that does not answer, such as a paused one, where emails are optional.
const optionalMail = 3 * time.Second

// Look reads the sources and returns the trace as it is now known.
func (f *Follower) Look(ctx context.Context) (*harness.Trace, error) {
	l, began := &look{Follower: f, due: f.due}, time.Now()
	f.Delivering = false
	defer func() {
		f.due = false
		f.took = time.Since(began)
	}()
	if err := l.readEvent(ctx); err != nil {
		return nil, err
	}
	if f.root == nil {
		return l.trace("the server has not received the event"), nil
	}
	if err := l.readRuns(ctx); err != nil {
		return nil, err
	}
	if err := l.explainUnstarted(ctx); err != nil {
		return nil, err
	}
	// The ledger reads the taps' records a moment after they are made: an old record may show a call as open.
	if err := f.src.Ledger.catchUp(ctx); err != nil {
		return nil, err
	}
	unquiet := l.pending()
	var err error
	if unquiet == "" {
		if unquiet, err = l.readOutside(ctx); err != nil {
			return nil, err
		}
	}
	reading, cancel := ctx, context.CancelFunc(func() {})
	if f.src.MailOptional {
		reading, cancel = context.WithTimeout(ctx, optionalMail)
	}
	defer cancel()
	if unquiet == "" && f.src.Inbox != nil {
		// Only now that every run has ended, reading the inbox to its end proves that no more emails will arrive, unless it lags.
		err = f.src.Inbox.ReadToEnd(reading)
	}
	var unshown string
	if err == nil {
		unshown, err = l.readMail(reading)
	}
	switch {
	case err != nil && f.src.MailOptional:
		l.mailUnknown, l.mail, l.otherMail = err.Error(), nil, nil
	case err != nil:
		return nil, err
	}
	unquiet = cmp.Or(unquiet, unshown)
	if f.src.MailLags {
		unquiet = cmp.Or(unquiet, "an email may still be on its way to this mailbox")
	}
	f.lingered = f.lingered && unquiet == "" // what comes now, the app may follow up
	trace := l.trace(unquiet)
	if unquiet == "" && l.mailUnknown == "" && acceptedOutsideInbox(trace) {
		trace.Quiet, trace.Unquiet = false, "the mail server has accepted an email that the inbox does not show yet"
	}
	return trace, nil
}

// tapSince is the time from which records of the taps can belong to the trace, by the wall clock that the taps use. Where
// the server has a clock of its own, it is the first call of one of the trace's runs.
func (f *Follower) tapSince() time.Time {
	if f.src.Now == nil {
		return f.since
	}
	return f.src.Ledger.firstCall(f.runIDs())
}

// run returns the run with an id, or nil.
func (f *Follower) run(id string) *tracedRun {
	for _, r := range f.runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (f *Follower) runIDs() map[string]bool {
	ids := map[string]bool{}
	for _, r := range f.runs {
		ids[r.ID] = true
	}
	return ids
}

package follow

import (
	"bytes"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A Ledger indexes what the taps record by run, event and recipient, so that a Follower finds what it needs without
// reading the whole log, and notifies waiters of changes. One ledger serves a stack. Its methods are safe for
// concurrent use.
type Ledger struct {
	taps   *tap.Set // nil on a stack without taps
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	order   []string             // keys in the order of their first use, for dropping the oldest
	entries map[string]*entry    // by key
	waiters map[string][]*waiter // by key
	flow    flow
	open    map[uint64]harness.Delivery // deliveries under way whose recipients are known, by the id of their exchange
	forgot  time.Time                   // when the mail server last ended
	recent  acceptances
	read    uint64        // the sequence number of the last record
	more    chan struct{} // closed by the next record
}

// An entry is what is known under one key.
type entry struct {
	deliveries    []harness.Delivery
	executions    executions // of the run's steps
	runs          []string   // runs that an event with this key started, or that reported it
	accepted      []string   // ULIDs that the server gave to events with this key, in the sequence in which it took them
	lost          []string   // the same, of a server that has lost its state since
	ended         time.Time  // when the run's last answer passed; zero before
	endedWith     []string   // hashed ids of the steps whose results it has
	called        bool       // the server has called the run
	awaited       bool       // the caller of the harness has asked for it
	isEvent       bool       // the server has accepted an event with this ULID
	sentByHarness bool       // so no run has sent it
}

// A waiter receives a signal when an entry changes. Sending never blocks.
type waiter struct{ news chan struct{} }

func newWaiter() *waiter { return &waiter{news: make(chan struct{}, 1)} }

func (w *waiter) notify() {
	select {
	case w.news <- struct{}{}:
	default: // there is a signal already
	}
}

// maxEntries bounds the ledger. What it drops can still be read from the servers.
const maxEntries = 50_000

func keyRun(id string) string       { return "run " + id }
func keyEvent(key string) string    { return "event " + key } // by idempotency key
func keyRecipient(to string) string { return "to " + address.Key(to) }
func keyRoot(id string) string      { return "root " + id }     // an event by its ULID
func keyReported(id string) string  { return "reported " + id } // an event by its ULID

// NewLedger reads the log of the taps until Close. Without taps it has only what [Ledger.Sent] adds.
func NewLedger(taps *tap.Set) *Ledger {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Ledger{
		taps: taps, cancel: cancel, done: make(chan struct{}), entries: map[string]*entry{}, waiters: map[string][]*waiter{},
		flow: newFlow(), open: map[uint64]harness.Delivery{}, more: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		if taps == nil {
			return
		}
		for c, err := range taps.Watch(ctx, 0) {
			if err != nil { // records were dropped; the servers' own accounts make up for most of them
				l.miss()
				continue
			}
			l.add(c)
		}
	}()
	return l
}

// Close frees the ledger.
func (l *Ledger) Close() {
	l.cancel()
	<-l.done
}

// add enters a record.
func (l *Ledger) add(c tap.Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		l.read = c.Seq
		close(l.more)
		l.more = make(chan struct{})
	}()
	l.flow.add(c)
	switch {
	case c.Checkpoint != nil:
		l.addReported(c.Checkpoint.RunID, c.Checkpoint.Steps)
		l.entry(keyRun(c.Checkpoint.RunID)).executions.report(c.Checkpoint.Steps, c.Checkpoint.Call, l.flow.began(c.Checkpoint.Call),
			c.Began, 0)
	case c.Call != nil:
		l.addCall(c)
	case c.Dispatch != nil && c.Over():
		for _, e := range c.Dispatch.Events {
			l.addAccepted(e.IdempotencyKey, e.EventID)
		}
	case c.Mail != nil:
		l.addMail(c)
	}
}

// addMail enters a record of a delivery.
func (l *Ledger) addMail(c tap.Exchange) {
	d := harness.Delivery{MailTransaction: *c.Mail, Began: c.Began, Faults: c.Faults, Err: c.Err, Open: !c.Over()}
	keys := deliveryKeys(d)
	if delete(l.open, c.ID); d.Open && len(keys) > 0 {
		l.open[c.ID] = d
	}
	for _, key := range keys {
		if !d.Open {
			e := l.entry(key)
			e.deliveries = append(e.deliveries, d)
		}
		l.notify(key)
	}
}

// deliveryKeys returns the keys under which a delivery is found: that of its run, or where it names none those of its
// recipients.
func deliveryKeys(d harness.Delivery) []string {
	if d.RunID != "" {
		return []string{keyRun(d.RunID)}
	}
	var keys []string
	for _, to := range slices.Concat(d.To, d.Refused, d.After) {
		keys = append(keys, keyRecipient(to))
	}
	return keys
}

// deliveries returns the deliveries under a key, those that have ended first.
func (l *Ledger) deliveries(key string) []harness.Delivery {
	found := slices.Clone(l.get(key).deliveries)
	l.mu.Lock()
	forgot := l.forgot
	l.mu.Unlock()
	for i, d := range found {
		found[i].Forgotten = d.Accepted && d.AcceptedAt.Before(forgot)
	}
	for _, d := range l.openDeliveries() {
		if slices.Contains(deliveryKeys(d), key) {
			found = append(found, d)
		}
	}
	return found
}

// openDeliveries returns the deliveries under way whose recipients are known.
func (l *Ledger) openDeliveries() []harness.Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []harness.Delivery
	for _, id := range slices.Sorted(maps.Keys(l.open)) {
		found = append(found, l.open[id])
	}
	return found
}

// addCall enters a record of a call of the app.
func (l *Ledger) addCall(c tap.Exchange) {
	run := l.entry(keyRun(c.Call.RunID))
	run.called = true
	for _, e := range c.Call.Events {
		if e.IdempotencyKey == "" {
			continue
		}
		if event := l.entry(keyEvent(e.IdempotencyKey)); !slices.Contains(event.runs, c.Call.RunID) {
			event.runs = append(event.runs, c.Call.RunID)
			l.notify(keyEvent(e.IdempotencyKey))
		}
	}
	if !c.Over() {
		return
	}
	l.addReported(c.Call.RunID, c.Call.Ops)
	run.executions.addCall(c)
	answered := c.HTTP.Status != 0 // an answer that was lost on its way ends nothing
	if answered && endsRun(c.Call) {
		run.ended, run.endedWith = c.Ended, completed(c.Call.Ops)
	}
	l.notify(keyRun(c.Call.RunID))
}

// endsRun reports whether the answer of a call ends its run, as far as the wire tells.
func endsRun(c *tap.Call) bool {
	switch {
	case c.Status == 200:
		return true
	case c.Status == 206:
		return slices.ContainsFunc(c.Ops, func(o tap.Op) bool { return o.Op == sdk.OpRunComplete })
	default:
		return c.NoRetry || (c.MaxAttempts > 0 && c.Attempt >= c.MaxAttempts)
	}
}

// completed returns the hashed ids of the steps whose results are among the opcodes of an answer.
func completed(ops []tap.Op) (ids []string) {
	for _, o := range ops {
		if o.Op.Ran() && o.Op != sdk.OpStepError && o.Op != sdk.OpStepFailed {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// eventIDPattern matches the id of an event in the output of a step.
var eventIDPattern = regexp.MustCompile(`\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b`)

// addReported enters the events that steps of a run report to have sent.
func (l *Ledger) addReported(run string, ops []tap.Op) {
	for _, o := range ops {
		for _, id := range eventIDPattern.FindAllString(string(o.Data), -1) {
			e := l.entry(keyReported(id))
			e.runs = append(e.runs, run)
		}
	}
}

// miss notes that records were dropped.
func (l *Ledger) miss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.taps.Exchanges()
	l.flow.miss(log)
	clear(l.open)
	for _, x := range log {
		if x.Mail != nil && !x.Over() {
			l.addMail(x)
		}
		if x.Over() {
			delete(l.open, x.ID)
		}
	}
}

// Sent enters an event that the harness sent by itself, past the taps. key may be empty.
func (l *Ledger) Sent(key, eventID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addAccepted(key, eventID)
	l.entry(keyRoot(eventID)).sentByHarness = true
}

func (l *Ledger) addAccepted(key, eventID string) {
	if eventID == "" {
		return
	}
	l.entry(keyRoot(eventID)).isEvent = true
	l.recent.add(eventID)
	if key == "" {
		return
	}
	e := l.entry(keyEvent(key))
	i, _ := slices.BinarySearch(e.accepted, eventID) // the answer to an earlier one may come later
	e.accepted = slices.Insert(e.accepted, i, eventID)
	l.notify(keyEvent(key))
}

// AwaitRoot notes that the caller asks for the event with a ULID: it is then not attributed to any run.
func (l *Ledger) AwaitRoot(eventID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry(keyRoot(eventID)).awaited = true
}

// StateLost notes that a server has ended and lost its state. Inngest does not remember idempotency keys, so what was accepted
// before makes no event a duplicate. The mail server shows no email that it had accepted.
func (l *Ledger) StateLost(ctx context.Context, server harness.Service) error {
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if server == harness.ServiceMailHog {
		l.forgot = time.Now()
		return nil
	}
	l.recent = nil
	for key, e := range l.entries {
		if strings.HasPrefix(key, keyEvent("")) {
			e.lost, e.accepted, e.runs = append(e.lost, e.accepted...), nil, nil
		}
	}
	return nil
}

// AwaitKey waits until the server has accepted an event with an idempotency key and returns the ULID of the first one. It
// calls find, where it is not nil, whenever interval has elapsed; find returns the ULID if the server shows the event.
func (l *Ledger) AwaitKey(ctx context.Context, key string, find func(context.Context) (string, error)) (string, error) {
	l.mu.Lock()
	l.entry(keyEvent(key)).awaited = true
	l.mu.Unlock()
	w := newWaiter()
	l.subscribe(keyEvent(key), w)
	defer l.unsubscribe(w)
	interval, last := Intervals(nil)
	for {
		if e := l.get(keyEvent(key)); len(e.accepted)+len(e.lost) > 0 {
			return append(e.accepted, e.lost...)[0], nil
		}
		var due <-chan time.Time
		if find != nil {
			if id, err := find(ctx); err != nil || id != "" {
				return id, err
			}
			due, interval = time.After(interval), min(2*interval, last)
		}
		select {
		case <-w.news:
		case <-due:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// outsideDuring is flow.during, and the time up to which it may be incomplete.
func (l *Ledger) outsideDuring(runs map[string]bool) (found []dispatch, alone []bool, missed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, alone = l.flow.during(runs)
	return found, alone, l.flow.missed
}

// sentSince returns the events that the server accepted at that time or later, by its clock, and those that it has not accepted
// yet. Of none it is known which run was being called then.
func (l *Ledger) sentSince(since time.Time) (found []dispatch, alone []bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.flow.dispatches {
		at := d.began
		if id, err := ulid.ParseStrict(d.EventID); err == nil {
			at = id.Timestamp() // the server's clock may have been put forward
		}
		if d.EventID == "" || !at.Before(since) {
			found = append(found, *d)
		}
	}
	return found, make([]bool, len(found))
}

// sentByOther reports whether it is known that none of these runs sent an event whose id one of them, r, has: the harness did,
// or the app while none was being called and r waited for it, or, where all that the app sends passes the taps, another client.
func (l *Ledger) sentByOther(runs map[string]bool, r *tracedRun, eventID string, allTapped bool) bool {
	if l.get(keyRoot(eventID)).sentByHarness {
		return true
	}
	l.mu.Lock()
	seen, within := l.flow.sentDuring(runs, eventID)
	l.mu.Unlock()
	awaited := slices.ContainsFunc(r.Steps, func(s harness.TraceStep) bool {
		return s.Op == "WAIT_FOR_EVENT" && bytes.Contains(s.Output, []byte(eventID))
	})
	return !within && (seen && awaited || !seen && allTapped)
}

// callsOf is flow.summary.
func (l *Ledger) callsOf(runs ...string) calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flow.summary(runs)
}

// firstCall returns when the first call of one of these runs began; now where there was none.
func (l *Ledger) firstCall(runs map[string]bool) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.flow.callsOf(runs); len(found) > 0 {
		return found[0].began
	}
	return time.Now()
}

// mailDuring is flow.mailDuring.
func (l *Ledger) mailDuring(runs map[string]bool, known []string) []sentMail {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flow.mailDuring(runs, known)
}

// catchUp waits until the ledger has everything that the taps have recorded by now.
func (l *Ledger) catchUp(ctx context.Context) error {
	if l.taps == nil {
		return nil
	}
	until := l.taps.Last()
	for {
		l.mu.Lock()
		read, more := l.read, l.more
		l.mu.Unlock()
		if read >= until {
			return nil
		}
		select {
		case <-more:
		case <-l.done: // closed: there will be no more
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// entry returns the entry of a key and adds it if need be. The caller holds l.mu.
func (l *Ledger) entry(key string) *entry {
	e, ok := l.entries[key]
	if !ok {
		if len(l.order) == maxEntries {
			delete(l.entries, l.order[0])
			l.order = l.order[1:]
		}
		e = &entry{}
		l.entries[key] = e
		l.order = append(l.order, key)
	}
	return e
}

// get returns a copy of the entry of a key.
func (l *Ledger) get(key string) entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries[key]
	if !ok {
		return entry{}
	}
	c := *e
	c.deliveries, c.runs, c.accepted = slices.Clone(e.deliveries), slices.Clone(e.runs), slices.Clone(e.accepted)
	c.executions.list = slices.Clone(e.executions.list)
	return c
}

// subscribe notifies w of changes under a key, until unsubscribe.
func (l *Ledger) subscribe(key string, w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.waiters[key], w) {
		l.waiters[key] = append(l.waiters[key], w)
	}
}

// unsubscribe ends all subscriptions of w.
func (l *Ledger) unsubscribe(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, all := range l.waiters {
		if all = slices.DeleteFunc(all, func(o *waiter) bool { return o == w }); len(all) == 0 {
			delete(l.waiters, key)
		} else {
			l.waiters[key] = all
		}
	}
}

func (l *Ledger) notify(key string) {
	for _, w := range l.waiters[key] {
		w.notify()
	}
}

package harness

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// ledger sorts what the taps see by run, event and recipient, so that a tracer finds what it needs without reading
// the whole log, and wakes those who wait for news of one of them. One ledger serves a stack.
type ledger struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	order     []string               // keys in the order of their first use, for dropping the oldest
	entries   map[string]*page       // by key
	listeners map[string][]*listener // by key
	flow      flow
	read      uint64        // the last record that has been entered
	more      chan struct{} // closed by the next
}

// page is what is known under one key.
type page struct {
	deliveries []Delivery
	runs       []string  // runs that an event of this id started
	accepted   []string  // ULIDs that the server gave to events of this id, in order
	ended      time.Time // when the run's last answer crossed; zero while it has not
	called     bool      // the server has called the run
	claimed    bool      // somebody has asked for it
	taken      bool      // the server has accepted the event of this ULID
}

// listener is one who waits. It is woken without being waited for.
type listener struct{ news chan struct{} }

// keptPages bounds the ledger. What is dropped can still be read from the servers.
const keptPages = 50_000

func keyRun(id string) string       { return "run " + id }
func keyEvent(ownID string) string  { return "event " + ownID }
func keyRecipient(to string) string { return "to " + to }
func keyRoot(id string) string      { return "root " + id }     // an event by its ULID
func keyReported(id string) string  { return "reported " + id } // likewise

// newLedger reads the taps' log until close. Without taps it stays empty.
func newLedger(taps *tap.Set) *ledger {
	ctx, cancel := context.WithCancel(context.Background())
	l := &ledger{
		cancel: cancel, done: make(chan struct{}), entries: map[string]*page{}, listeners: map[string][]*listener{},
		flow: newFlow(), more: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		if taps == nil {
			return
		}
		for c, err := range taps.Watch(ctx, 0) {
			if err != nil { // a gap loses news, which the servers' own accounts make up for as far as they can
				l.miss()
				continue
			}
			l.enter(c)
		}
	}()
	return l
}

func (l *ledger) close() {
	l.cancel()
	<-l.done
}

func (l *ledger) enter(c tap.Crossing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		l.read = c.Seq
		close(l.more)
		l.more = make(chan struct{})
	}()
	l.flow.enter(c)
	switch {
	case c.Checkpoint != nil:
		l.report(c.Checkpoint.Run, c.Checkpoint.Steps)
	case c.Call != nil:
		p := l.page(keyRun(c.Call.Run))
		p.called = true
		for _, e := range c.Call.Events {
			if e.ID == "" {
				continue
			}
			if ep := l.page(keyEvent(e.ID)); !slices.Contains(ep.runs, c.Call.Run) {
				ep.runs = append(ep.runs, c.Call.Run)
				l.wake(keyEvent(e.ID))
			}
		}
		if c.Over() {
			l.report(c.Call.Run, c.Call.Ops)
			// An answer that got lost on its way ends nothing.
			if c.HTTP.Status != 0 && lastAnswer(c.Call) {
				p.ended = c.Ended
			}
			l.wake(keyRun(c.Call.Run))
		}
	case c.Dispatch != nil && c.Over():
		for _, e := range c.Dispatch.Events {
			l.accept(e.ID, e.ServerID)
		}
	case c.Mail != nil && c.Over():
		d := Delivery{Mail: *c.Mail, Began: c.Began, Faults: c.Faults, Err: c.Err}
		if d.Run != "" {
			l.deliver(keyRun(d.Run), d)
			return
		}
		for _, to := range slices.Concat(d.To, d.Refused) {
			l.deliver(keyRecipient(to), d)
		}
	}
}

// miss notes that records are gone.
func (l *ledger) miss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flow.missed = time.Now()
}

// sent records an event that this process has sent itself, past the taps.
func (l *ledger) sent(ownID, serverID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accept(ownID, serverID)
}

func (l *ledger) accept(ownID, serverID string) {
	if serverID == "" {
		return
	}
	l.page(keyRoot(serverID)).taken = true
	if ownID == "" {
		return
	}
	p := l.page(keyEvent(ownID))
	p.accepted = append(p.accepted, serverID)
	l.wake(keyEvent(ownID))
}

// lastAnswer says whether a call's answer ends its run, as far as the wire tells.
func lastAnswer(c *tap.Call) bool {
	switch {
	case c.Status == 200:
		return true
	case c.Status == 206:
		return slices.ContainsFunc(c.Ops, func(o tap.Op) bool { return o.Op == "RunComplete" })
	default:
		return c.NoRetry || (c.MaxAttempts > 0 && c.Attempt >= c.MaxAttempts)
	}
}

func (l *ledger) deliver(key string, d Delivery) {
	p := l.page(key)
	p.deliveries = append(p.deliveries, d)
	l.wake(key)
}

// page returns the entry for a key, a new one if need be. The caller holds l.mu.
func (l *ledger) page(key string) *page {
	p, ok := l.entries[key]
	if !ok {
		if len(l.order) == keptPages {
			delete(l.entries, l.order[0])
			l.order = l.order[1:]
		}
		p = &page{}
		l.entries[key] = p
		l.order = append(l.order, key)
	}
	return p
}

func (l *ledger) wake(key string) {
	for _, w := range l.listeners[key] {
		w.wake()
	}
}

func (w *listener) wake() {
	select {
	case w.news <- struct{}{}:
	default: // it has been woken already and has not looked yet
	}
}

// look returns a copy of what is known under a key.
func (l *ledger) look(key string) page {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.entries[key]
	if !ok {
		return page{}
	}
	c := *p
	c.deliveries, c.runs, c.accepted = slices.Clone(p.deliveries), slices.Clone(p.runs), slices.Clone(p.accepted)
	return c
}

// listen wakes w on news under a key, until ignore.
func (l *ledger) listen(key string, w *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.listeners[key], w) {
		l.listeners[key] = append(l.listeners[key], w)
	}
}

// ignore ends all that listen began for w.
func (l *ledger) ignore(w *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, all := range l.listeners {
		if all = slices.DeleteFunc(all, func(o *listener) bool { return o == w }); len(all) == 0 {
			delete(l.listeners, key)
		} else {
			l.listeners[key] = all
		}
	}
}

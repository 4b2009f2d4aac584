package faults_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// An observer keeps the exchanges by which a row is judged. It reads the taps' log as it grows: the log keeps a limited
// number of records, and a large burst makes more.
type observer struct {
	taps *tap.Set

	mu         sync.Mutex
	read       uint64                  // Seq of the last record that it has read
	gap        error                   // why it has not read them all
	changed    chan struct{}           // closed by the next record
	mails      map[uint64]tap.Exchange // by exchange, the latest record of each
	dispatches map[uint64]tap.Exchange // likewise
	runs       map[string]string       // by an event's IdempotencyKey, the run that it started
	final      int                     // how many calls ended their runs
	synced     uint64                  // Seq of the app's last registration
}

// newObserver reads the records after a Seq until the test ends.
func newObserver(t *testing.T, taps *tap.Set, after uint64) *observer {
	w := &observer{
		taps: taps, read: after, changed: make(chan struct{}),
		mails: map[uint64]tap.Exchange{}, dispatches: map[uint64]tap.Exchange{}, runs: map[string]string{},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for c, err := range taps.Watch(ctx, after) {
			w.add(c, err)
		}
	})
	t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
	return w
}

func (w *observer) add(c tap.Exchange, gap error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	if gap != nil {
		w.gap = fmt.Errorf("some exchanges are unknown: %w", gap)
		return
	}
	w.read = c.Seq
	switch {
	case c.Mail != nil:
		w.mails[c.ID] = c
	case c.Dispatch != nil:
		w.dispatches[c.ID] = c
	case c.Call != nil:
		for _, event := range c.Call.Events {
			w.runs[event.IdempotencyKey] = c.Call.RunID
		}
		if c.Over() && (c.Call.Status == http.StatusOK || c.Call.NoRetry) {
			w.final++
		}
	case c.Sync != nil && c.Wire == tap.AppToInngest && c.Over():
		w.synced = c.Seq
	}
}

// await waits until done reports true. It is called after each record.
func (w *observer) await(ctx context.Context, done func() bool) error {
	for {
		w.mu.Lock()
		gap, news := w.gap, w.changed
		ok := gap == nil && done()
		w.mu.Unlock()
		if gap != nil || ok {
			return gap
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// upToDate calls f once the observer has read every record made so far.
func (w *observer) upToDate(ctx context.Context, f func()) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := w.taps.Last()
	return w.await(ctx, func() bool {
		if w.read < last {
			return false
		}
		f()
		return true
	})
}

// deliveries returns the attempts to deliver an email, in the sequence of their latest records.
func (e *env) deliveries() []tap.Exchange {
	e.Helper()
	var all []tap.Exchange
	require.NoError(e, e.observer.upToDate(e.Context(), func() { all = bySeq(e.observer.mails) }))
	return all
}

// dispatched returns the events that the app has sent for the row's requests, that the Inngest server accepted and has not
// lost since.
func (e *env) dispatched() []tap.Event {
	e.Helper()
	mine := map[string]bool{}
	for _, a := range e.requests {
		mine[a.request.ID] = true
	}
	var events []tap.Event
	require.NoError(e, e.observer.upToDate(e.Context(), func() {
		for _, c := range bySeq(e.observer.dispatches) {
			if c.Seq <= e.lostAt {
				continue
			}
			for _, event := range c.Dispatch.Events {
				request, _, _ := strings.Cut(event.IdempotencyKey, "-")
				if mine[request] && event.EventID != "" {
					events = append(events, event)
				}
			}
		}
	}))
	return events
}

func bySeq(exchanges map[uint64]tap.Exchange) []tap.Exchange {
	return slices.SortedFunc(maps.Values(exchanges), func(a, b tap.Exchange) int { return cmp.Compare(a.Seq, b.Seq) })
}

// waitStackQuiet waits until the whole stack has nothing left to do. It is for many requests, since judging an event takes
// a second. Every event must have started a run, every run must have ended according to the Inngest server, no request may
// be left for the dispatcher, and no exchange may be under way. Then it reads the whole inbox, which must hold as many
// copies for each request as were accepted on the wire. The app's function sends no events, so no more can come.
func (e *env) waitStackQuiet() {
	e.Helper()
	over := map[string]bool{} // by the event's IdempotencyKey
	e.eventually(patience+time.Duration(len(e.requests))*time.Second/10, 50*time.Millisecond, func() error {
		for _, event := range e.dispatched() {
			if over[event.IdempotencyKey] {
				continue
			}
			if err := e.ended(event); err != nil {
				return err
			}
			over[event.IdempotencyKey] = true
		}
		if err := e.refresh(); err != nil {
			return err
		}
		// This comes last: exchanges that were under way during the checks above have been recorded by now.
		var err error
		return cmp.Or(e.observer.upToDate(e.Context(), func() { err = e.observer.underWay(len(over)) }), err)
	})

	copies := map[string]int{}
	all, err := e.stack.Inbox().List(e.Context())
	require.NoError(e, err)
	for _, m := range all {
		for _, to := range m.Envelope.To {
			copies[strings.ToLower(to)]++
		}
	}
	for i, o := range e.outcomes() {
		if to := e.requests[i].to; copies[strings.ToLower(to)] != len(o.accepted) {
			e.Errorf("request %s: the inbox holds %d copies for %s, though %d were accepted on the wire", o.request.ID, copies[strings.ToLower(to)], to, len(o.accepted))
		}
	}
}

// ended returns an error while an event's run goes on.
func (e *env) ended(event tap.Event) error {
	var run string
	if err := e.observer.upToDate(e.Context(), func() { run = e.observer.runs[event.IdempotencyKey] }); err != nil {
		return err
	}
	if run == "" {
		return fmt.Errorf("event %s has started no run yet", event.IdempotencyKey)
	}
	r, err := e.stack.API().Run(e.Context(), run)
	if err == nil && !r.Status.Final() {
		err = fmt.Errorf("run %s of event %s is still %s", run, event.IdempotencyKey, r.Status)
	}
	return err
}

// underWay returns an error while a delivery or a dispatch is under way, or if more events than the known ones have been
// dispatched. The caller is in upToDate.
func (w *observer) underWay(known int) error {
	for _, kind := range []map[uint64]tap.Exchange{w.mails, w.dispatches} {
		for _, c := range kind {
			if !c.Over() {
				return fmt.Errorf("an exchange on the wire %[2]s has been under way since %[1]s", c.Began.Format(time.TimeOnly), c.Wire)
			}
		}
	}
	events := map[string]bool{}
	for _, c := range w.dispatches {
		for _, event := range c.Dispatch.Events {
			if event.EventID != "" {
				events[event.IdempotencyKey] = true
			}
		}
	}
	if len(events) > known {
		return fmt.Errorf("%d events have been dispatched, not only the %d that are known to be over", len(events), known)
	}
	return nil
}

// refresh reads the requests as they are stored now. It returns an error while one of them is neither sent nor failed.
func (e *env) refresh() error {
	place := map[string]int{}
	for i, a := range e.requests {
		place[a.request.ID] = i
	}
	requests, err := e.store.Requests(e.Context(), "", "", 10*len(e.requests))
	if err != nil {
		return err
	}
	open := len(place)
	for _, r := range requests {
		i, mine := place[r.ID]
		if !mine {
			continue
		}
		e.requests[i].request = r
		if state := r.Notification.State; state == app.Sent || state == app.Failed {
			open--
		}
	}
	if open > 0 {
		return fmt.Errorf("%d of %d requests are neither sent nor failed", open, len(place))
	}
	return nil
}

func TestObserver_ReportsGap(t *testing.T) {
	t.Parallel()
	w := &observer{taps: tap.New(tap.Options{}), changed: make(chan struct{})}
	require.NoError(t, w.upToDate(t.Context(), func() {}))
	w.add(tap.Exchange{}, &tap.GapError{Missed: 3})
	err := w.upToDate(t.Context(), func() { t.Error("the function was called after a gap") })
	require.EqualError(t, err, "some exchanges are unknown: the taps' log has moved on: 3 records are gone before they were read; read faster, or raise tap.Options.Keep")
	require.ErrorAs(t, err, new(*tap.GapError))
}

func TestObserver_UnderWay(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &observer{taps: tap.New(tap.Options{}), changed: make(chan struct{}), mails: map[uint64]tap.Exchange{}, dispatches: map[uint64]tap.Exchange{}}
	events := &tap.Dispatch{Events: []tap.Event{{IdempotencyKey: "a-1", EventID: "01A"}, {IdempotencyKey: "b-1"}}}
	w.add(tap.Exchange{ID: 1, Wire: tap.AppToInngest, Ended: ended, Dispatch: events}, nil)
	require.NoError(t, w.underWay(1), "the other was not accepted")
	require.EqualError(t, w.underWay(0), "1 events have been dispatched, not only the 0 that are known to be over")
	w.add(tap.Exchange{ID: 2, Wire: tap.AppToMail, Began: ended, Mail: &harness.MailTransaction{}}, nil)
	require.EqualError(t, w.underWay(1), "an exchange on the wire app→mail has been under way since 03:04:05")
	w.add(tap.Exchange{ID: 2, Wire: tap.AppToMail, Ended: ended, Mail: &harness.MailTransaction{}}, nil)
	require.NoError(t, w.underWay(1))
}

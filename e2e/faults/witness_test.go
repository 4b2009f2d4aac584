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

// witness remembers what a row is judged by, from its beginning on. It reads the taps' log while it grows: that keeps
// only so many records, and a big burst makes more.
type witness struct {
	taps *tap.Set

	mu         sync.Mutex
	read       uint64                  // the last record that it has seen
	gap        error                   // why it has not seen them all
	news       chan struct{}           // closed by the next record
	mails      map[uint64]tap.Exchange // by exchange, the latest record of each
	dispatches map[uint64]tap.Exchange // likewise
	runs       map[string]string       // by an event's own id, the run that it started
	final      int                     // how many calls have ended their runs
	synced     uint64                  // the last record of the app registering
}

// newWitness sees what comes after a record, until the test is over.
func newWitness(t *testing.T, taps *tap.Set, after uint64) *witness {
	w := &witness{
		taps: taps, read: after, news: make(chan struct{}),
		mails: map[uint64]tap.Exchange{}, dispatches: map[uint64]tap.Exchange{}, runs: map[string]string{},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for c, err := range taps.Watch(ctx, after) {
			w.see(c, err)
		}
	})
	t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
	return w
}

func (w *witness) see(c tap.Exchange, gap error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.news)
	w.news = make(chan struct{})
	if gap != nil {
		w.gap = fmt.Errorf("not all that happened is known: %w", gap)
		return
	}
	w.read = c.Seq
	switch {
	case c.Mail != nil:
		w.mails[c.ID] = c
	case c.Dispatch != nil:
		w.dispatches[c.ID] = c
	case c.Call != nil:
		for _, e := range c.Call.Events {
			w.runs[e.IdempotencyKey] = c.Call.RunID
		}
		if c.Over() && (c.Call.Status == http.StatusOK || c.Call.NoRetry) {
			w.final++
		}
	case c.Sync != nil && c.Wire == tap.AppToInngest && c.Over():
		w.synced = c.Seq
	}
}

// await waits until what the witness has seen is as wanted, which done is asked after each record.
func (w *witness) await(ctx context.Context, done func() bool) error {
	for {
		w.mu.Lock()
		gap, news := w.gap, w.news
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

// look calls f once the witness has seen all that has crossed so far.
func (w *witness) look(ctx context.Context, f func()) error {
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

// deliveries returns the attempts to deliver an email, in the order of their latest records.
func (s *scene) deliveries() []tap.Exchange {
	s.Helper()
	var all []tap.Exchange
	require.NoError(s, s.witness.look(s.Context(), func() { all = bySeq(s.witness.mails) }))
	return all
}

// dispatched returns the events that the app has sent for the row's requests, as far as the Inngest server took them and
// still knows them.
func (s *scene) dispatched() []tap.Event {
	s.Helper()
	mine := map[string]bool{}
	for _, a := range s.requests {
		mine[a.request.ID] = true
	}
	var events []tap.Event
	require.NoError(s, s.witness.look(s.Context(), func() {
		for _, c := range bySeq(s.witness.dispatches) {
			if c.Seq <= s.lostAt {
				continue
			}
			for _, e := range c.Dispatch.Events {
				request, _, _ := strings.Cut(e.IdempotencyKey, "-")
				if mine[request] && e.EventID != "" {
					events = append(events, e)
				}
			}
		}
	}))
	return events
}

func bySeq(exchanges map[uint64]tap.Exchange) []tap.Exchange {
	return slices.SortedFunc(maps.Values(exchanges), func(a, b tap.Exchange) int { return cmp.Compare(a.Seq, b.Seq) })
}

// stackQuiet waits until the whole stack has nothing left to do, for a crowd, of which to judge each by itself would
// take a second each: every event has started a run, every run has ended as far as the Inngest server knows, no request
// is left for the dispatcher, and nothing is on its way on a wire. Then it reads the inbox to its end, which has to hold
// as many copies for each request as were seen to be accepted. The app's function sends no events, so no more can come.
func (s *scene) stackQuiet() {
	s.Helper()
	over := map[string]bool{} // events
	s.eventually(patience+time.Duration(len(s.requests))*time.Second/10, 50*time.Millisecond, func() error {
		for _, e := range s.dispatched() {
			if over[e.IdempotencyKey] {
				continue
			}
			if err := s.ended(e); err != nil {
				return err
			}
			over[e.IdempotencyKey] = true
		}
		if err := s.refresh(); err != nil {
			return err
		}
		// Last, so that what those asked before had still to do would have been seen by now.
		var err error
		return cmp.Or(s.witness.look(s.Context(), func() { err = s.witness.underWay(len(over)) }), err)
	})

	copies := map[string]int{}
	require.NoError(s, s.stack.Inbox().Each(s.Context(), func(m *harness.Message) error {
		for _, to := range m.Envelope.To {
			copies[strings.ToLower(to)]++
		}
		return nil
	}))
	for i, o := range s.outcomes() {
		if to := s.requests[i].to; copies[strings.ToLower(to)] != len(o.accepted) {
			s.Errorf("request %s: the inbox holds %d copies for %s, though %d were seen to be accepted", o.request.ID, copies[strings.ToLower(to)], to, len(o.accepted))
		}
	}
}

// ended returns an error as long as an event's run goes on.
func (s *scene) ended(e tap.Event) error {
	var run string
	if err := s.witness.look(s.Context(), func() { run = s.witness.runs[e.IdempotencyKey] }); err != nil {
		return err
	}
	if run == "" {
		return fmt.Errorf("event %s has started no run yet", e.IdempotencyKey)
	}
	r, err := s.stack.API().Run(s.Context(), run)
	if err == nil && !r.Status.Final() {
		err = fmt.Errorf("run %s of event %s is still %s", run, e.IdempotencyKey, r.Status)
	}
	return err
}

// underWay returns an error as long as a delivery or a dispatch is on its way, or events have been dispatched beside
// those that are known. It is for look.
func (w *witness) underWay(known int) error {
	for _, kind := range []map[uint64]tap.Exchange{w.mails, w.dispatches} {
		for _, c := range kind {
			if !c.Over() {
				return fmt.Errorf("since %s something has been on its way on the wire %s", c.Began.Format(time.TimeOnly), c.Wire)
			}
		}
	}
	events := map[string]bool{}
	for _, c := range w.dispatches {
		for _, e := range c.Dispatch.Events {
			if e.EventID != "" {
				events[e.IdempotencyKey] = true
			}
		}
	}
	if len(events) > known {
		return fmt.Errorf("%d events have been dispatched, not only the %d that are known to be over", len(events), known)
	}
	return nil
}

// refresh reads the requests as they are stored now. It returns an error as long as one is for the dispatcher or a run
// to go on with.
func (s *scene) refresh() error {
	place := map[string]int{}
	for i, a := range s.requests {
		place[a.request.ID] = i
	}
	requests, err := s.store.Requests(s.Context(), "", 10*len(s.requests))
	if err != nil {
		return err
	}
	open := len(place)
	for _, r := range requests {
		i, mine := place[r.ID]
		if !mine {
			continue
		}
		s.requests[i].request = r
		if state := r.Notification.State; state == app.Sent || state == app.Failed {
			open--
		}
	}
	if open > 0 {
		return fmt.Errorf("%d of %d requests are still on their way", open, len(place))
	}
	return nil
}

func TestAWitnessThatMissedSomethingSaysSo(t *testing.T) {
	t.Parallel()
	w := &witness{taps: tap.New(tap.Options{}), news: make(chan struct{})}
	require.NoError(t, w.look(t.Context(), func() {}))
	w.see(tap.Exchange{}, &tap.GapError{Missed: 3})
	err := w.look(t.Context(), func() { t.Error("there is no use in looking") })
	require.EqualError(t, err, "not all that happened is known: the taps' log has moved on: 3 records are gone before they were read; read faster, or raise tap.Options.Keep")
	require.ErrorAs(t, err, new(*tap.GapError))
}

func TestWhatIsOnItsWayIsSeen(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &witness{taps: tap.New(tap.Options{}), news: make(chan struct{}), mails: map[uint64]tap.Exchange{}, dispatches: map[uint64]tap.Exchange{}}
	events := &tap.Dispatch{Events: []tap.Event{{IdempotencyKey: "a-1", EventID: "01A"}, {IdempotencyKey: "b-1"}}}
	w.see(tap.Exchange{ID: 1, Wire: tap.AppToInngest, Ended: ended, Dispatch: events}, nil)
	require.NoError(t, w.underWay(1), "the other was not taken")
	require.EqualError(t, w.underWay(0), "1 events have been dispatched, not only the 0 that are known to be over")
	w.see(tap.Exchange{ID: 2, Wire: tap.AppToMail, Began: ended, Mail: &harness.MailTransaction{}}, nil)
	require.EqualError(t, w.underWay(1), "since 03:04:05 something has been on its way on the wire app→mail")
	w.see(tap.Exchange{ID: 2, Wire: tap.AppToMail, Ended: ended, Mail: &harness.MailTransaction{}}, nil)
	require.NoError(t, w.underWay(1))
}

package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/dispatch"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var pace = app.Pace{DispatchLease: 10 * time.Second, RedispatchAfter: 30 * time.Minute, ConfirmAfter: 20 * time.Second, SendLease: time.Minute}

// server accepts events, or fails with err.
type server struct {
	mu     sync.Mutex
	events []string
	sent   []time.Time
	err    error
	delay  time.Duration
	most   int // sends at once
	now    int
	runs   int // that HasRun finds; negative: it does not answer
	asked  []string
}

func (s *server) Send(_ context.Context, event any) (string, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	s.work()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	s.sent = append(s.sent, time.Now())
	if s.err != nil {
		return "", s.err
	}
	s.events = append(s.events, event.(app.Event).IdempotencyKey)
	return "01K", nil
}

// HasRun takes as long as a send.
func (s *server) HasRun(_ context.Context, eventID string) (bool, error) {
	s.work()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, eventID)
	if s.runs < 0 {
		return false, errors.New("no answer")
	}
	return s.runs > 0, nil
}

// takes sets how long each answer takes.
func (s *server) takes(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// work takes that long, on the bubble's clock.
func (s *server) work() {
	s.mu.Lock()
	d := s.delay
	s.mu.Unlock()
	if d > 0 {
		<-time.After(d)
	}
}

func (s *server) finds(runs int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = runs
}

// questions returns the event ids asked for since it was called last.
func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func (s *server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *server) tries() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	tries := s.sent
	s.sent = nil
	return tries
}

func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.events...)
}

// elapse advances the bubble's virtual clock by d and waits until all goroutines are blocked.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

type fixture struct {
	*testing.T
	store  *storetest.Memory
	server *server
	log    *bytes.Buffer
	opts   dispatch.Options
	causes []dispatch.Cause // of each redispatch
	mu     sync.Mutex       // of causes
}

// inBubble runs test with a virtual clock.
func inBubble(t *testing.T, test func(*fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, store: storetest.NewMemory(), server: &server{runs: 1}, log: &bytes.Buffer{}}
		f.opts = dispatch.Options{
			Store: f.store, Sender: f.server, HasRun: f.server.HasRun, Pace: pace, Logger: slog.New(slog.NewTextHandler(f.log, nil)),
		}
		f.opts.Redispatching = func(c dispatch.Cause) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.causes = append(f.causes, c)
		}
		test(f)
	})
}

// start runs a dispatcher until the returned function is called.
func (f *fixture) start() (*dispatch.Dispatcher, func()) {
	d := dispatch.New(f.opts)
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	stop := func() { cancel(); <-done }
	f.Cleanup(stop)
	return d, stop
}

func (f *fixture) create() app.Request {
	r := app.Request{ID: f.store.NewID(), CreatedAt: time.Now(), Notification: app.NewNotification("<m@x>", time.Now(), pace)}
	require.NoError(f, f.store.CreateRequest(f.Context(), r))
	return r
}

func (f *fixture) notification(r app.Request) app.Notification {
	r, err := f.store.Request(f.Context(), r.ID)
	require.NoError(f, err)
	return r.Notification
}

func TestOffer_DispatchesAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		d, _ := f.start()
		synctest.Wait()
		start := time.Now()
		r := f.create()
		d.Offer(r)
		synctest.Wait()
		require.Equal(f, []string{r.ID + "-1"}, f.server.took())
		require.Zero(f, time.Since(start))
		n := f.notification(r)
		require.Equal(f, app.Dispatched, n.State)
		require.Equal(f, "01K", n.EventID)
		require.Equal(f, start.Add(pace.ConfirmAfter).UTC(), n.NextDispatchAt)
	})
}

func TestScan_FindsRequestOfDeadProcessAfterLease(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		r := f.create() // never offered, as if its process had died
		f.start()
		elapse(pace.DispatchLease - time.Millisecond)
		require.Empty(f, f.server.took())
		elapse(time.Second + time.Millisecond)
		require.Equal(f, []string{r.ID + "-1"}, f.server.took())
	})
}

func TestScan_RedispatchesUnfinishedNotification(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		d, _ := f.start()
		r := f.create()
		d.Offer(r)
		elapse(pace.RedispatchAfter - time.Second)
		require.Equal(f, []string{r.ID + "-1"}, f.server.took())
		elapse(2 * time.Second)
		require.Equal(f, []string{r.ID + "-1", r.ID + "-2"}, f.server.took())
		require.Contains(f, f.log.String(), "was dispatched but did not finish")
		require.Equal(f, []dispatch.Cause{dispatch.Lost}, f.causes)
	})
}

func TestScan_DispatchesAgainWhereThereIsNoRun(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.finds(0)
		d, _ := f.start()
		f.start() // a second process asks no second time
		r := f.create()
		d.Offer(r)
		elapse(pace.ConfirmAfter - time.Second)
		require.Empty(f, f.server.questions())
		elapse(2 * time.Second)
		require.Equal(f, []string{"01K"}, f.server.questions())
		require.Equal(f, []string{r.ID + "-1", r.ID + "-2"}, f.server.took())
		require.Equal(f, app.Dispatched, f.notification(r).State)

		f.server.finds(1)
		elapse(2*pace.ConfirmAfter + time.Second)
		require.Equal(f, []string{"01K"}, f.server.questions())
		require.Empty(f, f.notification(r).EventID)
		elapse(pace.RedispatchAfter)
		require.Empty(f, f.server.questions(), "it has a run")
		require.Len(f, f.server.took(), 2)
		elapse(pace.RedispatchAfter)
		require.Len(f, f.server.took(), 3, "which was lost later")
		require.Equal(f, []dispatch.Cause{dispatch.NoRun, dispatch.Lost}, f.causes)
	})
}

func TestScan_AsksNothingOnceTheRunHasClaimed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.finds(0)
		d, _ := f.start()
		r := f.create()
		d.Offer(r)
		synctest.Wait()
		_, _, err := app.Update(f.Context(), f.store, r, func(n app.Notification) (app.Notification, bool) {
			n, result := n.ClaimFor(app.Run{ID: "01R", Generation: 1}, time.Now(), pace)
			return n, result == app.Granted
		})
		require.NoError(f, err)
		elapse(pace.RedispatchAfter - time.Second)
		require.Empty(f, f.server.questions())
		require.Len(f, f.server.took(), 1)
	})
}

func TestScan_AsksAgainWhileTheServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.finds(-1)
		d, _ := f.start()
		var requests []app.Request
		for range 50 {
			requests = append(requests, f.create())
			d.Offer(requests[len(requests)-1])
		}
		elapse(pace.ConfirmAfter + 2*time.Second)
		require.LessOrEqual(f, len(f.server.questions()), 8, "once a question is not answered, the others are put off")
		require.Contains(f, f.log.String(), "cannot ask Inngest")
		require.Len(f, f.server.took(), len(requests))
		d.Offer(f.create())
		synctest.Wait()
		require.Len(f, f.server.took(), len(requests)+1, "an unanswered question delays no event")
		f.server.finds(0)
		elapse(pace.ConfirmAfter + 2*time.Second)
		require.Len(f, f.server.took(), 2*len(requests)+1+1)
	})
}

// Answers to questions may take as long as their time limit; what is offered meanwhile does not wait for them.
func TestOffer_DispatchesAtOnceWhileQuestionsAreAnsweredSlowly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		asking := make(chan struct{}, 100)
		f.opts.HasRun = func(ctx context.Context, eventID string) (bool, error) {
			asking <- struct{}{}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
			return true, ctx.Err()
		}
		d, stop := f.start()
		defer stop()
		const unconfirmed = 50
		for range unconfirmed {
			d.Offer(f.create())
		}
		elapse(0)
		require.Len(f, f.server.took(), unconfirmed)
		<-asking
		elapse(0)
		for i := range 3 {
			d.Offer(f.create())
			elapse(time.Millisecond)
			require.Len(f, f.server.took(), unconfirmed+i+1, "an event waits for the answers to questions")
		}
		require.Less(f, len(asking), unconfirmed-1, "all questions were asked already")
	})
}

func TestStop_RecordsNothingAboutAnInterruptedQuestion(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.finds(0)
		d, stop := f.start()
		r := f.create()
		d.Offer(r)
		elapse(pace.ConfirmAfter / 2)
		f.server.takes(time.Minute)
		elapse(pace.ConfirmAfter)
		asked := f.notification(r)
		stop()
		require.Equal(f, asked, f.notification(r))
		require.Equal(f, app.Dispatched, asked.State)
	})
}

func TestScan_IgnoresFinalNotification(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		d, _ := f.start()
		r := f.create()
		d.Offer(r)
		synctest.Wait()
		_, _, err := app.Update(f.Context(), f.store, r, func(n app.Notification) (app.Notification, bool) { return n.Accept(time.Now()) })
		require.NoError(f, err)
		elapse(24 * time.Hour)
		require.Len(f, f.server.took(), 1)
	})
}

func TestRun_TriesOneEventAtGrowingIntervalsWhileServerIsAway(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.opts.MaxPause = 4 * time.Second
		f.server.fail(&url.Error{Op: "Post", URL: "http://inngest.test/e/secret-event-key", Err: errors.New("connection refused")})
		d, _ := f.start()
		var requests []app.Request
		for range 200 {
			requests = append(requests, f.create())
			d.Offer(requests[len(requests)-1])
		}
		synctest.Wait()
		f.server.tries() // drop those of the first round
		elapse(time.Minute)
		tries := f.server.tries()
		require.Less(f, len(tries), 20)
		require.Equal(f, 4*time.Second, tries[len(tries)-1].Sub(tries[len(tries)-2]))
		for _, r := range requests {
			n := f.notification(r)
			require.Equal(f, app.Pending, n.State)
			if n.LastError != "" {
				require.Equal(f, "the event could not be sent to Inngest: connection refused", n.LastError)
			}
		}
		require.NotContains(f, f.log.String(), "secret-event-key")

		f.server.fail(nil)
		elapse(5 * time.Second)
		require.Len(f, f.server.took(), len(requests), "events sent once the server was back")
	})
}

func TestRun_SendsOtherEventsAfterRefusedOne(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		poison := f.create()
		f.opts.Sender = senderFunc(func(ctx context.Context, event any) (string, error) {
			if event.(app.Event).Data.RequestID == poison.ID {
				return "", errors.New("400 bad event")
			}
			return f.server.Send(ctx, event)
		})
		for range 30 {
			f.create()
		}
		f.start()
		elapse(time.Minute)
		require.Len(f, f.server.took(), 30)
		require.Contains(f, f.notification(poison).LastError, "400 bad event")
	})
}

type senderFunc func(context.Context, any) (string, error)

func (f senderFunc) Send(ctx context.Context, event any) (string, error) { return f(ctx, event) }

func TestRun_LimitsConcurrentSends(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.opts.Concurrency = 3
		f.server.takes(10 * time.Millisecond)
		for range 250 {
			f.create()
		}
		f.start()
		elapse(pace.DispatchLease + 2*time.Second)
		require.Len(f, f.server.took(), 250, "a second batch waited for the next scan")
		require.Equal(f, 3, f.server.most)
	})
}

// Memory is bounded in a burst: what is not kept is found in the store, when the lease of its creator ends.
func TestOffer_KeepsThousandRequestsAndScanFindsTheOthers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		d := dispatch.New(f.opts)
		for range 1200 {
			d.Offer(f.create())
		}
		ctx, cancel := context.WithCancel(f.Context())
		done := make(chan struct{})
		go func() { defer close(done); d.Run(ctx) }()
		f.Cleanup(func() { cancel(); <-done })
		synctest.Wait()
		require.Len(f, f.server.took(), 1000)
		elapse(pace.DispatchLease + time.Second)
		require.Len(f, f.server.took(), 1200)
	})
}

func TestOffer_WhileOthersAreSent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.takes(300 * time.Millisecond)
		d, _ := f.start()
		synctest.Wait()
		d.Offer(f.create())
		elapse(100 * time.Millisecond)
		second := f.create()
		d.Offer(second)
		elapse(500 * time.Millisecond) // 600 ms: two sends, and no scan was due
		require.Contains(f, f.server.took(), second.ID+"-1")
	})
}

func TestOffer_FromManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		d, _ := f.start()
		synctest.Wait()
		start := time.Now()
		const calls = 500
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() { d.Offer(f.create()) })
		}
		wg.Wait()
		synctest.Wait()
		require.Len(f, f.server.took(), calls)
		require.Zero(f, time.Since(start), "none waits for a scan")
	})
}

func TestScan_TakesItsTurnWhileRequestsAreOffered(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		lost := f.create()
		f.server.takes(100 * time.Millisecond)
		d, _ := f.start()
		for range 20 * (int(pace.DispatchLease/time.Second) + 2) {
			d.Offer(f.create())
			elapse(50 * time.Millisecond)
		}
		require.Contains(f, f.server.took(), lost.ID+"-1")
	})
}

func TestRun_SharesWorkWithOtherProcesses(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		for range 50 {
			f.create()
		}
		f.start()
		f.start()
		f.start()
		elapse(pace.DispatchLease + 2*time.Second)
		require.Len(f, f.server.took(), 50, "each event once")
	})
}

func TestStop_WaitsForPendingSendAndRecordsIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.takes(3 * time.Second)
		d, stop := f.start()
		r := f.create()
		d.Offer(r)
		synctest.Wait()
		stop()
		require.Equal(f, []string{r.ID + "-1"}, f.server.took())
		require.Equal(f, app.Dispatched, f.notification(r).State)
	})
}

func TestStop_RecordsNoFailureOfInterruptedSend(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		f.server.takes(3 * time.Second)
		f.server.fail(errors.New("the app is stopping"))
		d, stop := f.start()
		r := f.create()
		d.Offer(r)
		synctest.Wait()
		stop()
		require.Equal(f, r.Notification, f.notification(r))
		require.NotContains(f, f.log.String(), "cannot send")
	})
}

// failingStore is slow to return due requests, or fails while err is set. While it is frozen, a write of a notification
// takes as long as its context.
type failingStore struct {
	*storetest.Memory
	takes  time.Duration
	asked  atomic.Int32
	frozen atomic.Bool

	mu  sync.Mutex
	err error
}

func (s *failingStore) DueRequests(ctx context.Context, now time.Time, limit int) ([]app.Request, error) {
	s.asked.Add(1)
	<-time.After(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	return s.Memory.DueRequests(ctx, now, limit)
}

func (s *failingStore) SaveNotification(ctx context.Context, id string, n app.Notification) error {
	if s.frozen.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Memory.SaveNotification(ctx, id, n)
}

func TestRun_GivesUpRecordingInFrozenDatabase(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		store := &failingStore{Memory: f.store}
		store.frozen.Store(true)
		f.opts.Store = store
		d, _ := f.start()
		first, second := f.create(), f.create()
		d.Offer(first)
		elapse(3 * time.Second)
		require.Contains(f, f.log.String(), "could not record a dispatch")
		store.frozen.Store(false)
		d.Offer(second)
		synctest.Wait()
		require.Equal(f, []string{first.ID + "-1", second.ID + "-1"}, f.server.took())
		require.Equal(f, app.Dispatched, f.notification(second).State)
		elapse(pace.DispatchLease)
		require.Equal(f, app.Dispatched, f.notification(first).State, "it is sent again, with the same idempotency key, after its lease")
	})
}

func TestScan_RetriesUnreachableDatabase(t *testing.T) {
	t.Parallel()
	inBubble(t, func(f *fixture) {
		store := &failingStore{Memory: f.store, err: errors.New("no server")}
		f.opts.Store = store
		f.create()
		f.start()
		elapse(time.Minute)
		require.Empty(f, f.server.took())
		require.Contains(f, f.log.String(), "cannot read which notifications are due")
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		elapse(time.Second)
		require.Len(f, f.server.took(), 1)
	})
}

func TestScan_PausesLongerAfterSlowDatabase(t *testing.T) {
	t.Parallel()
	for takes, every := range map[time.Duration]time.Duration{
		0:                      time.Second,
		50 * time.Millisecond:  1550 * time.Millisecond,
		100 * time.Millisecond: 3100 * time.Millisecond,
		2 * time.Second:        7 * time.Second,
	} {
		inBubble(t, func(f *fixture) {
			store := &failingStore{Memory: f.store, takes: takes}
			f.opts.Store = store
			f.start()
			elapse(10*every - 10*time.Millisecond)
			require.EqualValues(f, 10, store.asked.Load(), "a scan takes %v", takes)
		})
	}
}

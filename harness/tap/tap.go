package tap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Options configures a [Set]. The zero value is ready to use.
type Options struct {
	// AppPath is where the app serves Inngest. Zero: "/api/inngest".
	AppPath string
	// RunHeader is the header of an email that names the run that sent it. Zero: "X-Inngest-Run-Id".
	RunHeader string
	// Connected says that the app is called over its own connection to Inngest, which passes no tap: a fault of its calls
	// would never act, and is refused.
	Connected bool
	// Keep is how many records the log holds before it drops the oldest. Zero: 65,536.
	Keep int
	// MaxPayload is the size in bytes up to which a step's output, a result or an event's data is recorded.
	// Zero: 16 KiB.
	MaxPayload int
	// Seed makes faults with a Chance repeatable. Zero is a seed like any other.
	Seed uint64
}

// A Set is the taps of one stack: their log and their faults. Its methods are safe for concurrent use. Close frees it.
type Set struct {
	options   Options
	journal   *journal
	faults    *faultSet
	calls     liveCalls
	envelopes envelopes
	nextID    atomic.Uint64
	asked     atomic.Pointer[time.Time] // when a client other than Inngest first sent a request to the app
	done      chan struct{}             // closed when the set closes: nothing may wait any longer

	mu     sync.Mutex
	wires  []*Wire
	closed bool
}

// New returns a set without wires.
func New(o Options) *Set {
	o.AppPath = cmp.Or(o.AppPath, harness.DefaultAppPath)
	o.RunHeader = cmp.Or(o.RunHeader, harness.DefaultRunHeader)
	o.Keep = cmp.Or(o.Keep, 1<<16)
	o.MaxPayload = cmp.Or(o.MaxPayload, 16<<10)
	return &Set{
		options: o,
		journal: newJournal(o.Keep),
		faults:  newFaultSet(o.Seed),
		done:    make(chan struct{}),
	}
}

// Calls opens the tap on the wire from the Inngest server to the app: what connects to listen, a host:port (port 0
// for a free one), reaches the app at target, a base URL. An empty target is set later by [Wire.SetTarget].
func (s *Set) Calls(listen, target string) (*Wire, error) {
	return s.open(InngestToApp, listen, target, newHTTPTap(s, InngestToApp))
}

// API opens the tap on the wire from the app to the Inngest server at target, a base URL.
func (s *Set) API(listen, target string) (*Wire, error) {
	return s.open(AppToInngest, listen, target, newHTTPTap(s, AppToInngest))
}

// SMTP opens the tap on the wire from the app to the mail server at target, a host:port.
func (s *Set) SMTP(listen, target string) (*Wire, error) {
	return s.open(AppToMail, listen, target, newSMTPTap(s))
}

// Watch returns the records after the one with the given Seq: first those in the log, then each new one. With 0 it begins
// at the oldest record. It ends when ctx does, and after the last record when the set is closed. A slow reader never slows
// the wire: it gets only the latest record of each exchange, and a [GapError] where the log dropped records before it had
// read them.
func (s *Set) Watch(ctx context.Context, after uint64) iter.Seq2[Exchange, error] {
	return s.journal.watch(ctx, after)
}

// Exchanges returns the latest record of every exchange that the log holds, in the sequence of Seq.
func (s *Set) Exchanges() []Exchange { return s.journal.snapshot() }

// Last returns the Seq of the newest record: Watch(ctx, s.Last()) returns only new records.
func (s *Set) Last() uint64 { return s.journal.last() }

// Asked reports whether by a moment a client other than Inngest has asked the app to do something: whether a request
// outside the protocol, other than GET, HEAD or OPTIONS, has come on the wire to the app.
func (s *Set) Asked(by time.Time) bool {
	first := s.asked.Load()
	return first != nil && !first.After(by)
}

// Inject arms a fault: from now on it acts on the exchanges that it matches, until it has acted as often as it says or is
// released. Several faults that match one exchange act in the sequence of their injection, up to the first that does not
// let the exchange go on.
func (s *Set) Inject(f Fault) (*Injection, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("inject fault: %w", err)
	}
	if passes := f.At != AtCall && f.At != AtStep && f.At != AtSync && f.At != AtRegister; s.options.Connected && !passes {
		return nil, fmt.Errorf("inject fault: at %q nothing passes a tap, because the app is called over its own connection to Inngest", f.At)
	}
	return s.faults.arm(f), nil
}

// AbandonCalls closes the server's side of the calls of a run that are under way, or of all with the run "", as if the server had
// waited long enough. The app does not notice: it goes on, and what it answers is recorded and not passed on,
// and no fault acts on it. It returns the IDs of those exchanges. An answer that the SDK streams, and has begun to, passes all the same.
func (s *Set) AbandonCalls(runID string) (ids []uint64) {
	for _, c := range s.calls.of(runID) {
		c.abandon.Do(func() { close(c.abandoned) })
		ids = append(ids, c.id)
	}
	return ids
}

// OpenCalls returns the IDs of the calls of functions that the app has not answered, or whose answers a fault holds.
func (s *Set) OpenCalls() (ids []uint64) {
	for _, c := range s.calls.of("") {
		ids = append(ids, c.id)
	}
	return ids
}

// Close closes every wire. It accepts no more connections; exchanges under way may finish until ctx ends, and are then cut
// off. Exchanges that a fault delays or holds are cut off at once. The log can still be read. Close may be called more
// than once.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	wires := slices.Clone(s.wires)
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	errs := make([]error, len(wires))
	var closing sync.WaitGroup
	for i, w := range wires {
		closing.Go(func() { errs[i] = w.Close(ctx) })
	}
	closing.Wait()
	s.journal.close()
	return errors.Join(errs...)
}

// A tapper serves one wire.
type tapper interface {
	// serve accepts connections until ln is closed.
	serve(ln net.Listener)
	// retarget is called before the first connection, and at any time after.
	retarget(targets ...string) error
	// shutdown closes the connections; exchanges under way may finish until ctx ends. It is called once.
	shutdown(ctx context.Context)
}

// A Wire is one open tap. Its methods are safe for concurrent use.
type Wire struct {
	side    Side
	tap     tapper
	serving chan struct{}
	closing sync.Once
	ln      net.Listener
}

func (s *Set) open(side Side, listen, target string, t tapper) (*Wire, error) {
	if err := t.retarget(target); err != nil {
		return nil, fmt.Errorf("open tap %s: %w", side, err)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("open tap %s: %w", side, err)
	}
	w := &Wire{side: side, tap: t, ln: ln, serving: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = ln.Close()
		return nil, fmt.Errorf("open tap %s: the set is closed", side)
	}
	s.wires = append(s.wires, w)
	go func() {
		defer close(w.serving)
		t.serve(ln)
	}()
	return w, nil
}

// Addr is the host:port on which the tap listens.
func (w *Wire) Addr() string { return w.ln.Addr().String() }

// URL is the base URL of a tap on an HTTP wire.
func (w *Wire) URL() string { return "http://" + w.Addr() }

// SetTarget sets the address of the far side for new exchanges, for example of an app that listens on another port after a
// restart. An HTTP wire may have several: it balances the load, each exchange goes to the next one. One that accepts no
// connection is passed over, and for GET and HEAD also one that breaks it, as by nginx.
func (w *Wire) SetTarget(targets ...string) error {
	if err := w.tap.retarget(targets...); err != nil {
		return fmt.Errorf("tap %s: %w", w.side, err)
	}
	return nil
}

// Close closes this wire as [Set.Close] does all of them. It may be called more than once.
func (w *Wire) Close(ctx context.Context) error {
	w.closing.Do(func() {
		_ = w.ln.Close()
		w.tap.shutdown(ctx)
	})
	<-w.serving
	return nil
}

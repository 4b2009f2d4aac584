package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// BaseURL is the address at which [Sim.HTTPClient] reaches the Sim. Nothing else does: it exists in this process only.
const BaseURL = "http://inngest.sim.invalid"

// defaultKey is the signing key by which functions are registered in process when Options has none. It protects nothing.
const defaultKey = "signkey-test-5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5"

const (
	defaultCallTimeout = 30 * time.Second
	defaultKeep        = 10_000
	eventsPerRun       = 4 // events kept for each run kept
)

// Options configure a Sim. The zero Options behave like the dev server started without flags.
type Options struct {
	// Start is the virtual time at which the Sim begins. The zero Time is the wall clock's now. Give a fixed time to make
	// run ids and schedules the same in every run of a test.
	Start time.Time
	// Seed decides what is left to chance: ids, the jitter of retries, and, unless it is zero, the order of things that are
	// due at one instant (as when several parallel steps are). Zero takes those in the order in which they came up.
	Seed uint64
	// RetryInterval puts every retry this much later, like the server's --retry-interval. Zero is the server's default:
	// from 15 s to 2 h, growing with each attempt, and up to 30 s more at random.
	RetryInterval time.Duration

	// SigningKey signs the calls to apps, as the production server does. Empty: calls are unsigned, as the dev server's are.
	SigningKey string
	// EventKeys are the keys that the event API accepts. Empty: any.
	EventKeys []string
	// Ignore names what apps may configure although it is not modelled.
	Ignore []Feature

	// CallTimeout is how long, by the wall clock, an app may take to answer a call before the attempt counts as failed.
	// Zero is 30 s. Negative: it may take as long as it likes, and an app that hangs hangs the test. It is then called on the
	// goroutine that drives, which saves two switches between goroutines for each Run.
	CallTimeout time.Duration
	// Keep is how many ended runs are kept for inspection, the latest, with their steps and outputs, and four times as
	// many events. Runs at work are always kept. Zero is 10,000.
	//
	// Whatever it is, ids that senders give to events, and values of idempotency expressions, are remembered as the server
	// does: for 24 hours of the virtual clock, but no more than the latest 100,000 of them.
	Keep int
	// Bubble makes the clock that of a testing/synctest bubble, in which the Sim and the app then must live: moving the
	// clock sleeps in the bubble, so the app's own time.Now moves along.
	Bubble bool
	// Logger is told of runs that end and of calls that fail. Nil: nobody is.
	Logger *slog.Logger
}

// Sim is an Inngest executor. It is safe for concurrent use. Close it.
type Sim struct {
	options Options
	client  *http.Client
	closed  chan struct{}
	closing sync.Once
	workers sync.WaitGroup

	virtualTime
	wheel

	mu sync.Mutex // guards all that follows
	pacing
	schedule
	registry
	waiting
	interventions
	runs   runStore
	events eventStore
	dedupe memory
	seeds  seedCache
	rng    *rand.Rand
}

// virtualTime is what the clock shows.
type virtualTime struct {
	moment atomic.Int64 // in nanoseconds since 1970, unless live or in a bubble
	offset atomic.Int64 // from the wall clock, when live
	live   atomic.Bool  // it goes with the wall clock; pacing.jumps then holds when it was put forward
}

// wheel is what whoever drives the clock holds.
type wheel struct {
	turn    chan struct{} // held by whoever drives
	inline  *worker       // for who holds the turn, if calls are not guarded
	changed chan struct{} // something was queued
	driven  chan struct{} // closed when the Sim begins to drive itself
}

// pacing is how far a Sim that drives itself has to go.
type pacing struct {
	jumps   jumps
	paused  bool
	goal    time.Time     // until when it jumps, whatever its pace
	arrived chan struct{} // closed when it has come there; nil: no goal
}

// schedule is what is to be done, and who does it.
type schedule struct {
	queue    queue
	sequence uint64           // of events and runs
	inflight map[string]*item // by job
	busy     int              // calls under way when driving itself
	idle     []*worker        // those that wait for something to drive
}

// registry is what apps have registered.
type registry struct {
	hosts     int // in-process apps so far
	apps      map[string]*app
	functions map[string]*function
	ordered   []*function // by id
	ticks     []*tick
}

// waiting is what runs wait for.
type waiting struct {
	waits       map[string][]*wait // by event
	invocations map[string]*wait   // by correlation id
}

// interventions are what a test has put in the way of the app.
type interventions struct {
	replacements map[string]*Outcomes
	faults       []*Answer
}

// New returns a Sim that knows no app yet.
func New(o Options) *Sim {
	if o.CallTimeout == 0 {
		o.CallTimeout = defaultCallTimeout
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sim{
		options:       o,
		client:        &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()},
		closed:        make(chan struct{}),
		wheel:         wheel{turn: make(chan struct{}, 1), changed: make(chan struct{}, 1), driven: make(chan struct{})},
		schedule:      schedule{inflight: map[string]*item{}},
		registry:      registry{apps: map[string]*app{}, functions: map[string]*function{}},
		waiting:       waiting{waits: map[string][]*wait{}, invocations: map[string]*wait{}},
		interventions: interventions{replacements: map[string]*Outcomes{}},
		runs:          runStore{keep: o.Keep, byID: map[ulid.ULID]*run{}, byEvent: map[ulid.ULID][]*run{}},
		events:        eventStore{keep: o.Keep * eventsPerRun, byID: map[ulid.ULID]*event{}},
		dedupe:        memory{until: map[string]time.Time{}},
		seeds:         seedCache{ids: map[string]ulid.ULID{}},
		rng:           rand.New(rand.NewPCG(o.Seed, 0x1b873593)),
	}
	if o.Seed != 0 {
		s.queue.rng = rand.New(rand.NewPCG(o.Seed, 0xcc9e2d51))
	}
	s.inline = newWorker(s)
	start := o.Start
	if start.IsZero() {
		start = time.Now()
	}
	s.moment.Store(start.UnixNano())
	return s
}

// Close stops driving and forgets all connections. Runs that are not over stay as they are. It may be called twice.
func (s *Sim) Close() error {
	s.closing.Do(func() { close(s.closed) })
	s.workers.Wait()
	s.client.CloseIdleConnections()
	return nil
}

// SigningKey is the key to give the app, so that its functions can be registered without a socket: the SDK only tells them
// to somebody who signs. It is Options.SigningKey, or else one that stands in for it.
func (s *Sim) SigningKey() string {
	if s.options.SigningKey != "" {
		return s.options.SigningKey
	}
	return defaultKey
}

// ErrNotRegistered is returned by Serve and Sync if an app answered and yet told nobody of its functions.
var ErrNotRegistered = errors.New("the app did not tell its functions")

// Serve registers the app behind a handler, which is then called in process, and replaces what was registered under the
// app's name before. The app must know [Sim.SigningKey]; or else be able to reach [Sim.Handler] at its API address.
func (s *Sim) Serve(ctx context.Context, handler http.Handler) error {
	s.mu.Lock()
	s.hosts++
	address := fmt.Sprintf("http://app-%d.sim.invalid/api/inngest", s.hosts)
	s.mu.Unlock()
	call := func(req *http.Request) *answer {
		ctx, cancel := context.WithCancel(ctx)
		return s.callAlone(ctx, func(one *caller, instead func(*answer)) (*answer, bool) {
			defer cancel()
			return one.serve(req.WithContext(ctx), handler, cancel, instead)
		})
	}
	return s.sync(address, handler, call)
}

// Sync registers the app at a URL, of whatever language, and replaces what was registered under the app's name before.
// Unless the app knows [Sim.SigningKey], it must be able to reach [Sim.Handler] at its API address.
func (s *Sim) Sync(ctx context.Context, url string) error {
	call := func(req *http.Request) *answer {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return s.post(req.WithContext(ctx), cancel)
	}
	return s.sync(url, nil, call)
}

func (s *Sim) sync(address string, handler http.Handler, call func(*http.Request) *answer) error {
	body, err := json.Marshal(map[string]string{"url": address})
	if err != nil {
		return fmt.Errorf("registering the app at %s: %w", address, err)
	}
	var last error
	for _, signed := range []bool{true, false} {
		req, err := http.NewRequest(http.MethodPut, address, strings.NewReader(string(body)))
		if err != nil {
			return fmt.Errorf("registering the app at %s: %w", address, err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(sdk.HeaderServerKind, s.kind())
		if signed {
			req.Header.Set(sdk.HeaderSyncKind, sdk.SyncInBand)
			req.Header.Set(sdk.HeaderSignature, sdk.Sign(s.SigningKey(), body, time.Now()))
		}
		a := call(req)
		switch {
		case a.err != nil:
			return fmt.Errorf("registering the app at %s: %w", address, a.err)
		case a.Status == http.StatusOK && a.Header.Get(sdk.HeaderSyncKind) == sdk.SyncInBand:
			return s.register(a.Body, address, handler)
		case a.Status == http.StatusOK:
			return s.adopt(address, handler)
		}
		last = fmt.Errorf("%w: it answered %d: %s", ErrNotRegistered, a.Status, strings.TrimSpace(string(a.Body)))
	}
	return fmt.Errorf("registering the app at %s: %w; give it the signing key that Sim.SigningKey returns, or make Sim.Handler reachable at its API address", address, last)
}

// register takes a registration's body.
func (s *Sim) register(body []byte, address string, handler http.Handler) error {
	var r sdk.Registration
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("registering the app at %s: reading what it told: %w", address, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.parse(r)
	if err != nil {
		return err
	}
	if address != "" {
		a.url = address
	}
	a.handler = handler
	return s.install(a)
}

// adopt ties an app that has just registered itself from an address to the handler behind it.
func (s *Sim) adopt(address string, handler http.Handler) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if strings.TrimSuffix(a.url, "?") == address {
			a.handler = handler
			return nil
		}
	}
	return fmt.Errorf("registering the app at %s: %w: it answered 200 and sent them elsewhere; give it the signing key that Sim.SigningKey returns, or make Sim.Handler reachable at its API address", address, ErrNotRegistered)
}

// Remove forgets an app, by its name. Its runs stay, and its address is still called for them.
func (s *Sim) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.apps[name]; a != nil {
		s.uninstall(a)
	}
}

func (s *Sim) kind() string {
	if s.options.SigningKey != "" {
		return "cloud"
	}
	return "dev"
}

// Send accepts an event and returns its internal id, as the event API does. Functions start once the Sim is driven.
func (s *Sim) Send(ctx context.Context, e Event) (string, error) {
	ids, err := s.SendAll(ctx, e)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// SendAll accepts several events in one request. If one is refused, those before it have been accepted: their ids are
// returned with the error.
func (s *Sim) SendAll(ctx context.Context, events ...Event) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wires := make([]map[string]any, len(events))
	for i, e := range events {
		w := map[string]any{"name": e.Name}
		if e.Data != nil {
			w["data"] = e.Data
		}
		if e.ID != "" {
			w["id"] = e.ID
		}
		if e.User != nil {
			w["user"] = e.User
		}
		if !e.Time.IsZero() {
			w["ts"] = e.Time.UnixMilli()
		}
		if e.Version != "" {
			w["v"] = e.Version
		}
		wires[i] = w
	}
	body, err := json.Marshal(wires)
	if err != nil {
		return nil, fmt.Errorf("encoding events: %w", err)
	}
	s.mu.Lock()
	ids, err := s.ingest(body, "")
	s.mu.Unlock()
	s.signal()
	if err != nil {
		return ids, fmt.Errorf("sending events: %w", err)
	}
	return ids, nil
}

// Call starts one function with an event, whatever triggers it, and returns the run's id. The event may bear any name;
// an empty one is that of an invocation.
func (s *Sim) Call(ctx context.Context, functionID string, e Event) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	raw, err := json.Marshal(map[string]any{"data": e.Data})
	if err != nil {
		return "", fmt.Errorf("calling %s: encoding the event: %w", functionID, err)
	}
	var w wireEvent
	if err := json.Unmarshal(raw, &w); err != nil {
		return "", fmt.Errorf("calling %s: event data must be an object: %w", functionID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.find(functionID)
	if f == nil {
		return "", fmt.Errorf("calling %s: no such function; registered: %s", functionID, s.functionIDs())
	}
	name := e.Name
	if name == "" {
		name = EventFunctionInvoked
	}
	var ts int64
	if !e.Time.IsZero() {
		ts = e.Time.UnixMilli()
	}
	event := s.newEvent(name, e.ID, ts, w.Data, e.User, e.Version, ulid.ULID{})
	s.events.add(event)
	r := s.start(f, event)
	s.signal()
	if r == nil {
		return "", fmt.Errorf("calling %s: it ran for this event id within the last 24 hours", functionID)
	}
	return r.text, nil
}

func (s *Sim) functionIDs() string {
	ids := make([]string, 0, len(s.functions))
	for _, f := range s.ordered {
		ids = append(ids, f.id)
	}
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}

// Cancel ends a run as cancelled. Cancelling one that is over does nothing.
func (s *Sim) Cancel(runID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs.find(runID)
	if r == nil {
		return fmt.Errorf("cancelling run %s: no such run is kept", runID)
	}
	s.cancel(r)
	return nil
}

// Find returns a run by its id. ok is false if there is none, or it is no longer kept.
func (s *Sim) Find(runID string) (r *Run, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.runs.find(runID)
	if found == nil {
		return nil, false
	}
	return found.public(), true
}

// Runs returns the runs that are kept, oldest first.
func (s *Sim) Runs() []*Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs.all()
}

// RunsOf returns the runs that an event started, oldest first. The id is the one that Send returned.
func (s *Sim) RunsOf(eventID string) []*Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := ulid.Parse(eventID)
	if err != nil {
		return nil
	}
	var out []*Run
	for _, r := range s.runs.byEvent[id] {
		out = append(out, r.public())
	}
	return out
}

// Events returns the events that are kept, oldest first, the server's own among them.
func (s *Sim) Events() []SentEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]SentEvent, 0, len(s.events.order))
	for _, id := range s.events.order {
		out = append(out, s.events.byID[id].public())
	}
	return out
}

// Functions returns the ids of the registered functions, in order.
func (s *Sim) Functions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.ordered))
	for _, f := range s.ordered {
		ids = append(ids, f.id)
	}
	return slices.Clip(ids)
}

func decode(what string, raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return fmt.Errorf("decoding the %s: there is none", what)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("decoding the %s: %w", what, err)
	}
	return nil
}

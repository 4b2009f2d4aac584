package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// Options configure an Engine. Clock and Keep are required.
type Options struct {
	Clock         *clock.Clock
	Seed          uint64
	RetryInterval time.Duration // zero: the server's backoff
	SigningKey    string        // empty: calls are not signed
	CallTimeout   time.Duration // by the wall clock; negative: none
	Keep          int           // ended runs
	Network       bool          // requests of steps without a stub may leave this machine
	Logger        *slog.Logger  // nil: none
}

// kind returns what requests say of the kind of server.
func (o Options) kind() string {
	if o.SigningKey != "" {
		return "cloud"
	}
	return "dev"
}

// Engine executes durable functions. It is passive: a [Driver] makes it work. It is safe for concurrent use. It has one method
// for each request of the server's API, because one lock guards what they all act on.
type Engine struct {
	caller  *caller
	changed chan struct{} // something was queued

	mu sync.Mutex // guards m
	m  machine
}

// New returns an Engine that knows no app yet.
func New(o Options) *Engine {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &Engine{
		caller: &caller{
			client:  &http.Client{Transport: transport, CheckRedirect: followRedirect},
			fetcher: &http.Client{Transport: transport, CheckRedirect: stayHere(o.Network)},
			timeout: o.CallTimeout, clock: o.Clock,
		},
		changed: make(chan struct{}, 1),
		m:       newMachine(o),
	}
}

// Close closes idle connections to apps.
func (e *Engine) Close() { e.caller.client.CloseIdleConnections() }

// signal wakes a Driver in the background: there may be something to do.
func (e *Engine) signal() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// moveTo moves the clock forward. In a bubble it gives up the lock while it sleeps.
func (e *Engine) moveTo(at time.Time) {
	if e.m.clock.Blocks() {
		e.mu.Unlock()
		defer e.mu.Lock()
	}
	e.m.clock.MoveTo(at)
}

// Now returns the virtual time.
func (e *Engine) Now() time.Time { return e.m.clock.Now() }

// Shown translates a virtual time into the one that the API shows.
func (e *Engine) Shown(at time.Time) time.Time { return e.m.clock.Shown(at) }

// Signed reports whether calls are signed, as those of a production server.
func (e *Engine) Signed() bool { return e.m.options.SigningKey != "" }

// Sync asks the app at an address, or behind a handler, to register its functions. An app that does not answer a request
// signed with key is asked once more without signature, and then must send its functions to the API.
func (e *Engine) Sync(ctx context.Context, address string, handler http.Handler, key string) error {
	if handler != nil {
		e.mu.Lock()
		e.m.registry.hosts++
		address = fmt.Sprintf("http://app-%d.sim.invalid/api/inngest", e.m.registry.hosts)
		e.mu.Unlock()
	}
	body := Wrap("url", address)
	var last error
	for _, signed := range []bool{true, false} {
		req, err := http.NewRequest(http.MethodPut, address, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("registering the app at %s: %w", address, err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(sdk.HeaderServerKind, e.m.options.kind())
		if signed {
			req.Header.Set(sdk.HeaderSyncKind, sdk.SyncInBand)
			req.Header.Set(sdk.HeaderSignature, sdk.Sign(key, body, time.Now()))
		}
		a := e.caller.do(ctx, req, handler, (*answer).understand)
		switch {
		case a.Status == 0:
			return fmt.Errorf("registering the app at %s: %w", address, a.err)
		case a.Status == http.StatusOK && a.Header.Get(sdk.HeaderSyncKind) == sdk.SyncInBand:
			_, err := e.Register(a.Body, address, handler)
			return err
		case a.Status == http.StatusOK:
			return e.adopt(address, handler)
		}
		last = fmt.Errorf("%w: it answered %d: %s", ErrNotRegistered, a.Status, strings.TrimSpace(string(a.Body)))
	}
	return fmt.Errorf("registering the app at %s: %w; %s", address, last, remedy)
}

// Register accepts the body of a registration. address, unless empty, is where the app is called. modified is false if its
// functions were registered like this before.
func (e *Engine) Register(body []byte, address string, handler http.Handler) (modified bool, err error) {
	var r sdk.Registration
	if err := json.Unmarshal(body, &r); err != nil {
		return false, fmt.Errorf("registering the app at %s: reading its registration: %w", address, err)
	}
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.m.register(r, address, handler)
}

// adopt ties an app that has just registered itself from an address to the handler behind it.
func (e *Engine) adopt(address string, handler http.Handler) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	apps := e.m.registry.at(address)
	if len(apps) == 0 {
		return fmt.Errorf("registering the app at %s: %w: it answered 200 and sent them elsewhere; %s", address, ErrNotRegistered, remedy)
	}
	apps[0].handler = handler
	return nil
}

// Remove forgets an app, by its id. Its runs stay, and its address is still called for them.
func (e *Engine) Remove(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.m.registry.apps[id]; a != nil {
		e.m.registry.uninstall(a)
	}
}

// RemoveAt forgets the apps at a URL. ok is false if there are none.
func (e *Engine) RemoveAt(address string) (ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	apps := e.m.registry.at(address)
	for _, a := range apps {
		e.m.registry.uninstall(a)
	}
	return len(apps) > 0
}

// Ingest accepts the events of a request to the event API and returns their ids. With the error it returns the ids of
// those before the event that is refused. seed is the header that makes a repeated request give the same ids. Times in the
// events are of the wall clock.
func (e *Engine) Ingest(body []byte, seed string) ([]string, error) {
	return e.ingest(body, seed, e.m.clock.FromWall)
}

// IngestVirtual is Ingest for events whose times are of the virtual clock.
func (e *Engine) IngestVirtual(body []byte) ([]string, error) {
	return e.ingest(body, "", func(at time.Time) time.Time { return at })
}

func (e *Engine) ingest(body []byte, seed string, virtual func(time.Time) time.Time) ([]string, error) {
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.m.ingest(body, seed, virtual)
}

// State returns the triggering events and the memoised steps of a run at work, as a call has them. over says that the run
// has ended; ok is false if no such run is kept.
func (e *Engine) State(runID string) (events []json.RawMessage, steps map[string]json.RawMessage, over, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.m.runs.find(runID)
	if r == nil || r.Status.Final() {
		return nil, nil, r != nil, r != nil
	}
	for _, e := range r.triggers() {
		events = append(events, e.json())
	}
	return events, r.memoised(), false, true
}

// Invoke publishes the event that starts one function, and returns the event's id.
func (e *Engine) Invoke(functionID string, payload EventBody) (eventID string) {
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.m.invoke(functionID, "", &payload).internal.String()
}

// StartFunction starts one function with an event, whatever triggers it, and returns the run's id.
func (e *Engine) StartFunction(functionID string, body EventBody) (runID string, err error) {
	defer e.signal()
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.m.registry.find(functionID)
	if f == nil {
		return "", fmt.Errorf("no such function; registered: %s", cmp.Or(strings.Join(slices.Sorted(maps.Keys(e.m.registry.functions)), ", "), "none"))
	}
	body.Name = cmp.Or(body.Name, sdk.EventFunctionInvoked)
	ev := e.m.newEvent(&body, ulid.ULID{})
	e.m.events.add(ev)
	r := e.m.admit(f, ev)
	if r == nil {
		return "", fmt.Errorf("it does not start at once: %s", ev.Decisions[len(ev.Decisions)-1].Text)
	}
	return r.ID, nil
}

// Checkpoint memoises steps that an app reports while its call is under way. status is that of the server's answer.
func (e *Engine) Checkpoint(c sdk.Checkpoint) (status int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.m.checkpoint(c)
}

// Cancel ends a run as cancelled. Cancelling one that is over does nothing. ok is false if no such run is kept.
func (e *Engine) Cancel(runID string) (ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.m.runs.find(runID)
	if r != nil {
		e.m.end(r, harness.StatusCancelled)
	}
	return r != nil
}

// Replace sets the outcomes of a step's attempts. None leave the step as it was. An empty function means any. unused says that
// there were others before, which no attempt had.
func (e *Engine) Replace(functionID, stepID string, list []Outcome) (unused bool, err error) {
	list = slices.Clone(list)
	for i := range list {
		value, err := json.Marshal(list[i].Value)
		if err != nil {
			return false, fmt.Errorf("replacing step %s: encoding the value: %w", stepID, err)
		}
		list[i].encoded = value
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.m.registry.listed() { // it may have been replaced by another name of its function
		if functionID != "" && f.named(functionID) {
			for _, name := range f.names() {
				unused = e.m.interventions.replace(name, stepID, nil) || unused
			}
		}
	}
	return e.m.interventions.replace(functionID, stepID, list) || unused, nil
}

// InjectFault makes a fault act on the next answers that it describes.
func (e *Engine) InjectFault(f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.m.interventions.faults = append(e.m.interventions.faults, &f)
}

// Run returns a run by its id.
func (e *Engine) Run(id string) (r Run, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.m.runs.find(id); found != nil {
		return found.view(), true
	}
	return Run{}, false
}

// Runs returns the runs that are kept, oldest first; of one event, unless eventID is empty.
func (e *Engine) Runs(eventID string) []Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.m.runs.of(eventID)
	if eventID == "" {
		found = e.m.runs.all()
	}
	var out []Run
	for _, r := range found {
		out = append(out, r.view())
	}
	return out
}

// Event returns an event by its id.
func (e *Engine) Event(id ulid.ULID) (ev Event, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.m.events.byID[id]
	if found == nil {
		return Event{}, false
	}
	return found.whole(), true
}

// Events returns the events that are kept, oldest first, the server's own among them.
func (e *Engine) Events() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Event, len(e.m.events.order))
	for i, ev := range e.m.events.order {
		out[i] = ev.view()
	}
	return out
}

// EventFilter chooses events. Times are those that the API shows.
type EventFilter struct {
	From, Until time.Time // a zero Until: now
	Names       []string  // empty: any
	Internal    bool      // the server's own, too
	After       string    // the id of the last event of the page before
	Limit       int
}

// EventPage returns a page of events, newest first, and how many there are on all pages.
func (e *Engine) EventPage(f EventFilter) (page []Event, total int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range slices.Backward(e.m.events.order) {
		at := e.m.clock.Shown(ev.At)
		if at.Before(f.From) {
			break
		}
		if !f.Until.IsZero() && at.After(f.Until) ||
			len(f.Names) > 0 && !slices.Contains(f.Names, ev.Name) || !f.Internal && strings.HasPrefix(ev.Name, reservedPrefix) {
			continue
		}
		total++
		switch {
		case f.After == ev.EventID:
			f.After = ""
		case f.After == "" && len(page) < f.Limit:
			page = append(page, ev.whole())
		}
	}
	return page, total
}

// Functions returns the registered functions, sorted by id.
func (e *Engine) Functions() []Function {
	e.mu.Lock()
	defer e.mu.Unlock()
	listed := e.m.registry.listed()
	out := make([]Function, len(listed))
	for i, f := range listed {
		out[i] = f.Function
	}
	return out
}

// Apps returns the registered apps, sorted by id.
func (e *Engine) Apps() []App {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []App{}
	for _, a := range e.m.registry.apps {
		out = append(out, App{ID: a.id, URL: a.url, SDK: a.sdk, Functions: len(a.functions), Endpoints: a.endpoints})
	}
	slices.SortFunc(out, func(a, b App) int { return strings.Compare(a.ID, b.ID) })
	return out
}

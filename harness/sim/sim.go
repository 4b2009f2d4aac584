package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/api"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// BaseURL is the address at which [Sim.HTTPClient] reaches the Sim. It exists in this process only, for that client.
const BaseURL = api.BaseURL

// Version is the version of the server whose behaviour a Sim follows.
const Version = api.Version

// The server's own events.
const (
	EventFunctionFailed    = sdk.EventFunctionFailed
	EventFunctionFinished  = sdk.EventFunctionFinished
	EventFunctionCancelled = sdk.EventFunctionCancelled
	EventFunctionInvoked   = sdk.EventFunctionInvoked
	EventScheduled         = sdk.EventScheduled
)

// MaxEventSize is the most bytes that one event may take, as JSON: the dev server's limit.
const MaxEventSize = engine.MaxEventSize

// defaultKey is the signing key by which functions are registered in process when Options has none. It protects nothing.
const defaultKey = "signkey-test-5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5349d1a5"

const (
	defaultCallTimeout = 2 * time.Hour
	defaultKeep        = 10_000
)

// Options configure a Sim. The zero Options behave like the dev server started without flags.
type Options struct {
	// Start is the virtual time at which the Sim begins. The zero Time is the wall clock's now. Give a fixed time to make
	// run ids and schedules the same in every run of a test.
	Start time.Time
	// Seed decides what is left to chance: ids, the jitter of retries, and, unless it is zero, which of several things that
	// are due at one instant (as several parallel steps are) comes first. Zero takes those as they came up.
	Seed uint64
	// RetryInterval puts every retry this much later, like the server's --retry-interval. Zero is the server's default:
	// from 15 s to 2 h, growing with each attempt, and up to 30 s more at random.
	RetryInterval time.Duration

	// SigningKey signs the calls to apps, as the production server does. Empty: calls are unsigned, as the dev server's are.
	SigningKey string
	// EventKeys are the keys that the event API accepts. Empty: any.
	EventKeys []string

	// CallTimeout is how long, by the wall clock, an app may take to answer a call before the attempt counts as failed. An
	// app in process that hangs is left behind, its context cancelled. Zero is 2 h, the server's limit. Negative: no limit but
	// the context of the call that drives.
	CallTimeout time.Duration
	// Keep is how many ended runs are kept for inspection, the latest, with their steps and outputs, and four times as
	// many events. Runs at work are always kept. Zero is 10,000.
	//
	// Whatever it is, idempotency keys and values of idempotency expressions are remembered as the server does: for 24 hours
	// of the virtual clock, but no more than the latest 100,000 of them.
	Keep int
	// Interventions are in force from the beginning: see [Sim.Intervene].
	Interventions Interventions
	// Network lets requests of steps leave this machine where no stub answers them: see [Sim.Stub].
	Network bool
	// Bubble makes the clock that of a testing/synctest bubble, in which the Sim and the app then must live: moving the
	// clock sleeps in the bubble, so the app's own time.Now moves along.
	Bubble bool
	// Page has the files of Inngest's own page, which [Sim.Handler] then serves beside the API, as far as they are there. Nil:
	// there is no page.
	Page fs.FS
	// Logger receives the runs that end and the calls that fail. Nil: none.
	Logger *slog.Logger
}

// HasPage reports whether Page has Inngest's page.
func (o Options) HasPage() bool { return api.HasPage(o.Page) }

// Sim is an Inngest executor. It is safe for concurrent use. Close it. Its methods are in three groups: what stands in for
// the server (registering, events, Handler), what moves time, and what a test reads and interferes with. It has many methods
// because a test uses all three together.
type Sim struct {
	options Options
	engine  *engine.Engine
	driver  *engine.Driver
	handler http.Handler
}

// New returns a Sim that knows no app yet.
func New(o Options) *Sim {
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	e := engine.New(engine.Options{
		Clock: clock.New(o.Start, o.Bubble), Seed: o.Seed, RetryInterval: o.RetryInterval, SigningKey: o.SigningKey,
		CallTimeout: cmp.Or(o.CallTimeout, defaultCallTimeout), Keep: cmp.Or(max(o.Keep, 0), defaultKeep), Logger: o.Logger,
		Network: o.Network,
	})
	if _, err := e.Intervene(o.Interventions); err != nil {
		panic("sim: Options.Interventions: " + err.Error()) // a value that has no JSON
	}
	s := &Sim{options: o, engine: e, driver: engine.NewDriver(e)}
	s.handler = api.New(e, api.Options{
		EventKeys: o.EventKeys, Advance: s.Advance, AdvanceFor: s.driver.SkipFor, Closed: s.driver.Closed(), Page: o.Page,
	})
	return s
}

// Close stops a Sim that runs in the background, cancels its calls to apps and waits for their end, or the end of ctx. Runs
// that are not over stay as they are. It can be called twice.
func (s *Sim) Close(ctx context.Context) error {
	err := s.driver.Close(ctx)
	s.engine.Close()
	return err
}

// SigningKey returns the key to give the app, so that its functions can be registered without a socket: the SDK only sends
// them to a server that signs. It is Options.SigningKey, or else one that stands in for it.
func (s *Sim) SigningKey() string { return cmp.Or(s.options.SigningKey, defaultKey) }

// ErrNotRegistered is returned by RegisterHandler and RegisterURL if an app answered and yet did not register any function.
var ErrNotRegistered = engine.ErrNotRegistered

// RegisterHandler registers the app behind a handler, which is then called in process, and replaces what was registered
// under the app's id before. The app must know [Sim.SigningKey], or be able to reach [Sim.Handler] at its API address.
func (s *Sim) RegisterHandler(ctx context.Context, handler http.Handler) error {
	return s.engine.Sync(ctx, "", handler, s.SigningKey())
}

// RegisterURL registers the app at a URL, of whatever language, and replaces what was registered under the app's id before.
// Unless the app knows [Sim.SigningKey], it must be able to reach [Sim.Handler] at its API address.
func (s *Sim) RegisterURL(ctx context.Context, url string) error {
	return s.engine.Sync(ctx, url, nil, s.SigningKey())
}

// RemoveApp forgets an app, by its id. Its runs stay, and its address is still called for them.
func (s *Sim) RemoveApp(id string) { s.engine.Remove(id) }

// Handler returns the server's HTTP API: events, registration, checkpoints, and what the harness reads; and the one that
// [Skip] calls, which no server has. Serve it on loopback, and a [Sim] that runs in the background can stand in for the dev
// server.
func (s *Sim) Handler() http.Handler { return s.handler }

// HTTPClient returns a client that reaches the Sim at [BaseURL] without a socket, for the app to send events with.
func (s *Sim) HTTPClient() *http.Client { return api.Client(s.handler) }

// Send accepts an event and returns its id, a ULID, as the event API does. Functions start once the Sim is driven; those of
// an event whose TS, by the virtual clock, is in the future start then. (In events that come over HTTP, TS is of the wall
// clock, as all times that apps send.)
func (s *Sim) Send(ctx context.Context, e harness.Event) (eventID string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	body, err := encode(e)
	if err != nil {
		return "", err
	}
	ids, err := s.engine.IngestVirtual(body)
	if err != nil {
		return "", fmt.Errorf("sending an event: %w", err)
	}
	return ids[0], nil
}

// encode returns an event as the event API reads it.
func encode(e harness.Event) ([]byte, error) {
	if data, ok := e.Data.([]byte); ok { // which would be encoded as a string of base64
		e.Data = json.RawMessage(data)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return body, nil
}

// StartFunction starts one function with an event, whatever triggers it, and returns the run's id. The event may have any
// name; an empty one is that of an invocation.
func (s *Sim) StartFunction(ctx context.Context, functionID string, e harness.Event) (runID string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	raw, err := encode(e)
	if err != nil {
		return "", fmt.Errorf("starting %s: %w", functionID, err)
	}
	var body engine.EventBody
	if err := json.Unmarshal(raw, &body); err != nil {
		return "", fmt.Errorf("starting %s: event data must be an object: %w", functionID, err)
	}
	if runID, err = s.engine.StartFunction(functionID, body); err != nil {
		return "", fmt.Errorf("starting %s: %w", functionID, err)
	}
	return runID, nil
}

// FindRun returns a run by its id. ok is false if there is none, or it is no longer kept.
func (s *Sim) FindRun(runID string) (r *Run, ok bool) {
	found, ok := s.engine.Run(runID)
	if !ok {
		return nil, false
	}
	return newRun(found), true
}

// Runs returns the runs that are kept, oldest first.
func (s *Sim) Runs() []*Run { return newRuns(s.engine.Runs("")) }

// RunsOf returns the runs that an event started, oldest first. The id is the one that Send returned.
func (s *Sim) RunsOf(eventID string) []*Run {
	if eventID == "" {
		return nil
	}
	return newRuns(s.engine.Runs(eventID))
}

// Events returns the events that are kept, oldest first, the server's own among them.
func (s *Sim) Events() []SentEvent { return s.engine.Events() }

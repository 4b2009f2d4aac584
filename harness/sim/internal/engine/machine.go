package engine

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// Limits of the server.
const (
	maxSteps      = 1_000
	maxStateSize  = 32 << 20
	maxStepBytes  = 4 << 20 // of a step's input or output
	maxRequest    = 4 << 20 // above this the app must fetch the state itself
	maxResponse   = 8 << 20
	dedupePeriod  = 24 * time.Hour
	defaultExpiry = 365 * 24 * time.Hour
	longestWait   = 366 * 24 * time.Hour
	eventsPerRun  = 4 // events kept for each run kept
)

// machine is all state of an [Engine], and the transitions between states. Its methods stand with what they are about:
// events in event.go, the start of runs in match.go, their calls in execute.go, their waits in wait.go, their end in end.go;
// [application] applies an answer. They are one type because each transition may cause any other. The Engine's lock is held
// in all of them.
type machine struct {
	options  Options
	clock    *clock.Clock
	source   source
	queue    queue
	sequence uint64           // of events
	inflight map[string]*item // calls under way, by job

	limits        limits
	registry      registry
	admission     admission
	gate          gate
	waits         waits
	interventions interventions
	passings      []*passing
	runs          runStore
	events        eventStore
}

func newMachine(o Options) machine {
	m := machine{
		options:       o,
		clock:         o.Clock,
		source:        newSource(o.Seed, o.Clock),
		inflight:      map[string]*item{},
		limits:        limits{},
		registry:      newRegistry(),
		gate:          gate{counters: map[string]*counter{}},
		admission:     newAdmission(),
		waits:         newWaits(),
		interventions: interventions{replacements: map[replacedStep]*outcomes{}},
		runs:          runStore{keep: o.Keep, byID: map[ulid.ULID]*run{}, byEvent: map[ulid.ULID][]*run{}},
		events:        eventStore{keep: o.Keep * eventsPerRun, byID: map[ulid.ULID]*event{}},
	}
	if o.Logger == nil {
		m.options.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Seed != 0 {
		m.queue.rng = rand.New(rand.NewPCG(o.Seed, 0xcc9e2d51))
	}
	return m
}

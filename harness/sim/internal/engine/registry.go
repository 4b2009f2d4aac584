package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// App is a copy of a registered app.
type App struct {
	ID, URL, SDK string
	Framework    string
	Checksum     string // of what it registered
	Functions    int
	Endpoints    bool // it is an API with durable endpoints, known by its domain
}

// Function is a copy of a registered function.
type Function struct {
	ID       string // with the app's id in front
	Name     string
	UUID     string
	App      string
	URL      string
	Triggers []Trigger
	Flow     *FlowControl
	Attempts int // the most of a step
	Retries  int // as configured; -1: the default
	Cancel   []sdk.CancelConfig
}

// FlowControl is a function's configuration of flow control. Its encoding as JSON is the server's.
type FlowControl struct {
	Concurrency json.RawMessage `json:"concurrency,omitempty"`
	Priority    json.RawMessage `json:"priority,omitempty"`
	BatchEvents json.RawMessage `json:"batchEvents,omitempty"`
	RateLimit   json.RawMessage `json:"rateLimit,omitempty"` // of an idempotency expression, too
	Throttle    json.RawMessage `json:"throttle,omitempty"`
	Debounce    json.RawMessage `json:"debounce,omitempty"`
	Singleton   json.RawMessage `json:"singleton,omitempty"`
}

// Trigger is what starts a function: an event, or a schedule. Its encoding as JSON is the server's.
type Trigger struct {
	Event      string `json:"event,omitempty"`
	Cron       string `json:"cron,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// app is a registered app.
type app struct {
	id        string
	url       string
	sdk       string
	handler   http.Handler // nil: called over HTTP
	config    string       // of its functions, as JSON
	functions []*function
	endpoints bool // its functions are durable endpoints
}

// function is a registered function.
type function struct {
	Function // what readers get a copy of
	app      *app
	url      *url.URL
	triggers []trigger
	controls
	start   time.Duration // from being queued to the first call; zero: no limit
	finish  time.Duration // from then on; zero: no limit
	cancels []cancelOn
}

// names are the ids by which the function can be meant: with and without the app's id and a dash before it.
func (f *function) names() []string { return []string{f.ID, strings.TrimPrefix(f.ID, f.App+"-")} }

// named reports whether an id means the function. An empty one means any.
func (f *function) named(id string) bool { return id == "" || slices.Contains(f.names(), id) }

type trigger struct {
	Trigger
	when     *expression.Expression // nil: always
	schedule cron.Schedule
	jitter   time.Duration
}

type cancelOn struct {
	event   string
	when    *expression.Expression
	timeout string // "": a year
}

// tick is a cron trigger at work. It ends when its function is registered anew.
type tick struct {
	function *function
	trigger  trigger
	due      time.Time // next, in UTC, before any jitter
	over     bool
}

func (t Trigger) String() string {
	if t.Cron != "" {
		return "cron: " + t.Cron
	}
	return "event: " + t.Event
}

// registry is what apps have registered.
type registry struct {
	hosts     int // in-process apps so far
	apps      map[string]*app
	functions map[string]*function
	ordered   []*function          // by id: the sequence in which one event starts them
	endpoints map[string]*function // by UUID
	ticks     []*tick
}

func newRegistry() registry {
	return registry{apps: map[string]*app{}, functions: map[string]*function{}, endpoints: map[string]*function{}}
}

// find returns a function by its id or its UUID, or nil.
func (g *registry) find(id string) *function {
	if f := g.functions[id]; f != nil {
		return f
	}
	for _, f := range g.ordered {
		if f.UUID == id {
			return f
		}
	}
	return nil
}

// at returns the apps at a URL.
func (g *registry) at(address string) (apps []*app) {
	for _, a := range g.apps {
		if strings.TrimSuffix(a.url, "?") == strings.TrimSuffix(address, "?") {
			apps = append(apps, a)
		}
	}
	return apps
}

// install puts an app in place of an earlier one of the same id, and returns its schedules. One that changes nothing of its
// functions leaves them as they are, with their schedules under way.
func (g *registry) install(a *app) (modified bool, ticks []*tick, err error) {
	for _, f := range a.functions {
		if other := g.functions[f.ID]; other != nil && other.app.id != a.id {
			return false, nil, fmt.Errorf("registering app %q: function id %q is taken by app %q", a.id, f.ID, other.app.id)
		}
	}
	if old := g.apps[a.id]; old != nil {
		if old.config == a.config {
			old.url, old.sdk, old.handler = a.url, a.sdk, a.handler
			return false, nil, nil
		}
		g.uninstall(old)
	}
	g.apps[a.id] = a
	for _, f := range a.functions {
		g.functions[f.ID] = f
		for _, t := range f.triggers {
			if t.schedule != nil {
				ticks = append(ticks, &tick{function: f, trigger: t})
			}
		}
	}
	g.ticks = append(g.ticks, ticks...)
	g.reorder()
	return true, ticks, nil
}

func (g *registry) uninstall(a *app) {
	delete(g.apps, a.id)
	for _, f := range a.functions {
		delete(g.functions, f.ID)
	}
	g.uninstallEndpoints(a)
	g.ticks = slices.DeleteFunc(g.ticks, func(t *tick) bool {
		t.over = t.over || t.function.app == a
		return t.over
	})
	g.reorder()
}

func (g *registry) reorder() {
	g.ordered = slices.SortedFunc(maps.Values(g.functions), func(a, b *function) int { return strings.Compare(a.ID, b.ID) })
}

// ErrNotRegistered is returned if an app answered and yet did not register any function.
var ErrNotRegistered = errors.New("the app did not register its functions")

// remedy says what to do about an app that does not register.
const remedy = "give it the signing key that Sim.SigningKey returns, or make Sim.Handler reachable at its API address"

// register installs the app of a registration. address, unless empty, is where it is called. modified is false if its
// functions were registered like this before.
func (m *machine) register(r sdk.Registration, address string, handler http.Handler) (modified bool, err error) {
	a, err := parseApp(r, configParser{clock: m.clock})
	if err != nil {
		return false, err
	}
	if address != "" {
		a.url = address
	}
	a.handler = handler
	modified, ticks, err := m.registry.install(a)
	for _, t := range ticks {
		m.scheduleTick(t)
	}
	m.newLimits()
	return modified, err
}

package sim

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

	"github.com/google/uuid"
	"github.com/robfig/cron/v3"
	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A Feature is something an app may configure that a Sim does not model.
type Feature string

// The features that registration refuses unless [Options.Ignore] names them. Ignoring one means that its functions run as
// if it had not been configured.
const (
	Concurrency Feature = "concurrency"
	Throttle    Feature = "throttle"
	RateLimit   Feature = "rate limit"
	Debounce    Feature = "debounce"
	Batching    Feature = "event batching"
	Priority    Feature = "priority"
	Singleton   Feature = "singleton"
)

// Known reports whether there is such a feature.
func (f Feature) Known() bool {
	return slices.Contains([]Feature{Concurrency, Throttle, RateLimit, Debounce, Batching, Priority, Singleton}, f)
}

const (
	defaultRetries  = 4
	maxRetries      = 20
	maxTriggers     = 10
	maxCancellation = 5
	dedupePeriod    = 24 * time.Hour
	defaultExpiry   = 365 * 24 * time.Hour
	longestWait     = 366 * 24 * time.Hour
)

// app is a registered app.
type app struct {
	name      string
	url       string
	sdk       string
	handler   http.Handler // nil: called over HTTP
	functions []*function
	synced    time.Time
}

// function is a registered function.
type function struct {
	id          string // with the app's prefix, as the server's events name it
	name        string
	uuid        uuid.UUID
	app         *app
	url         *url.URL
	triggers    []trigger
	attempts    int // the most attempts of a step
	idempotency *expression
	start       time.Duration // from being queued to the first call; zero: no limit
	finish      time.Duration // from then on; zero: no limit
	cancels     []cancelOn
}

type trigger struct {
	event    string
	when     *expression // nil: always
	cron     string
	schedule cron.Schedule
	jitter   time.Duration
}

type cancelOn struct {
	event   string
	when    *expression
	timeout string // "": a year
}

// tick is a cron trigger at work. It ends when its function is registered anew.
type tick struct {
	function *function
	trigger  trigger
	due      time.Time // next, in UTC, before any jitter
	over     bool
}

// parse turns a registration into an app, or says everything that is wrong with it.
func (s *Sim) parse(r sdk.Registration) (*app, error) {
	a := &app{name: r.AppName, url: r.URL, sdk: r.SDK, synced: s.clock()}
	if a.name == "" {
		a.name = r.AppID
	}
	if a.sdk == "" && r.SDKLang != "" {
		a.sdk = r.SDKLang + ":" + r.SDKVersion
	}
	if a.name == "" {
		return nil, errors.New("registering an app: it has no id")
	}
	if len(r.Functions) == 0 {
		return nil, fmt.Errorf("registering app %q: it has no functions", a.name)
	}
	var problems []error
	seen := map[string]bool{}
	for _, c := range r.Functions {
		f, err := s.parseFunction(a, c)
		switch {
		case err != nil:
			problems = append(problems, err)
		case seen[f.id]:
			problems = append(problems, fmt.Errorf("function %q is defined twice in app %q: give one of them another id", f.id, a.name))
		default:
			seen[f.id] = true
			a.functions = append(a.functions, f)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return a, nil
}

func (s *Sim) parseFunction(a *app, c sdk.FunctionConfig) (*function, error) {
	f := &function{id: c.ID, name: c.Name, app: a, attempts: defaultRetries + 1}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if c.ID == "" {
		wrong("function %q has no id", c.Name)
	}
	if c.Name == "" {
		wrong("a function name is required")
	}
	f.uuid = uuid.NewSHA1(uuid.NameSpaceOID, []byte(a.name+"\x00"+c.ID))
	s.refuse(c, wrong)

	if len(c.Steps) != 1 {
		wrong("functions must contain one step")
	}
	for _, step := range c.Steps {
		u, err := url.Parse(step.Runtime.URL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
			wrong("step URL %q is not an HTTP address", step.Runtime.URL)
			continue
		}
		f.url = u
		if step.Retries != nil {
			f.attempts = min(max(step.Retries.Attempts, 0), maxRetries) + 1
		}
	}

	if len(c.Triggers) > maxTriggers {
		wrong("%d triggers; the server takes %d", len(c.Triggers), maxTriggers)
	}
	for _, t := range c.Triggers {
		parsed, err := parseTrigger(t.Event, t.Expression, t.Cron, t.Jitter)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if slices.ContainsFunc(f.triggers, parsed.same) {
			wrong("duplicate trigger %s", parsed)
		}
		f.triggers = append(f.triggers, parsed)
	}

	if c.Idempotency != nil {
		e, err := compile(*c.Idempotency)
		if err != nil {
			wrong("idempotency expression is invalid: %w", err)
		}
		f.idempotency = e
	}
	if len(c.Cancel) > maxCancellation {
		wrong("%d cancellation events; the server takes %d", len(c.Cancel), maxCancellation)
	}
	for _, on := range c.Cancel {
		parsed := cancelOn{event: on.Event}
		if on.If != nil {
			e, err := compile(*on.If)
			if err != nil {
				wrong("cancellation expression is invalid: %w", err)
			}
			parsed.when = e
		}
		if on.Timeout != nil {
			parsed.timeout = *on.Timeout
			if _, err := s.deadline(parsed.timeout); err != nil {
				wrong("cancellation timeout is invalid: %w", err)
			}
		}
		f.cancels = append(f.cancels, parsed)
	}
	if c.Timeouts != nil {
		f.start = timeout("start", c.Timeouts.Start, wrong)
		f.finish = timeout("finish", c.Timeouts.Finish, wrong)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("registering function %q: %w", c.ID, errors.Join(problems...))
	}
	return f, nil
}

// timeout reads one of a function's timeouts. The server takes any text, and fails when a run comes to one it cannot read.
func timeout(which, text string, wrong func(string, ...any)) time.Duration {
	if text == "" {
		return 0
	}
	d, err := str2duration.ParseDuration(text)
	if err != nil {
		wrong("%s timeout is invalid: %w", which, err)
	}
	return d
}

// refuse says which of the configured features are not modelled and not ignored on purpose.
func (s *Sim) refuse(c sdk.FunctionConfig, wrong func(string, ...any)) {
	for _, f := range []struct {
		feature Feature
		config  json.RawMessage
	}{
		{Concurrency, c.Concurrency}, {Throttle, c.Throttle}, {RateLimit, c.RateLimit}, {Debounce, c.Debounce},
		{Batching, c.BatchEvents}, {Priority, c.Priority}, {Singleton, c.Singleton},
	} {
		if len(f.config) == 0 || string(f.config) == "null" || slices.Contains(s.options.Ignore, f.feature) {
			continue
		}
		wrong("it configures %s, which sim does not model: test it on the real server, or name it in sim.Options.Ignore"+
			" to run the function as if it were not configured", f.feature)
	}
}

// cronParser reads what the server reads: five fields, and descriptors such as @daily.
var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

func parseTrigger(event string, when *string, spec, jitter string) (trigger, error) {
	t := trigger{event: event, cron: spec}
	switch {
	case event == "" && spec == "":
		return t, errors.New("a trigger must supply an event name or a cron schedule")
	case event != "" && spec != "":
		return t, errors.New("a trigger cannot have both an event and a cron schedule")
	case event != "":
		if when != nil {
			e, err := compile(*when)
			if err != nil {
				return t, fmt.Errorf("invalid trigger expression on '%s': %w", event, err)
			}
			t.when = e
		}
		return t, nil
	}
	schedule, err := cronParser.Parse(spec)
	if err != nil {
		return t, fmt.Errorf("'%s' isn't a valid cron schedule: %w", spec, err)
	}
	t.schedule = schedule
	if jitter != "" {
		if t.jitter, err = str2duration.ParseDuration(jitter); err != nil {
			return t, fmt.Errorf("invalid cron jitter: %w", err)
		}
	}
	return t, nil
}

func (t trigger) String() string {
	if t.cron != "" {
		return "cron: " + t.cron
	}
	return "event: " + t.event
}

func (t trigger) same(o trigger) bool {
	text := func(e *expression) string {
		if e == nil {
			return ""
		}
		return e.source
	}
	return t.event == o.event && t.cron == o.cron && text(t.when) == text(o.when)
}

// install puts a parsed app in place of an earlier one of the same name. The lock is held.
func (s *Sim) install(a *app) error {
	for _, f := range a.functions {
		if other := s.functions[f.id]; other != nil && other.app.name != a.name {
			return fmt.Errorf("registering app %q: function id %q is taken by app %q", a.name, f.id, other.app.name)
		}
	}
	if old := s.apps[a.name]; old != nil {
		s.uninstall(old)
	}
	s.apps[a.name] = a
	defer s.reorder()
	for _, f := range a.functions {
		s.functions[f.id] = f
		for _, t := range f.triggers {
			if t.schedule == nil {
				continue
			}
			tk := &tick{function: f, trigger: t}
			s.ticks = append(s.ticks, tk)
			s.scheduleTick(tk)
		}
	}
	return nil
}

func (s *Sim) uninstall(a *app) {
	delete(s.apps, a.name)
	defer s.reorder()
	for _, f := range a.functions {
		delete(s.functions, f.id)
	}
	s.ticks = slices.DeleteFunc(s.ticks, func(t *tick) bool {
		t.over = t.over || t.function.app == a
		return t.over
	})
}

func (s *Sim) scheduleTick(t *tick) {
	// The server reads schedules in UTC unless they name a zone (CRON_TZ=…), which the library does by itself.
	at := t.trigger.schedule.Next(s.clock().UTC())
	if at.IsZero() {
		return // the schedule never comes again, as 30 February
	}
	t.due = at.UTC()
	if t.trigger.jitter > 0 {
		at = at.Add(time.Duration(s.rng.Int64N(int64(t.trigger.jitter))))
	}
	s.queue.push(&item{at: at, kind: kindTick, tick: t})
}

// current returns the latest registration of a function that a run was started with, or nil if the app is gone. Deploying
// new code is registering it: runs go on with the new definition.
func (s *Sim) current(f *function) *function { return s.functions[f.id] }

// reorder brings the functions into a fixed order: that in which one event starts them.
func (s *Sim) reorder() {
	s.ordered = slices.SortedFunc(maps.Values(s.functions), func(a, b *function) int { return strings.Compare(a.id, b.id) })
}

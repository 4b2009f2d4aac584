package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gosimple/slug"
	"github.com/robfig/cron/v3"
	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// Limits of the server.
const (
	defaultRetries  = 4
	maxRetries      = 20
	maxTriggers     = 10
	maxCancellation = 5
)

// parseApp reads a registration. The error says everything that is wrong with it.
func parseApp(r sdk.Registration, p configParser) (*app, error) {
	config, err := json.Marshal(r.Functions)
	if err != nil {
		return nil, fmt.Errorf("registering app %q: %w", r.App(), err)
	}
	a := &app{id: r.App(), url: r.URL, sdk: r.SDK, config: string(config)}
	if a.sdk == "" && r.SDKLang != "" {
		a.sdk = r.SDKLang + ":" + r.SDKVersion
	}
	if a.id == "" {
		return nil, errors.New("registering an app: it has no id")
	}
	if len(r.Functions) == 0 {
		return nil, fmt.Errorf("registering app %q: it has no functions", a.id)
	}
	var problems []error
	seen := map[string]bool{}
	for _, c := range r.Functions {
		f, err := p.parse(a, c)
		switch {
		case err != nil:
			problems = append(problems, err)
		case seen[f.ID]:
			problems = append(problems, fmt.Errorf("function %q is defined twice in app %q: give one of them another id", f.ID, a.id))
		default:
			seen[f.ID] = true
			a.functions = append(a.functions, f)
		}
	}
	return a, errors.Join(problems...)
}

// configParser reads the configuration of functions.
type configParser struct{ clock *clock.Clock }

// parse reads the configuration of one function, part by part. The error says everything that is wrong with it.
func (p configParser) parse(a *app, c sdk.FunctionConfig) (*function, error) {
	c.ID = cmp.Or(c.ID, strings.ToLower(slug.Make(c.Name)))
	f := &function{
		Function: Function{
			ID: c.ID, Name: c.Name, App: a.id, UUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(a.id+"\x00"+c.ID)).String(), Triggers: []Trigger{},
		},
		app: a,
	}
	f.Attempts, f.Retries, f.Cancel = defaultRetries+1, -1, c.Cancel
	var problems []error
	for _, part := range []func(*function, sdk.FunctionConfig) []error{
		p.names, p.steps, p.triggers, p.flowControl, p.cancellation, p.timeouts,
	} {
		problems = append(problems, part(f, c)...)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("registering function %q: %w", c.ID, errors.Join(problems...))
	}
	p.setClocks(f)
	return f, nil
}

func (configParser) names(_ *function, c sdk.FunctionConfig) (problems []error) {
	if c.ID == "" {
		problems = append(problems, fmt.Errorf("function %q has no id", c.Name))
	}
	if c.Name == "" {
		problems = append(problems, errors.New("a function name is required"))
	}
	return problems
}

func (configParser) steps(f *function, c sdk.FunctionConfig) (problems []error) {
	if len(c.Steps) != 1 {
		problems = append(problems, errors.New("functions must contain one step"))
	}
	for _, step := range c.Steps {
		u, err := url.Parse(step.Runtime.URL)
		if err != nil || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) { // ws, wss: it connects
			problems = append(problems, fmt.Errorf("step URL %q is not an HTTP address", step.Runtime.URL))
			continue
		}
		f.url, f.URL = u, u.String()
		if step.Retries != nil {
			f.Attempts, f.Retries = min(max(step.Retries.Attempts, 0), maxRetries)+1, step.Retries.Attempts
		}
	}
	return problems
}

func (configParser) triggers(f *function, c sdk.FunctionConfig) (problems []error) {
	if len(c.Triggers) > maxTriggers {
		problems = append(problems, fmt.Errorf("%d triggers; the server takes %d", len(c.Triggers), maxTriggers))
	}
	for _, config := range c.Triggers {
		t, err := parseTrigger(config)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if slices.Contains(f.Triggers, t.Trigger) {
			problems = append(problems, fmt.Errorf("duplicate trigger %s", t))
		}
		f.triggers = append(f.triggers, t)
		f.Triggers = append(f.Triggers, t.Trigger)
	}
	return problems
}

func (p configParser) cancellation(f *function, c sdk.FunctionConfig) (problems []error) {
	if len(c.Cancel) > maxCancellation {
		problems = append(problems, fmt.Errorf("%d cancellation events; the server takes %d", len(c.Cancel), maxCancellation))
	}
	for _, config := range c.Cancel {
		on := cancelOn{event: config.Event}
		if config.If != nil {
			e, err := expression.CompileCancellation(*config.If)
			if err != nil {
				problems = append(problems, fmt.Errorf("cancellation expression is invalid: %w", err))
			}
			on.when = e
		}
		if config.Timeout != nil {
			on.timeout = *config.Timeout
			if _, err := deadline(p.clock, on.timeout); err != nil {
				problems = append(problems, fmt.Errorf("cancellation timeout is invalid: %w", err))
			}
		}
		f.cancels = append(f.cancels, on)
	}
	return problems
}

// timeouts reads the timeouts of runs. The server accepts any text, and fails when a run comes to one it cannot read.
func (configParser) timeouts(f *function, c sdk.FunctionConfig) (problems []error) {
	if c.Timeouts == nil {
		return nil
	}
	for _, t := range []struct {
		which, text string
		into        *time.Duration
	}{{"start", c.Timeouts.Start, &f.start}, {"finish", c.Timeouts.Finish, &f.finish}} {
		if t.text == "" {
			continue
		}
		d, err := str2duration.ParseDuration(t.text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s timeout is invalid: %w", t.which, err))
		}
		*t.into = d
	}
	return problems
}

// cronParser reads what the server reads: five fields, and a zone.
var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// The least and the most jitter of a schedule.
const (
	leastJitter = time.Second
	mostJitter  = 5 * time.Minute
)

func parseTrigger(c sdk.TriggerConfig) (trigger, error) {
	t := trigger{Trigger: Trigger{Event: c.Event, Cron: c.Cron}}
	switch {
	case c.Event == "" && c.Cron == "":
		return t, errors.New("a trigger must supply an event name or a cron schedule")
	case c.Event != "" && c.Cron != "":
		return t, errors.New("a trigger cannot have both an event and a cron schedule")
	case c.Event != "":
		if c.Expression != nil {
			e, err := expression.CompileCondition(*c.Expression)
			if err != nil {
				return t, fmt.Errorf("invalid trigger expression on '%s': %w", c.Event, err)
			}
			t.when, t.Expression = e, *c.Expression
		}
		return t, nil
	}
	schedule, err := cronParser.Parse(c.Cron)
	if err != nil {
		return t, fmt.Errorf("'%s' isn't a valid cron schedule: %w", c.Cron, err)
	}
	t.schedule = schedule
	if c.Jitter != "" {
		if t.jitter, err = str2duration.ParseDuration(c.Jitter); err != nil {
			return t, fmt.Errorf("invalid cron jitter: %w", err)
		}
		if t.jitter != 0 && (t.jitter < leastJitter || t.jitter > mostJitter) {
			return t, fmt.Errorf("cron jitter %v is not between %v and %v", t.jitter, leastJitter, mostJitter)
		}
	}
	return t, nil
}

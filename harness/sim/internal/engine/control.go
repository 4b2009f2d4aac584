package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/expression"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// controls are how a function limits its runs. What is nil is not configured.
type controls struct {
	concurrency []concurrencyLimit // of calls
	perRun      *concurrencyLimit  // of runs, from start to end
	throttle    *throttle
	rateLimit   *rateLimit
	debounce    *debounce
	batch       *batching
	priority    *expression.Expression
	singleton   *singleton
}

// Decision is what flow control did to an event or a run.
type Decision struct {
	Function string    // the function's id
	Run      string    // the run that it is about; empty: the event starts none, or none yet
	At       time.Time // virtual
	Text     string    // such as "admitted after 40s: concurrency 2 of key kim"
	Pending  bool      // something is still to come: a place in a limit, another event of a batch, the end of a debounce
	// DuplicateOf is the event with the same id that the function ran for, of which the server starts nothing again.
	DuplicateOf string
}

// key tells which events share a limit: those with the same value of an expression, or all if there is none.
type key struct {
	text string
	expr *expression.Expression
}

func parseKey(text *string) (key, error) {
	if text == nil || *text == "" {
		return key{}, nil
	}
	e, err := expression.Compile(*text)
	return key{*text, e}, err
}

// parseCheckedKey is parseKey for keys that the server checks: they read nothing but event and async, and are not empty.
func parseCheckedKey(text *string) (key, error) {
	if text == nil {
		return key{}, nil
	}
	e, err := expression.CompileCondition(*text)
	return key{*text, e}, err
}

// value returns the key's value for an event, as text. A field that is not there is false. set tells whether the value is
// another than false, which some controls take for: do not limit this event.
func (k key) value(e *event) (text string, set bool) {
	if k.expr == nil {
		return "", true
	}
	v, ok := k.expr.Value(e.vars(), nil)
	switch {
	case !ok || v == false:
		return "false", false
	case v == types.NullValue.Value():
		return "null", true
	default:
		return fmt.Sprint(v), true
	}
}

// named appends a key's value to the name of a limit.
func (k key) named(limit, value string) string {
	if k.expr == nil {
		return limit
	}
	return limit + " of key " + value
}

// configured decodes the configuration of a control; nil if there is none.
func configured[T any](raw json.RawMessage) (*T, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	out := new(T)
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, err
	}
	return out, nil
}

// flowControl reads how a function limits its runs.
func (configParser) flowControl(f *function, c sdk.FunctionConfig) (problems []error) {
	note := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
		}
	}
	f.Flow = &FlowControl{
		Concurrency: c.Concurrency, Priority: c.Priority, BatchEvents: c.BatchEvents, RateLimit: c.RateLimit, Throttle: c.Throttle,
		Debounce: c.Debounce, Singleton: c.Singleton,
	}
	if c.Idempotency != nil {
		f.Flow.RateLimit, _ = json.Marshal(map[string]any{"limit": 1, "period": idempotencyPeriod.String(), "key": *c.Idempotency})
	}
	var err error
	f.concurrency, f.perRun, err = parseConcurrency(c.Concurrency)
	note("concurrency", err)
	f.throttle, err = parseThrottle(c.Throttle)
	note("throttle", err)
	f.rateLimit, err = parseRateLimit(c.RateLimit, c.Idempotency)
	note("rate limit", err)
	f.debounce, err = parseDebounce(c.Debounce)
	note("debounce", err)
	f.batch, err = parseBatching(c.BatchEvents)
	note("batch", err)
	f.priority, err = parsePriority(c.Priority)
	note("priority", err)
	f.singleton, err = parseSingleton(c.Singleton)
	note("singleton", err)
	if f.batch != nil && (f.debounce != nil || f.singleton != nil || f.priority != nil || len(c.Cancel) > 0) {
		note("batch", errors.New("it cannot be combined with debounce, singleton, priority or cancellation"))
	}
	return problems
}

func parsePriority(raw json.RawMessage) (*expression.Expression, error) {
	config, err := configured[struct {
		Run *string `json:"run"`
	}](raw)
	if err != nil || config == nil || config.Run == nil {
		return nil, err
	}
	return expression.Compile(*config.Run)
}

// furthest is how far ahead, or behind, a priority can put a run.
const furthest = 12 * time.Hour

// ahead returns how long before their turn the calls of an event's runs are made: as many seconds as the priority says. It
// is negative for those that come later. A priority that is no integer is none, as on the server.
func (c *controls) ahead(e *event) time.Duration {
	if c.priority == nil {
		return 0
	}
	v, _ := c.priority.Value(e.vars(), nil)
	n, _ := v.(int64)
	limit := int64(furthest / time.Second)
	return time.Duration(min(max(n, -limit), limit)) * time.Second
}

// parsePeriod reads a period, which the server takes in whole seconds.
func parsePeriod(text string) (time.Duration, error) {
	d, err := str2duration.ParseDuration(text)
	return d.Truncate(time.Second), err
}

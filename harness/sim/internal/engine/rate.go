package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// pace spreads a number of things over a period evenly. It needs only one time of memory: when the next would be due if
// none came early.
type pace struct {
	interval time.Duration // between two
	early    int           // how many may come before they are due
}

// next returns when the next may come.
func (p pace) next(due time.Time) time.Time { return due.Add(-p.interval * time.Duration(p.early)) }

// after returns when the one after the next is due, if the next comes now.
func (p pace) after(due, now time.Time) time.Time {
	if due.Before(now) {
		due = now
	}
	return due.Add(p.interval)
}

// throttle limits how many runs start within a period. The others wait.
type throttle struct {
	pace
	key  key
	text string
}

func parseThrottle(raw json.RawMessage) (*throttle, error) {
	config, err := configured[struct {
		Limit  uint    `json:"limit"`
		Period string  `json:"period"`
		Burst  uint    `json:"burst"`
		Key    *string `json:"key"`
	}](raw)
	if err != nil || config == nil {
		return nil, err
	}
	period, err := parsePeriod(config.Period)
	if err != nil {
		return nil, err
	}
	limit := max(int(config.Limit), 1)
	t := &throttle{
		pace: pace{period / time.Duration(limit), limit + int(config.Burst) - 1},
		text: fmt.Sprintf("throttle %d per %v", limit, period),
	}
	// The server does not check the key: one that it cannot read has all events share the limit.
	t.key, err = parseKey(config.Key)
	if err != nil {
		t.key = key{}
	}
	return t, nil
}

// need returns what the start of a run needs of the throttle, for a value of its key.
func (t *throttle) need(g *gate, f *function, value string) need {
	return need{counter: g.at("throttle\x00" + f.ID + "\x00" + value), throttle: t, text: t.key.named(t.text, value)}
}

// rateLimit drops the events that come too fast.
type rateLimit struct {
	pace
	key  key
	text string
}

// idempotencyPeriod is how long the value of an idempotency expression is remembered, and the longest of rate limits.
const idempotencyPeriod = 24 * time.Hour

// parseRateLimit reads a rate limit. An idempotency expression is a rate limit of one a day, and takes its place.
func parseRateLimit(raw json.RawMessage, idempotency *string) (*rateLimit, error) {
	if idempotency != nil {
		k, err := parseCheckedKey(idempotency)
		if err != nil {
			return nil, fmt.Errorf("idempotency expression is invalid: %w", err)
		}
		return &rateLimit{pace: pace{interval: idempotencyPeriod}, key: k, text: "idempotency"}, nil
	}
	config, err := configured[struct {
		Limit  int     `json:"limit"`
		Period string  `json:"period"`
		Key    *string `json:"key"`
	}](raw)
	if err != nil || config == nil {
		return nil, err
	}
	period, err := parsePeriod(config.Period)
	switch {
	case err != nil:
		return nil, err
	case config.Limit <= 0:
		return nil, errors.New("limit must be greater than 0")
	case period > idempotencyPeriod:
		return nil, fmt.Errorf("period must be less than %v", idempotencyPeriod)
	}
	l := &rateLimit{
		pace: pace{period / time.Duration(config.Limit), config.Limit / 10}, text: fmt.Sprintf("rate limit %d per %v", config.Limit, period),
	}
	l.key, err = parseCheckedKey(config.Key)
	return l, err
}

// rate is what is remembered of the events under one rate limit and one value of its key.
type rate struct{ due, until time.Time }

// withinRate reports whether an event is within a function's rate limit, and counts it.
func (m *machine) withinRate(f *function, e *event) bool {
	l, now := f.rateLimit, m.clock.Now()
	value, set := l.key.value(e)
	if !set {
		return true
	}
	rates, name := &m.admission.rates, f.ID+"\x00"+value
	for len(rates.order) > 0 && !rates.values[rates.order[0]].until.After(now) {
		rates.forgetOldest()
	}
	last := rates.values[name]
	if !last.until.After(now) {
		last = rate{}
	}
	if l.interval == 0 || l.next(last.due).After(now) {
		m.note(e, f, "dropped: "+l.key.named(l.text, value))
		return false
	}
	due := l.after(last.due, now)
	// The server remembers for whole seconds.
	rates.put(name, rate{due, now.Add(max(due.Sub(now).Truncate(time.Second), time.Second))})
	return true
}

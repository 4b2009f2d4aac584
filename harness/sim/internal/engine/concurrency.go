package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// concurrencyLimit is the most calls, or runs, that may be in progress at once.
type concurrencyLimit struct {
	limit int
	key   key
	scope string // "fn"; "env" and "account" are shared by all functions with the same key
}

const (
	functionScope        = "fn"
	maxConcurrencyLimits = 2
)

// UnmarshalJSON reads a limit with its key and its scope.
func (l *concurrencyLimit) UnmarshalJSON(raw []byte) error {
	var config struct {
		Limit int     `json:"limit"`
		Key   *string `json:"key"`
		Scope string  `json:"scope"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return err
	}
	l.limit, l.scope = config.Limit, strings.ToLower(config.Scope)
	switch l.scope {
	case "":
		l.scope = functionScope
	case functionScope:
	case "env", "account":
		if config.Key == nil {
			return fmt.Errorf("a key must be specified for limits of scope %s", l.scope)
		}
	default:
		return fmt.Errorf("there is no scope %q", config.Scope)
	}
	if config.Key != nil && *config.Key == "" {
		return errors.New("a key must not be empty")
	}
	var err error
	l.key, err = parseKey(config.Key)
	return err
}

// parseConcurrency reads what the server reads: a number, a limit, a list of limits, or one list of limits for calls and
// one for runs.
func parseConcurrency(raw json.RawMessage) (ofCalls []concurrencyLimit, ofRuns *concurrencyLimit, err error) {
	var config struct {
		Fn   []concurrencyLimit `json:"fn"`
		Step []concurrencyLimit `json:"step"`
	}
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil, nil
	case raw[0] == '[':
		err = json.Unmarshal(raw, &config.Step)
	case raw[0] == '{':
		if err = json.Unmarshal(raw, &config); err == nil && config.Fn == nil && config.Step == nil {
			config.Step = make([]concurrencyLimit, 1)
			err = json.Unmarshal(raw, &config.Step[0])
		}
	default:
		n, _ := strconv.Atoi(string(raw)) // what is no number is no limit
		config.Step = []concurrencyLimit{{limit: n, scope: functionScope}}
	}
	if err != nil {
		return nil, nil, err
	}
	if len(config.Step) > maxConcurrencyLimits || len(config.Fn) > 1 {
		return nil, nil, fmt.Errorf("the server takes %d limits of calls and one of runs", maxConcurrencyLimits)
	}
	for _, l := range config.Step {
		if l.limit > 0 || l.key.expr != nil { // 0 for all of a function is no limit; 0 for a key lets none through
			ofCalls = append(ofCalls, l)
		}
	}
	if len(config.Fn) == 1 {
		if ofRuns = &config.Fn[0]; ofRuns.limit <= 0 {
			err = errors.New("a limit of runs must be greater than 0")
		}
	}
	return ofCalls, ofRuns, err
}

// need returns what a job of the function needs of the limit, for a value of its key. name is "concurrency" or another.
func (l *concurrencyLimit) need(g *gate, name string, f *function, value string) need {
	owner, text := f.ID, name+" "+strconv.Itoa(l.limit)
	if l.scope != functionScope {
		owner, text = "", text+" in scope "+l.scope
	}
	at := g.at(strings.Join([]string{name, l.scope, owner, l.key.text, value}, "\x00"))
	return need{counter: at, most: l.limit, text: l.key.named(text, value)}
}

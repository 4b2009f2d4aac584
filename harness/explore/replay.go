package explore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// A Case is a schedule as a file keeps it, with what it takes to run and judge it again.
type Case struct {
	Send        []harness.Event     `json:"send,omitempty"`
	Expect      harness.Expectation `json:"expect"`
	AllowCopies Copies              `json:"allowCopies,omitempty"`
	AllowFailed Failed              `json:"allowFailed,omitempty"`
	Faults      []Fault             `json:"faults"`
	// Command runs the app, InvariantCommand and SetupCommand are those of [Options]; empty where the exploration had none.
	Command          []string          `json:"command,omitempty"`
	InvariantCommand []string          `json:"invariantCommand,omitempty"`
	SetupCommand     []string          `json:"setupCommand,omitempty"`
	RetryPause       jsontime.Duration `json:"retryPause,omitzero"`
	// Shows is what the schedule showed when the case was written. It is for people.
	Shows string `json:"shows,omitempty"`
}

// Case returns a finding of an exploration as a case.
func (f Finding) Case(target Target, o Options) Case {
	return Case{
		Send: o.Send, Expect: o.Expect, AllowCopies: o.AllowCopies, AllowFailed: o.AllowFailed, Faults: f.Schedule.Faults,
		Command: target.command, InvariantCommand: o.InvariantCommand, SetupCommand: o.SetupCommand, RetryPause: jsontime.Duration(o.RetryPause),
		Shows: fmt.Sprintf("%s, when %s", f.Says, f.Story),
	}
}

// WriteCases writes each finding as a case, 1.json and so on, into a directory, in place of those of an earlier exploration. It
// returns their names.
func (r *Result) WriteCases(dir string, target Target, o Options) (files []string, err error) {
	old, err := filepath.Glob(filepath.Join(dir, "[0-9]*.json"))
	if err != nil {
		return nil, fmt.Errorf("look for the cases of an earlier exploration: %w", err)
	}
	for _, file := range old {
		if _, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(file), ".json"), 10, 64); err != nil {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if _, err := ParseCase(data); err != nil {
			continue // it is no case
		}
		if err := os.Remove(file); err != nil {
			return nil, err
		}
	}
	if len(r.Findings) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for i, f := range r.Findings {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(f.Case(target, o)); err != nil {
			return nil, fmt.Errorf("encode finding %d: %w", i+1, err)
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.json", i+1))
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// ParseCase reads a case from JSON. Unknown fields are rejected.
func ParseCase(data []byte) (c Case, err error) {
	var fields struct {
		Case
		Expect json.RawMessage `json:"expect"`
	}
	if err := strictjson.Decode(data, &fields); err != nil {
		return Case{}, fmt.Errorf("read a case of an exploration: %w", err)
	}
	c = fields.Case
	if c.Expect, err = harness.ParseExpectation(fields.Expect); err != nil {
		return Case{}, fmt.Errorf("read a case of an exploration: %w", err)
	}
	for _, f := range c.Faults {
		if _, ok := ruleOf(f); !ok {
			return Case{}, fmt.Errorf("read a case of an exploration: %q cannot happen %s %q", f.Do, f.When, f.At)
		}
	}
	return c, nil
}

// ErrNotDeterministic is returned by [Replay] for a schedule that does not lead to the same each time.
var ErrNotDeterministic = errors.New("the schedule does not lead to the same each time")

// Replay runs a case so many times, and returns what it led to. Of o only the functions and the time limits count: all else is the
// case's. It returns an error if the run without faults is not as expected, if a fault never acts, if it
// cannot be judged, and [ErrNotDeterministic], with what differed, if not every time led to the same violations.
func Replay(ctx context.Context, target Target, c Case, times int, o Options) (Outcome, error) {
	o.Send, o.Expect, o.AllowCopies, o.AllowFailed = c.Send, c.Expect, c.AllowCopies, c.AllowFailed
	o.InvariantCommand, o.SetupCommand, o.RetryPause = c.InvariantCommand, c.SetupCommand, time.Duration(c.RetryPause)
	o, err := o.withDefaults()
	if err != nil {
		return Outcome{}, fmt.Errorf("replay: %w", err)
	}
	e := &explorer{target: target, o: o, result: &Result{}}
	defer e.close(ctx)
	v, err := e.env(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("replay: %w", err)
	}
	if err := e.runBase(ctx, v); err != nil {
		return Outcome{}, fmt.Errorf("replay: %w", err)
	}
	var first Outcome
	for n := range max(1, times) {
		tried, err := e.try(ctx, v, Schedule{c.Faults})
		if err != nil {
			return Outcome{}, fmt.Errorf("replay: %w", err)
		}
		this := tried.outcome()
		if this.NotRun != "" {
			return this, fmt.Errorf("replay, time %d: %s", n+1, this.NotRun)
		}
		if n == 0 {
			first = this
		} else if was, is := first.shows(), this.shows(); was != is {
			return first, fmt.Errorf("replay: %w: time 1: %s; time %d: %s", ErrNotDeterministic, was, n+1, is)
		}
	}
	return first, nil
}

// shows says what an outcome shows, the same for equal ones.
func (o Outcome) shows() string {
	if len(o.Violations) == 0 {
		return "everything was as it should be"
	}
	var kinds []string
	for _, v := range o.Violations {
		kinds = append(kinds, v.kind())
	}
	slices.Sort(kinds)
	return strings.Join(kinds, "; ")
}

package tap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Point is a place on a wire at which a fault can act. The package comment says when each is passed.
type Point string

// The points of the HTTP wires.
const (
	AtCall       Point = "call"
	AtStep       Point = "step"
	AtCheckpoint Point = "checkpoint"
	AtEvent      Point = "event"
	AtSync       Point = "sync"
	AtRegister   Point = "register"
)

// The points of the SMTP wire.
const (
	AtConnect  Point = "connect"
	AtEHLO     Point = "ehlo" // HELO too
	AtSTARTTLS Point = "starttls"
	AtAUTH     Point = "auth"
	AtMAIL     Point = "mail"
	AtRCPT     Point = "rcpt"
	AtDATA     Point = "data"
	AtBody     Point = "body" // the message itself, while it crosses
	AtDot      Point = "dot"  // the end of the message; its reply accepts it
	AtQUIT     Point = "quit"
)

// An Action is what a fault does.
type Action string

// Actions on what crosses, before the far side has it.
const (
	// Drop closes the connection. Nothing is passed on, nothing is answered. At connect it resets the connection,
	// which is as near as a tap comes to refusing it.
	Drop Action = "drop"
	// Reply answers with Code and Text instead of passing on.
	Reply Action = "reply"
	// Lose passes nothing on and answers nothing, until the near side gives up.
	Lose Action = "lose"
	// Swallow passes nothing on and answers as if all had gone well: an event gets made-up ids.
	Swallow Action = "swallow"
	// Delay passes on after For.
	Delay Action = "delay"
	// Hold passes on when it is released.
	Hold Action = "hold"
	// Throttle passes a message on at Rate bytes per second.
	Throttle Action = "throttle"
	// Twice delivers a call twice, one after the other or side by side (Concurrent). Inngest hears the first answer,
	// or the second (Second), when both are in.
	Twice Action = "twice"
)

// Actions on the answer, when the far side has given it.
const (
	// DropAnswer closes the connection instead of answering: the effect happened and the near side does not know.
	DropAnswer Action = "drop-answer"
	// DelayAnswer answers after For.
	DelayAnswer Action = "delay-answer"
	// HoldAnswer answers when it is released.
	HoldAnswer Action = "hold-answer"
)

// onAnswer says on which side of the exchange the action falls.
func (a Action) onAnswer() bool { return a == DropAnswer || a == DelayAnswer || a == HoldAnswer }

// pauses says that the crossing goes on after the action.
func (a Action) pauses() bool {
	return slices.Contains([]Action{Delay, DelayAnswer, Hold, HoldAnswer, Throttle}, a)
}

// A Fault is one thing that goes wrong: where, for whom, how often, and what. At and Do are required. A matcher that
// is left zero matches everything; one that the point cannot see is an error, as is anything else that the action
// would ignore. In JSON its fields have the same names in lower case, For is a string such as "1.5s", and unknown
// fields are rejected.
type Fault struct {
	// Name is what records and messages call the fault. Empty: a description made from the rest.
	Name string
	// At is the point, Do the action.
	At Point
	Do Action

	// Function is a function's id, with or without its app's id and a hyphen before it.
	Function string
	// Run is a run's id.
	Run string
	// Attempt counts from 1. Zero: any.
	Attempt int
	// Step is a step's id as the function's code has it; a repeated id's second use is "id:1".
	Step string
	// After is the id of the step that was finished last. At [AtStep], before a step begins, empty means none: Step
	// is the function's first.
	After string
	// Event is an event's name.
	Event string
	// To is a recipient, in any case. From data on it is one of the accepted recipients of the message.
	To string

	// Times is how often the fault acts; then everything passes. Zero: once. Negative: always.
	Times int
	// Skip is how many matches pass before it acts.
	Skip int
	// Chance is the probability with which a match counts, drawn from the set's seed. Zero: always.
	Chance float64

	// For is how long a delay lasts.
	For time.Duration
	// Code and Text are the answer of [Reply]: an HTTP status and its body, or an SMTP reply. An SMTP reply of 421
	// also ends the connection. Text is optional, and one line in SMTP.
	Code int
	Text string
	// Rate is in bytes per second.
	Rate int
	// Bytes is how much of a message has passed before a fault at [AtBody] acts; it does not act on a shorter one.
	Bytes int64
	// Concurrent and Second say how [Twice] delivers and which answer counts.
	Concurrent bool
	Second     bool
}

// faultJSON is a Fault as it is written down.
type faultJSON struct {
	Name       string  `json:"name,omitempty"`
	At         Point   `json:"at"`
	Do         Action  `json:"do"`
	Function   string  `json:"function,omitempty"`
	Run        string  `json:"run,omitempty"`
	Attempt    int     `json:"attempt,omitempty"`
	Step       string  `json:"step,omitempty"`
	After      string  `json:"after,omitempty"`
	Event      string  `json:"event,omitempty"`
	To         string  `json:"to,omitempty"`
	Times      int     `json:"times,omitempty"`
	Skip       int     `json:"skip,omitempty"`
	Chance     float64 `json:"chance,omitempty"`
	For        string  `json:"for,omitempty"`
	Code       int     `json:"code,omitempty"`
	Text       string  `json:"text,omitempty"`
	Rate       int     `json:"rate,omitempty"`
	Bytes      int64   `json:"bytes,omitempty"`
	Concurrent bool    `json:"concurrent,omitempty"`
	Second     bool    `json:"second,omitempty"`
}

// MarshalJSON writes the form that [ParseFaults] reads.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{
		f.Name, f.At, f.Do, f.Function, f.Run, f.Attempt, f.Step, f.After, f.Event, f.To,
		f.Times, f.Skip, f.Chance, "", f.Code, f.Text, f.Rate, f.Bytes, f.Concurrent, f.Second,
	}
	if f.For != 0 {
		j.For = f.For.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON rejects unknown fields. It does not check that the fault makes sense: that is Validate's part.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var j faultJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return err
	}
	var pause time.Duration
	if j.For != "" {
		var err error
		if pause, err = time.ParseDuration(j.For); err != nil {
			return fmt.Errorf(`"for" must be a duration such as "1.5s": %w`, err)
		}
	}
	*f = Fault{
		j.Name, j.At, j.Do, j.Function, j.Run, j.Attempt, j.Step, j.After, j.Event, j.To,
		j.Times, j.Skip, j.Chance, pause, j.Code, j.Text, j.Rate, j.Bytes, j.Concurrent, j.Second,
	}
	return nil
}

// ParseFaults reads a fault script: a JSON array of faults, or one fault. Every fault in it is valid.
func ParseFaults(data []byte) ([]Fault, error) {
	var faults []Fault
	var into any = &faults
	single := bytes.HasPrefix(bytes.TrimSpace(data), []byte("{"))
	if single {
		faults = make([]Fault, 1)
		into = &faults[0]
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(into); err != nil {
		return nil, fmt.Errorf("read fault script: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("read fault script: something follows it; write several faults as one array")
	}
	if len(faults) == 0 {
		return nil, errors.New("read fault script: it holds no fault")
	}
	for i, f := range faults {
		if err := f.Validate(); err != nil {
			return nil, fmt.Errorf("read fault script: fault %d of %d: %w", i+1, len(faults), err)
		}
	}
	return faults, nil
}

// A rule is what can be asked of a fault at one point.
type rule struct {
	at    Point
	do    []Action
	match []string // JSON names of the matchers that the point knows
	smtp  bool
}

var (
	answering = []Action{DropAnswer, DelayAnswer, HoldAnswer}
	exchanges = append([]Action{Drop, Reply, Lose, Delay, Hold}, answering...)
	saves     = append([]Action{Swallow}, exchanges...)
)

// rules in the order in which messages list the points.
var rules = []rule{
	{at: AtCall, do: append([]Action{Twice}, exchanges...), match: []string{"function", "run", "attempt", "step", "after"}},
	{at: AtStep, do: []Action{Hold, Delay, HoldAnswer, DelayAnswer, DropAnswer}, match: []string{"function", "run", "attempt", "step", "after"}},
	{at: AtCheckpoint, do: saves, match: []string{"function", "run", "attempt", "step"}},
	{at: AtEvent, do: saves, match: []string{"event"}},
	{at: AtSync, do: exchanges},
	{at: AtRegister, do: exchanges},
	{at: AtConnect, do: exchanges, smtp: true},
	{at: AtEHLO, do: exchanges, smtp: true},
	{at: AtSTARTTLS, do: []Action{Drop, Reply, Lose, Delay, Hold}, smtp: true},
	{at: AtAUTH, do: exchanges, smtp: true},
	{at: AtMAIL, do: exchanges, smtp: true},
	{at: AtRCPT, do: exchanges, match: []string{"to"}, smtp: true},
	{at: AtDATA, do: exchanges, match: []string{"to"}, smtp: true},
	{at: AtBody, do: []Action{Drop, Lose, Delay, Hold, Throttle}, match: []string{"to"}, smtp: true},
	{at: AtDot, do: exchanges, match: []string{"to"}, smtp: true},
	{at: AtQUIT, do: exchanges, smtp: true},
}

// Validate says what is wrong with a fault: no or an unknown point or action, an action or a matcher that the point
// does not have, or a parameter that is missing, out of range, or without effect.
func (f Fault) Validate() error {
	if f.At == "" && f.Do == "" {
		return errors.New(`an empty fault does nothing: say where with "at" and what with "do"`)
	}
	i := slices.IndexFunc(rules, func(r rule) bool { return r.at == f.At })
	if i < 0 {
		return fmt.Errorf(`"at" is %q: it must be one of %s`, f.At, list(rules, func(r rule) string { return string(r.at) }))
	}
	r := rules[i]
	if !slices.Contains(r.do, f.Do) {
		return fmt.Errorf(`"do" is %q: at %s it must be one of %s`, f.Do, f.At, list(r.do, func(a Action) string { return string(a) }))
	}
	for _, m := range []struct {
		name string
		set  bool
	}{
		{"function", f.Function != ""}, {"run", f.Run != ""}, {"attempt", f.Attempt != 0}, {"step", f.Step != ""},
		{"after", f.After != ""}, {"event", f.Event != ""}, {"to", f.To != ""},
	} {
		if m.set && !slices.Contains(r.match, m.name) {
			return fmt.Errorf("%q cannot be matched at %s%s", m.name, f.At, known(r.match))
		}
	}
	for _, p := range []struct {
		name   string
		set    bool
		wanted bool
	}{
		{"for", f.For != 0, f.Do == Delay || f.Do == DelayAnswer},
		{"code", f.Code != 0, f.Do == Reply},
		{"rate", f.Rate != 0, f.Do == Throttle},
	} {
		if p.set && !p.wanted {
			return fmt.Errorf("%q has no effect on %s", p.name, f.Do)
		}
		if !p.set && p.wanted {
			return fmt.Errorf("%s needs %q", f.Do, p.name)
		}
	}
	switch {
	case f.At == AtStep && f.Step == "":
		return errors.New(`a fault at step needs "step"`)
	case f.After != "" && f.Do.onAnswer():
		return fmt.Errorf(`"after" has no effect on %s: an answer names its steps, match "step"`, f.Do)
	case f.Text != "" && f.Do != Reply:
		return fmt.Errorf(`"text" has no effect on %s`, f.Do)
	case (f.Concurrent || f.Second) && f.Do != Twice:
		return fmt.Errorf(`"concurrent" and "second" have no effect on %s`, f.Do)
	case f.Bytes != 0 && f.At != AtBody:
		return fmt.Errorf(`"bytes" has no effect at %s`, f.At)
	case f.Bytes != 0 && f.Do == Throttle:
		return errors.New(`"bytes" has no effect on throttle`)
	case f.For < 0, f.Rate < 0, f.Bytes < 0, f.Skip < 0, f.Attempt < 0:
		return errors.New(`"for", "rate", "bytes", "skip" and "attempt" cannot be negative`)
	case f.Chance < 0 || f.Chance > 1:
		return errors.New(`"chance" must be between 0 and 1`)
	case f.Code != 0 && (f.Code < 200 || f.Code > 599):
		return errors.New(`"code" must be between 200 and 599`)
	case f.Code != 0 && f.Code < 400 && f.At == AtConnect:
		return errors.New(`"code" must be at least 400 at connect: the tap has no service of its own to offer`)
	case strings.ContainsAny(f.Text, "\r\n") && r.smtp:
		return errors.New(`"text" of an SMTP reply must be one line`)
	}
	return nil
}

// String describes the fault in a few words, as in: drop-answer at step "send-email".
func (f Fault) String() string {
	if f.Name != "" {
		return f.Name
	}
	var b strings.Builder
	b.WriteString(string(f.Do))
	switch {
	case f.Code != 0:
		fmt.Fprintf(&b, " %d", f.Code)
	case f.For != 0:
		fmt.Fprintf(&b, " %v", f.For)
	case f.Rate != 0:
		fmt.Fprintf(&b, " to %d bytes/s", f.Rate)
	}
	fmt.Fprintf(&b, " at %s", f.At)
	for _, m := range []struct{ word, value string }{
		{"", f.Step}, {"after ", f.After}, {"of ", f.Function}, {"", f.Event}, {"to ", f.To}, {"in run ", f.Run},
	} {
		if m.value != "" {
			fmt.Fprintf(&b, " %s%q", m.word, m.value)
		}
	}
	if f.Attempt != 0 {
		fmt.Fprintf(&b, ", attempt %d", f.Attempt)
	}
	return b.String()
}

func list[T any](items []T, name func(T) string) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = name(item)
	}
	return strings.Join(words, ", ")
}

func known(match []string) string {
	if len(match) == 0 {
		return ", where nothing can"
	}
	return ": it knows " + strings.Join(match, ", ")
}

package tap

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
)

// A Fault is one thing that goes wrong: where, for which exchanges, how often, and what. At and Do are required. A
// field that selects exchanges matches all of them when it is zero. A field that the point or the action would ignore
// is an error; [Rules] lists what makes sense where. In JSON the fields have their names in lower case, For is a text
// such as "1.5s", and unknown fields are rejected.
type Fault struct {
	// Name is what records and messages call the fault. Empty: a description made from the other fields.
	Name string `json:"name,omitempty"`
	// At is the point at which the fault acts, Do what it does.
	At Point  `json:"at"`
	Do Action `json:"do"`

	// Function is a function's id, with or without its app's id and a hyphen before it.
	Function string `json:"function,omitempty"`
	// Run is a run's id.
	Run string `json:"run,omitempty"`
	// Attempt counts from 1. Zero: any.
	Attempt int `json:"attempt,omitempty"`
	// Step is a step's id as it stands in the function's code. The second use of an id is "id:1".
	Step string `json:"step,omitempty"`
	// After is the id of the step that ended last. At [AtStep], before a step begins, empty means none: Step is then
	// the function's first.
	After string `json:"after,omitempty"`
	// Event is an event's name.
	Event string `json:"event,omitempty"`
	// To is a recipient; upper and lower case are the same. From [AtDATA] on it is one of the recipients that the mail
	// server accepted for the message.
	To string `json:"to,omitempty"`
	// Bytes is how much of a message passes before a fault at [AtBody] acts. It does not act on a shorter message.
	Bytes int64 `json:"bytes,omitempty"`

	// Times is how often the fault acts in all, counted over every exchange that it matches; then everything passes.
	// Zero: once. Negative: always.
	Times int `json:"times,omitempty"`
	// Skip is how many matching exchanges pass first, counted in the same way.
	Skip int `json:"skip,omitempty"`
	// Chance is the probability that the fault acts on a matching exchange, drawn from the set's seed. Zero: always.
	Chance float64 `json:"chance,omitempty"`

	// For is how long [Delay] and [DelayAnswer] wait.
	For time.Duration `json:"for,omitzero"`
	// Code and Text are what [Reply] answers: an HTTP status and its body, or an SMTP reply. Text is optional, and one
	// line in SMTP. An SMTP reply of 421 also closes the connection.
	Code int    `json:"code,omitempty"`
	Text string `json:"text,omitempty"`
	// Rate is the speed of [Throttle] in bytes per second.
	Rate int `json:"rate,omitempty"`
	// Concurrent makes [Twice] deliver side by side, Second makes it pass on the answer to the second delivery.
	Concurrent bool `json:"concurrent,omitempty"`
	Second     bool `json:"second,omitempty"`
}

// plainFault is a Fault without its methods.
type plainFault Fault

// faultJSON is a Fault in JSON, where For is a text.
type faultJSON struct {
	plainFault
	For jsontime.Duration `json:"for,omitzero"`
}

// MarshalJSON implements [json.Marshaler].
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultJSON{plainFault: plainFault(f), For: jsontime.Duration(f.For)})
}

// UnmarshalJSON implements [json.Unmarshaler]. It rejects unknown fields, and leaves the rest to [Fault.Validate].
func (f *Fault) UnmarshalJSON(data []byte) error {
	var j faultJSON
	if err := strictjson.Decode(data, &j); err != nil {
		return err
	}
	*f = Fault(j.plainFault)
	f.For = time.Duration(j.For)
	return nil
}

// field is a field of a Fault by its JSON name, and whether it is set.
type field struct {
	name string
	set  bool
}

// matchers are the fields that select what the fault acts on. A Rule lists those that its point knows.
func (f Fault) matchers() []field {
	return []field{
		{"function", f.Function != ""},
		{"run", f.Run != ""},
		{"attempt", f.Attempt != 0},
		{"step", f.Step != ""},
		{"after", f.After != ""},
		{"event", f.Event != ""},
		{"to", f.To != ""},
		{"bytes", f.Bytes != 0},
	}
}

// parameters are the fields that say how the action works. The action's own rule lists those that it uses.
func (f Fault) parameters() []field {
	return []field{
		{"for", f.For != 0},
		{"code", f.Code != 0},
		{"text", f.Text != ""},
		{"rate", f.Rate != 0},
		{"concurrent", f.Concurrent},
		{"second", f.Second},
	}
}

// Validate returns an error that says what is wrong with the fault: no or an unknown point or action, a field that the
// point or the action does not use, or a parameter that is missing or out of range.
func (f Fault) Validate() error {
	if f.At == "" && f.Do == "" {
		return errors.New(`an empty fault does nothing: say where with "at" and what with "do"`)
	}
	at := slices.IndexFunc(rules, func(r Rule) bool { return r.At == f.At })
	if at < 0 {
		return fmt.Errorf(`"at" is %q: it must be one of %s`, f.At, list(rules, func(r Rule) string { return string(r.At) }))
	}
	if err := f.validateFields(rules[at]); err != nil {
		return err
	}
	return f.validateValues(rules[at])
}

// validateFields checks which fields are set.
func (f Fault) validateFields(rule Rule) error {
	if !slices.Contains(rule.Actions, f.Do) {
		return fmt.Errorf(`"do" is %q: at %s it must be one of %s`, f.Do, f.At, list(rule.Actions, func(a Action) string { return string(a) }))
	}
	action := actionRules[f.Do]
	for _, m := range f.matchers() {
		if m.set && !slices.Contains(rule.Match, m.name) {
			known := ", where nothing can"
			if len(rule.Match) > 0 {
				known = ": it knows " + strings.Join(rule.Match, ", ")
			}
			return fmt.Errorf("%q cannot be matched at %s%s", m.name, f.At, known)
		}
		if m.set && slices.Contains(action.ignores, m.name) {
			return fmt.Errorf("%q has no effect on %s%s", m.name, f.Do, action.hint)
		}
	}
	for _, p := range f.parameters() {
		if p.set && p.name != action.needs && !slices.Contains(action.takes, p.name) {
			return fmt.Errorf("%q has no effect on %s", p.name, f.Do)
		}
		if !p.set && p.name == action.needs {
			return fmt.Errorf("%s needs %q", f.Do, p.name)
		}
	}
	return nil
}

// validateValues checks the values of the fields.
func (f Fault) validateValues(rule Rule) error {
	switch {
	case f.At == AtStep && f.Step == "":
		return errors.New(`a fault at step needs "step"`)
	case f.For < 0, f.Rate < 0, f.Bytes < 0, f.Skip < 0, f.Attempt < 0:
		return errors.New(`"for", "rate", "bytes", "skip" and "attempt" cannot be negative`)
	case f.To != "" && !address.Alone(f.To):
		return fmt.Errorf(`"to" is %q, which is not one address alone: give it without a name and without < and >`, f.To)
	case f.Chance < 0 || f.Chance > 1:
		return errors.New(`"chance" must be between 0 and 1`)
	case f.Do == Reply && (f.Code < 200 || f.Code > 599):
		return errors.New(`"code" must be between 200 and 599`)
	case f.Do == Reply && f.At == AtConnect && f.Code < 400:
		return errors.New(`"code" must be at least 400 at connect: the tap has no service of its own to offer`)
	case rule.smtp && strings.ContainsAny(f.Text, "\r\n"):
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

// list joins the names of items with commas.
func list[T any](items []T, name func(T) string) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = name(item)
	}
	return strings.Join(words, ", ")
}

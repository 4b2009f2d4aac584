package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Expectation says what should have happened after one event. A field with its zero value asserts nothing. An
// expectation that asserts nothing at all is an error, because it would always hold. [ParseExpectation] reads one from
// JSON.
type Expectation struct {
	// Runs lists runs that the event must have started, directly or through events that its runs sent. Each entry needs a
	// run of its own.
	Runs []RunExpectation `json:"runs,omitempty"`
	// Mail lists emails that those runs must have sent, or must not have sent. Each entry needs an email of its own.
	Mail []MailExpectation `json:"mail,omitempty"`
	// NoOtherRuns asserts that no runs were started beside those in Runs: none at all where Runs is empty. A SKIPPED run was
	// not started.
	NoOtherRuns bool `json:"noOtherRuns,omitempty"`
	// NoOtherMail asserts that those runs sent no emails beside those in Mail: one email for each entry, or the number in
	// its Copies.
	NoOtherMail bool `json:"noOtherMail,omitempty"`
}

// RunExpectation says what one run should have been.
type RunExpectation struct {
	// Function is the function's id, with or without the app's id and a dash before it. Required.
	Function string `json:"function"`
	// Status is the run's status. COMPLETED, FAILED, CANCELLED and SKIPPED are final. A run that the server skipped is found
	// only by an entry with the status SKIPPED.
	Status Status `json:"status,omitempty"`
	// Output is what the function returned, as JSON. An expected object matches an object that has at least its fields;
	// any other value must be equal.
	Output json.RawMessage `json:"output,omitempty"`
	// Error is a part of the text of the error that ended the run.
	Error string `json:"error,omitempty"`
	// Steps lists steps that the run must have had, in any order. The run may have others.
	Steps []StepExpectation `json:"steps,omitempty"`
}

// StepExpectation says what one step of a run should have been.
type StepExpectation struct {
	// ID is the step's id in the code. Required. Each entry needs a step of its own, also where several have one id.
	ID string `json:"id"`
	// Occurrence chooses among several steps with this id: 1 is the one that began first. Zero: any of them.
	Occurrence int `json:"occurrence,omitempty"`
	// Status is the step's status.
	Status Status `json:"status,omitempty"`
	// Attempts is the exact number of attempts: how often the app was asked to make it, as far as the taps saw, and at least
	// as often as the server recorded. Zero asserts nothing.
	Attempts int `json:"attempts,omitempty"`
	// Output is what the step returned, as JSON. It is compared as a run's output is.
	Output json.RawMessage `json:"output,omitempty"`
	// Error is a part of the text of the step's last error.
	Error string `json:"error,omitempty"`
}

// MailExpectation says what one email should have been, or that there should have been none.
type MailExpectation struct {
	// To is a recipient's address in the SMTP dialogue. Required.
	To string `json:"to"`
	// Absent asserts that no email to that address was sent. Only To may be set beside it.
	Absent bool `json:"absent,omitempty"`
	// From is the sender's address in the From header.
	From string `json:"from,omitempty"`
	// Subject is the whole decoded subject.
	Subject string `json:"subject,omitempty"`
	// Text and HTML list texts that the decoded bodies must contain, all of them.
	Text []string `json:"text,omitempty"`
	HTML []string `json:"html,omitempty"`
	// Headers maps names of headers to their whole decoded values.
	Headers map[string]string `json:"headers,omitempty"`
	// Golden names the golden email with which this one is compared. The judge needs to be given the goldens.
	Golden string `json:"golden,omitempty"`
	// Copies is the exact number of emails that match this entry and no other entry. Zero requires at least one; with
	// NoOtherMail it requires exactly one.
	Copies int `json:"copies,omitempty"`
	// Checks lists kinds of defects that the email must not have. [CheckAll] stands for all of them. Leave out
	// [CheckExternal] for an email that loads images from the web on purpose.
	Checks []Check `json:"checks,omitempty"`
}

// Validate returns an error that lists everything that is wrong with the expectation itself, nil for a valid one.
func (e Expectation) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("expectation: "+format, args...))
	}
	if len(e.Runs) == 0 && len(e.Mail) == 0 && !e.NoOtherRuns && !e.NoOtherMail {
		bad("it asserts nothing, so it would hold whatever happened: name a run or an email, or set noOtherRuns or noOtherMail")
	}
	for i, r := range e.Runs {
		where := fmt.Sprintf("runs[%d]", i)
		if r.Function == "" {
			bad("%s names no function", where)
		}
		validateStatus(bad, where, r.Status)
		validateOutput(bad, where, r.Output)
		for j, s := range r.Steps {
			where := fmt.Sprintf("%s.steps[%d]", where, j)
			if s.ID == "" {
				bad("%s names no step id", where)
			}
			if s.Occurrence < 0 {
				bad("%s: occurrence is %d: the first is 1", where, s.Occurrence)
			}
			if s.Attempts < 0 {
				bad("%s: attempts is %d", where, s.Attempts)
			}
			validateStatus(bad, where, s.Status)
			validateOutput(bad, where, s.Output)
		}
	}
	for i, m := range e.Mail {
		where := fmt.Sprintf("mail[%d]", i)
		if m.To == "" {
			bad("%s names no recipient", where)
		}
		if m.Copies < 0 {
			bad("%s: copies is %d", where, m.Copies)
		}
		if m.Absent && m.asserts() {
			bad("%s is absent: it cannot have any other field but to", where)
		}
		if err := ValidateChecks(m.Checks); err != nil {
			bad("%s: %v", where, err)
		}
		if slices.Contains(m.Text, "") || slices.Contains(m.HTML, "") {
			bad("%s looks for an empty piece of text, which every email contains", where)
		}
	}
	return errors.Join(errs...)
}

func validateStatus(bad func(string, ...any), where string, status Status) {
	if status == "" || status.known() {
		return
	}
	var known []string
	for _, s := range Statuses() {
		known = append(known, string(s))
	}
	bad("%s: there is no status %q: it is one of %s", where, status, strings.Join(known, ", "))
}

func validateOutput(bad func(string, ...any), where string, output json.RawMessage) {
	if len(output) > 0 && !json.Valid(output) {
		bad("%s: output is not JSON: %.80s", where, output)
	}
}

// asserts reports whether m asserts anything beside the existence of an email.
func (m MailExpectation) asserts() bool {
	return m.From != "" || m.Subject != "" || len(m.Text) > 0 || len(m.HTML) > 0 || len(m.Headers) > 0 || m.Golden != "" || m.Copies != 0 ||
		len(m.Checks) > 0
}

// Recipients returns the addresses that the expectation names.
func (e Expectation) Recipients() []string {
	var to []string
	for _, m := range e.Mail {
		to = append(to, m.To)
	}
	return to
}

// Denies reports whether a part of the expectation can hold only once nothing more can happen: an absent email, an exact
// number of copies, no other runs or emails.
func (e Expectation) Denies() bool {
	return e.NoOtherRuns || e.NoOtherMail || slices.ContainsFunc(e.Mail, func(m MailExpectation) bool { return m.Absent || m.Copies > 0 })
}

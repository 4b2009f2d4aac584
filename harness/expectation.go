package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// An Expectation says what should have happened after one event. Fields left at their zero value assert nothing; an
// expectation that asserts nothing at all is an error, since it would hold whatever happened. It reads from JSON with
// [ParseExpectation].
type Expectation struct {
	// Runs are runs that the event must have led to, itself or through events that its runs sent. Two entries need
	// two runs.
	Runs []RunExpectation `json:"runs,omitempty"`
	// Mail are emails that those runs must have sent, or must not have. Two entries need two emails.
	Mail []MailExpectation `json:"mail,omitempty"`
	// NoOtherRuns says that the runs named in Runs are all there are.
	NoOtherRuns bool `json:"noOtherRuns,omitempty"`
	// NoOtherMail says that the emails named in Mail are all that those runs sent: one for each entry, or as many as its
	// Copies says.
	NoOtherMail bool `json:"noOtherMail,omitempty"`
}

// RunExpectation says what one run should have been.
type RunExpectation struct {
	// Function is the function's id, without the app's. Required.
	Function string `json:"function"`
	// Status is COMPLETED, FAILED, CANCELLED, RUNNING or QUEUED. The first three are final.
	Status string `json:"status,omitempty"`
	// Output is what the function returned, as JSON. An object matches one that has at least its fields; anything
	// else must be equal.
	Output json.RawMessage `json:"output,omitempty"`
	// Error is part of the text of the error that ended the run.
	Error string `json:"error,omitempty"`
	// Steps are steps that the run must have had, in any order; others may be there too.
	Steps []StepExpectation `json:"steps,omitempty"`
}

// StepExpectation says what one step of a run should have been.
type StepExpectation struct {
	// ID is the step's id in the code. Required.
	ID string `json:"id"`
	// Status is COMPLETED, FAILED, RUNNING, QUEUED or CANCELLED.
	Status string `json:"status,omitempty"`
	// Attempts is the exact number of times the step was tried. Zero asserts nothing.
	Attempts int `json:"attempts,omitempty"`
	// Output is what the step returned, as JSON, compared as a run's output is.
	Output json.RawMessage `json:"output,omitempty"`
	// Error is part of the text of the step's last error.
	Error string `json:"error,omitempty"`
}

// MailExpectation says what one email should have been, or that there should have been none.
type MailExpectation struct {
	// To is a recipient's address, as in the SMTP dialogue. Required.
	To string `json:"to"`
	// Absent says that no email to that address was sent. It goes with no other field but To.
	Absent bool `json:"absent,omitempty"`
	// From is the sender's address in the From header.
	From string `json:"from,omitempty"`
	// Subject is the whole decoded subject.
	Subject string `json:"subject,omitempty"`
	// Text and HTML are pieces that the decoded bodies contain, each of them.
	Text []string `json:"text,omitempty"`
	HTML []string `json:"html,omitempty"`
	// Headers are headers with their whole decoded values.
	Headers map[string]string `json:"headers,omitempty"`
	// Golden names a golden email that this one must be like. It needs [JudgeOptions].Golden.
	Golden string `json:"golden,omitempty"`
	// Copies is the exact number of such emails, of those that no other entry stands for. Zero asserts that there is at
	// least one; with NoOtherMail it stands for one, and a further one like it is another.
	Copies int `json:"copies,omitempty"`
	// Checks are defects that the email must not have: "text", "links", "resolve", "alt", "size" and "external", which
	// package mailcheck describes, or "all". An email that may load images from elsewhere leaves "external" out.
	Checks []mailcheck.Check `json:"checks,omitempty"`
}

// Statuses that a run or step can have.
const (
	StatusQueued    = "QUEUED"
	StatusRunning   = "RUNNING"
	StatusCompleted = "COMPLETED"
	StatusFailed    = "FAILED"
	StatusCancelled = "CANCELLED"
)

var statuses = []string{StatusQueued, StatusRunning, StatusCompleted, StatusFailed, StatusCancelled}

// terminal says whether a status is final.
func terminal(status string) bool {
	return status == StatusCompleted || status == StatusFailed || status == StatusCancelled
}

// Validate returns an error that lists everything that is wrong with the expectation itself.
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
		checkStatus(bad, where, r.Status)
		checkOutput(bad, where, r.Output)
		for j, s := range r.Steps {
			where := fmt.Sprintf("%s.steps[%d]", where, j)
			if s.ID == "" {
				bad("%s names no step id", where)
			}
			if s.Attempts < 0 {
				bad("%s: attempts is %d", where, s.Attempts)
			}
			checkStatus(bad, where, s.Status)
			checkOutput(bad, where, s.Output)
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
		if err := mailcheck.Validate(m.Checks); err != nil {
			bad("%s: %v", where, err)
		}
		if slices.Contains(m.Text, "") || slices.Contains(m.HTML, "") {
			bad("%s looks for an empty piece of text, which every email contains", where)
		}
	}
	return errors.Join(errs...)
}

func checkStatus(bad func(string, ...any), where, status string) {
	if status != "" && !slices.Contains(statuses, status) {
		bad("%s: there is no status %q: it is one of %s", where, status, strings.Join(statuses, ", "))
	}
}

func checkOutput(bad func(string, ...any), where string, output json.RawMessage) {
	if len(output) > 0 && !json.Valid(output) {
		bad("%s: output is not JSON: %s", where, shorten(string(output), 80))
	}
}

// asserts says whether m asserts anything besides there being an email.
func (m MailExpectation) asserts() bool {
	return m.From != "" || m.Subject != "" || len(m.Text) > 0 || len(m.HTML) > 0 || len(m.Headers) > 0 || m.Golden != "" || m.Copies != 0 ||
		len(m.Checks) > 0
}

// demands counts what m asserts of an email, which is less than nothing where there is to be none.
func (m MailExpectation) demands() int {
	if m.Absent {
		return -1
	}
	n := len(m.Text) + len(m.HTML) + len(m.Headers) + len(m.Checks)
	for _, asserted := range []bool{m.From != "", m.Subject != "", m.Golden != ""} {
		if asserted {
			n++
		}
	}
	return n
}

// negative says whether some part of e can hold only once nothing more can happen.
func (e Expectation) negative() bool {
	return e.NoOtherRuns || e.NoOtherMail || slices.ContainsFunc(e.Mail, func(m MailExpectation) bool { return m.Absent || m.Copies > 0 })
}

// shorten cuts s to at most n runes, with a mark where it was cut.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}

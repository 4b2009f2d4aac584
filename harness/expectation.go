package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
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

// MailExpectation says what one email should have been, or that there should have been none. A message with several
// recipients is one email to each of them.
type MailExpectation struct {
	// To is a recipient's address in the SMTP dialogue, whatever the headers say. Required.
	To string `json:"to"`
	// Absent asserts that no email to that address was sent. Only To may be set beside it.
	Absent bool `json:"absent,omitempty"`
	// From is the sender's address in the From header.
	From string `json:"from,omitempty"`
	// EnvelopeFrom is the sender's address in the SMTP dialogue, to which bounces go. It is empty in an automatic reply.
	EnvelopeFrom Match `json:"envelopeFrom,omitzero"`
	// Cc and ReplyTo are all addresses in these headers, in any sequence. The email must also have been sent to those in Cc.
	Cc      Texts `json:"cc,omitempty"`
	ReplyTo Texts `json:"replyTo,omitempty"`
	// Bcc are all recipients in the SMTP dialogue that are in no header, in any sequence.
	Bcc Texts `json:"bcc,omitempty"`
	// Subject is the decoded subject.
	Subject Match `json:"subject,omitzero"`
	// Text and HTML are the decoded bodies, with lines that end in \n.
	Text Match `json:"text,omitzero"`
	HTML Match `json:"html,omitzero"`
	// Headers maps names of headers to their decoded values. Of a header that is repeated, one value must match.
	Headers map[string]Match `json:"headers,omitempty"`
	// Attachments and Inlines list files that the email must have. Each entry needs a file of its own.
	Attachments []FileExpectation `json:"attachments,omitempty"`
	Inlines     []FileExpectation `json:"inlines,omitempty"`
	// NoOtherFiles asserts that there are no files beside those in Attachments and Inlines.
	NoOtherFiles bool `json:"noOtherFiles,omitempty"`
	// Calendar is the method of the invitation that the email holds, such as REQUEST or CANCEL. The type of its part must
	// name it as well as the calendar data.
	Calendar string `json:"calendar,omitempty"`
	// Golden names the golden email with which this one is compared. The judge needs to be given the goldens.
	Golden string `json:"golden,omitempty"`
	// Copies is the exact number of emails that match this entry and no other entry. Zero requires at least one; with
	// NoOtherMail it requires exactly one.
	Copies int `json:"copies,omitempty"`
	// SameMessageID asserts that all emails that match this entry have one Message-ID, as copies of one email do.
	SameMessageID bool `json:"sameMessageId,omitempty"`
	// Checks lists kinds of defects that the email must not have. [CheckAll] stands for all of them but
	// [CheckExternal], which forbids what an email may load from the web on purpose.
	Checks []Check `json:"checks,omitempty"`
	// Problems is empty or [NoProblems].
	Problems string `json:"problems,omitempty"`
}

// NoProblems asserts that nothing in the email is malformed: see [Message].Problems.
const NoProblems = "none"

// FileExpectation says what one file of an email should be. Without fields it is any file.
type FileExpectation struct {
	// Name is the decoded file name.
	Name Match `json:"name,omitzero"`
	// Type is the media type without parameters.
	Type string `json:"type,omitempty"`
	// Size is the number of decoded bytes, SHA256 their hash in hexadecimal.
	Size   int    `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Text is the content of a file that is text, with lines that end in \n.
	Text Match `json:"text,omitzero"`
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
		m.validate(func(format string, args ...any) { bad("mail[%d]"+format, append([]any{i}, args...)...) })
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

// validate reports what is wrong with m. The texts begin with what follows the name of the entry.
func (m MailExpectation) validate(bad func(format string, args ...any)) {
	if m.To == "" {
		bad(" names no recipient")
	}
	if m.Copies < 0 {
		bad(": copies is %d", m.Copies)
	}
	if m.Absent && (m.Assertions() > 0 || m.Copies != 0) {
		bad(" is absent: it cannot have any other field but to")
	}
	if err := ValidateChecks(m.Checks); err != nil {
		bad(": %v", err)
	}
	if m.Problems != "" && m.Problems != NoProblems {
		bad(": problems is %q: it can only be %q", m.Problems, NoProblems)
	}
	if slices.Contains(slices.Concat(m.Cc, m.Bcc, m.ReplyTo), "") {
		bad(" has an empty address in cc, bcc or replyTo")
	}
	for _, a := range slices.Concat([]string{m.To, m.From}, m.Cc, m.Bcc, m.ReplyTo) {
		if !address.Alone(a) {
			bad(": %q is not one address alone: give it without a name and without < and >, such as kim@shop.test", a)
		}
	}
	match := func(where string, m Match) {
		if err := m.validate(); err != nil {
			bad(".%s: %v", where, err)
		}
	}
	match("envelopeFrom", m.EnvelopeFrom)
	match("subject", m.Subject)
	match("text", m.Text)
	match("html", m.HTML)
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		match("headers."+name, m.Headers[name])
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == ':' }) {
			bad(".headers: %q is no name of a header: give it without a colon, blanks, and characters that are not ASCII", name)
		}
		if m.Headers[name].IsZero() {
			bad(".headers.%s asserts nothing", name)
		}
	}
	for where, files := range map[string][]FileExpectation{"attachments": m.Attachments, "inlines": m.Inlines} {
		for i, f := range files {
			where := fmt.Sprintf("%s[%d]", where, i)
			match(where+".name", f.Name)
			match(where+".text", f.Text)
			if sum, err := hex.DecodeString(f.SHA256); f.SHA256 != "" && (err != nil || len(sum) != sha256.Size) {
				bad(".%s: sha256 is not the hexadecimal form of a hash", where)
			}
			if f.Size < 0 {
				bad(".%s: size is %d", where, f.Size)
			}
		}
	}
}

// Assertions counts what m asserts of a single email to its recipient. Of two entries the one with more matches fewer
// emails.
func (m MailExpectation) Assertions() int {
	m.To, m.Absent, m.Copies = "", false, 0
	return assertions(m)
}

// assertions counts the fields and elements of an expectation that assert something.
func assertions(of any) int {
	n := 0
	switch v := reflect.ValueOf(of); v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			n += assertions(field.Interface())
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += max(1, assertions(v.Index(i).Interface()))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			n += max(1, assertions(v.MapIndex(key).Interface()))
		}
	default:
		if v.IsValid() && !v.IsZero() {
			n = 1
		}
	}
	return n
}

// Recipients returns the addresses that the expectation names.
func (e Expectation) Recipients() []string {
	var to []string
	for _, m := range e.Mail {
		to = slices.Concat(to, []string{m.To}, m.Cc, m.Bcc)
	}
	return to
}

// Denies reports whether a part of the expectation can hold only once nothing more can happen: an absent email, an exact
// number of copies, no copy with another Message-ID, no other runs or emails.
func (e Expectation) Denies() bool {
	denies := func(m MailExpectation) bool { return m.Absent || m.Copies > 0 || m.SameMessageID }
	return e.NoOtherRuns || e.NoOtherMail || slices.ContainsFunc(e.Mail, denies)
}

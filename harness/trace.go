package harness

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A Trace is what happened after one event.
type Trace struct {
	// EventID is the id, a ULID, that the Inngest server gave the event.
	EventID string `json:"eventId"`
	// Event is the event as the server received it; nil where the server does not know the id.
	Event *TraceEvent `json:"event,omitempty"`
	// Functions are the functions that the server knew for this event's name when the trace was taken.
	Functions []TraceFunction `json:"functions"`
	// SyncError is why the app's last sync failed; empty where it did not, or where no app was synced from here.
	SyncError string `json:"syncError,omitempty"`
	// Runs are the runs that the event led to, itself or through events that its runs sent, in the order in which
	// they were queued.
	Runs []TraceRun `json:"runs"`
	// Mail are the emails that those runs sent, in the order of arrival.
	Mail []TraceMail `json:"mail"`
	// OtherMail are the latest emails that arrived since the event and belong to something else; OtherMailCount is
	// how many there are in all.
	OtherMail      []MailSummary `json:"otherMail,omitempty"`
	OtherMailCount int           `json:"otherMailCount,omitempty"`
	// StrayMail is how many emails have arrived since the event that name no run, or one that the server does not know,
	// and go to nobody whom the question was about. Whose they are cannot be told. Where several tests share the stack, only those count that were sent while one
	// of the runs was being called.
	StrayMail int `json:"strayMail,omitempty"`
	// Suspects are events that the app sent while one of the runs was being called, and that may be that run's or not.
	// Empty where several tests share the stack: there nobody could tell, and Evidence says so.
	Suspects []Suspect `json:"suspects,omitempty"`
	// Deliveries are the attempts to deliver an email that those runs made, the failed ones too. Empty without taps.
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// Quiet says that nothing more can happen, and Evidence how that is known; Unquiet says why something may.
	Quiet    bool     `json:"quiet"`
	Unquiet  string   `json:"unquiet,omitempty"`
	Evidence []string `json:"evidence"`
	// Log are the lines that the app printed since the event was sent, where the stack runs it as a program.
	Log []string `json:"log,omitempty"`
	// Taken is when the trace was taken.
	Taken time.Time `json:"taken"`
}

// TraceEvent is the event that started it.
type TraceEvent struct {
	Name string `json:"name"`
	// ID is the sender's own id, the key by which the server drops duplicates for 24 hours. It may be empty.
	ID       string          `json:"id,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Received time.Time       `json:"received"`
	// DuplicateOf is the ULID of another event with the same ID, which has runs: the server then started
	// nothing for this one.
	DuplicateOf string `json:"duplicateOf,omitempty"`
}

// TraceFunction is a function that listens for the event.
type TraceFunction struct {
	ID  string `json:"id"`
	App string `json:"app"`
	// Conditional says that it may start no run for an event, or a later one: it has a condition, or it batches,
	// debounces, limits its rate, or runs once at a time.
	Conditional bool `json:"conditional,omitempty"`
}

// TraceRun is one run.
type TraceRun struct {
	ID       string `json:"id"`
	Function string `json:"function"`
	App      string `json:"app,omitempty"`
	// EventID is the event that started it: the trace's own, or one that an earlier run sent. Inferred says that no step
	// reported that event: it was sent while the earlier run, and nothing else, was being called.
	EventID  string          `json:"eventId"`
	Inferred bool            `json:"inferred,omitempty"`
	Status   string          `json:"status"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    string          `json:"error,omitempty"`
	Steps    []TraceStep     `json:"steps"`
	Queued   time.Time       `json:"queued,omitzero"`
	Started  time.Time       `json:"started,omitzero"`
	Ended    time.Time       `json:"ended,omitzero"`
}

// TraceStep is one step of a run.
type TraceStep struct {
	ID string `json:"id"`
	// Op is what kind of step it is: RUN, SLEEP, WAIT_FOR_EVENT, INVOKE, …
	Op       string         `json:"op,omitempty"`
	Status   string         `json:"status"`
	Attempts []TraceAttempt `json:"attempts,omitempty"`
	// Input is what the code handed to the step, where its SDK tells: in JavaScript the arguments after the function of
	// step.run, as an array. The Go SDK does not tell. See also [TraceRun.Before].
	Input   json.RawMessage `json:"input,omitempty"`
	Output  json.RawMessage `json:"output,omitempty"`
	Error   string          `json:"error,omitempty"`
	Started time.Time       `json:"started,omitzero"`
	Ended   time.Time       `json:"ended,omitzero"`
}

// TraceAttempt is one try of a step.
type TraceAttempt struct {
	Status  string    `json:"status"`
	Error   string    `json:"error,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// TraceMail is one email.
type TraceMail struct {
	*inbox.Message
	// RunID is the run that sent it. Inferred says that the email does not name it: it was tied to the event by its
	// recipient and its time.
	RunID    string `json:"runId,omitempty"`
	Inferred bool   `json:"inferred,omitempty"`
	// WrongRun is the run that the email names where the server knows no such run. The email is then an inferred one.
	WrongRun string `json:"wrongRun,omitempty"`
}

// Delivery is one attempt of a run to hand an email to the mail server, as the tap on that wire saw it.
type Delivery struct {
	tap.Mail
	Began time.Time `json:"began"`
	// Faults are the scripted faults that acted on it.
	Faults []string `json:"faults,omitempty"`
	// Err says why the dialogue did not come to a regular end.
	Err string `json:"err,omitempty"`
}

// lastWords are the end of the dialogue, which says why a delivery failed.
func (d Delivery) lastWords() []string {
	const enough = 4
	var words []string
	for _, l := range d.Dialogue[max(0, len(d.Dialogue)-enough):] {
		words = append(words, fmt.Sprintf("%s %-6s %s", l.At.Format(clock), l.By, l.Text))
	}
	if d.Err != "" {
		words = append(words, d.Err)
	}
	for _, f := range d.Faults {
		words = append(words, "scripted fault: "+f)
	}
	return words
}

// clock is how a moment within a trace is printed.
const clock = "15:04:05.000"

// MailSummary is an email in one line: of an email that belongs to something else.
type MailSummary struct {
	To       []string  `json:"to"`
	Subject  string    `json:"subject"`
	Received time.Time `json:"received"`
}

// runs of a function, by its id with or without the app's.
func (t *Trace) runsOf(function string) []*TraceRun {
	var runs []*TraceRun
	for i := range t.Runs {
		if r := &t.Runs[i]; r.is(function) {
			runs = append(runs, r)
		}
	}
	return runs
}

func (r *TraceRun) is(function string) bool {
	return r.Function == function || r.App+"-"+r.Function == function
}

// Before returns the steps whose outputs the function had when its step Steps[i] began: those that had completed by
// then, in order. With the data of the event that started the run they are all that Inngest gives a step to go on. The
// server's clock has milliseconds: of two steps that ran side by side within the same one, the first counts as before
// the second.
func (r *TraceRun) Before(i int) []TraceStep {
	var before []TraceStep
	for _, s := range r.Steps[:i] {
		if s.Status == StatusCompleted && !s.Ended.After(r.Steps[i].Started) {
			before = append(before, s)
		}
	}
	return before
}

func (r *TraceRun) step(id string) *TraceStep {
	for i := range r.Steps {
		if r.Steps[i].ID == id {
			return &r.Steps[i]
		}
	}
	return nil
}

// mailTo returns the emails to an address, which is compared without regard to case.
func (t *Trace) mailTo(addr string) []*TraceMail {
	var found []*TraceMail
	for i := range t.Mail {
		if sameAddress(addr, t.Mail[i].Envelope.To) {
			found = append(found, &t.Mail[i])
		}
	}
	return found
}

// sameAddress says whether addr is among a list of addresses.
func sameAddress(addr string, list []string) bool {
	return slices.ContainsFunc(list, func(a string) bool { return strings.EqualFold(a, addr) })
}

package harness

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
)

// A Trace is what happened after one event. Times of the event, of runs and of steps are of the Inngest server's clock;
// those of deliveries are of the harness's clock, those of emails of the mail catcher's.
type Trace struct {
	// EventID is the ULID that the Inngest server gave the event.
	EventID string `json:"eventId"`
	// Event is the event as the server received it; nil where the server does not know the id.
	Event *TraceEvent `json:"event,omitempty"`
	// Functions are the functions that were subscribed to this event when the trace was taken.
	Functions []TraceFunction `json:"functions"`
	// FunctionsUnknown says why the server does not tell its functions; empty where it does.
	FunctionsUnknown string `json:"functionsUnknown,omitempty"`
	// SyncError is why the app's last sync failed; empty where it succeeded, or where this process synced no app.
	SyncError string `json:"syncError,omitempty"`
	// Runs are the runs that the event started, directly or through events that its runs sent, in the order in which
	// they were queued.
	Runs []TraceRun `json:"runs"`
	// Mail are the emails that those runs sent, in the order of arrival.
	Mail []TraceMail `json:"mail"`
	// MailUnknown says why no emails can be read; empty where they can.
	MailUnknown string `json:"mailUnknown,omitempty"`
	// OtherMail are the latest emails that arrived since the event and were sent by other runs. OtherMailCount is the
	// number of all of them.
	OtherMail      []MailSummary `json:"otherMail,omitempty"`
	OtherMailCount int           `json:"otherMailCount,omitempty"`
	// UnattributedMail counts the emails that arrived since the event, carry no run id that the server knows, and are
	// not addressed to a recipient named in the expectation. They cannot be attributed to a run. On a stack that tests
	// share, only those count that were sent while one of the trace's runs was being called.
	UnattributedMail int `json:"unattributedMail,omitempty"`
	// UnattributedEvents are events that the app sent outside steps while one of the runs was being called. Any of them
	// may have been sent by that run. Empty on a stack that tests share; Evidence says so there.
	UnattributedEvents []UnattributedEvent `json:"unattributedEvents,omitempty"`
	// UnattributedFunctions are the functions whose runs those events started, directly or through others. On a stack that
	// tests share, they are the functions that such events start directly.
	UnattributedFunctions []TraceFunction `json:"unattributedFunctions,omitempty"`
	// Deliveries are the attempts of those runs to deliver an email, including failed ones. Empty without taps.
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// Quiet says that nothing more can happen, and Evidence how that is known. Unquiet says what may still happen.
	Quiet    bool     `json:"quiet"`
	Unquiet  string   `json:"unquiet,omitempty"`
	Evidence []string `json:"evidence"`
	// Hint says that an error, or what the app printed, comes from what the running database lacks, and what to do; empty
	// where nothing suggests that.
	Hint string `json:"hint,omitempty"`
	// Log are the lines that the app printed since the event was sent, where the stack runs it as a program.
	Log []string `json:"log,omitempty"`
	// Taken is when the trace was taken.
	Taken time.Time `json:"taken"`
}

// MarshalJSON writes lists without elements as [], also where they are nil.
func (t Trace) MarshalJSON() ([]byte, error) {
	type plain Trace // without methods
	t.Functions, t.Runs, t.Mail, t.Evidence = list(t.Functions), list(t.Runs), list(t.Mail), list(t.Evidence)
	return json.Marshal(plain(t))
}

// list returns a list that is not nil.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// TraceEvent is the event that started it.
type TraceEvent struct {
	Name string `json:"name"`
	// IdempotencyKey is the id that the sender chose; empty where it chose none. The server drops further events with
	// the same key for 24 hours.
	IdempotencyKey string          `json:"idempotencyKey,omitempty"`
	Data           json.RawMessage `json:"data,omitempty"`
	Received       time.Time       `json:"received"`
	// Due is when its runs start, where that is later: its sender gave it a time in the future.
	Due time.Time `json:"due,omitzero"`
	// DuplicateOf is the ULID of another event with the same idempotency key, which started the runs. The server
	// started none for this one.
	DuplicateOf string `json:"duplicateOf,omitempty"`
}

// TraceFunction is a function that is subscribed to the event.
type TraceFunction struct {
	ID  string `json:"id"`
	App string `json:"app"`
	// NotStarted says why the function starts no run for the event, once that is certain: its condition is false, the
	// event's id was used before, or flow control left the event out.
	NotStarted string `json:"notStarted,omitempty"`
	// Pending says what decides whether, or when, the function starts; empty where it starts at once.
	Pending string `json:"pending,omitempty"`
}

// TraceRun is one run.
type TraceRun struct {
	ID string `json:"id"`
	// URL is the run in Inngest's own page; empty where the server has none, or ends with the stack.
	URL string `json:"url,omitempty"`
	// Function is the function's id without the app's id.
	Function string `json:"function"`
	App      string `json:"app,omitempty"`
	// EventID is the event that started the run: the trace's own, or one that an earlier run sent. Inferred says that no
	// step reported that event: it was sent while the earlier run, and nothing else, was being called.
	EventID  string `json:"eventId"`
	Inferred bool   `json:"inferred,omitempty"`
	Status   Status `json:"status"`
	// Skipped says why the status is SKIPPED.
	Skipped string `json:"skipped,omitempty"`
	// Decisions are what flow control did to the run: what it waited for and how long, or waits for now. Only sim tells.
	Decisions []string        `json:"decisions,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     string          `json:"error,omitempty"`
	Steps     []TraceStep     `json:"steps"`
	// StepsUnknown says why the server does not tell the steps; empty where it does.
	StepsUnknown string    `json:"stepsUnknown,omitempty"`
	Queued       time.Time `json:"queued,omitzero"`
	Started      time.Time `json:"started,omitzero"`
	Ended        time.Time `json:"ended,omitzero"`
}

// MarshalJSON writes the list of steps as [] if it has none, also where it is nil.
func (r TraceRun) MarshalJSON() ([]byte, error) {
	type plain TraceRun // without methods
	r.Steps = list(r.Steps)
	return json.Marshal(plain(r))
}

// TraceStep is one step of a run.
type TraceStep struct {
	ID string `json:"id"`
	// Op is what kind of step it is: RUN, SLEEP, WAIT_FOR_EVENT, WAIT_FOR_SIGNAL, INVOKE, or AI_GATEWAY for any HTTP request that
	// the server makes.
	Op       string         `json:"op,omitempty"`
	Status   Status         `json:"status"`
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
	// Status is empty where the app gave no answer.
	Status  Status    `json:"status"`
	Error   string    `json:"error,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Unrecorded says that the taps saw the app make this attempt and that the Inngest server did not record it.
	Unrecorded bool `json:"unrecorded,omitempty"`
}

// TraceMail is one email.
type TraceMail struct {
	*Message
	// RunID is the run that sent it. Inferred says that the email does not name a run: it is attributed to the event by
	// its recipient and its time.
	RunID    string `json:"runId,omitempty"`
	Inferred bool   `json:"inferred,omitempty"`
	// WrongRun is the run that the email names where the server knows no such run. The email is then an inferred one.
	WrongRun string `json:"wrongRun,omitempty"`
}

// MailSummary is one line about an email that another run sent.
type MailSummary struct {
	To       []string  `json:"to"`
	Subject  string    `json:"subject"`
	Received time.Time `json:"received"`
}

// UnattributedEvent is an event that the app sent while a run of the trace was being called and that no step has
// reported. The run may have sent it, or something else in the app.
type UnattributedEvent struct {
	EventID string    `json:"eventId"`
	Name    string    `json:"name"`
	Sent    time.Time `json:"sent"`
}

// Delivery is one attempt of a run to deliver an email to the mail server, as the tap on that wire saw it.
type Delivery struct {
	MailTransaction
	Began time.Time `json:"began"`
	// Open says that the delivery had not ended when the trace was taken.
	Open bool `json:"open,omitempty"`
	// Faults are the scripted faults that acted on it.
	Faults []string `json:"faults,omitempty"`
	// Err says why the dialogue did not end regularly.
	Err string `json:"err,omitempty"`
	// Forgotten says that the mail server accepted it and has ended since, so that it does not show it any more.
	Forgotten bool `json:"forgotten,omitempty"`
}

// A MailTransaction is what crosses an SMTP connection for one email, or a connection on which no email was begun.
type MailTransaction struct {
	// Connection distinguishes connections; several transactions can share one.
	Connection uint64 `json:"connection"`
	From       string `json:"from,omitempty"`
	// To are the recipients that the mail server accepted, Refused those that it or a fault refused.
	To      []string `json:"to,omitempty"`
	Refused []string `json:"refused,omitempty"`
	// MessageID is without its angle brackets. RunID is the value of the header that names the run.
	MessageID string `json:"messageId,omitempty"`
	RunID     string `json:"runId,omitempty"`
	// Size is the size of the message in bytes, as transmitted.
	Size int64 `json:"size,omitempty"`
	// Accepted says that the mail server took responsibility for the message, at AcceptedAt.
	Accepted   bool      `json:"accepted"`
	AcceptedAt time.Time `json:"acceptedAt,omitzero"`
	// Reported says that the app received the answer that says so.
	Reported bool `json:"reported"`
	// BareLF counts the line feeds in the message without a carriage return before them. Mail servers do not take them as
	// ends of lines.
	BareLF int `json:"bareLF,omitempty"`
	// After is set where no email was begun: the mail server refused what the app sent after the email with this MessageID to
	// these recipients.
	After []string `json:"after,omitempty"`
	// Server is the name of the mail server, as in its banner.
	Server string `json:"server,omitempty"`
	// TLS says that the connection was encrypted, so that no more is known of it.
	TLS bool `json:"tls,omitempty"`
	// Dialogue has up to 200 lines. Credentials and the message's text are left out.
	Dialogue []SMTPLine `json:"dialogue,omitempty"`
}

// SMTPLine is one line of an SMTP dialogue.
type SMTPLine struct {
	At time.Time `json:"at"`
	// By is the side that sent it: "app", "server", or "tap" where a fault answered in place of the server.
	By   string `json:"by"`
	Text string `json:"text"`
}

// IsOf reports whether the run is one of the function that a name stands for: its id, which may have the app's id and a dash
// before it unless that is the id of another function in the trace.
func (t *Trace) IsOf(r *TraceRun, name string) bool {
	return t.named(name, r.App, r.Function)
}

// IsCalled reports whether a name stands for the function, as in [Trace.IsOf].
func (t *Trace) IsCalled(f *TraceFunction, name string) bool {
	return t.named(name, f.App, f.ID)
}

func (t *Trace) named(name, app, function string) bool {
	return name == function || name == app+"-"+function &&
		!slices.ContainsFunc(t.Functions, func(f TraceFunction) bool { return f.ID == name }) &&
		!slices.ContainsFunc(t.Runs, func(r TraceRun) bool { return r.Function == name })
}

// Before returns the steps whose outputs the function had when its step Steps[i] began, in order: those that had
// completed by then. Together with the data of the event they are everything that Inngest gives the step as input. The
// server's clock has millisecond resolution: of two steps within the same millisecond, the first in the list counts as
// earlier.
func (r *TraceRun) Before(i int) []TraceStep {
	var before []TraceStep
	for _, s := range r.Steps[:i] {
		if s.Status == StatusCompleted && !s.Ended.After(r.Steps[i].Started) {
			before = append(before, s)
		}
	}
	return before
}

// MailTo returns the emails whose envelope has an address. Case is ignored.
func (t *Trace) MailTo(addr string) []*TraceMail {
	var found []*TraceMail
	for i := range t.Mail {
		if address.In(addr, t.Mail[i].Envelope.To) {
			found = append(found, &t.Mail[i])
		}
	}
	return found
}

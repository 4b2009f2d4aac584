package tap

import (
	"encoding/json"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A Side names a wire by its sender and its receiver.
type Side string

// The three wires.
const (
	InngestToApp Side = "inngest→app"
	AppToInngest Side = "app→inngest"
	AppToMail    Side = "app→mail"
)

// An Exchange is one request and its answer on an HTTP wire, or one attempt to deliver an email on the SMTP wire. It is
// recorded when it begins, again whenever a fault acts on it, and once more when it is over. A delivery is also recorded
// when the header of its message has passed, and now and then while it lasts. These records share an
// ID; each is a snapshot that does not change any more.
//
// HTTP is set for every exchange on the two HTTP wires, together with at most one of Call, Checkpoint, Dispatch and
// Sync, which say what it meant. Mail is set for every exchange on the SMTP wire.
type Exchange struct {
	// ID identifies the exchange. IDs grow in the sequence in which exchanges began.
	ID uint64 `json:"id"`
	// Seq is the record's place in the log.
	Seq  uint64 `json:"seq"`
	Wire Side   `json:"wire"`
	// Began is when the tap had the request, or the connection. Ended is when the answer was handed to the near side,
	// or the connection was gone; zero while the exchange is under way. The last record is made before the near side
	// has the answer, so the effect of an answer is never visible before its record.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended,omitzero"`
	// Faults are the faults that acted on it, in sequence.
	Faults []string `json:"faults,omitempty"`
	// Err says why it ended irregularly; empty if it did not.
	Err string `json:"err,omitempty"`

	HTTP       *HTTP                    `json:"http,omitempty"`
	Call       *Call                    `json:"call,omitempty"`
	Checkpoint *Checkpoint              `json:"checkpoint,omitempty"`
	Dispatch   *Dispatch                `json:"dispatch,omitempty"`
	Sync       *Sync                    `json:"sync,omitempty"`
	Mail       *harness.MailTransaction `json:"mail,omitempty"`
}

// Over reports whether the exchange has ended, so that no more records of it follow.
func (c Exchange) Over() bool { return !c.Ended.IsZero() }

// HTTP is what an exchange says without its bodies.
type HTTP struct {
	Method string `json:"method"`
	// Path has no query, and no event key.
	Path string `json:"path"`
	// Status is the status that the near side got; zero if it got no answer.
	Status int `json:"status,omitempty"`
	// Sizes of the bodies, in bytes.
	RequestBytes int64 `json:"requestBytes,omitempty"`
	AnswerBytes  int64 `json:"answerBytes,omitempty"`
}

// Call is one call of a function by the Inngest server. The app's answer is recorded also when it was not passed on: then
// [HTTP].Status is zero.
type Call struct {
	// FunctionID is the function's id with its app's before it, as the URL has it.
	FunctionID string `json:"functionId"`
	RunID      string `json:"runId"`
	// Attempt counts from 1. MaxAttempts is 0 if the server does not send it.
	Attempt     int `json:"attempt"`
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// Step is the hashed id of the one step that this call is to run; empty for a call that continues after the saved
	// steps.
	Step string `json:"step,omitempty"`
	// Memoised is the number of steps saved so far, After the hashed id of the last of them.
	Memoised int    `json:"memoised"`
	After    string `json:"after,omitempty"`
	// Events are those that triggered the run, without their data; their EventID is unknown here.
	Events []Event `json:"events,omitempty"`
	// Checkpointed reports whether steps of this call were sent as checkpoints.
	Checkpointed bool `json:"checkpointed,omitempty"`
	// Repeated: a fault passed the call on twice; the answer is that to one of the two.
	Repeated bool `json:"repeated,omitempty"`
	// Unanswered: the app got the call and gave no answer. Abandoned: because the server hung up before; the app may be
	// at work on it still.
	Unanswered bool `json:"unanswered,omitempty"`
	Abandoned  bool `json:"abandoned,omitempty"`
	// GivenUp is when the server was made to give the call up, while the app went on: see [Set.AbandonCalls].
	GivenUp time.Time `json:"givenUp,omitzero"`

	// Status is that of the app's answer: 206 with Ops, 200 with Result, otherwise with Error. It is taken from inside
	// the stream if the SDK streams. Zero before the answer.
	Status     int             `json:"status,omitempty"`
	Ops        []Op            `json:"ops,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	ResultSize int             `json:"resultSize,omitempty"`
	Error      *Failure        `json:"error,omitempty"`
	// NoRetry and RetryAfter are the app's instructions to the server.
	NoRetry    bool   `json:"noRetry,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
	// SDK is the SDK's name and version.
	SDK string `json:"sdk,omitempty"`
}

// Checkpoint is one request by which the app saves finished steps while its call goes on.
type Checkpoint struct {
	RunID string `json:"runId"`
	// Call is the ID of the exchange of the call that runs these steps; FunctionID and Attempt are that call's. Zero if
	// the call is unknown.
	Call       uint64 `json:"call,omitempty"`
	FunctionID string `json:"functionId,omitempty"`
	Attempt    int    `json:"attempt,omitempty"`
	Steps      []Op   `json:"steps"`
}

// Op is the result of a step, or what the function asks for next, as the app reports it.
type Op struct {
	// Op is the opcode: "StepRun", "StepError", "StepFailed", "StepPlanned", "Sleep" …
	Op sdk.Opcode `json:"op"`
	// ID is the hashed id, Name the id in the code.
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Data is the step's output, left out if Size is larger than [Options].MaxPayload.
	Data  json.RawMessage `json:"data,omitempty"`
	Size  int             `json:"size,omitempty"`
	Error *Failure        `json:"error,omitempty"`
	// Began and Ended are the step's own times, zero if the SDK does not send them.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// Failure is an error as the app reports it, without its stack.
type Failure struct {
	Name    string `json:"name,omitempty"`
	Message string `json:"message"`
}

// Dispatch is one request by which the app sends events.
type Dispatch struct {
	Events []Event `json:"events"`
}

// Event is one event.
type Event struct {
	Name string `json:"name"`
	// IdempotencyKey is the sender's id, EventID the one that Inngest answered with.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	EventID        string `json:"eventId,omitempty"`
	// Data is left out if Size is larger than [Options].MaxPayload.
	Data json.RawMessage `json:"data,omitempty"`
	Size int             `json:"size,omitempty"`
}

// Sync is one half of a sync: from Inngest to the app the PUT that asks it to register, from the app to Inngest the
// registration.
type Sync struct {
	// App, URL, SDK and Functions are what the app registers; empty on the PUT.
	App       string   `json:"app,omitempty"`
	URL       string   `json:"url,omitempty"`
	SDK       string   `json:"sdk,omitempty"`
	Functions []string `json:"functions,omitempty"`
	// Message is the message or error of the answer, if it has one.
	Message string `json:"message,omitempty"`
}

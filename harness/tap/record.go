package tap

import (
	"encoding/json"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A Side names a wire by who speaks to whom.
type Side string

// The three wires.
const (
	InngestToApp Side = "inngest→app"
	AppToInngest Side = "app→inngest"
	AppToMail    Side = "app→mail"
)

// An Exchange is one request and its answer on an HTTP wire, or one attempt to deliver an email on the SMTP wire. It is
// recorded when it begins, again whenever a fault acts on it, and once more when it is over. These records share an
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
	// Faults are the faults that acted on it, in order.
	Faults []string `json:"faults,omitempty"`
	// Err says why it did not come to a regular end.
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

// HTTP is the outside of an exchange.
type HTTP struct {
	Method string `json:"method"`
	// Path has no query, and no event key.
	Path string `json:"path"`
	// Status is what the near side was told; zero when it was told nothing.
	Status int `json:"status,omitempty"`
	// Sizes of the bodies, in bytes.
	RequestBytes int64 `json:"requestBytes,omitempty"`
	AnswerBytes  int64 `json:"answerBytes,omitempty"`
}

// Call is one call of a function by the Inngest server. What the app answered is recorded also when the answer was
// then lost; [HTTP].Status tells whether Inngest heard it.
type Call struct {
	// FunctionID is the function's id with its app's before it, as the URL has it.
	FunctionID string `json:"functionId"`
	RunID      string `json:"runId"`
	// Attempt counts from 1. MaxAttempts is 0 where the server does not say.
	Attempt     int `json:"attempt"`
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// Step is the hashed id of the one step that this call is to run; empty for a call that runs on from where the
	// saved steps end.
	Step string `json:"step,omitempty"`
	// Memoised is the number of steps saved so far, After the hashed id of the last of them.
	Memoised int    `json:"memoised"`
	After    string `json:"after,omitempty"`
	// Events are those that triggered the run, without their data; their EventID is unknown here.
	Events []Event `json:"events,omitempty"`
	// Checkpointed says that steps of this call crossed as checkpoints.
	Checkpointed bool `json:"checkpointed,omitempty"`

	// Status is the app's answer: 206 with Ops, 200 with Result, else Error. It is that inside the stream where the
	// SDK streams. Zero while there is none.
	Status     int             `json:"status,omitempty"`
	Ops        []Op            `json:"ops,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	ResultSize int             `json:"resultSize,omitempty"`
	Error      *Failure        `json:"error,omitempty"`
	// NoRetry and RetryAfter are what the app asked of the server.
	NoRetry    bool   `json:"noRetry,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
	// SDK is the SDK's name and version.
	SDK string `json:"sdk,omitempty"`
}

// Checkpoint is one saving of finished steps by the app while its call goes on.
type Checkpoint struct {
	RunID string `json:"runId"`
	// Call is the ID of the exchange of the call that runs these steps, FunctionID and Attempt are that call's; zero
	// where the tap does not know of it.
	Call       uint64 `json:"call,omitempty"`
	FunctionID string `json:"functionId,omitempty"`
	Attempt    int    `json:"attempt,omitempty"`
	Steps      []Op   `json:"steps"`
}

// Op is what became of a step, or what the function asks for next, as the app reports it.
type Op struct {
	// Op is the opcode: "StepRun", "StepError", "StepFailed", "StepPlanned", "Sleep" …
	Op sdk.Opcode `json:"op"`
	// ID is the hashed id, Name the id in the code.
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Data is the step's output. It is left out where it is larger than [Options].MaxPayload; Size tells.
	Data  json.RawMessage `json:"data,omitempty"`
	Size  int             `json:"size,omitempty"`
	Error *Failure        `json:"error,omitempty"`
	// Began and Ended are the step's own times, where the SDK sends them.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// Failure is an error as the app reports it, without its stack.
type Failure struct {
	Name    string `json:"name,omitempty"`
	Message string `json:"message"`
}

// Dispatch is one sending of events by the app.
type Dispatch struct {
	Events []Event `json:"events"`
}

// Event is one event.
type Event struct {
	Name string `json:"name"`
	// IdempotencyKey is the sender's id, EventID the one that Inngest answered with.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	EventID        string `json:"eventId,omitempty"`
	// Data is left out where it is larger than [Options].MaxPayload; Size tells.
	Data json.RawMessage `json:"data,omitempty"`
	Size int             `json:"size,omitempty"`
}

// Sync is one half of a sync: on inngest→app the PUT that asks the app to register, on app→inngest the registration.
type Sync struct {
	// App, URL, SDK and Functions are what the app registers; empty on the PUT.
	App       string   `json:"app,omitempty"`
	URL       string   `json:"url,omitempty"`
	SDK       string   `json:"sdk,omitempty"`
	Functions []string `json:"functions,omitempty"`
	// Message is what the answer says, where it says something.
	Message string `json:"message,omitempty"`
}

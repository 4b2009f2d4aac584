package stackapi

import (
	"encoding/json"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// Stack says where a stack is, and what it can do.
type Stack struct {
	statefile.State
	// Env are the variables that an app on this stack gets.
	Env map[string]string `json:"env,omitempty"`
	Can Can               `json:"can"`
	// Outdated says why no app is up that is what its sources say: one has changed, and the app is not up with it yet, or does
	// not start with it; or it has ended by itself. Empty: nothing of that is known.
	Outdated string `json:"outdated,omitempty"`
}

// Can says what a stack supports beyond sending, reading and judging.
type Can struct {
	// Skip and Replace need sim. Faults need the taps.
	Skip    bool `json:"skip"`
	Replace bool `json:"replace"`
	Faults  bool `json:"faults"`
	// Services are those that can be stopped and started.
	Services []harness.Service `json:"services,omitempty"`
}

// SentEvent is an event that the Inngest server has accepted.
type SentEvent struct {
	// EventID is the ULID that the server gave it.
	EventID string `json:"eventId"`
	// IdempotencyKey is the id that its sender chose.
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	Name           string `json:"name"`
}

// Event is an event that the Inngest server has received, with the runs it started.
type Event struct {
	SentEvent
	Data     json.RawMessage `json:"data,omitempty"`
	Received time.Time       `json:"received"`
	// Runs have steps where one event is asked for, or steps are.
	Runs []harness.TraceRun `json:"runs"`
	// Decisions are what flow control did to the event, without those about its runs. Only sim tells.
	Decisions []Decision `json:"decisions,omitempty"`
}

// Decision is what flow control did to an event.
type Decision struct {
	// Function is the function's id with the app's id and a dash before it.
	Function string `json:"function"`
	Text     string `json:"text"`
	// Pending says that something is still to come.
	Pending bool `json:"pending,omitempty"`
}

// Invocation starts a function.
type Invocation struct {
	// Function is its id, with or without the app's id and a dash before it. Required.
	Function string `json:"function"`
	// Data is that of the event it gets, an object.
	Data json.RawMessage `json:"data,omitempty"`
}

// Question asks for a verdict. One of EventID and Event is required.
type Question struct {
	// EventID is the ULID of an event that was sent.
	EventID string `json:"eventId,omitempty"`
	// Event is sent, and then judged. Expectation is validated before.
	Event json.RawMessage `json:"event,omitempty"`
	// Expectation is required.
	Expectation json.RawMessage `json:"expectation"`
	// Timeout is how long to wait for what should happen. Zero: 10 s.
	Timeout jsontime.Duration `json:"timeout,omitzero"`
	// Golden says where the goldens are that the expectation names.
	Golden *Goldens `json:"golden,omitempty"`
	// Test is the test that asks: see [TestEnd].
	Test *TestName `json:"test,omitempty"`
}

// Answer is a verdict.
type Answer struct {
	EventID string           `json:"eventId"`
	Verdict *harness.Verdict `json:"verdict"`
	// Text is the verdict for a person to read, as the command line prints it.
	Text string `json:"text"`
}

// Goldens is a directory of golden emails.
type Goldens struct {
	// Dir is its absolute path. Required.
	Dir string `json:"dir"`
	// Update writes a golden that differs, or does not exist yet, instead of reporting the difference.
	Update bool `json:"update,omitempty"`
	// Replace are values in the emails that differ from run to run.
	Replace []golden.Replacement `json:"replace,omitempty"`
	// RunHeader is the header that names the run. Empty: that of the stack.
	RunHeader string `json:"runHeader,omitempty"`
}

// Comparison asks whether an email is like a golden.
type Comparison struct {
	Goldens
	// Name is that of the golden, Mail the id of the email. Required.
	Name string `json:"name"`
	Mail string `json:"mail"`
}

// Compared says whether an email is like a golden.
type Compared struct {
	Matches bool `json:"matches"`
	// Text says how they differ.
	Text string `json:"text,omitempty"`
}

// Skip says how much time passes. One of By and Until is required.
type Skip struct {
	By    jsontime.Duration `json:"by,omitzero"`
	Until time.Time         `json:"until,omitzero"`
	// Run is the run for which time passes, with those that descend from it; Event the event for which it passes, with the runs
	// that it started, and the throttles, debounces and batches in which they wait. Both left out: it passes for all.
	Run   *string `json:"run,omitempty"`
	Event *string `json:"event,omitempty"`
}

// Skipped is the time that it is then.
type Skipped struct {
	Now time.Time `json:"now"`
}

// Replaced counts what a request has put in place, and says what it has taken away in vain.
type Replaced struct {
	Replace int `json:"replace"`
	Faults  int `json:"faults"`
	Stubs   int `json:"stubs"`
	// Unused are the steps that were replaced before, and that no run has reached meanwhile: each with "of" and its function, if named.
	Unused []string `json:"unused,omitempty"`
}

// Fault is a fault that was injected into a wire.
type Fault struct {
	ID    string    `json:"id"`
	Fault tap.Fault `json:"fault"`
	// Text describes it in a few words.
	Text string `json:"text"`
	// Applied is how often it has acted.
	Applied int `json:"applied"`
	// Armed says that it may act again.
	Armed bool `json:"armed"`
}

// Removed counts emails that were removed.
type Removed struct {
	Removed int `json:"removed"`
}

// Done is the answer to what has no other.
type Done struct {
	OK bool `json:"ok"`
}

// TestName names a test.
type TestName struct {
	// Suite is where it is defined, such as a file. Required, like Name.
	Suite string `json:"suite"`
	Name  string `json:"name"`
}

// TestEnd says how a test ended. What the stack judged for it becomes its record in the report and, where it failed, its
// evidence.
type TestEnd struct {
	TestName
	// Outcome is passed, failed or skipped.
	Outcome string    `json:"outcome"`
	Began   time.Time `json:"began,omitzero"`
	// Run names the run of the suite, in which the test ran. The first record of a suite in a run replaces those of earlier runs.
	Run string `json:"run,omitempty"`
	// Failures are the messages that it failed with.
	Failures []string `json:"failures,omitempty"`
	// Report is the directory of the report, an absolute path. Empty: there is none.
	Report string `json:"report,omitempty"`
	// Evidence is the directory in which to keep verdicts, emails and logs of a test that failed, an absolute path.
	// Empty: they are not kept.
	Evidence string `json:"evidence,omitempty"`
}

// Failure is the body of an answer that is an error.
type Failure struct {
	// Error is a sentence: what is wrong, and what to do.
	Error string `json:"error"`
	// Code is one of invalid, unauthorized, refused, not-found, not-allowed, unsupported, too-large and failed.
	Code string `json:"code"`
}

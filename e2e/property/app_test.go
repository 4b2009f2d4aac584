package property

import (
	"encoding/json"
	"strings"
)

// An App is a small app as data: what its functions are subscribed to and what they do. A failing one is printed as JSON,
// and is kept as a file in testdata/cases.
type App struct {
	About     string     `json:"about,omitempty"` // what a kept case is about
	Functions []Function `json:"functions"`
	// Extra are events that the test sends beside the judged one, after what that one started has come to rest.
	Extra []Op `json:"extra,omitempty"`
	// Checkpoint makes the SDK save steps while a call goes on.
	Checkpoint bool `json:"checkpoint,omitempty"`
}

// A Function is one function. The first is subscribed to the judged event.
type Function struct {
	On string `json:"on"` // an event, a wildcard, or a system event
	// About limits a handler of a system event to the function with this index, counted from 1. Zero: to none.
	About int `json:"of,omitempty"`
	// IfA starts a run only for events with the id "a".
	IfA     bool   `json:"ifA,omitempty"`
	Retries int    `json:"retries,omitempty"`
	Cancel  string `json:"cancel,omitempty"` // the event that cancels runs
	// SameID cancels only runs whose event has the id of the cancelling event.
	SameID bool `json:"sameId,omitempty"`
	Body   []Op `json:"body,omitempty"`
}

// An Op is one thing that a function does.
type Op struct {
	Do string `json:"do"`
	ID string `json:"id,omitempty"` // of a step
	// Event is what is sent or waited for. Other sends it with another id than that of the run's own event. SameID waits for
	// one with the same id.
	Event  string `json:"event,omitempty"`
	Other  bool   `json:"other,omitempty"`
	SameID bool   `json:"sameId,omitempty"`
	// Function is the index of the invoked function.
	Function int `json:"function,omitempty"`
	// To and Subject are of an email. Unsigned leaves out the header that names the run.
	To       []string `json:"to,omitempty"`
	Subject  string   `json:"subject,omitempty"`
	Unsigned bool     `json:"unsigned,omitempty"`
	// Fails is how often a step, or the function, fails before it succeeds. Final makes the first failure the last.
	Fails int  `json:"fails,omitempty"`
	Final bool `json:"final,omitempty"`
	// Catch makes the function go on after the failure of a step.
	Catch bool `json:"catch,omitempty"`
	// Inside is what is done within a step, or the branches of parallel steps.
	Inside []Op `json:"inside,omitempty"`
}

// What an Op does.
const (
	doStep     = "step"     // step.Run
	doSleep    = "sleep"    // step.Sleep
	doWait     = "wait"     // step.WaitForEvent
	doSend     = "send"     // a step that sends an event and returns its id, as step.Send does
	doInvoke   = "invoke"   // step.Invoke
	doParallel = "parallel" // group.Parallel
	doMail     = "mail"     // an email, in a step or in the body
	doPost     = "post"     // an event that is sent past the steps, within a step or in the body
	doLinger   = "linger"   // within a step: takes a while
	doFail     = "fail"     // the function fails outside its steps
)

// ops calls f for every op of the app, those inside others included.
func (a App) ops(f func(Op)) {
	var walk func([]Op)
	walk = func(all []Op) {
		for _, o := range all {
			f(o)
			walk(o.Inside)
		}
	}
	for _, fn := range a.Functions {
		walk(fn.Body)
	}
	walk(a.Extra)
}

// has reports whether an op of the app satisfies f.
func (a App) has(f func(Op) bool) bool {
	found := false
	a.ops(func(o Op) { found = found || f(o) })
	return found
}

func (a App) String() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	return string(text)
}

// The system events, as their documentation has them.
const (
	onFinished  = "inngest/function.finished"
	onFailed    = "inngest/function.failed"
	onCancelled = "inngest/function.cancelled"
	onInvoked   = "inngest/function.invoked"
)

func isSystem(event string) bool { return strings.HasPrefix(event, "inngest/") }

// starts reports whether an event with a name and an id starts a run of the function.
func (f Function) starts(name, id string) bool {
	prefix, wildcard := strings.CutSuffix(f.On, "*")
	return (f.On == name || wildcard && strings.HasPrefix(name, prefix)) && (!f.IfA || id == "a")
}

// cancelledBy reports whether an event cancels a run of the function whose own event has the id own.
func (f Function) cancelledBy(name, id, own string) bool {
	return f.Cancel != "" && f.Cancel == name && (!f.SameID || id == own)
}

// GoString is what rapid prints.
func (a App) GoString() string { return a.String() }

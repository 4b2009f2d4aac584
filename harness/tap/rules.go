package tap

import "slices"

// A Point is a place on a wire at which a fault can act.
type Point string

// The points of the HTTP wires.
const (
	// AtCall is passed when Inngest calls a function. On the answer, Step matches the steps that the answer reports or
	// asks for; before it, the one step that a call for a planned step is to run.
	AtCall Point = "call"
	// AtStep is passed when one step begins, and when it has ended and its result is not saved yet.
	AtStep Point = "step"
	// AtCheckpoint is passed when the app saves finished steps while a call goes on.
	AtCheckpoint Point = "checkpoint"
	// AtEvent is passed when the app sends events.
	AtEvent Point = "event"
	// AtSync is passed when the app is asked to register its functions (PUT).
	AtSync Point = "sync"
	// AtRegister is passed when the app registers its functions.
	AtRegister Point = "register"
)

// The points of the SMTP wire.
const (
	// AtConnect is passed when a connection opens. The answer there is the server's banner.
	AtConnect Point = "connect"
	// AtEHLO is passed by EHLO and HELO.
	AtEHLO Point = "ehlo"
	// AtSTARTTLS is passed by STARTTLS. An armed fault there makes the tap offer the extension.
	AtSTARTTLS Point = "starttls"
	AtAUTH     Point = "auth"
	AtMAIL     Point = "mail"
	AtRCPT     Point = "rcpt"
	AtDATA     Point = "data"
	// AtBody is passed while the message itself is transmitted.
	AtBody Point = "body"
	// AtDot is passed by the line that ends a message. Its reply accepts the message.
	AtDot  Point = "dot"
	AtQUIT Point = "quit"
)

// An Action is what a fault does.
type Action string

// Actions on a request, before the far side has it.
const (
	// Drop closes the connection without passing anything on or answering. At [AtConnect] it resets the connection, the
	// nearest that a tap comes to refusing it.
	Drop Action = "drop"
	// Reply answers with Code and Text instead of passing on.
	Reply Action = "reply"
	// Lose passes nothing on and answers nothing, until the near side gives up.
	Lose Action = "lose"
	// Discard passes nothing on and answers as if the far side had accepted it. Events get made-up ids.
	Discard Action = "discard"
	// Delay passes on after For.
	Delay Action = "delay"
	// Hold passes on when the injection is released.
	Hold Action = "hold"
	// Throttle passes a message on at Rate bytes per second.
	Throttle Action = "throttle"
	// Twice delivers a call twice, one after the other or side by side (Concurrent). When both answers are there,
	// Inngest gets the first, or the second (Second).
	Twice Action = "twice"
)

// Actions on an answer, after the far side has given it.
const (
	// DropAnswer closes the connection instead of answering: the effect happened and the near side does not know.
	DropAnswer Action = "drop-answer"
	// DelayAnswer answers after For.
	DelayAnswer Action = "delay-answer"
	// HoldAnswer answers when the injection is released.
	HoldAnswer Action = "hold-answer"
)

// A Rule says what a fault can do at one point.
type Rule struct {
	At Point
	// Actions are those that make sense at the point.
	Actions []Action
	// Match are the fields of a [Fault], by their JSON names, that can select what the fault acts on.
	Match []string

	smtp bool
}

// Rules returns the rule of every point: first those of the HTTP wires, then those of SMTP in the sequence of a session.
// [Fault.Validate] rejects what no rule allows.
func Rules() []Rule { return slices.Clone(rules) }

var (
	answerActions = []Action{DropAnswer, DelayAnswer, HoldAnswer}
	commonActions = append([]Action{Drop, Reply, Lose, Delay, Hold}, answerActions...)
)

var rules = []Rule{
	{At: AtCall, Actions: append([]Action{Twice}, commonActions...), Match: []string{"function", "run", "attempt", "step", "after"}},
	{At: AtStep, Actions: append([]Action{Hold, Delay}, answerActions...), Match: []string{"function", "run", "attempt", "step", "after"}},
	{At: AtCheckpoint, Actions: append([]Action{Discard}, commonActions...), Match: []string{"function", "run", "attempt", "step"}},
	{At: AtEvent, Actions: append([]Action{Discard}, commonActions...), Match: []string{"event"}},
	{At: AtSync, Actions: commonActions},
	{At: AtRegister, Actions: commonActions},
	{At: AtConnect, Actions: commonActions, smtp: true},
	{At: AtEHLO, Actions: commonActions, smtp: true},
	{At: AtSTARTTLS, Actions: []Action{Drop, Reply, Lose, Delay, Hold}, smtp: true},
	{At: AtAUTH, Actions: commonActions, smtp: true},
	{At: AtMAIL, Actions: commonActions, smtp: true},
	{At: AtRCPT, Actions: commonActions, Match: []string{"to"}, smtp: true},
	{At: AtDATA, Actions: commonActions, Match: []string{"to"}, smtp: true},
	{At: AtBody, Actions: []Action{Drop, Lose, Delay, Hold, Throttle}, Match: []string{"to", "bytes"}, smtp: true},
	{At: AtDot, Actions: commonActions, Match: []string{"to"}, smtp: true},
	{At: AtQUIT, Actions: commonActions, smtp: true},
}

// An actionRule says how an action works and which fields of a Fault it uses, by their JSON names.
type actionRule struct {
	onAnswer bool     // it acts after the far side has answered
	pauses   bool     // the exchange goes on afterwards
	needs    string   // the parameter that must be set
	takes    []string // parameters that may be set
	ignores  []string // matchers that have no effect, although the point knows them
	hint     string   // what to do instead of using an ignored one
}

const matchStep = `: an answer names its steps, match "step"`

var actionRules = map[Action]actionRule{
	Drop:        {},
	Reply:       {needs: "code", takes: []string{"text"}},
	Lose:        {},
	Discard:     {},
	Delay:       {pauses: true, needs: "for"},
	Hold:        {pauses: true},
	Throttle:    {pauses: true, needs: "rate", ignores: []string{"bytes"}},
	Twice:       {takes: []string{"concurrent", "second"}},
	DropAnswer:  {onAnswer: true, ignores: []string{"after"}, hint: matchStep},
	DelayAnswer: {onAnswer: true, pauses: true, needs: "for", ignores: []string{"after"}, hint: matchStep},
	HoldAnswer:  {onAnswer: true, pauses: true, ignores: []string{"after"}, hint: matchStep},
}

// onAnswer reports whether the action acts after the far side has answered.
func (a Action) onAnswer() bool { return actionRules[a].onAnswer }

// pauses reports whether the exchange goes on after the action.
func (a Action) pauses() bool { return actionRules[a].pauses }

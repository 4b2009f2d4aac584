package explore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// When says on which side of the far side's action a hop lies.
type When string

// The two sides of a point. Of a step they are its beginning and its end.
const (
	Before When = "before"
	After  When = "after"
)

// atStart is the point of a hop before the first event is sent.
const atStart tap.Point = "start"

// A Hop is a moment that a run passes on its way from event to email: the N-th time that something of this description passes
// a point of a wire.
type Hop struct {
	At   tap.Point `json:"at"`
	When When      `json:"when,omitempty"`
	// Function is the function's id with the app's id before it, Step the step's id in the code, After the step that ended
	// before it.
	Function string `json:"function,omitempty"`
	Step     string `json:"step,omitempty"`
	After    string `json:"after,omitempty"`
	Event    string `json:"event,omitempty"`
	To       string `json:"to,omitempty"`
	// N counts from 1.
	N int `json:"n,omitempty"`
}

// kind returns the hop without its number.
func (h Hop) kind() Hop {
	h.N = 0
	return h
}

// String describes the hop in a few words, as in: step "send-email" of shop-notify.
func (h Hop) String() string {
	s := string(h.At)
	switch h.At {
	case atStart:
		return "the beginning"
	case tap.AtCall:
		return fmt.Sprintf("call %d of %s", h.N, h.Function)
	case tap.AtStep:
		if s = fmt.Sprintf("step %q of %s", h.Step, h.Function); h.After != "" {
			s += fmt.Sprintf(", after %q", h.After)
		}
	case tap.AtCheckpoint:
		s = fmt.Sprintf("the checkpoint of step %q of %s", h.Step, h.Function)
	case tap.AtEvent:
		s = fmt.Sprintf("the sending of the event %q", h.Event)
	case tap.AtConnect:
		s = "the connection to the mail server"
	case tap.AtRCPT, tap.AtDATA, tap.AtBody, tap.AtDot:
		s = fmt.Sprintf("%s to %s", map[tap.Point]string{
			tap.AtRCPT: "RCPT", tap.AtDATA: "DATA", tap.AtBody: "the message", tap.AtDot: "the end of the message",
		}[h.At], h.To)
	default:
		s = strings.ToUpper(s)
	}
	if h.N > 1 {
		s += fmt.Sprintf(", time %d", h.N)
	}
	return s
}

// passing is a hop that an exchange has passed.
type passing struct {
	Hop
	at    time.Time
	ended bool // another fault that holds the exchange ends it: the taps count it, and nothing can happen
}

// hopsOf returns the hops that exchanges passed in a schedule, in sequence. Where a fault has ended an exchange, nothing else can
// happen to it.
func hopsOf(exchanges []tap.Exchange, s Schedule) []passing {
	exchanges = slices.SortedFunc(slices.Values(exchanges), func(a, b tap.Exchange) int { return cmp.Compare(a.ID, b.ID) })
	names := stepNames(exchanges)
	r := hopReader{schedule: s, names: names, follows: followers(exchanges, names), cut: map[uint64]bool{}}
	for i, x := range exchanges {
		r.read(x, exchanges[i+1:])
	}
	slices.SortStableFunc(r.passed, func(a, b passing) int { return a.at.Compare(b.at) })
	seen := map[Hop]int{}
	for i := range r.passed {
		h := &r.passed[i].Hop
		seen[h.kind()]++
		h.N = seen[*h]
	}
	return slices.DeleteFunc(r.passed, func(p passing) bool { return p.ended })
}

// stepNames maps hashed ids of steps to those in the code.
func stepNames(exchanges []tap.Exchange) map[string]string {
	names := map[string]string{}
	add := func(ops []tap.Op) {
		for _, op := range ops {
			name := op.Name
			for use := 1; sdk.StepHash(name) != op.ID && use < 100; use++ {
				name = fmt.Sprintf("%s:%d", op.Name, use)
			}
			if sdk.StepHash(name) == op.ID {
				names[op.ID] = name
			}
		}
	}
	for _, x := range exchanges {
		if x.Call != nil {
			add(x.Call.Ops)
		}
		if x.Checkpoint != nil {
			add(x.Checkpoint.Steps)
		}
	}
	return names
}

// follower is the key of the steps of a function that follow a step, which is given by its hashed id.
type follower struct{ function, after string }

// followers returns the beginnings of the steps that follow each step.
func followers(exchanges []tap.Exchange, names map[string]string) map[follower][]Hop {
	type saving struct {
		at       time.Time
		call     uint64
		function string
		ops      []tap.Op
	}
	var savings []saving
	last := map[uint64]string{} // hashed id of the step that ended last, by call
	for _, x := range exchanges {
		switch {
		case x.Call != nil:
			last[x.ID] = x.Call.After
			savings = append(savings, saving{endOf(x), x.ID, x.Call.FunctionID, x.Call.Ops})
		case x.Checkpoint != nil:
			savings = append(savings, saving{x.Began, x.Checkpoint.Call, x.Checkpoint.FunctionID, x.Checkpoint.Steps})
		}
	}
	slices.SortStableFunc(savings, func(a, b saving) int { return a.at.Compare(b.at) })
	found := map[follower][]Hop{}
	for _, s := range savings {
		for _, op := range s.ops {
			name, ok := names[op.ID]
			if !ok || !op.Op.Ran() {
				continue
			}
			key := follower{s.function, last[s.call]}
			begin := Hop{At: tap.AtStep, When: Before, Function: s.function, Step: name, After: names[key.after]}
			if !slices.Contains(found[key], begin) {
				found[key] = append(found[key], begin)
			}
			last[s.call] = op.ID
		}
	}
	return found
}

// endOf returns when an exchange ended, or began if it has not ended.
func endOf(x tap.Exchange) time.Time {
	if x.Over() {
		return x.Ended
	}
	return x.Began
}

type hopReader struct {
	schedule Schedule
	names    map[string]string  // of steps, by their hashed ids
	follows  map[follower][]Hop // beginnings of steps
	cut      map[uint64]bool    // calls of which nothing reaches the server any more
	passed   []passing
}

// acted returns the fault that acted on an exchange of an HTTP wire, at its request or at its answer.
func (r *hopReader) acted(x tap.Exchange, answer bool) (Fault, bool) {
	i := slices.IndexFunc(r.schedule.Faults, func(f Fault) bool {
		atAnswer := f.When == After
		if x.Checkpoint != nil && f.At == tap.AtStep { // it is passed between two steps
			atAnswer = !atAnswer
		}
		return atAnswer == answer && slices.Contains(x.Faults, f.name())
	})
	if i < 0 {
		return Fault{}, false
	}
	return r.schedule.Faults[i], true
}

// pass passes the hops of an exchange at its request or at its answer.
func (r *hopReader) pass(x tap.Exchange, answer bool, hops ...Hop) {
	at := x.Began
	if answer {
		at = endOf(x)
	}
	f, ok := r.acted(x, answer)
	for _, h := range hops {
		other := ok && f.kind() != h
		if !other || f.holds() {
			r.passed = append(r.passed, passing{h, at, other && f.Do == Kill})
		}
	}
}

// answered reports whether the far side of an HTTP wire has answered, and faults could act on the answer.
func (r *hopReader) answered(x tap.Exchange) bool {
	if _, ok := r.acted(x, true); ok {
		return true
	}
	if x.Call != nil {
		return x.Call.Status != 0 && x.Call.GivenUp.IsZero()
	}
	f, ok := r.acted(x, false)
	return x.HTTP != nil && x.HTTP.Status != 0 && !(ok && f.Do == Refuse)
}

// begins returns the beginnings of the steps that follow, as the tap sees them: see [tap.AtStep].
func (r *hopReader) begins(function, after, target string) (hops []Hop) {
	for _, h := range r.follows[follower{function, after}] {
		if target == "" || h.Step == r.names[target] {
			hops = append(hops, h)
		}
	}
	return hops
}

// ends returns the ends of steps.
func (r *hopReader) ends(function string, ops []tap.Op) (hops []Hop) {
	for _, op := range ops {
		if name, ok := r.names[op.ID]; ok && op.Op.Ran() {
			hops = append(hops, Hop{At: tap.AtStep, When: After, Function: function, Step: name})
		}
	}
	return hops
}

// read passes the hops of an exchange. later are those that began after it.
func (r *hopReader) read(x tap.Exchange, later []tap.Exchange) {
	switch {
	case x.Call != nil:
		call := Hop{At: tap.AtCall, When: Before, Function: x.Call.FunctionID}
		r.pass(x, false, append([]Hop{call}, r.begins(call.Function, x.Call.After, x.Call.Step)...)...)
		if r.answered(x) {
			call.When = After
			r.pass(x, true, append(r.ends(call.Function, x.Call.Ops), call)...)
		}
	case x.Checkpoint != nil && len(x.Checkpoint.Steps) > 0:
		r.checkpoint(x)
	case x.Dispatch != nil && len(x.Dispatch.Events) > 0:
		sent := Hop{At: tap.AtEvent, When: Before, Event: x.Dispatch.Events[0].Name}
		r.pass(x, false, sent)
		if r.answered(x) {
			sent.When = After
			r.pass(x, true, sent)
		}
	case x.Mail != nil:
		r.session(x)
		last := !slices.ContainsFunc(later, func(o tap.Exchange) bool { return o.Mail != nil && o.Mail.Connection == x.Mail.Connection })
		if x.Mail.Reported && last { // the taps do not record what the app says after an email
			r.say(endOf(x), Hop{At: tap.AtQUIT, When: Before})
		}
	}
}

func (r *hopReader) checkpoint(x tap.Exchange) {
	function, steps, call := x.Checkpoint.FunctionID, x.Checkpoint.Steps, x.Checkpoint.Call
	if r.cut[call] {
		return
	}
	if f, ok := r.acted(x, false); ok && f.At == tap.AtStep && !f.holds() {
		r.cut[call] = call != 0 // the result of the step is lost, whichever message brings it
	}
	before, after := r.ends(function, steps), r.begins(function, steps[len(steps)-1].ID, "")
	if name, ok := r.names[steps[0].ID]; ok {
		save := Hop{At: tap.AtCheckpoint, When: Before, Function: function, Step: name}
		before = append(before, save)
		save.When = After
		after = append([]Hop{save}, after...)
	}
	r.pass(x, false, before...)
	if r.answered(x) {
		r.pass(x, true, after...)
	}
}

// verbs are the commands of an SMTP session at whose points something can happen.
var verbs = map[string]tap.Point{
	"AUTH": tap.AtAUTH, "MAIL": tap.AtMAIL, "RCPT": tap.AtRCPT, "DATA": tap.AtDATA, "QUIT": tap.AtQUIT,
}

func (r *hopReader) say(at time.Time, h Hop) { r.passed = append(r.passed, passing{Hop: h, at: at}) }

// session passes the stages of an SMTP session.
func (r *hopReader) session(x tap.Exchange) {
	m := x.Mail
	to := ""
	if len(m.To) > 0 {
		to = m.To[0]
	}
	if len(m.After) == 0 && (len(m.Dialogue) == 0 || m.Dialogue[0].By != "app") {
		r.say(x.Began, Hop{At: tap.AtConnect, When: Before})
	}
	data := false
	for _, line := range m.Dialogue {
		verb, _, _ := strings.Cut(strings.ToUpper(line.Text), " ")
		at, ok := verbs[verb]
		if line.By != "app" || !ok {
			continue
		}
		h := Hop{At: at, When: Before}
		switch at {
		case tap.AtRCPT:
			h.To = recipientIn(line, m, to)
		case tap.AtDATA:
			if to == "" { // no recipient was accepted: the app has sent its commands at once, without waiting for replies
				continue
			}
			h.To, data = to, true
		}
		r.say(line.At, h)
	}
	broken := slices.ContainsFunc(r.schedule.Faults, func(f Fault) bool { return f.At == tap.AtBody && slices.Contains(x.Faults, f.name()) })
	if !data || m.Size == 0 && !broken { // without DATA it came in chunks
		return
	}
	last := endOf(x)
	if m.Accepted {
		last = m.AcceptedAt
	}
	r.say(last, Hop{At: tap.AtBody, When: Before, To: to})
	if broken {
		return
	}
	r.say(last, Hop{At: tap.AtDot, When: Before, To: to})
	if m.Accepted {
		r.say(last, Hop{At: tap.AtDot, When: After, To: to})
	}
}

// recipientIn returns the recipient that a RCPT command names.
func recipientIn(line harness.SMTPLine, m *harness.MailTransaction, otherwise string) string {
	for _, to := range slices.Concat(m.To, m.Refused) {
		if strings.Contains(strings.ToLower(line.Text), strings.ToLower(to)) {
			return to
		}
	}
	return otherwise
}

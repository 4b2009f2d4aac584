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
		s = fmt.Sprintf("step %q", h.Step)
	case tap.AtCheckpoint:
		s = fmt.Sprintf("the checkpoint of step %q", h.Step)
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
	at time.Time
}

// hopsOf returns the hops that exchanges passed, in sequence.
func hopsOf(exchanges []tap.Exchange) []passing {
	r := hopReader{names: stepNames(exchanges), follows: map[string][]Hop{}, last: map[string]string{}}
	exchanges = slices.SortedFunc(slices.Values(exchanges), func(a, b tap.Exchange) int { return cmp.Compare(a.ID, b.ID) })
	for _, x := range exchanges {
		r.steps(x)
	}
	for _, x := range exchanges {
		r.read(x)
	}
	slices.SortStableFunc(r.passed, func(a, b passing) int { return a.at.Compare(b.at) })
	seen := map[Hop]int{}
	for i := range r.passed {
		h := &r.passed[i].Hop
		seen[h.kind()]++
		h.N = seen[*h]
	}
	return r.passed
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

type hopReader struct {
	names   map[string]string
	follows map[string][]Hop  // the steps of a function, by function and the hashed id of the step before
	last    map[string]string // hashed id of the step that ended last, by run
	passed  []passing
}

// steps learns which steps follow which.
func (r *hopReader) steps(x tap.Exchange) {
	learn := func(function, run string, ops []tap.Op) {
		for _, op := range ops {
			if name, ok := r.names[op.ID]; ok && op.Op.Ran() {
				key := function + " " + r.last[run]
				begin := Hop{At: tap.AtStep, When: Before, Function: function, Step: name, After: r.names[r.last[run]]}
				if !slices.Contains(r.follows[key], begin) {
					r.follows[key] = append(r.follows[key], begin)
				}
				r.last[run] = op.ID
			}
		}
	}
	switch {
	case x.Call != nil:
		r.last[x.Call.RunID] = x.Call.After
		learn(x.Call.FunctionID, x.Call.RunID, x.Call.Ops)
	case x.Checkpoint != nil:
		learn(x.Checkpoint.FunctionID, x.Checkpoint.RunID, x.Checkpoint.Steps)
	}
}

func (r *hopReader) pass(at time.Time, h Hop) { r.passed = append(r.passed, passing{h, at}) }

// begins passes the beginning of the step that follows, as the tap sees it: see [tap.AtStep].
func (r *hopReader) begins(at time.Time, function, after, target string) {
	for _, h := range r.follows[function+" "+after] {
		if target == "" || h.Step == r.names[target] {
			r.pass(at, h)
		}
	}
}

// ends passes the ends of steps.
func (r *hopReader) ends(at time.Time, point tap.Point, function string, ops []tap.Op) {
	for _, op := range ops {
		if name, ok := r.names[op.ID]; ok && op.Op.Ran() {
			r.pass(at, Hop{At: point, When: After, Function: function, Step: name})
		}
	}
}

func (r *hopReader) read(x tap.Exchange) {
	ended := x.Ended
	if ended.IsZero() {
		ended = x.Began
	}
	switch {
	case x.Call != nil:
		call := Hop{At: tap.AtCall, When: Before, Function: x.Call.FunctionID}
		r.pass(x.Began, call)
		r.begins(x.Began, x.Call.FunctionID, x.Call.After, x.Call.Step)
		if x.Call.Status != 0 {
			r.ends(ended, tap.AtStep, x.Call.FunctionID, x.Call.Ops)
			call.When = After
			r.pass(ended, call)
		}
	case x.Checkpoint != nil && len(x.Checkpoint.Steps) > 0:
		function, steps := x.Checkpoint.FunctionID, x.Checkpoint.Steps
		r.ends(x.Began, tap.AtStep, function, steps)
		if name, ok := r.names[steps[0].ID]; ok {
			save := Hop{At: tap.AtCheckpoint, When: Before, Function: function, Step: name}
			r.pass(x.Began, save)
			save.When = After
			r.pass(ended, save)
		}
		r.begins(ended, function, steps[len(steps)-1].ID, "")
	case x.Dispatch != nil && len(x.Dispatch.Events) > 0:
		sent := Hop{At: tap.AtEvent, When: Before, Event: x.Dispatch.Events[0].Name}
		r.pass(x.Began, sent)
		sent.When = After
		r.pass(ended, sent)
	case x.Mail != nil:
		r.session(x)
	}
}

// verbs are the commands of an SMTP session at whose points something can happen.
var verbs = map[string]tap.Point{
	"AUTH": tap.AtAUTH, "MAIL": tap.AtMAIL, "RCPT": tap.AtRCPT, "DATA": tap.AtDATA, "QUIT": tap.AtQUIT,
}

// session passes the stages of an SMTP session.
func (r *hopReader) session(x tap.Exchange) {
	m := x.Mail
	to := ""
	if all := slices.Concat(m.To, m.Refused); len(all) > 0 {
		to = all[0]
	}
	if len(m.After) == 0 && (len(m.Dialogue) == 0 || m.Dialogue[0].By != "app") {
		r.pass(x.Began, Hop{At: tap.AtConnect, When: Before})
	}
	data := false
	for _, line := range m.Dialogue {
		if line.By != "app" {
			continue
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line.Text), " ")
		at, ok := verbs[verb]
		if !ok {
			continue
		}
		h := Hop{At: at, When: Before}
		switch at {
		case tap.AtRCPT:
			h.To = recipientIn(line, m, to)
		case tap.AtDATA:
			h.To, data = to, true
		}
		r.pass(line.At, h)
	}
	if !data || to == "" || m.Size == 0 {
		return
	}
	last := x.Ended
	if m.Accepted {
		last = m.AcceptedAt
	}
	r.pass(last, Hop{At: tap.AtBody, When: Before, To: to})
	r.pass(last, Hop{At: tap.AtDot, When: Before, To: to})
	if m.Accepted {
		r.pass(last, Hop{At: tap.AtDot, When: After, To: to})
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

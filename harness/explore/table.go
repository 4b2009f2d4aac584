package explore

import (
	"fmt"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A Kind is what goes wrong at a hop.
type Kind string

// The kinds.
const (
	// Refuse answers that it cannot be done now: 503, or an SMTP reply of 4xx. RefuseForGood answers that it never can.
	Refuse        Kind = "refuse"
	RefuseForGood Kind = "refuse-for-good"
	// Drop loses the message before the far side has it, LoseAnswer the answer once the far side has acted.
	Drop       Kind = "drop"
	LoseAnswer Kind = "lose-answer"
	// Twice delivers a call a second time after the first, TwiceAtOnce beside it.
	Twice       Kind = "twice"
	TwiceAtOnce Kind = "twice-at-once"
	// Late delivers a call only after Inngest has given it up and the next attempt is over.
	Late Kind = "late"
	// Freeze stops the app here. Inngest gives its call up and makes the next attempt; when that is over the app goes on.
	Freeze Kind = "freeze"
	// Kill kills the app here and starts it again.
	Kill Kind = "kill"
	// Send sends another event here, and lets what follows from it happen first.
	Send Kind = "send"
	// The kinds below kill a server here and start it again. Inngest has then lost its state.
	RestartMail     Kind = "restart-mail"
	RestartDatabase Kind = "restart-database"
	RestartInngest  Kind = "restart-inngest"
)

// A kindWord is a kind with what it is, in a sentence.
type kindWord struct {
	Kind
	says string
}

// kinds has all of them: those that a developer has met before those that have to be believed. Of schedules of one length the
// one with the more common faults tells the story of a finding.
var kinds = []kindWord{
	{Kill, "The app is killed here and started again."},
	{LoseAnswer, "The far side acts, and its answer is lost."},
	{Refuse, "It is answered that it cannot be done now: 503, or an SMTP reply of 4xx."},
	{Drop, "The message is lost before the far side has it."},
	{RefuseForGood, "It is answered that it can never be done: an SMTP reply of 5xx."},
	{Send, "Another event comes here."},
	{RestartDatabase, "The database is killed here and started again."},
	{RestartMail, "The mail server is killed here and started again."},
	{RestartInngest, "Inngest is killed here and started again without its state."},
	{Freeze, "The app stops here, Inngest gives its call up and makes the next attempt, and then the app goes on."},
	{Late, "A call reaches the app only after Inngest has given it up and the next attempt is over."},
	{Twice, "A call is delivered a second time after the first."},
	{TwiceAtOnce, "A call is delivered twice at the same time."},
}

// service is the server that a kind restarts, if it does.
func (k Kind) service() harness.Service {
	return map[Kind]harness.Service{
		RestartMail: harness.ServiceMailHog, RestartDatabase: harness.ServiceMongo, RestartInngest: harness.ServiceInngest,
	}[k]
}

// A Fault is one thing that goes wrong at one hop.
type Fault struct {
	Hop
	Do Kind `json:"do"`
	// Number is that of the event that Send sends, from 2.
	Number int `json:"number,omitempty"`
}

// A rule says that something can happen at a kind of hop.
type rule struct {
	at   tap.Point
	when When
	do   Kind
	// tap is the fault on the wire. For those that the harness acts on while the wire waits it holds.
	tap tap.Fault
	// says describes it, with the hop in place of %s.
	says string
}

var (
	hold       = tap.Fault{Do: tap.Hold}
	holdAnswer = tap.Fault{Do: tap.HoldAnswer}
	drop       = tap.Fault{Do: tap.Drop}
	dropAnswer = tap.Fault{Do: tap.DropAnswer}
)

func reply(code int) tap.Fault { return tap.Fault{Do: tap.Reply, Code: code} }

// rules is the one place that says which faults can happen where.
var rules = []rule{
	{atStart, "", Send, tap.Fault{}, "event %[2]d came before the others"},

	{tap.AtCall, Before, Refuse, reply(503), "%s was refused with 503"},
	{tap.AtCall, Before, Drop, drop, "%s was lost on its way"},
	{tap.AtCall, Before, Twice, tap.Fault{Do: tap.Twice}, "%s was delivered twice"},
	{tap.AtCall, Before, TwiceAtOnce, tap.Fault{Do: tap.Twice, Concurrent: true}, "%s was delivered twice at once"},
	{tap.AtCall, Before, Late, hold, "%s reached the app only after the next attempt"},
	{tap.AtCall, Before, Kill, hold, "the app was killed when %s came"},
	{tap.AtCall, Before, Send, hold, "event %[2]d came before %[1]s"},
	{tap.AtCall, After, LoseAnswer, dropAnswer, "the answer to %s was lost"},
	{tap.AtCall, After, Kill, holdAnswer, "the app was killed when it answered %s"},

	{tap.AtStep, Before, Kill, hold, "the app was killed before %s"},
	{tap.AtStep, Before, Send, hold, "event %[2]d came before %[1]s"},
	{tap.AtStep, Before, RestartDatabase, hold, "the database was killed before %s, and started again"},
	{tap.AtStep, Before, RestartInngest, hold, "Inngest was killed before %s, and started again without its state"},
	{tap.AtStep, After, LoseAnswer, dropAnswer, "the result of %s was lost"},
	{tap.AtStep, After, Freeze, holdAnswer, "the app froze after %s and before its result was saved, and went on after the next attempt"},
	{tap.AtStep, After, Kill, holdAnswer, "the app was killed after %s and before its result was saved"},
	{tap.AtStep, After, RestartInngest, holdAnswer, "Inngest was killed after %s and before its result was saved, and started again without its state"},

	{tap.AtCheckpoint, Before, Refuse, reply(503), "%s was refused with 503"},
	{tap.AtCheckpoint, Before, Drop, drop, "%s was lost on its way"},
	{tap.AtCheckpoint, After, LoseAnswer, dropAnswer, "the answer to %s was lost"},

	{tap.AtEvent, Before, Refuse, reply(503), "%s was refused with 503"},
	{tap.AtEvent, Before, Drop, drop, "%s was lost on its way"},
	{tap.AtEvent, Before, Freeze, hold, "the app froze before %s, and went on after the next attempt"},
	{tap.AtEvent, Before, Kill, hold, "the app was killed before %s"},
	{tap.AtEvent, Before, Send, hold, "event %[2]d came before %[1]s"},
	{tap.AtEvent, After, LoseAnswer, dropAnswer, "the answer to %s was lost: Inngest had taken it"},
	{tap.AtEvent, After, Freeze, holdAnswer, "the app froze after %s, and went on after the next attempt"},
	{tap.AtEvent, After, Kill, holdAnswer, "the app was killed after %s"},

	{tap.AtConnect, Before, Drop, drop, "%s was refused"},
	{tap.AtConnect, Before, Refuse, reply(421), "%s was answered with 421"},
	{tap.AtAUTH, Before, Refuse, reply(454), "%s was answered with 454"},
	{tap.AtAUTH, Before, RefuseForGood, reply(535), "%s was answered with 535"},
	{tap.AtMAIL, Before, Refuse, reply(451), "%s was answered with 451"},
	{tap.AtMAIL, Before, RefuseForGood, reply(550), "%s was answered with 550"},
	{tap.AtRCPT, Before, Refuse, reply(450), "%s was answered with 450"},
	{tap.AtRCPT, Before, RefuseForGood, reply(550), "%s was answered with 550"},
	{tap.AtDATA, Before, Refuse, reply(451), "%s was answered with 451"},
	{tap.AtDATA, Before, RefuseForGood, reply(554), "%s was answered with 554"},
	{tap.AtBody, Before, Drop, drop, "the connection broke within %s"},
	{tap.AtDot, Before, Refuse, reply(452), "%s was answered with 452"},
	{tap.AtDot, Before, RefuseForGood, reply(554), "%s was answered with 554"},
	{tap.AtDot, Before, Drop, drop, "the connection broke at %s: the mail server did not accept it"},
	{tap.AtDot, Before, Freeze, hold, "the app froze at %s, before the mail server accepted, and went on after the next attempt"},
	{tap.AtDot, Before, Kill, hold, "the app was killed at %s, before the mail server accepted"},
	{tap.AtDot, Before, Send, hold, "event %[2]d came at %[1]s, before the mail server accepted"},
	{tap.AtDot, Before, RestartMail, hold, "the mail server was killed at %s, and started again"},
	{tap.AtDot, Before, RestartDatabase, hold, "the database was killed at %s, before the mail server accepted, and started again"},
	{tap.AtDot, After, LoseAnswer, dropAnswer, "the mail server accepted, and its reply to %s was lost"},
	{tap.AtDot, After, Freeze, holdAnswer, "the app froze at %s, after the mail server accepted, and went on after the next attempt"},
	{tap.AtDot, After, Kill, holdAnswer, "the app was killed at %s, after the mail server accepted"},
	{tap.AtDot, After, RestartDatabase, holdAnswer, "the database was killed at %s, after the mail server accepted, and started again"},
	{tap.AtDot, After, RestartInngest, holdAnswer, "Inngest was killed at %s, after the mail server accepted, and started again without its state"},
	{tap.AtQUIT, Before, Drop, drop, "the connection broke at %s"},
	{tap.AtQUIT, Before, Kill, hold, "the app was killed at %s: it knew that the mail server had accepted"},
}

// ruleOf returns the rule of a fault; ok is false if nothing of its kind can happen there.
func ruleOf(f Fault) (_ rule, ok bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.at == f.At && r.when == f.When && r.do == f.Do })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// String says in a sentence what goes wrong.
func (f Fault) String() string {
	r, ok := ruleOf(f)
	if !ok {
		return fmt.Sprintf("%s at %s", f.Do, f.Hop)
	}
	if f.Do == Send {
		return fmt.Sprintf(r.says, f.Hop, f.Number)
	}
	return fmt.Sprintf(r.says, f.Hop)
}

// permanent reports whether the app cannot be expected to succeed after it.
func (f Fault) permanent() bool { return f.Do == RefuseForGood }

// holds reports whether an exchange waits at the fault, so that other faults can act on it there, too.
func (f Fault) holds() bool {
	r, _ := ruleOf(f)
	return r.tap.Do == tap.Hold || r.tap.Do == tap.HoldAnswer
}

// faultsAt returns what can happen at a hop, on a target with these abilities, when the schedule has so many events.
func faultsAt(h Hop, can abilities, events int) (faults []Fault) {
	for _, r := range rules {
		switch {
		case r.at != h.At, r.when != h.When, r.do == Kill && !can.kill, r.do == Late && !can.late, r.do == Freeze && !can.late:
			continue
		case r.do.service() != "" && !slices.Contains(can.services, r.do.service()):
			continue
		case r.do == Send:
			for n := 2; n <= events; n++ {
				faults = append(faults, Fault{Hop: h, Do: Send, Number: n})
			}
			continue
		}
		faults = append(faults, Fault{Hop: h, Do: r.do})
	}
	return faults
}

// onWire returns the fault that is injected into the taps. skip is how many exchanges pass first.
func (f Fault) onWire(r rule, skip int) tap.Fault {
	t := r.tap
	t.At, t.Function, t.Step, t.After, t.Event, t.To, t.Skip = f.At, f.Function, f.Step, f.After, f.Event, f.To, skip
	t.Name = f.name()
	return t
}

// name is what the taps record.
func (f Fault) name() string { return "explore: " + f.String() }

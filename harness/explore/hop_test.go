package explore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a time some milliseconds after noon.
func at(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// ran are results of steps. The id of one that is used again is "id:1".
func ran(steps ...string) (ops []tap.Op) {
	for _, s := range steps {
		name := s
		if n := len(s) - 2; n > 0 && s[n] == ':' {
			name = s[:n]
		}
		ops = append(ops, tap.Op{Op: sdk.OpStepRun, ID: sdk.StepHash(s), Name: name})
	}
	return ops
}

// after is the hashed id of a step, "" for none.
func after(step string) string {
	if step == "" {
		return ""
	}
	return sdk.StepHash(step)
}

// A script is the exchanges of a test. Each exchange begins and ends at a number of milliseconds.
type script struct{ exchanges []tap.Exchange }

func (s *script) add(from, to int, x tap.Exchange) *tap.Exchange {
	x.ID, x.Began, x.Ended = uint64(len(s.exchanges)+1), at(from), at(to)
	s.exchanges = append(s.exchanges, x)
	return &s.exchanges[len(s.exchanges)-1]
}

// call adds a call of the function shop-notify that the app answered with the results of steps, or as the function's end.
func (s *script) call(from, to int, afterStep string, ops ...tap.Op) *tap.Exchange {
	status := 206
	if len(ops) == 0 {
		status = 200
	}
	return s.add(from, to, tap.Exchange{HTTP: &tap.HTTP{Status: status}, Call: &tap.Call{
		FunctionID: "shop-notify", RunID: "run", After: after(afterStep), Status: status, Ops: ops,
	}})
}

func (s *script) checkpoint(from, to int, call uint64, ops ...tap.Op) *tap.Exchange {
	return s.add(from, to, tap.Exchange{HTTP: &tap.HTTP{Status: 200}, Checkpoint: &tap.Checkpoint{
		RunID: "run", Call: call, FunctionID: "shop-notify", Steps: ops,
	}})
}

func (s *script) event(from, to int, name string) *tap.Exchange {
	return s.add(from, to, tap.Exchange{HTTP: &tap.HTTP{Status: 200}, Dispatch: &tap.Dispatch{Events: []tap.Event{{Name: name}}}})
}

// hops are those of the exchanges, in words.
func (s *script) hops(faults ...Fault) (says []string) {
	for _, p := range hopsOf(s.exchanges, Schedule{faults}) {
		says = append(says, fmt.Sprintf("%s %s", p.When, p.Hop))
	}
	return says
}

func TestHopsOf_StepsOfOneCallEach(t *testing.T) {
	t.Parallel()
	var s script
	s.call(0, 10, "", ran("load")...)
	s.call(20, 30, "load", ran("send")...)
	s.call(40, 50, "send")
	require.Equal(t, []string{
		"before call 1 of shop-notify", `before step "load" of shop-notify`, `after step "load" of shop-notify`, "after call 1 of shop-notify",
		"before call 2 of shop-notify", `before step "send" of shop-notify, after "load"`, `after step "send" of shop-notify`, "after call 2 of shop-notify",
		"before call 3 of shop-notify", "after call 3 of shop-notify",
	}, s.hops())
	hops := hopsOf(s.exchanges, Schedule{})
	require.Equal(t, Hop{At: tap.AtStep, When: Before, Function: "shop-notify", Step: "load", N: 1}, hops[1].Hop)
	require.Equal(t, Hop{At: tap.AtStep, When: Before, Function: "shop-notify", Step: "send", After: "load", N: 1}, hops[5].Hop)
	require.Equal(t, at(30), hops[6].at)
}

func TestHopsOf_StepsOfACheckpointedCall(t *testing.T) {
	t.Parallel()
	var s script
	s.call(0, 60, "")
	s.checkpoint(10, 20, 1, ran("load")...)
	s.checkpoint(30, 40, 1, ran("send")...)
	require.Equal(t, []string{
		"before call 1 of shop-notify", `before step "load" of shop-notify`,
		`after step "load" of shop-notify`, `before the checkpoint of step "load" of shop-notify`,
		`after the checkpoint of step "load" of shop-notify`, `before step "send" of shop-notify, after "load"`,
		`after step "send" of shop-notify`, `before the checkpoint of step "send" of shop-notify`,
		`after the checkpoint of step "send" of shop-notify`,
		"after call 1 of shop-notify",
	}, s.hops())
}

func TestHopsOf_StepThatFailsAfterACheckpointIsTriedAgain(t *testing.T) {
	t.Parallel()
	var s script
	failed := ran("send")
	failed[0].Op = sdk.OpStepError
	s.call(0, 60, "", failed...)
	s.checkpoint(10, 20, 1, ran("load")...)
	s.call(70, 80, "load", ran("send")...)
	require.Equal(t, []string{
		"before call 1 of shop-notify", `before step "load" of shop-notify`,
		`after step "load" of shop-notify`, `before the checkpoint of step "load" of shop-notify`,
		`after the checkpoint of step "load" of shop-notify`, `before step "send" of shop-notify, after "load"`,
		`after step "send" of shop-notify`, "after call 1 of shop-notify",
		"before call 2 of shop-notify", `before step "send" of shop-notify, after "load", time 2`,
		`after step "send" of shop-notify, time 2`, "after call 2 of shop-notify",
	}, s.hops())
}

func TestHopsOf_TwoCallsOfOneRunAtOnce(t *testing.T) {
	t.Parallel()
	var s script
	s.call(0, 90, "")
	s.call(5, 80, "")
	s.checkpoint(10, 20, 1, ran("load")...)
	s.checkpoint(11, 21, 2, ran("load")...)
	s.checkpoint(30, 40, 2, ran("send")...)
	for _, p := range hopsOf(s.exchanges, Schedule{}) {
		if p.At == tap.AtStep && p.When == Before {
			require.NotEqual(t, p.Step, p.After, "a step does not follow itself")
		}
	}
}

func TestHopsOf_PlannedStepsRunInCallsOfTheirOwn(t *testing.T) {
	t.Parallel()
	var s script
	s.call(0, 10, "", tap.Op{Op: sdk.OpStepPlanned, ID: sdk.StepHash("a"), Name: "a"}, tap.Op{Op: sdk.OpStepPlanned, ID: sdk.StepHash("b"), Name: "b"})
	s.call(20, 30, "", ran("a")...).Call.Step = sdk.StepHash("a")
	s.call(40, 50, "", ran("b")...).Call.Step = sdk.StepHash("b")
	hops := s.hops()
	require.Equal(t, []string{"before call 2 of shop-notify", `before step "a" of shop-notify, time 2`, `after step "a" of shop-notify`}, hops[4:7],
		"the taps take the first call for one that runs the steps which follow nothing")
	require.Equal(t, []string{"before call 3 of shop-notify", `before step "b" of shop-notify, time 2`, `after step "b" of shop-notify`}, hops[8:11])
}

func TestHopsOf_SecondUseOfAnID(t *testing.T) {
	t.Parallel()
	var s script
	s.call(0, 10, "", ran("send")...)
	s.call(20, 30, "send", ran("send:1")...)
	require.Contains(t, s.hops(), `after step "send:1" of shop-notify`)
}

func TestHopsOf_ShowsNoStepWithoutItsName(t *testing.T) {
	t.Parallel()
	var s script
	s.call(0, 10, "", tap.Op{Op: sdk.OpStepRun, ID: "0123"}, tap.Op{Op: sdk.OpSleep, ID: sdk.StepHash("wait"), Name: "wait"})
	s.checkpoint(2, 3, 1, tap.Op{Op: sdk.OpStepRun, ID: "0123"})
	require.Equal(t, []string{"before call 1 of shop-notify", "after call 1 of shop-notify"}, s.hops())
}

func TestHopsOf_EventsAndCallsAreCounted(t *testing.T) {
	t.Parallel()
	var s script
	s.event(0, 10, "order/paid")
	s.event(5, 8, "order/paid")
	s.event(20, 30, "order/sent").HTTP.Status = 0 // it was lost
	require.Equal(t, []string{
		`before the sending of the event "order/paid"`, `before the sending of the event "order/paid", time 2`,
		`after the sending of the event "order/paid"`, `after the sending of the event "order/paid", time 2`,
		`before the sending of the event "order/sent"`,
	}, s.hops())
}

// dialogue are lines of an SMTP dialogue: what the app said, and in brackets what the server said.
func dialogue(from int, lines ...string) (d []harness.SMTPLine) {
	for i, line := range lines {
		by, text := "app", line
		if line[0] == '[' {
			by, text = "server", line[1:len(line)-1]
		}
		d = append(d, harness.SMTPLine{At: at(from + i), By: by, Text: text})
	}
	return d
}

func TestHopsOf_SMTPSession(t *testing.T) {
	t.Parallel()
	var s script
	s.add(0, 90, tap.Exchange{Mail: &harness.MailTransaction{
		To: []string{"Kim@plant.test"}, Refused: []string{"lee@plant.test"}, Size: 100, Accepted: true, AcceptedAt: at(80), Reported: true,
		Dialogue: dialogue(1, "[220 ready]", "EHLO app", "[250 ok]", "AUTH PLAIN ***", "MAIL FROM:<a@b>", "RCPT TO:<lee@plant.test>", "[550 no]", "RCPT TO:<kim@plant.test>", "DATA", "(message of 100 bytes)"),
	}})
	require.Equal(t, []string{
		"before the connection to the mail server", "before AUTH", "before MAIL", "before RCPT to lee@plant.test", "before RCPT to Kim@plant.test",
		"before DATA to Kim@plant.test", "before the message to Kim@plant.test", "before the end of the message to Kim@plant.test",
		"after the end of the message to Kim@plant.test", "before QUIT",
	}, s.hops())
}

// An app that pipelines says DATA although nothing was accepted. From there on a fault matches a recipient that was.
func TestHopsOf_SMTPSessionWithoutRecipient(t *testing.T) {
	t.Parallel()
	var s script
	s.add(0, 90, tap.Exchange{Mail: &harness.MailTransaction{
		Refused: []string{"kim@plant.test"}, Dialogue: dialogue(1, "[220 ready]", "MAIL FROM:<a@b>", "RCPT TO:<kim@plant.test>", "DATA", "[451 no]", "[500 no]", "[503 no]"),
	}})
	require.Equal(t, []string{"before the connection to the mail server", "before MAIL", "before RCPT to kim@plant.test"}, s.hops())
}

func TestHopsOf_EmailsOnOneConnection(t *testing.T) {
	t.Parallel()
	var s script
	s.add(0, 20, tap.Exchange{Mail: &harness.MailTransaction{Connection: 1, To: []string{"kim@plant.test"}, Size: 1, Accepted: true, AcceptedAt: at(10), Reported: true,
		Dialogue: dialogue(1, "[220 ready]", "DATA")}})
	s.add(20, 40, tap.Exchange{Mail: &harness.MailTransaction{Connection: 1, To: []string{"lee@plant.test"}, Size: 1,
		Dialogue: dialogue(21, "MAIL FROM:<a@b>", "DATA", "[452 full]", "QUIT")}})
	require.Equal(t, []string{
		"before the connection to the mail server", "before DATA to kim@plant.test", "before the message to kim@plant.test",
		"before the end of the message to kim@plant.test", "after the end of the message to kim@plant.test",
		"before MAIL", "before DATA to lee@plant.test", "before QUIT", "before the message to lee@plant.test", "before the end of the message to lee@plant.test",
	}, s.hops(), "the app says QUIT after the last one; the taps record it only within a delivery")
}

// acts notes that a fault acted on an exchange.
func acts(x *tap.Exchange, do Kind, h Hop) Fault {
	f := Fault{Hop: h, Do: do}
	x.Faults = append(x.Faults, f.name())
	return f
}

func TestHopsOf_WhatAFaultEndedPassesNothingElse(t *testing.T) {
	t.Parallel()
	call, step := Hop{At: tap.AtCall, When: Before, Function: "shop-notify", N: 1}, Hop{At: tap.AtStep, When: After, Function: "shop-notify", Step: "load", N: 1}
	answer := call
	answer.When = After
	save := Hop{At: tap.AtCheckpoint, When: Before, Function: "shop-notify", Step: "load", N: 1}
	saved := save
	saved.When = After
	event := Hop{At: tap.AtEvent, When: Before, Event: "order/paid", N: 1}
	sent := event
	sent.When = After
	const (
		called, answered = "before call 1 of shop-notify", "after call 1 of shop-notify"
		begun, done      = `before step "load" of shop-notify`, `after step "load" of shop-notify`
		saves, isSaved   = `before the checkpoint of step "load" of shop-notify`, `after the checkpoint of step "load" of shop-notify`
		sends, isSent    = `before the sending of the event "order/paid"`, `after the sending of the event "order/paid"`
	)
	for name, c := range map[string]struct {
		do   Kind
		hop  Hop
		make func(*script) *tap.Exchange
		want []string
	}{
		"a call that was refused": {Refuse, call, func(s *script) *tap.Exchange {
			x := s.call(0, 10, "")
			x.HTTP.Status, x.Call.Status = 503, 0
			return x
		}, []string{called, "before call 2 of shop-notify", `before step "load" of shop-notify`, done, "after call 1 of shop-notify"}},
		"a call that came twice": {Twice, call, func(s *script) *tap.Exchange { return s.call(0, 10, "", ran("load")...) },
			[]string{called, done, answered, "before call 2 of shop-notify", begun, `after step "load" of shop-notify, time 2`, "after call 2 of shop-notify"}},
		"an app that was killed when the call came": {Kill, call, func(s *script) *tap.Exchange {
			x := s.call(0, 10, "")
			x.HTTP.Status, x.Call.Status = 0, 0
			return x
		}, []string{called, "before call 2 of shop-notify", begun + ", time 2", done, answered}},
		"a result that was lost": {LoseAnswer, step, func(s *script) *tap.Exchange {
			x := s.call(0, 10, "", ran("load")...)
			x.HTTP.Status = 0
			return x
		}, []string{called, begun, done, "before call 2 of shop-notify", begun + ", time 2", done + ", time 2", answered}},
		"a call that was given up before its answer": {Late, call, func(s *script) *tap.Exchange {
			x := s.call(0, 10, "", ran("load")...)
			x.HTTP.Status, x.Call.GivenUp = 0, at(5)
			return x
		}, []string{called, begun, "before call 2 of shop-notify", begun + ", time 2", done, answered}},
		"a call that was given up at its answer": {Freeze, step, func(s *script) *tap.Exchange {
			x := s.call(0, 10, "", ran("load")...)
			x.HTTP.Status, x.Call.GivenUp = 0, at(5)
			return x
		}, []string{called, begun, done, answered, "before call 2 of shop-notify", begun + ", time 2", done + ", time 2", "after call 2 of shop-notify"}},
		"an answer that was lost": {LoseAnswer, answer, func(s *script) *tap.Exchange {
			x := s.call(0, 10, "", ran("load")...)
			x.HTTP.Status = 0
			return x
		}, []string{called, begun, answered, "before call 2 of shop-notify", begun + ", time 2", done, "after call 2 of shop-notify"}},
		"a checkpoint that was refused": {Refuse, save, func(s *script) *tap.Exchange {
			s.call(0, 30, "", ran("load")...)
			x := s.checkpoint(10, 20, 1, ran("load")...)
			x.HTTP.Status = 503
			return x
		}, []string{called, begun, saves, done, answered, "before call 2 of shop-notify", begun + ", time 2", done + ", time 2", "after call 2 of shop-notify"}},
		"a checkpoint whose answer was lost": {LoseAnswer, saved, func(s *script) *tap.Exchange {
			s.call(0, 30, "", ran("load")...)
			x := s.checkpoint(10, 20, 1, ran("load")...)
			x.HTTP.Status = 0
			return x
		}, []string{called, begun, done, saves, isSaved, done + ", time 2", answered, "before call 2 of shop-notify", begun + ", time 2", done + ", time 3", "after call 2 of shop-notify"}},
		"a result that was lost in a checkpoint": {LoseAnswer, step, func(s *script) *tap.Exchange {
			s.call(0, 40, "")
			x := s.checkpoint(10, 20, 1, ran("load")...)
			s.checkpoint(22, 30, 1, ran("load")...).HTTP.Status = 0 // the SDK tries again, in vain
			s.exchanges[0].HTTP.Status = 0
			s.exchanges[1].HTTP.Status = 0
			return x
		}, []string{called, begun, done, answered, "before call 2 of shop-notify", begun + ", time 2", done + ", time 2", "after call 2 of shop-notify"}},
		"an event that was refused": {Refuse, event, func(s *script) *tap.Exchange {
			x := s.event(0, 10, "order/paid")
			x.HTTP.Status = 503
			return x
		}, []string{sends, called, begun, done, answered}},
		"an event whose answer was lost": {LoseAnswer, sent, func(s *script) *tap.Exchange {
			x := s.event(0, 10, "order/paid")
			x.HTTP.Status = 0
			return x
		}, []string{sends, isSent, called, begun, done, answered}},
		"an event that waited": {Send, event, func(s *script) *tap.Exchange { return s.event(0, 10, "order/paid") },
			[]string{sends, isSent, called, begun, done, answered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s script
			x := c.make(&s)
			id := x.ID
			s.call(100, 110, "", ran("load")...)
			f := acts(&s.exchanges[id-1], c.do, c.hop)
			require.Equal(t, c.want, s.hops(f))
		})
	}
}

func TestHopsOf_MessageThatBrokeHasNoEnd(t *testing.T) {
	t.Parallel()
	var s script
	x := s.add(0, 90, tap.Exchange{Mail: &harness.MailTransaction{To: []string{"kim@plant.test"}, Dialogue: dialogue(1, "[220 ready]", "DATA", "[354 go on]")}})
	require.Equal(t, []string{"before the connection to the mail server", "before DATA to kim@plant.test"}, s.hops())
	f := acts(x, Drop, Hop{At: tap.AtBody, When: Before, To: "kim@plant.test", N: 1})
	x.Mail.Size = 10
	require.Equal(t, []string{"before the connection to the mail server", "before DATA to kim@plant.test", "before the message to kim@plant.test"}, s.hops(f))
}

func TestHop_String(t *testing.T) {
	t.Parallel()
	require.Equal(t, "the beginning", Hop{At: atStart}.String())
	require.Equal(t, `step "send-email" of shop-notify`, Hop{At: tap.AtStep, Function: "shop-notify", Step: "send-email", N: 1}.String())
	require.Equal(t, `step "send-email" of shop-notify, after "load", time 2`,
		Hop{At: tap.AtStep, When: Before, Function: "shop-notify", Step: "send-email", After: "load", N: 2}.String(), "steps of one name can be two hops")
	require.Equal(t, "MAIL, time 2", Hop{At: tap.AtMAIL, N: 2}.String())
}

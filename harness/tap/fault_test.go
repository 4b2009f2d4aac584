package tap_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestFault_RoundTripsInJSON(t *testing.T) {
	t.Parallel()
	text := `[
		{"at": "rcpt", "to": "kim@plant.test", "do": "reply", "code": 451, "times": 2},
		{"name": "crash", "at": "step", "step": "send-email", "function": "send-request-notification", "attempt": 1, "do": "drop-answer"},
		{"at": "dot", "do": "delay-answer", "for": "1.5s", "chance": 0.1, "times": -1}
	]`
	var got []tap.Fault
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, []tap.Fault{
		{At: tap.AtRCPT, To: "kim@plant.test", Do: tap.Reply, Code: 451, Times: 2},
		{Name: "crash", At: tap.AtStep, Step: "send-email", Function: "send-request-notification", Attempt: 1, Do: tap.DropAnswer},
		{At: tap.AtDot, Do: tap.DelayAnswer, For: 1500 * time.Millisecond, Chance: 0.1, Times: -1},
	}, got)
	written, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, text, string(written))

	for text, want := range map[string]string{
		`"drop"`:                            `the whole is string, want an object`,
		`{"at":"dot","dou":"x"}`:            `unknown field "dou": did you mean "do"?`,
		`{"at":"dot","do":"hold","For":-1}`: `unknown field "For": it is spelt "for"`,
		`{"at":"dot","do":"delay","for":3}`: `for is number, want a duration`,
		`{"at":"dot","for":"soon"}`:         `"soon" is not a duration such as "1.5s" or "3d"`,
	} {
		require.ErrorContains(t, json.Unmarshal([]byte(text), new(tap.Fault)), want, text)
	}
}

func TestFault_ValidateRejectsWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]tap.Fault{
		`an empty fault does nothing: say where with "at" and what with "do"`:                                                                              {},
		`"at" is "dor": it must be one of call, step, checkpoint, event, sync, register, connect, ehlo, starttls, auth, mail, rcpt, data, body, dot, quit`: {At: "dor", Do: tap.Hold},
		`"do" is "": at call it must be one of twice, drop, reply, lose, delay, hold, drop-answer, delay-answer, hold-answer`:                              {At: tap.AtCall},
		`"do" is "twice": at dot it must be one of drop, reply, lose, delay, hold, drop-answer, delay-answer, hold-answer`:                                 {At: tap.AtDot, Do: tap.Twice},
		`"to" cannot be matched at mail, where nothing can`:                                                                                                {At: tap.AtMAIL, Do: tap.Drop, To: "kim@plant.test"},
		`"event" cannot be matched at checkpoint: it knows function, run, attempt, step`:                                                                   {At: tap.AtCheckpoint, Do: tap.Drop, Event: "x"},
		`delay needs "for"`:                             {At: tap.AtDot, Do: tap.Delay},
		`reply needs "code"`:                            {At: tap.AtDot, Do: tap.Reply},
		`throttle needs "rate"`:                         {At: tap.AtBody, Do: tap.Throttle},
		`"for" has no effect on hold`:                   {At: tap.AtDot, Do: tap.Hold, For: time.Second},
		`"code" has no effect on drop`:                  {At: tap.AtDot, Do: tap.Drop, Code: 421},
		`"rate" has no effect on drop`:                  {At: tap.AtDot, Do: tap.Drop, Rate: 1},
		`"text" has no effect on drop`:                  {At: tap.AtDot, Do: tap.Drop, Text: "x"},
		`"bytes" cannot be matched at dot: it knows to`: {At: tap.AtDot, Do: tap.Drop, Bytes: 1},
		`"bytes" has no effect on throttle`:             {At: tap.AtBody, Do: tap.Throttle, Rate: 1, Bytes: 1},
		`"concurrent" has no effect on drop`:            {At: tap.AtCall, Do: tap.Drop, Concurrent: true},
		`"second" has no effect on drop`:                {At: tap.AtCall, Do: tap.Drop, Second: true},
		`a fault at step needs "step"`:                  {At: tap.AtStep, Do: tap.Hold},
		`"after" has no effect on drop-answer: an answer names its steps, match "step"`:                              {At: tap.AtCall, Do: tap.DropAnswer, After: "x"},
		`"for", "rate", "bytes", "skip" and "attempt" cannot be negative`:                                            {At: tap.AtDot, Do: tap.Delay, For: -1},
		`"to" is "Kim <kim@plant.test>", which is not one address alone: give it without a name and without < and >`: {At: tap.AtRCPT, Do: tap.Drop, To: "Kim <kim@plant.test>"},
		`"chance" must be between 0 and 1`:                                                                           {At: tap.AtDot, Do: tap.Drop, Chance: 1.1},
		`"code" must be between 200 and 599`:                                                                         {At: tap.AtDot, Do: tap.Reply, Code: 700},
		`"code" must be at least 400 at connect: the tap has no service of its own to offer`:                         {At: tap.AtConnect, Do: tap.Reply, Code: 220},
		`"text" of an SMTP reply must be one line`:                                                                   {At: tap.AtDot, Do: tap.Reply, Code: 550, Text: "a\r\n250 b"},
	} {
		require.EqualError(t, f.Validate(), want)
	}
	require.NoError(t, tap.Fault{At: tap.AtCall, Do: tap.Reply, Code: 503, Text: "a\nb"}.Validate())
	_, err := newSet(t, tap.Options{}).Inject(tap.Fault{})
	require.EqualError(t, err, `inject fault: an empty fault does nothing: say where with "at" and what with "do"`)
}

func TestFault_StringDescribesIt(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]tap.Fault{
		`crash`: {Name: "crash", At: tap.AtStep, Do: tap.DropAnswer},
		`drop-answer at step "send-email" of "send-request-notification", attempt 2`: {
			At: tap.AtStep, Do: tap.DropAnswer, Step: "send-email", Function: "send-request-notification", Attempt: 2,
		},
		`hold at step "send-email" after "get-technician-email" in run "01RUN"`: {
			At: tap.AtStep, Do: tap.Hold, Step: "send-email", After: "get-technician-email", Run: "01RUN",
		},
		`reply 451 at rcpt to "kim@plant.test"`:       {At: tap.AtRCPT, Do: tap.Reply, Code: 451, To: "kim@plant.test"},
		`delay 1.5s at dot`:                           {At: tap.AtDot, Do: tap.Delay, For: 1500 * time.Millisecond},
		`throttle to 100 bytes/s at body`:             {At: tap.AtBody, Do: tap.Throttle, Rate: 100},
		`discard at event "maintenance/request.made"`: {At: tap.AtEvent, Do: tap.Discard, Event: "maintenance/request.made"},
	} {
		require.Equal(t, want, f.String())
	}
}

func TestInjection_FaultsActInSequence(t *testing.T) {
	t.Parallel()
	s, w, server := mailTap(t, tap.Options{})
	inject(t, s, tap.Fault{Name: "late", At: tap.AtDot, Do: tap.Delay, For: time.Millisecond})
	inject(t, s, tap.Fault{Name: "refused", At: tap.AtDot, Do: tap.Reply, Code: 451})
	second := inject(t, s, tap.Fault{Name: "dropped", At: tap.AtDot, Do: tap.Drop})
	send(t, w.Addr(), "kim@plant.test", message, 451)
	require.Equal(t, []string{"late", "refused"}, await(t, s, "the delivery", overMail).Faults)
	require.Zero(t, second.Applied(), "it waits for the next one")
	second.Release()
	send(t, w.Addr(), "kim@plant.test", message, 250)
	require.Len(t, server.letters(), 1)
}

func TestInject_RefusesFaultsOfCallsThatPassNoTap(t *testing.T) {
	t.Parallel()
	s := tap.New(tap.Options{Connected: true})
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	for _, point := range []tap.Point{tap.AtCall, tap.AtStep, tap.AtSync, tap.AtRegister} {
		f := tap.Fault{At: point, Do: tap.Delay, For: 1}
		if point == tap.AtStep {
			f.Step = "write"
		}
		_, err := s.Inject(f)
		require.ErrorContains(t, err, "nothing passes a tap, because the app is called over its own connection to Inngest", point)
	}
	_, err := s.Inject(tap.Fault{At: tap.AtEvent, Do: tap.Drop})
	require.NoError(t, err)
}

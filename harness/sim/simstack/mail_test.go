package simstack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// dialogue is what a function sends to the mail server, piece by piece. After each piece it awaits a reply.
type dialogue struct {
	Pieces []string `json:"pieces"`
	// HangUp makes it close the connection instead of awaiting the last reply.
	HangUp bool `json:"hangUp"`
}

// runID in a piece stands for the id of the run.
const runID = "RUN"

// poster is an app that holds a dialogue with the mail server and returns the codes of the replies.
var poster = define(func(c inngestgo.Client, env harness.Env) error {
	_, err := inngestgo.CreateFunction(c, inngestgo.FunctionOpts{ID: "post", Retries: inngestgo.IntPtr(0)}, inngestgo.EventTrigger("mail/posted", nil),
		func(ctx context.Context, i inngestgo.Input[dialogue]) (any, error) {
			return step.Run(ctx, "post", func(context.Context) ([]string, error) {
				return i.Event.Data.hold(env.SMTPAddr, i.InputCtx.RunID)
			})
		})
	return err
})

func (d dialogue) hold(addr, run string) (codes []string, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	replies := textproto.NewReader(bufio.NewReader(conn))
	for i, piece := range append([]string{""}, d.Pieces...) {
		if _, err := conn.Write([]byte(strings.ReplaceAll(piece, runID, run))); err != nil {
			return nil, fmt.Errorf("write piece %d: %w", i, err)
		}
		if d.HangUp && i == len(d.Pieces) {
			return codes, nil
		}
		code, _, err := replies.ReadResponse(0)
		if err != nil && code == 0 {
			return nil, fmt.Errorf("the reply to piece %d: %w", i, err)
		}
		codes = append(codes, fmt.Sprint(code))
	}
	return codes, nil
}

// transaction is a dialogue for one message. Its lines end in CRLF.
func transaction(message string, to ...string) []string {
	pieces := []string{"EHLO plant.test\r\n", "MAIL FROM:<app@plant.test>\r\n"}
	for _, a := range to {
		pieces = append(pieces, "RCPT TO:<"+a+">\r\n")
	}
	return append(pieces, "DATA\r\n", message+"\r\n.\r\n")
}

// letter is a message with these further headers.
func letter(body string, headers ...string) string {
	lines := append([]string{"From: app@plant.test", "X-Inngest-Run-Id: " + runID}, headers...)
	return strings.Join(append(lines, "", body), "\r\n")
}

const (
	kim, lee, boss = "kim@plant.test", "lee@plant.test", "boss@plant.test"
	long           = 20_000
)

// mailCase is a dialogue, and what is true of it.
type mailCase struct {
	name     string
	dialogue dialogue
	codes    []string // of the replies; not compared where nil
	mailpit  []string // those of Mailpit where it differs; then nothing else is compared
	holds    []string // expectations
	broken   map[string]string
	shows    string // a part of each verdict
}

// mailCases are expectations in JSON of what follows from dialogues.
var mailCases = []mailCase{
	{
		name:     "to, cc and bcc",
		dialogue: dialogue{Pieces: transaction(letter("Hello", "To: "+kim, "Cc: "+lee, "Subject: Order"), kim, lee, boss)},
		holds: []string{
			`{"mail":[{"to":"kim@plant.test"},{"to":"lee@plant.test"},{"to":"boss@plant.test"}],"noOtherMail":true}`,
			`{"mail":[{"to":"kim@plant.test","cc":"lee@plant.test","bcc":["boss@plant.test"],"copies":1}],"noOtherMail":true}`,
			`{"mail":[{"to":"boss@plant.test","headers":{"Cc":"lee@plant.test","Bcc":{"absent":true}}}]}`,
		},
		broken: map[string]string{
			`{"mail":[{"to":"kim@plant.test"},{"to":"lee@plant.test"}],"noOtherMail":true}`: `there is an email that was not expected: email to boss@plant.test: "Order" (in the envelope, in no header)`,
			`{"mail":[{"to":"kim@plant.test"},{"to":"boss@plant.test","absent":true}]}`:     "there is an email to boss@plant.test, want none",
			`{"mail":[{"to":"lee@plant.test","copies":2}]}`:                                 "there are 1 of it, want 2",
		},
	},
	{
		name:     "empty reverse path",
		dialogue: dialogue{Pieces: []string{"EHLO plant.test\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<" + kim + ">\r\n", "DATA\r\n", letter("Away", "To: "+kim) + "\r\n.\r\n"}},
		codes:    []string{"220", "250", "250", "250", "354", "250"},
		holds:    []string{`{"runs":[{"function":"post","status":"COMPLETED"}],"mail":[{"to":"kim@plant.test","envelopeFrom":"","copies":1}]}`},
		broken:   map[string]string{`{"mail":[{"to":"kim@plant.test","envelopeFrom":{"present":true}}]}`: "it has no sender in the envelope"},
	},
	{
		name:     "quoted local part",
		dialogue: dialogue{Pieces: transaction(letter("Hello", `To: "a>b"@plant.test`), `"a>b"@plant.test`)},
		codes:    []string{"220", "250", "250", "250", "354", "250"},
		mailpit:  []string{"220", "250", "250", "501", "503", "500"},
		holds: []string{
			`{"mail":[{"to":"\"a>b\"@plant.test","copies":1}],"noOtherMail":true}`,
			`{"mail":[{"to":"a>b@plant.test","copies":1}],"noOtherMail":true}`,
		},
	},
	{
		name:     "a path without brackets",
		dialogue: dialogue{Pieces: []string{"EHLO plant.test\r\n", "MAIL FROM:app@plant.test\r\n", "RCPT TO:" + kim + "\r\n", "DATA\r\n", letter("Hello", "To: "+kim) + "\r\n.\r\n"}},
		codes:    []string{"220", "250", "250", "250", "354", "250"},
		mailpit:  []string{"220", "250", "501", "503", "503", "500"},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","envelopeFrom":"app@plant.test","copies":1}]}`},
	},
	{
		name:     "long lines",
		dialogue: dialogue{Pieces: transaction(letter(strings.Repeat("x", long), "To: "+kim), kim)},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","text":"` + strings.Repeat("x", long) + `\n"}]}`},
	},
	{
		name:     "commands that end in LF",
		dialogue: dialogue{Pieces: []string{"EHLO plant.test\n", "MAIL FROM:<app@plant.test>\n", "RCPT TO:<" + kim + ">\n", "DATA\n", letter("Hello", "To: "+kim) + "\r\n.\r\n", "QUIT\n"}},
		codes:    []string{"220", "250", "250", "250", "354", "250", "221"},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","copies":1}]}`},
	},
	{
		name:     "the last line break",
		dialogue: dialogue{Pieces: transaction(letter("Hello\r\nKim", "To: "+kim), kim)},
		holds: []string{
			`{"mail":[{"to":"kim@plant.test","text":["Hello\nKim\n"]}]}`,
			`{"mail":[{"to":"kim@plant.test","text":{"equals":"Hello\nKim\n"}}]}`,
		},
		broken: map[string]string{`{"mail":[{"to":"kim@plant.test","text":{"equals":"Hello\nKim"}}]}`: "only line breaks or the spaces beside them differ"},
	},
	{
		name:     "stuffed dots",
		dialogue: dialogue{Pieces: transaction(letter("..\r\n...\r\n..02 x\r\nhello\r\n..", "To: "+kim), kim)},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","text":{"equals":".\n..\n.02 x\nhello\n.\n"}}]}`},
	},
	{
		name:     "a dot that is not stuffed",
		dialogue: dialogue{Pieces: append(transaction(letter("first", "To: "+kim), kim), "second\r\n", ".\r\n")},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","text":{"equals":"first\n"}}]}`},
		shows:    `after the email to kim@plant.test the app sent (8 bytes that are no command), and the mail server answered "50`,
	},
	{
		name:     "a body in LF",
		dialogue: dialogue{Pieces: transaction(letter("one\ntwo\n", "To: "+kim), kim)},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","text":["one\ntwo\n"]}]}`},
		shows:    "2 lines of the email to kim@plant.test end in LF alone",
	},
	{
		name:     "an end in LF",
		dialogue: dialogue{Pieces: []string{"EHLO plant.test\r\n", "MAIL FROM:<app@plant.test>\r\n", "RCPT TO:<" + kim + ">\r\n", "DATA\r\n", letter("one\n.\n", "To: "+kim)}, HangUp: true},
		broken: map[string]string{
			`{"mail":[{"to":"kim@plant.test"}]}`: "the app hung up in the middle of a delivery: lines of its message end in LF alone, and only a dot between CRLF and CRLF ends a message",
		},
	},
	{
		name:     "AUTH",
		dialogue: dialogue{Pieces: []string{"EHLO plant.test\r\n", "AUTH LOGIN a2lt\r\n", "AUTH PLAIN AGtpbQBzZWNyZXQ=\r\n", "QUIT\r\n"}},
		codes:    []string{"220", "250", "504", "235", "221"},
		mailpit:  []string{"220", "250", "334", "501", "221"}, // it speaks LOGIN
		holds:    []string{`{"runs":[{"function":"post","status":"COMPLETED"}]}`},
	},
	{
		name: "an invitation",
		dialogue: dialogue{Pieces: transaction(letter("--b\r\nContent-Type: text/plain\r\n\r\nInvite\r\n--b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n"+
			"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n--b--\r\n", "To: "+kim, "MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=b"), kim)},
		holds:  []string{`{"mail":[{"to":"kim@plant.test","text":["Invite"],"calendar":"REQUEST"}]}`},
		broken: map[string]string{`{"mail":[{"to":"kim@plant.test","calendar":"CANCEL"}]}`: `the method of its calendar is "REQUEST" in the type of the part and "REQUEST" in the data, want CANCEL`},
	},
	{
		name: "an attachment",
		dialogue: dialogue{Pieces: transaction(letter("--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: text/csv; name=list.csv\r\nContent-Disposition: attachment; filename=list.csv\r\n\r\n"+
			"a,b\r\n1,2\r\n--b--\r\n", "To: "+kim, "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"), kim)},
		holds: []string{`{"mail":[{"to":"kim@plant.test","attachments":[{"name":"list.csv","type":"text/csv","size":8,
			"sha256":"a64a34aacbdacd17c0c52c867be14c6b9dab76b5e7348392eb829431fbba3a33","text":["a,b\n1,2"]}],"noOtherFiles":true}]}`},
		broken: map[string]string{`{"mail":[{"to":"kim@plant.test","noOtherFiles":true}]}`: `it has an attachment that was not expected: "list.csv" (text/csv, 8 bytes)`},
	},
	{
		name:     "two subjects",
		dialogue: dialogue{Pieces: transaction(letter("Hello", "To: "+kim, "Subject: a", "Subject: b"), kim)},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","subject":"a","headers":{"Subject":{"matches":"^b$"}}}]}`},
		broken:   map[string]string{`{"mail":[{"to":"kim@plant.test","problems":"none"}]}`: "it is malformed: header Subject stands 2 times"},
	},
	{
		name:     "empty DATA", // last: it names no run, and the clock of a Workbench stands still
		dialogue: dialogue{Pieces: []string{"EHLO plant.test\r\n", "MAIL FROM:<app@plant.test>\r\n", "RCPT TO:<" + kim + ">\r\n", "DATA\r\n", ".\r\n", "QUIT\r\n"}},
		codes:    []string{"220", "250", "250", "250", "354", "250", "221"},
		holds:    []string{`{"mail":[{"to":"kim@plant.test","subject":{"absent":true},"text":{"absent":true},"copies":1}]}`},
		broken:   map[string]string{`{"mail":[{"to":"kim@plant.test","problems":"none"}]}`: "it is malformed: there is no From header"},
	},
}

// TestMail_VerdictsAreTheSameOnEverySurface holds the same dialogues on each executor and mail server.
func TestMail_VerdictsAreTheSameOnEverySurface(t *testing.T) {
	t.Parallel()
	surfaces := map[string]func(*testing.T) surface{
		"workbench": onWorkbench,
		"local":     func(t *testing.T) surface { return onStack(t, local.New(local.Options{}), harness.MailHog) },
		"sim": func(t *testing.T) surface {
			return onStack(t, simstack.New(local.New(local.Options{}), simstack.Options{}), harness.MailHog)
		},
		"mailpit": func(t *testing.T) surface {
			return onStack(t, simstack.New(local.New(local.Options{}), simstack.Options{}), harness.Mailpit)
		},
		"sim-jump": func(t *testing.T) surface {
			return onStack(t, simstack.New(local.New(local.Options{}), simstack.Options{Pace: sim.Jump}), harness.MailHog)
		},
	}
	for name, open := range surfaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			for _, c := range mailCases {
				t.Run(c.name, func(t *testing.T) {
					id := s.send(t, harness.Event{Name: "mail/posted", Data: c.dialogue})
					check := func(text string) *harness.Verdict {
						e, err := harness.ParseExpectation([]byte(text))
						require.NoError(t, err)
						// Once the run is over, a verdict needs no wait.
						e.Runs = append(e.Runs, harness.RunExpectation{Function: "post", Status: harness.StatusCompleted})
						if len(e.Runs) > 1 {
							e.Runs = e.Runs[1:]
						}
						if codes := s.codes(c); codes != nil {
							e.Runs[0].Output, err = json.Marshal(codes)
							require.NoError(t, err)
						}
						v := s.judge(t, id, e)
						require.Contains(t, v.String(), c.shows)
						return v
					}
					if s.mail == harness.Mailpit && c.mailpit != nil {
						c.holds, c.broken = []string{`{"runs":[{"function":"post","status":"COMPLETED"}]}`}, nil
					}
					for _, text := range c.holds {
						require.NoError(t, check(text).Err(), text)
					}
					for text, why := range c.broken {
						v := check(text)
						require.Equal(t, harness.Broken, v.Outcome, "%s\n%s", text, v)
						require.Contains(t, v.String(), why, text)
					}
				})
			}
		})
	}
}

// A surface is an executor with a mail server.
type surface struct {
	mail  harness.MailCatcher
	send  func(*testing.T, harness.Event) string
	judge func(*testing.T, string, harness.Expectation) *harness.Verdict
}

// codes are those of the replies in a dialogue.
func (s surface) codes(c mailCase) []string {
	if s.mail == harness.Mailpit && c.mailpit != nil {
		return c.mailpit
	}
	return c.codes
}

func onWorkbench(t *testing.T) surface {
	w := bench(t, poster)
	return surface{
		"",
		func(t *testing.T, e harness.Event) string { return sent(t, w, e) },
		func(t *testing.T, id string, e harness.Expectation) *harness.Verdict { return judged(t, w, id, e) },
	}
}

func onStack(t *testing.T, b harness.Backend, m harness.MailCatcher) surface {
	return stackSurface(posterStack(t, b, m))
}

func posterStack(t *testing.T, b harness.Backend, m harness.MailCatcher) *stack.Stack {
	st, err := stack.Start(t.Context(), b, stack.Options{Dir: t.TempDir(), MailCatcher: m})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(t.Context()))) })
	require.NoError(t, st.RunHandler(t.Context(), poster))
	return st
}

func stackSurface(st *stack.Stack) surface {
	return surface{
		st.Options().MailCatcher,
		func(t *testing.T, e harness.Event) string {
			ids, err := st.Send(t.Context(), e)
			require.NoError(t, err)
			return ids[0]
		},
		func(t *testing.T, id string, e harness.Expectation) *harness.Verdict {
			v, err := st.Judge(t.Context(), id, e, stack.JudgeOptions{Timeout: time.Minute})
			require.NoError(t, err)
			return v
		},
	}
}

// TestMail_DeliveryUnderWayShows holds an email back on its way to MailHog.
func TestMail_DeliveryUnderWayShows(t *testing.T) {
	t.Parallel()
	st := posterStack(t, simstack.New(local.New(local.Options{}), simstack.Options{}), harness.MailHog)
	s := stackSurface(st)
	hold, err := st.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.Hold, To: kim})
	require.NoError(t, err)
	lines := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 300)
	id := s.send(t, harness.Event{Name: "mail/posted", Data: dialogue{Pieces: transaction(letter(lines, "To: "+kim), kim)}})
	<-hold.Reached()

	e := harness.Expectation{Mail: []harness.MailExpectation{{To: kim}}}
	judge := func() *harness.Verdict {
		v, err := st.Judge(t.Context(), id, e, stack.JudgeOptions{Timeout: 100 * time.Millisecond})
		require.NoError(t, err)
		return v
	}
	v := judge()
	for began := time.Now(); v.Outcome != harness.Broken && time.Since(began) < time.Minute; v = judge() { // MailHog is busy
	}
	require.Equal(t, harness.Broken, v.Outcome, v.String())
	require.Regexp(t, `an email to kim@plant.test is on its way to the mail server \(.* MailHog\), which has taken 30\d{4} bytes of it`, v)
	require.Regexp(t, `evidence, more may happen[^✓]*the mail server \(.* MailHog\) has taken 30\d{4} bytes of an email to kim@plant.test, `+
		`and has not accepted it for .*; MailHog's time grows with the square of the size`, v)

	hold.Release()
	require.NoError(t, s.judge(t, id, e).Err())
}

// TestMail_WorkbenchAwaitsADelivery has an app deliver an email after its run is over: a run of the event itself, and one of an
// event that was sent outside a step, which only a second look at what the taps recorded shows.
func TestMail_WorkbenchAwaitsADelivery(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"mail/posted", "outside/sent"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			begun, delivered := make(chan struct{}), make(chan error, 1)
			w := bench(t, define(func(c inngestgo.Client, env harness.Env) error {
				_, err1 := inngestgo.CreateFunction(c, inngestgo.FunctionOpts{ID: "leave"}, inngestgo.EventTrigger("mail/posted", nil),
					func(_ context.Context, i inngestgo.Input[any]) (any, error) {
						go func() {
							_, err := dialogue{Pieces: transaction(letter("Hello", "To: "+kim), kim)}.hold(env.SMTPAddr, i.InputCtx.RunID)
							delivered <- err
						}()
						<-begun
						return "left", nil
					})
				_, err2 := on(c, "outside/sent", "send", func(ctx context.Context, _ in) (any, error) {
					return c.Send(ctx, inngestgo.Event{Name: "mail/posted", Data: map[string]any{}})
				})
				return errors.Join(err1, err2)
			}))
			hold, err := w.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.Hold, To: kim})
			require.NoError(t, err)
			id := sent(t, w, harness.Event{Name: event, Data: map[string]any{}})
			verdicts := make(chan *harness.Verdict, 1)
			go func() {
				v, err := w.Judge(t.Context(), id, harness.Expectation{Mail: []harness.MailExpectation{{To: kim, Absent: true}}}, judge.Options{})
				assert.NoError(t, err)
				verdicts <- v
			}()
			<-hold.Reached()
			close(begun)
			select {
			case v := <-verdicts:
				require.Fail(t, "it did not wait", "%s", v)
			case <-time.After(200 * time.Millisecond): // on a machine that is busy it passes without the wait, too
			}
			hold.Release()
			require.ErrorContains(t, (<-verdicts).Err(), "there is an email to kim@plant.test, want none")
			require.NoError(t, <-delivered)
		})
	}
}

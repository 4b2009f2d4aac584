package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// good is a trace in which everything went as it should; change makes something of it go wrong.
func good(change func(*harness.Trace)) *harness.Trace {
	t := &harness.Trace{
		EventID:   "01EVENT",
		Event:     &harness.TraceEvent{Name: "order/placed", IdempotencyKey: "order-7", Received: noon},
		Functions: []harness.TraceFunction{{ID: "confirm", App: "shop"}},
		Runs: []harness.TraceRun{{
			ID: "01RUN", Function: "confirm", App: "shop", EventID: "01EVENT", Status: harness.StatusCompleted, Output: json.RawMessage(`{"to":"kim@shop.test","n":1}`),
			Steps: []harness.TraceStep{
				{ID: "load-order", Op: "RUN", Status: harness.StatusCompleted, Attempts: []harness.TraceAttempt{{Status: harness.StatusCompleted}}, Output: json.RawMessage(`{"total":12}`)},
				{ID: "send-email", Op: "RUN", Status: harness.StatusCompleted, Attempts: []harness.TraceAttempt{{Status: harness.StatusCompleted}}},
			},
		}},
		Mail: []harness.TraceMail{{RunID: "01RUN", Message: &harness.Message{
			ID: "m1", Subject: "Your order 7", Text: "Thank you for your order.\nIt costs 12.", HTML: "<p>Thank you</p>",
			From: []*mail.Address{{Address: "shop@shop.test"}}, To: []*mail.Address{{Address: "kim@shop.test"}},
			Envelope: harness.Envelope{From: "shop@shop.test", To: []string{"kim@shop.test"}}, MessageID: "7@shop.test",
			Headers:     []harness.Header{{Name: "X-Order", Value: "7"}},
			Attachments: []harness.Part{{Name: "invoice.pdf", ContentType: "application/pdf", Data: []byte("%PDF-")}},
		}}},
		Quiet:    true,
		Evidence: []string{"its 1 runs have ended", "the inbox was read to its end after that"},
	}
	if change != nil {
		change(t)
	}
	return t
}

func confirmed(change func(*harness.Expectation)) harness.Expectation {
	e := harness.Expectation{
		Runs: []harness.RunExpectation{{
			Function: "confirm", Status: harness.StatusCompleted, Output: json.RawMessage(`{"to":"kim@shop.test"}`),
			Steps: []harness.StepExpectation{{ID: "load-order", Status: harness.StatusCompleted, Attempts: 1}, {ID: "send-email"}},
		}},
		Mail: []harness.MailExpectation{{
			To: "Kim@shop.test", From: "shop@shop.test", Subject: harness.Equals("Your order 7"), Text: harness.Contains("costs 12"), HTML: harness.Contains("<p>"),
			Headers: map[string]harness.Match{"x-order": harness.Equals("7")}, Copies: 1,
			Attachments: []harness.FileExpectation{{Name: harness.Equals("invoice.pdf"), Size: 5}},
		}},
		NoOtherRuns: true,
		NoOtherMail: true,
	}
	if change != nil {
		change(&e)
	}
	return e
}

// judged is the verdict on a trace that is as it will stay.
func judged(e harness.Expectation, t *harness.Trace, golden func(string, *harness.TraceMail) error) *harness.Verdict {
	c := Compare(e, t, Options{Golden: golden})
	if c.matches() {
		return c.verdict(harness.Holds, time.Second)
	}
	return c.verdict(harness.Broken, time.Second)
}

func TestJudge_Holds(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(nil), good(nil), nil)
	require.NoError(t, v.Err())
	require.Equal(t, strings.TrimSpace(`
holds: 1 run, 1 email
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"
  evidence, nothing more can happen after 1s:
    - its 1 runs have ended
    - the inbox was read to its end after that`), v.String())
}

func TestVerdict_MarksUnexpectedFailureAsFailed(t *testing.T) {
	t.Parallel()
	failed := func(t *harness.Trace) {
		t.Runs[0].Status, t.Runs[0].Error = harness.StatusFailed, "550 no such mailbox"
		t.Runs[0].Steps[1] = harness.TraceStep{ID: "send-email", Status: harness.StatusFailed, Error: "550 no such mailbox"}
	}
	e := harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
	v := judged(e, good(failed), nil)
	require.NoError(t, v.Err())
	require.Contains(t, v.String(), `
    – run of confirm FAILED (01RUN)
      ✓ step load-order COMPLETED
      – step send-email FAILED
          error: 550 no such mailbox
    ✓ email to kim@shop.test`)
	require.NotContains(t, v.String(), "✗")

	e.NoOtherMail = true
	v, err := Judge(e, good(func(t *harness.Trace) { failed(t); t.Quiet, t.Unquiet = false, "it was taken too early" }), Options{})
	require.NoError(t, err)
	require.Equal(t, harness.CannotBeJudged, v.Outcome)
	require.NotContains(t, v.String(), "✗", "nothing contradicts it")
}

// TestVerdict_EveryKindOfFailure shows the text of each: the first broken hop in the first line and marked in the tree.
func TestVerdict_EveryKindOfFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		expect func(*harness.Expectation)
		trace  func(*harness.Trace)
		golden func(string, *harness.TraceMail) error
		want   string
	}{
		"no subscribed function, because the sync failed": {
			trace: func(t *harness.Trace) {
				t.Functions, t.Runs, t.Mail = nil, nil, nil
				t.SyncError = "sync: the app at http://127.0.0.1:3000/api/inngest cannot be reached: connection refused"
			},
			want: `
broken: no function is registered for order/placed: the app is not synced; its last sync failed: sync: the app at http://127.0.0.1:3000/api/inngest cannot be reached: connection refused; so there is no run of confirm: no function of that id is subscribed to order/placed; none is
  ✓ event order/placed accepted (01EVENT)
    ✗ no function is registered for order/placed   ← first broken hop
        the app is not synced; its last sync failed: sync: the app at http://127.0.0.1:3000/api/inngest cannot be reached: connection refused
    ✗ no run of confirm
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"another function listens": {
			trace: func(t *harness.Trace) { t.Functions[0].ID, t.Runs, t.Mail, t.Quiet = "welcome", nil, nil, false },
			want: `
broken: there is no run of confirm: no function of that id is subscribed to order/placed; welcome is
  ✓ event order/placed accepted (01EVENT)
    … welcome is subscribed and has not started
    ✗ no run of confirm   ← first broken hop
    … no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"the event's id was used before": {
			trace: func(t *harness.Trace) {
				t.Runs, t.Mail, t.Functions[0].NotStarted = nil, nil, "the event's id \"order-7\" was used before"
			},
			want: `
broken: confirm was not started: the event's id "order-7" was used before; so there is no run of confirm
  ✓ event order/placed accepted (01EVENT)
    ✗ confirm was not started: the event's id "order-7" was used before   ← first broken hop
    ✗ no run of confirm
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"one of two functions did not start": {
			trace: func(t *harness.Trace) {
				t.Functions = append(t.Functions, harness.TraceFunction{ID: "reward", App: "shop", NotStarted: "its condition event.data.n > 5 is false for this event"})
			},
			expect: func(e *harness.Expectation) { e.Runs = append(e.Runs, harness.RunExpectation{Function: "reward"}) },
			want: `
broken: reward was not started: its condition event.data.n > 5 is false for this event; so there is no run of reward
  ✓ event order/placed accepted (01EVENT)
    ✗ reward was not started: its condition event.data.n > 5 is false for this event   ← first broken hop
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ no run of reward
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"the server skipped the run": {
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				t.Mail, r.Status, r.Skipped, r.Steps, r.Output = nil, harness.StatusSkipped, "singleton: the run 01OTHER had not ended", nil, nil
			},
			expect: func(e *harness.Expectation) { e.Runs[0] = harness.RunExpectation{Function: "confirm"} },
			want: `
broken: run of confirm: the server skipped it, and did not call the app: singleton: the run 01OTHER had not ended
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm SKIPPED (01RUN)   ← first broken hop
        the server did not execute it: singleton: the run 01OTHER had not ended
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"a run waits for the time of its event": {
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				t.Mail, r.Status, r.Steps, r.Output = nil, harness.StatusQueued, nil, nil
				t.Event.Due, t.Taken, t.Quiet = time.Date(2026, 11, 23, 15, 0, 0, 0, time.Local), time.Date(2026, 11, 23, 14, 0, 0, 0, time.Local), false
			},
			want: `
broken: run of confirm: status is QUEUED, want COMPLETED
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm QUEUED (01RUN) until 2026-11-23 15:00:00, the time (ts) of its event   ← first broken hop
      … step load-order was not reached
      … step send-email was not reached
    … no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"a step failed": {
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				r.Status, r.Output, r.Error = harness.StatusFailed, nil, "kim has no address"
				r.Steps = r.Steps[:1]
				r.Steps[0] = harness.TraceStep{ID: "load-order", Status: harness.StatusFailed, Error: "kim has no address", Attempts: []harness.TraceAttempt{
					{Status: harness.StatusFailed, Error: "database away"}, {Status: harness.StatusFailed, Error: "kim has no address"},
				}}
				t.Mail = nil
				t.Log = []string{"one line", "another"}
			},
			want: `
broken: step load-order of confirm: status is FAILED, want COMPLETED: kim has no address
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm FAILED (01RUN)
      ✗ step load-order FAILED after 2 attempts   ← first broken hop
          attempt 1: database away
          attempt 2: kim has no address
      ✗ step send-email was not reached
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"an email is missing because an unexpected run failed": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
			},
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				r.Status, r.Error = harness.StatusFailed, "550 no such mailbox"
				r.Steps[1] = harness.TraceStep{ID: "send-email", Status: harness.StatusFailed, Error: "550 no such mailbox", Attempts: []harness.TraceAttempt{{Status: harness.StatusFailed, Error: "550 no such mailbox"}}}
				t.Mail = nil
				t.Deliveries = []harness.Delivery{{MailTransaction: harness.MailTransaction{Refused: []string{"kim@shop.test"}, Dialogue: []harness.SMTPLine{
					{At: noon, By: "app", Text: "RCPT TO:<kim@shop.test>"}, {At: noon, By: "server", Text: "550 no such mailbox"},
				}}}}
			},
			want: `
broken: step send-email FAILED: attempt 1: 550 no such mailbox; so there is no email to kim@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm FAILED (01RUN)
      ✓ step load-order COMPLETED
      ✗ step send-email FAILED   ← first broken hop
          attempt 1: 550 no such mailbox
    ✗ the mail server did not accept an email to kim@shop.test
        12:00:00.000 app    RCPT TO:<kim@shop.test>
        12:00:00.000 server 550 no such mailbox
    ✗ no email to kim@shop.test`,
		},
		"a failure explains why a run did not fail as expected": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusFailed,
					Steps: []harness.StepExpectation{{ID: "send-email", Attempts: 5}}}}}
			},
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				r.Status, r.Output, r.Error = harness.StatusFailed, nil, "db away"
				r.Steps = []harness.TraceStep{{ID: "load-order", Status: harness.StatusFailed, Error: "db away"}}
			},
			want: `
broken: step load-order FAILED: error: db away; so run of confirm: step send-email was not reached; its steps are load-order
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm FAILED (01RUN)
      ✗ step load-order FAILED   ← first broken hop
          error: db away
      ✗ step send-email was not reached`,
		},
		"a function that failed without a step": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusCompleted,
					Steps: []harness.StepExpectation{{ID: "load-order"}}}}}
			},
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				r.Status, r.Output, r.Error, r.Steps = harness.StatusFailed, nil, "panic: kaboom", nil
			},
			want: `
broken: the function failed outside its steps: error: panic: kaboom; so run of confirm: step load-order was not reached; its steps are none
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm FAILED (01RUN)
      ✗ the function failed outside its steps   ← first broken hop
          error: panic: kaboom
      ✗ step load-order was not reached`,
		},
		"a function whose id is the app's and that of another": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Runs: []harness.RunExpectation{{Function: "shop-confirm"}}}
			},
			trace: func(t *harness.Trace) {
				t.Functions = append(t.Functions, harness.TraceFunction{ID: "shop-confirm", App: "shop", NotStarted: "its condition is false"})
			},
			want: `
broken: shop-confirm was not started: its condition is false; so there is no run of shop-confirm
  ✓ event order/placed accepted (01EVENT)
    ✗ shop-confirm was not started: its condition is false   ← first broken hop
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ no run of shop-confirm`,
		},
		"an expected failure does not explain a missing email": {
			expect: func(e *harness.Expectation) {
				e.Runs[0] = harness.RunExpectation{Function: "confirm", Status: harness.StatusFailed}
				e.NoOtherRuns = false
			},
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				r.Status, r.Output, r.Error = harness.StatusFailed, nil, "no stock"
				r.Steps = []harness.TraceStep{{ID: "load-order", Status: harness.StatusFailed, Error: "no stock"}}
				t.Runs = append(t.Runs, harness.TraceRun{ID: "02RUN", Function: "confirm-failure", App: "shop", Status: harness.StatusFailed, Error: "no template",
					Steps: []harness.TraceStep{{ID: "apologise", Status: harness.StatusFailed, Error: "no template"}}})
				t.Mail = nil
			},
			want: `
broken: step apologise FAILED: error: no template; so there is no email to Kim@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm FAILED (01RUN)
      ✓ step load-order FAILED
          error: no stock
    ✗ run of confirm-failure FAILED (02RUN)
      ✗ step apologise FAILED   ← first broken hop
          error: no template
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"a failure does not explain what should have failed": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusFailed}}}
			},
			trace: func(t *harness.Trace) {
				t.Runs[0].Steps[0] = harness.TraceStep{ID: "load-order", Status: harness.StatusFailed, Error: "caught"}
			},
			want: `
broken: run of confirm: status is COMPLETED, want FAILED
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm COMPLETED (01RUN)   ← first broken hop
      ✗ step load-order FAILED
          error: caught
      ✓ step send-email COMPLETED`,
		},
		"a failure does not explain a step that should have failed": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Steps: []harness.StepExpectation{
					{ID: "send-email", Status: harness.StatusFailed},
				}}}}
			},
			trace: func(t *harness.Trace) {
				t.Runs[0].Steps[0] = harness.TraceStep{ID: "load-order", Status: harness.StatusFailed, Error: "caught"}
			},
			want: `
broken: step send-email of confirm: status is COMPLETED, want FAILED
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✗ step load-order FAILED
          error: caught
      ✗ step send-email COMPLETED   ← first broken hop`,
		},
		"one of two recipients was refused": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Mail: []harness.MailExpectation{{To: "lee@shop.test"}}}
			},
			trace: func(t *harness.Trace) {
				t.Deliveries = []harness.Delivery{{MailTransaction: harness.MailTransaction{
					To: []string{"kim@shop.test"}, Refused: []string{"lee@shop.test"}, Accepted: true, Dialogue: []harness.SMTPLine{
						{At: noon, By: "app", Text: "RCPT TO:<lee@shop.test>"}, {At: noon, By: "server", Text: "550 no such mailbox"},
						{At: noon, By: "app", Text: "RCPT TO:<kim@shop.test>"}, {At: noon, By: "server", Text: "250 Ok"},
						{At: noon, By: "app", Text: "DATA"}, {At: noon, By: "server", Text: "354 Go ahead"},
						{At: noon, By: "app", Text: "(message of 88 bytes)"}, {At: noon, By: "server", Text: "250 queued"},
					}}}}
			},
			want: `
broken: the mail server did not accept an email to lee@shop.test: 12:00:00.000 server 550 no such mailbox; so there is no email to lee@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ the mail server did not accept an email to lee@shop.test   ← first broken hop
        12:00:00.000 app    RCPT TO:<lee@shop.test>
        12:00:00.000 server 550 no such mailbox
    ✗ no email to lee@shop.test`,
		},
		"a failure does not explain an email too many": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test", Absent: true}}}
			},
			trace: func(t *harness.Trace) {
				r := &t.Runs[0]
				r.Status, r.Error = harness.StatusFailed, "the order is gone"
				r.Steps[1] = harness.TraceStep{ID: "send-email", Status: harness.StatusFailed, Error: "the order is gone",
					Attempts: []harness.TraceAttempt{{Status: harness.StatusFailed, Error: "the order is gone"}}}
			},
			want: `
broken: there is an email to kim@shop.test, want none: subject "Your order 7"
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm FAILED (01RUN)
      ✓ step load-order COMPLETED
      ✗ step send-email FAILED
          attempt 1: the order is gone
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"the function failed outside its steps": {
			expect: func(e *harness.Expectation) { e.Runs[0].Steps, e.Mail = nil, nil },
			trace: func(t *harness.Trace) {
				t.Runs[0].Status, t.Runs[0].Error, t.Mail = harness.StatusFailed, "nil map", nil
			},
			want: `
broken: the function failed outside its steps: error: nil map; so run of confirm: status is FAILED, want COMPLETED: nil map
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm FAILED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
      ✗ the function failed outside its steps   ← first broken hop
          error: nil map`,
		},
		"the run is not over": {
			trace: func(t *harness.Trace) {
				t.Runs[0].Status, t.Runs[0].Output, t.Mail = harness.StatusRunning, nil, nil
				t.Runs[0].Steps[1].Status = harness.StatusRunning
				t.Quiet, t.Unquiet, t.Evidence = false, "the run 01RUN of confirm is RUNNING", []string{"the run 01RUN of confirm is RUNNING"}
			},
			want: `
broken: run of confirm: status is RUNNING, want COMPLETED
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm RUNNING (01RUN)   ← first broken hop
      ✓ step load-order COMPLETED
      … step send-email RUNNING
    … no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"a step's attempts": {
			expect: func(e *harness.Expectation) { e.Runs[0].Steps[0].Attempts = 2 },
			want: `
broken: step load-order of confirm: it had 1 attempt, want 2
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✗ step load-order COMPLETED   ← first broken hop
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"a step's output": {
			expect: func(e *harness.Expectation) { e.Runs[0].Steps[0].Output = json.RawMessage(`{"total":13}`) },
			want: `
broken: step load-order of confirm: output.total is 12, want 13
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✗ step load-order COMPLETED   ← first broken hop
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"a run's output": {
			expect: func(e *harness.Expectation) { e.Runs[0].Output = json.RawMessage(`{"id":1}`) },
			want: `
broken: run of confirm: output has no field "id", want 1
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm COMPLETED (01RUN)   ← first broken hop
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"an error's text": {
			expect: func(e *harness.Expectation) { e.Runs[0].Status, e.Runs[0].Error = "", "timeout" },
			want: `
broken: run of confirm: error is "", want one with "timeout"
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm COMPLETED (01RUN)   ← first broken hop
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"a run too many": {
			trace: func(t *harness.Trace) {
				t.Runs = append(t.Runs, harness.TraceRun{ID: "01MORE", Function: "audit", EventID: "01EVENT", Status: harness.StatusCompleted})
			},
			want: `
broken: there is a run that was not expected: 01MORE of audit
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ run of audit COMPLETED (01MORE)   ← first broken hop
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"an email too many": {
			trace: func(t *harness.Trace) {
				t.Mail = append(t.Mail, harness.TraceMail{Inferred: true, Message: &harness.Message{Subject: "Spam", Envelope: harness.Envelope{To: []string{"lee@shop.test"}}}})
			},
			want: `
broken: there is an email that was not expected: email to lee@shop.test: "Spam" (in the envelope, in no header; attributed to this event by recipient and time, not by a header)
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"
    ✗ email to lee@shop.test: "Spam" (in the envelope, in no header; attributed to this event by recipient and time, not by a header)   ← first broken hop`,
		},
		"an email twice": {
			expect: func(e *harness.Expectation) { e.Mail[0].Copies = 0 },
			trace:  func(t *harness.Trace) { t.Mail = append(t.Mail, t.Mail[0]) },
			want: `
broken: there is an email that was not expected: email to kim@shop.test: "Your order 7"; it matches an entry that has its one email: to allow more, give their number in copies
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"an email that should be absent": {
			expect: func(e *harness.Expectation) { e.Mail = []harness.MailExpectation{{To: "kim@shop.test", Absent: true}} },
			want: `
broken: there is an email to kim@shop.test, want none: subject "Your order 7"
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"copies": {
			expect: func(e *harness.Expectation) { e.Mail[0].Copies = 2 },
			want: `
broken: email to Kim@shop.test: there are 1 of it, want 2
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"no such email, but others": {
			expect: func(e *harness.Expectation) { e.Mail[0].To, e.NoOtherMail = "lee@shop.test", false },
			trace: func(t *harness.Trace) {
				t.OtherMailCount, t.OtherMail = 3, []harness.MailSummary{{To: []string{"lee@shop.test"}, Subject: "Another order"}}
			},
			want: `
broken: there is no email to lee@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ no email to lee@shop.test   ← first broken hop
        this event sent: email to kim@shop.test: "Your order 7"
        since the event 3 emails of other runs arrived in the inbox, the last of them:
          to lee@shop.test: "Another order"`,
		},
		"the mail server has it, the inbox does not": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
			},
			trace: func(t *harness.Trace) {
				t.Mail = nil
				t.Deliveries = []harness.Delivery{{MailTransaction: harness.MailTransaction{To: []string{"kim@shop.test"}, Accepted: true, AcceptedAt: noon}}}
			},
			want: `
broken: there is no email to kim@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ the mail server accepted an email to kim@shop.test at 12:00:00.000
    ✗ no email to kim@shop.test   ← first broken hop
        nothing has arrived in the inbox since the event`,
		},
		"the mail server has ended after it had accepted the email": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
			},
			trace: func(t *harness.Trace) {
				t.Mail = nil
				t.Deliveries = []harness.Delivery{{Forgotten: true, MailTransaction: harness.MailTransaction{To: []string{"kim@shop.test"}, Accepted: true, AcceptedAt: noon}}}
			},
			want: `
broken: there is no email to kim@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ the mail server accepted an email to kim@shop.test at 12:00:00.000
        it has ended since, and no longer shows what it had accepted
    ✗ no email to kim@shop.test   ← first broken hop`,
		},
		"an email is on its way to the mail server": {
			expect: func(e *harness.Expectation) {
				*e = harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test"}}}
			},
			trace: func(t *harness.Trace) {
				t.Runs[0].Status, t.Runs[0].Steps[1].Status, t.Mail, t.Quiet = harness.StatusRunning, harness.StatusRunning, nil, false
				t.Deliveries = []harness.Delivery{{Open: true, MailTransaction: harness.MailTransaction{To: []string{"kim@shop.test"}, Server: "ESMTP MailHog", Size: 7}}}
			},
			want: `
broken: there is no email to kim@shop.test
  ✓ event order/placed accepted (01EVENT)
    … run of confirm RUNNING (01RUN)
      ✓ step load-order COMPLETED
      … step send-email RUNNING
    … an email to kim@shop.test is on its way to the mail server (ESMTP MailHog), which has taken 7 bytes of it
    ✗ no email to kim@shop.test   ← first broken hop`,
		},
		"sender, subject, text, HTML and header": {
			expect: func(e *harness.Expectation) {
				e.Mail[0] = harness.MailExpectation{
					To: "kim@shop.test", From: "boss@shop.test", Subject: harness.Equals("Your order 8"), Text: harness.Contains("costs 13"), HTML: harness.Contains("<h1>"),
					Headers: map[string]harness.Match{"X-Order": harness.Equals("8")},
				}
			},
			want: `
broken: email to kim@shop.test: it is from shop@shop.test, want boss@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop
        it is from shop@shop.test, want boss@shop.test
        its subject differs:
          got  "Your order 7"
          want "Your order 8"
        its text lacks "costs 13"; the most similar passage, in line 2, is (- expected, + email):
          - costs 13
          + costs 12
        its HTML lacks "<h1>", and nothing in it is similar; it reads:
          | <p>Thank you</p>
        its header X-Order is ["7"], want "8"`,
		},
		"golden": {
			expect: func(e *harness.Expectation) {
				e.Mail[0] = harness.MailExpectation{To: "kim@shop.test", Golden: "order"}
			},
			golden: func(name string, m *harness.TraceMail) error {
				return fmt.Errorf("golden %q differs in its text", name)
			},
			want: `
broken: email to kim@shop.test: golden "order" differs in its text
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop
        golden "order" differs in its text`,
		},
		"golden without goldens": {
			expect: func(e *harness.Expectation) {
				e.Mail[0] = harness.MailExpectation{To: "kim@shop.test", Golden: "order"}
			},
			want: `
broken: email to kim@shop.test: golden "order" cannot be compared: the judge has no goldens
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop
        golden "order" cannot be compared: the judge has no goldens`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, tr := confirmed(test.expect), good(test.trace)
			require.NoError(t, e.Validate())
			v := judged(e, tr, test.golden)
			require.Equal(t, harness.Broken, v.Outcome)
			require.ErrorIs(t, v.Err(), harness.ErrBroken)
			got := v.String()
			for _, section := range []string{"\n  all differences:", "\n  evidence,"} {
				got, _, _ = strings.Cut(got, section)
			}
			if diff := cmp.Diff(strings.TrimSpace(test.want), got); diff != "" {
				t.Errorf("the text differs (-want +got):\n%s\nwhole:\n%s", diff, v)
			}
			for _, line := range tr.Log {
				require.Contains(t, v.String(), line, "the end of the app's log is shown")
			}
		})
	}
}

func TestVerdict_ListsAllDifferences(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(func(e *harness.Expectation) {
		e.Runs[0].Steps[0].Attempts, e.Mail[0].Subject = 3, harness.Equals("Other")
	}), good(nil), nil)
	require.Len(t, v.Differences, 2)
	require.Contains(t, v.String(), "all differences:\n    - step load-order of confirm: it had 1 attempt, want 3\n    - email to Kim@shop.test: its subject differs")
}

func TestCompare_TwoEntriesNeedTwoRuns(t *testing.T) {
	t.Parallel()
	e := harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusFailed}, {Function: "shop-confirm", Status: harness.StatusCompleted}}}
	require.ErrorContains(t, judged(e, good(nil), nil).Err(), "there is no further run of confirm")
	both := good(func(t *harness.Trace) {
		t.Runs = append(t.Runs, harness.TraceRun{ID: "02RUN", Function: "confirm", App: "shop", Status: harness.StatusFailed})
	})
	require.NoError(t, judged(e, both, nil).Err(), "whichever order they come in")
}

func TestVerdict_BlamesNoPendingHop(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(nil), good(func(t *harness.Trace) {
		t.Runs[0].Status, t.Runs[0].Output, t.Quiet = harness.StatusRunning, nil, false
		t.Runs = append(t.Runs, harness.TraceRun{ID: "01MORE", Function: "audit", EventID: "01EVENT", Status: harness.StatusCompleted})
	}), nil)
	require.Equal(t, "there is a run that was not expected: 01MORE of audit", v.Why)
}

func TestCompare_IgnoresOrderOfEntries(t *testing.T) {
	t.Parallel()
	tr := good(func(t *harness.Trace) {
		t.Runs = append(t.Runs, harness.TraceRun{ID: "02RUN", Function: "confirm", App: "shop", Status: harness.StatusCompleted, Output: json.RawMessage(`"second"`)})
		t.Mail = append(t.Mail, harness.TraceMail{RunID: "02RUN", Message: &harness.Message{ID: "m2", Subject: "B", Envelope: harness.Envelope{To: []string{"kim@shop.test"}}}})
	})
	for _, e := range []harness.Expectation{
		{Mail: []harness.MailExpectation{{To: "kim@shop.test"}, {To: "kim@shop.test", Subject: harness.Equals("B")}}, NoOtherMail: true},
		{Mail: []harness.MailExpectation{{To: "kim@shop.test"}, {To: "kim@shop.test", Subject: harness.Equals("Your order 7")}}, NoOtherMail: true},
		{Runs: []harness.RunExpectation{{Function: "confirm"}, {Function: "confirm", Output: json.RawMessage(`"second"`)}}, NoOtherRuns: true},
		{Runs: []harness.RunExpectation{{Function: "confirm"}, {Function: "confirm", Output: json.RawMessage(`{"n":1}`)}}, NoOtherRuns: true},
	} {
		require.NoError(t, judged(e, tr, nil).Err())
		slices.Reverse(e.Mail)
		slices.Reverse(e.Runs)
		require.NoError(t, judged(e, tr, nil).Err())
	}
}

func TestCompare_CountsEmailsOfAnEntry(t *testing.T) {
	t.Parallel()
	const kim = "kim@shop.test"
	mail := func(subjects ...string) func(*harness.Trace) {
		return func(t *harness.Trace) {
			t.Mail = nil
			for i, s := range subjects {
				t.Mail = append(t.Mail, harness.TraceMail{RunID: "01RUN", Message: &harness.Message{
					ID: fmt.Sprint(i), Subject: s, Text: "text of " + s, Envelope: harness.Envelope{To: []string{kim}},
				}})
			}
		}
	}
	tests := map[string]struct {
		mail   []string
		expect []harness.MailExpectation
		others bool // other emails are allowed
		want   string
	}{
		"two alike, one entry":                       {[]string{"A", "A"}, []harness.MailExpectation{{To: kim, Subject: harness.Equals("A")}}, false, "to allow more, give their number in copies"},
		"two alike, two entries":                     {[]string{"A", "A"}, []harness.MailExpectation{{To: kim, Subject: harness.Equals("A")}, {To: kim, Subject: harness.Equals("A")}}, false, ""},
		"two alike, counted":                         {[]string{"A", "A"}, []harness.MailExpectation{{To: kim, Subject: harness.Equals("A"), Copies: 2}}, false, ""},
		"three, of which two are counted":            {[]string{"A", "A", "A"}, []harness.MailExpectation{{To: kim, Subject: harness.Equals("A"), Copies: 2}}, false, "there are 3 of it, want 2"},
		"two alike, where others are allowed":        {[]string{"A", "A"}, []harness.MailExpectation{{To: kim, Subject: harness.Equals("A")}}, true, ""},
		"one, of two entries":                        {[]string{"A"}, []harness.MailExpectation{{To: kim, Subject: harness.Equals("A")}, {To: kim}}, true, "there is no further email to kim"},
		"two, an entry for each and one that counts": {[]string{"A", "B", "B"}, []harness.MailExpectation{{To: kim, Copies: 2}, {To: kim, Subject: harness.Equals("A")}}, false, ""},
		"one that counts and asserts more": {[]string{"A 1", "A 2"}, []harness.MailExpectation{
			{To: kim, Subject: harness.Matches("^A"), Text: harness.Contains("text"), Copies: 1}, {To: kim, Subject: harness.Equals("A 1")},
		}, true, ""},
		"two that count": {[]string{"A 1", "A 2", "A 3"}, []harness.MailExpectation{
			{To: kim, Subject: harness.Matches("^A"), Text: harness.Contains("text"), Copies: 2}, {To: kim, Subject: harness.Equals("A 1"), Copies: 1},
		}, false, ""},
		"two that count, and one too many": {[]string{"A 1", "A 2", "A 3", "A 4"}, []harness.MailExpectation{
			{To: kim, Subject: harness.Matches("^A"), Text: harness.Contains("text"), Copies: 2}, {To: kim, Subject: harness.Equals("A 1"), Copies: 1},
		}, true, "there are 3 of it, want 2"},
		"one that counts what another needs": {[]string{"A 1", "A 2"}, []harness.MailExpectation{
			{To: kim, Subject: harness.Matches("^A"), Text: harness.Contains("text"), Copies: 2}, {To: kim, Subject: harness.Equals("A 1")},
		}, true, "there is no further email to kim"},
		"an entry that has to change its own": {[]string{"AB", "A", "B"}, []harness.MailExpectation{
			{To: kim, Text: harness.Contains("A")}, {To: kim, Text: harness.Contains("B")}, {To: kim, Text: harness.Contains("AB")},
		}, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // whatever the order of the entries
				e := harness.Expectation{Mail: test.expect, NoOtherMail: !test.others}
				err := judged(e, good(mail(test.mail...)), nil).Err()
				if test.want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.want)
				}
				slices.Reverse(test.expect)
			}
		})
	}
}

func TestVerdict_ShowsPresentBeforeMissing(t *testing.T) {
	t.Parallel()
	e := harness.Expectation{Mail: []harness.MailExpectation{{To: "lee@shop.test", Absent: true}, {To: "kim@shop.test", Copies: 1}}}
	require.Contains(t, judged(e, good(nil), nil).String(), `
    ✓ email to kim@shop.test: "Your order 7"
    ✓ no email to lee@shop.test
`)
}

func TestCompare_ComparesEachGoldenOnce(t *testing.T) {
	t.Parallel()
	tr := good(func(t *harness.Trace) {
		second := *t.Mail[0].Message
		second.ID = "m2"
		t.Mail = append(t.Mail, harness.TraceMail{Message: &second})
	})
	written := map[string]string{} // as when goldens are being made: the first email is the golden, others differ from it
	golden := func(name string, m *harness.TraceMail) error {
		if id, ok := written[name]; ok && id != m.ID {
			return errors.New("another email has it")
		}
		written[name] = m.ID
		return nil
	}
	e := harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test", Golden: "a"}, {To: "kim@shop.test", Golden: "b"}}, NoOtherMail: true}
	require.NoError(t, judged(e, tr, golden).Err())
	require.Equal(t, map[string]string{"a": "m1", "b": "m2"}, written)
}

func TestMatching_AssignsAsManyAsPossible(t *testing.T) {
	t.Parallel()
	tr := good(func(t *harness.Trace) {
		for i, output := range []string{`{"a":1,"b":1}`, `{"a":1}`, `{"b":1}`} {
			r := harness.TraceRun{ID: fmt.Sprint(i), Function: "confirm", Status: harness.StatusCompleted, Output: json.RawMessage(output)}
			t.Runs = append(t.Runs[:i:i], r)
		}
	})
	want := func(output string) harness.RunExpectation {
		return harness.RunExpectation{Function: "confirm", Output: json.RawMessage(output)}
	}
	e := harness.Expectation{Runs: []harness.RunExpectation{want(`{"a":1}`), want(`{"b":1}`), want(`{"a":1,"b":1}`)}, NoOtherRuns: true}
	require.NoError(t, judged(e, tr, nil).Err())
	slices.Reverse(e.Runs)
	require.NoError(t, judged(e, tr, nil).Err())
}

func TestVerdict_CannotBeJudgedIsAnError(t *testing.T) {
	t.Parallel()
	v := &harness.Verdict{Outcome: harness.CannotBeJudged, Why: "more may happen"}
	require.ErrorIs(t, v.Err(), harness.ErrCannotBeJudged)
	require.False(t, errors.Is(v.Err(), harness.ErrBroken))
}

func TestVerdict_JSON(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(nil), good(nil), nil)
	v.Took = 1500 * time.Millisecond
	data, err := json.Marshal(v)
	require.NoError(t, err)
	require.Contains(t, string(data), `"took":"1.5s"`)
	require.Contains(t, string(data), `"outcome":"holds"`)
	var back harness.Verdict
	require.NoError(t, json.Unmarshal(data, &back))
	require.Empty(t, cmp.Diff(*v, back))
	require.ErrorContains(t, json.Unmarshal([]byte(`{"took":"soon"}`), &back), `"soon" is not a duration`)
}

func TestVerdictError_CarriesVerdict(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(nil), good(func(t *harness.Trace) { t.Mail = nil }), nil)
	err := fmt.Errorf("test the shop: %w", v.Err())
	require.ErrorIs(t, err, harness.ErrBroken)
	var carried *harness.VerdictError
	require.ErrorAs(t, err, &carried)
	require.Same(t, v, carried.Verdict)
}

func TestOutputDiff(t *testing.T) {
	t.Parallel()
	tests := []struct{ want, got, diff string }{
		{`{"a":1}`, `{"a":1,"b":2}`, ""},
		{`{"a":{"b":[1]}}`, `{"a":{"b":[1],"c":0}}`, ""},
		{`{"a":{"b":[1]}}`, `{"a":{"b":[1,2]}}`, "output.a.b is [1,2], want [1]"},
		{`{"a":null}`, `{}`, `output has no field "a", want null`},
		{`{"a":1}`, `"text"`, `output is "text", want an object with {"a":1}`},
		{`"x"`, ``, `output is null, want "x"`},
		{`null`, ``, ""},
		{`[]`, `[]`, ""},
		{``, `{"a":1}`, ""},
		{`9007199254740993`, `9007199254740992`, "output is 9007199254740992, want 9007199254740993"},
		{`{"ids":[{"id":12345678901234567}]}`, `{"ids":[{"id":12345678901234568}]}`, `output.ids is [{"id":12345678901234568}], want [{"id":12345678901234567}]`},
		{`1e21`, `1000000000000000000000`, ""},
		{`[1.0, 100, -0]`, `[1, 1e2, 0]`, ""},
		{`3.14159265358979323846`, `3.141592653589793`, ""},
		{`0.1`, `0.30000000000000004`, "output is 0.30000000000000004, want 0.1"},
		{`1e400`, `1e401`, "output is 1" + strings.Repeat("0", 199) + "…, want 1" + strings.Repeat("0", 199) + "…"},
		{`1e99999999`, `1e99999999`, ""},
	}
	c := &chain{redact: func(s string) string { return s }}
	for _, test := range tests {
		diff := c.outputDiff([]byte(test.want), []byte(test.got), harness.StatusCompleted)
		require.Equal(t, test.diff, diff, "want %s, got %s", test.want, test.got)
	}
	for _, status := range []harness.Status{harness.StatusFailed, harness.StatusRunning} {
		require.Equal(t, "it is "+string(status)+" and has no output, want null", c.outputDiff([]byte("null"), nil, status))
		require.Empty(t, c.outputDiff([]byte("null"), []byte("null"), status))
	}
}

func TestCompare_RepeatedSteps(t *testing.T) {
	t.Parallel()
	loop := func(statuses ...harness.Status) *harness.Trace {
		return good(func(t *harness.Trace) {
			t.Runs[0].Steps = nil
			for i, status := range statuses {
				t.Runs[0].Steps = append(t.Runs[0].Steps, harness.TraceStep{ID: "send", Status: status, Started: noon.Add(time.Duration(i) * time.Second)})
			}
		})
	}
	send := func(status harness.Status, occurrence int) harness.StepExpectation {
		return harness.StepExpectation{ID: "send", Status: status, Occurrence: occurrence}
	}
	const ok, failed = harness.StatusCompleted, harness.StatusFailed
	tests := map[string]struct {
		trace *harness.Trace
		want  []harness.StepExpectation
		why   string // "" where it holds
	}{
		"each entry has its own":    {loop(ok, ok, failed), []harness.StepExpectation{send(failed, 0), send(ok, 0), send(ok, 0)}, ""},
		"one that failed":           {loop(ok, ok, failed), []harness.StepExpectation{send(failed, 0)}, ""},
		"the third":                 {loop(ok, ok, failed), []harness.StepExpectation{send(failed, 3), send(ok, 1)}, ""},
		"the second did not fail":   {loop(ok, ok, failed), []harness.StepExpectation{send(failed, 2)}, "step send (occurrence 2) of confirm: status is COMPLETED, want FAILED"},
		"four entries, three steps": {loop(ok, ok, ok), []harness.StepExpectation{send("", 0), send("", 0), send("", 0), send("", 0)}, "run of confirm: step send was not reached; its steps are send, send, send"},
		"no fourth":                 {loop(ok, ok, ok), []harness.StepExpectation{send("", 4)}, "run of confirm: step send (occurrence 4) was not reached; its steps are send, send, send"},
		"one too many failed":       {loop(ok, failed, failed), []harness.StepExpectation{send(ok, 0), send(ok, 0), send(failed, 0)}, "step send of confirm: status is FAILED, want COMPLETED"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Steps: test.want}}}
			v := judged(e, test.trace, nil)
			if test.why == "" {
				require.NoError(t, v.Err())
				return
			}
			require.Equal(t, harness.Broken, v.Outcome)
			require.Equal(t, test.why, v.Differences[0])
		})
	}
}

// The app may be at a step when its run is cancelled, and the server records it later.
func TestCompare_WaitsForAStepOfACancelledRun(t *testing.T) {
	t.Parallel()
	e := harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusCancelled, Steps: []harness.StepExpectation{{ID: "slow"}}}}}
	c := Compare(e, good(func(t *harness.Trace) {
		t.Quiet, t.Unquiet = false, "the run 01RUN of confirm is CANCELLED, but the app is still being called for it"
		t.Runs[0].Status = harness.StatusCancelled
	}), Options{})
	require.False(t, c.matches())
	require.False(t, c.Broken())
}

// Waiting makes no golden: a verdict that lacks nothing else is final, though the run may send more emails.
func TestCompare_DoesNotWaitForMissingGolden(t *testing.T) {
	t.Parallel()
	goesOn := func(t *harness.Trace) {
		t.Quiet, t.Unquiet = false, "the run 01RUN of confirm is RUNNING, in step a-week (SLEEP)"
		t.Runs[0].Status, t.Runs[0].Output = harness.StatusRunning, nil
	}
	broken := func(want harness.MailExpectation, err error) bool {
		e := harness.Expectation{Mail: []harness.MailExpectation{want}}
		return Compare(e, good(goesOn), Options{Golden: func(string, *harness.TraceMail) error { return err }}).Broken()
	}
	missing := fmt.Errorf("there is no golden: %w", fs.ErrNotExist)
	want := harness.MailExpectation{To: "kim@shop.test", Golden: "order"}
	require.True(t, broken(want, missing))
	require.False(t, broken(want, errors.New("it differs")), "another email may be like the golden")
	want.Subject = harness.Equals("How do you like it?")
	require.False(t, broken(want, missing), "another email is meant")
}

package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// good is a trace in which everything went as it should; change makes something of it go wrong.
func good(change func(*Trace)) *Trace {
	t := &Trace{
		EventID:   "01EVENT",
		Event:     &TraceEvent{Name: "order/placed", ID: "order-7", Received: noon},
		Functions: []TraceFunction{{ID: "confirm", App: "shop"}},
		Runs: []TraceRun{{
			ID: "01RUN", Function: "confirm", App: "shop", EventID: "01EVENT", Status: StatusCompleted, Output: json.RawMessage(`{"to":"kim@shop.test","n":1}`),
			Steps: []TraceStep{
				{ID: "load-order", Op: "RUN", Status: StatusCompleted, Attempts: []TraceAttempt{{Status: StatusCompleted}}, Output: json.RawMessage(`{"total":12}`)},
				{ID: "send-email", Op: "RUN", Status: StatusCompleted, Attempts: []TraceAttempt{{Status: StatusCompleted}}},
			},
		}},
		Mail: []TraceMail{{RunID: "01RUN", Message: &inbox.Message{
			ID: "m1", Subject: "Your order 7", Text: "Thank you for your order.\nIt costs 12.", HTML: "<p>Thank you</p>",
			From: []*mail.Address{{Address: "shop@shop.test"}}, Envelope: inbox.Envelope{To: []string{"kim@shop.test"}},
			Headers: []inbox.Header{{Name: "X-Order", Value: "7"}},
		}}},
		Quiet:    true,
		Evidence: []string{"its 1 runs have ended", "the inbox was read to its end after that"},
	}
	if change != nil {
		change(t)
	}
	return t
}

func confirmed(change func(*Expectation)) Expectation {
	e := Expectation{
		Runs: []RunExpectation{{
			Function: "confirm", Status: StatusCompleted, Output: json.RawMessage(`{"to":"kim@shop.test"}`),
			Steps: []StepExpectation{{ID: "load-order", Status: StatusCompleted, Attempts: 1}, {ID: "send-email"}},
		}},
		Mail: []MailExpectation{{
			To: "Kim@shop.test", From: "shop@shop.test", Subject: "Your order 7", Text: []string{"costs 12"}, HTML: []string{"<p>"},
			Headers: map[string]string{"x-order": "7"}, Copies: 1,
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
func judged(e Expectation, t *Trace, golden func(string, *TraceMail) error) *Verdict {
	c := check(e, t, JudgeOptions{Golden: golden})
	if c.met() {
		return c.verdict(Holds, time.Second)
	}
	return c.verdict(Broken, time.Second)
}

func TestAGoodTraceHolds(t *testing.T) {
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

func TestAFailureThatNobodyAskedAboutIsNoneOfTheVerdict(t *testing.T) {
	t.Parallel()
	failed := func(t *Trace) {
		t.Runs[0].Status, t.Runs[0].Error = StatusFailed, "550 no such mailbox"
		t.Runs[0].Steps[1] = TraceStep{ID: "send-email", Status: StatusFailed, Error: "550 no such mailbox"}
	}
	e := Expectation{Mail: []MailExpectation{{To: "kim@shop.test"}}}
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
	v, err := e.Check(good(func(t *Trace) { failed(t); t.Quiet, t.Unquiet = false, "it was taken too early" }), JudgeOptions{})
	require.NoError(t, err)
	require.Equal(t, CannotBeJudged, v.Outcome)
	require.NotContains(t, v.String(), "✗", "nothing contradicts it")
}

// TestEveryKindOfFailure shows the text of each: the first broken hop in the first line and marked in the tree.
func TestEveryKindOfFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		expect func(*Expectation)
		trace  func(*Trace)
		golden func(string, *TraceMail) error
		want   string
	}{
		"nobody listens, because the sync failed": {
			trace: func(t *Trace) {
				t.Functions, t.Runs, t.Mail = nil, nil, nil
				t.SyncError = "sync: the app at http://127.0.0.1:3000/api/inngest cannot be reached: connection refused"
			},
			want: `
broken: no function is registered for order/placed: the app is not synced; its last sync failed: sync: the app at http://127.0.0.1:3000/api/inngest cannot be reached: connection refused; so there is no run of confirm: no function of that id listens for order/placed; nobody does
  ✓ event order/placed accepted (01EVENT)
    ✗ no function is registered for order/placed   ← first broken hop
        the app is not synced; its last sync failed: sync: the app at http://127.0.0.1:3000/api/inngest cannot be reached: connection refused
    ✗ no run of confirm
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"another function listens": {
			trace: func(t *Trace) { t.Functions[0].ID, t.Runs, t.Mail, t.Quiet = "welcome", nil, nil, false },
			want: `
broken: there is no run of confirm: no function of that id listens for order/placed; welcome does
  ✓ event order/placed accepted (01EVENT)
    … welcome listens and has not started
    ✗ no run of confirm   ← first broken hop
    … no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"the event's id was used before": {
			trace: func(t *Trace) { t.Runs, t.Mail, t.Event.DuplicateOf = nil, nil, "01EARLIER" },
			want: `
broken: confirm was not started: the event's id "order-7" was used before: the event that counts is 01EARLIER; so there is no run of confirm, or no further one
  ✓ event order/placed accepted (01EVENT)
    ✗ confirm was not started: the event's id "order-7" was used before   ← first broken hop
        the server drops an event whose id it has seen within 24 hours, and starts nothing for it;
        the event that counts is 01EARLIER
    ✗ no run of confirm
    ✗ no email to Kim@shop.test
        nothing has arrived in the inbox since the event`,
		},
		"a step failed": {
			trace: func(t *Trace) {
				r := &t.Runs[0]
				r.Status, r.Output, r.Error = StatusFailed, nil, "kim has no address"
				r.Steps = r.Steps[:1]
				r.Steps[0] = TraceStep{ID: "load-order", Status: StatusFailed, Error: "kim has no address", Attempts: []TraceAttempt{
					{Status: StatusFailed, Error: "database away"}, {Status: StatusFailed, Error: "kim has no address"},
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
		"an email is missing because a run failed that nobody asked about": {
			expect: func(e *Expectation) { *e = Expectation{Mail: []MailExpectation{{To: "kim@shop.test"}}} },
			trace: func(t *Trace) {
				r := &t.Runs[0]
				r.Status, r.Error = StatusFailed, "550 no such mailbox"
				r.Steps[1] = TraceStep{ID: "send-email", Status: StatusFailed, Error: "550 no such mailbox", Attempts: []TraceAttempt{{Status: StatusFailed, Error: "550 no such mailbox"}}}
				t.Mail = nil
				t.Deliveries = []Delivery{{Mail: tap.Mail{Refused: []string{"kim@shop.test"}, Dialogue: []tap.Line{
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
		"the function failed outside its steps": {
			expect: func(e *Expectation) { e.Runs[0].Steps, e.Mail = nil, nil },
			trace:  func(t *Trace) { t.Runs[0].Status, t.Runs[0].Error, t.Mail = StatusFailed, "nil map", nil },
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
			trace: func(t *Trace) {
				t.Runs[0].Status, t.Runs[0].Output, t.Mail = StatusRunning, nil, nil
				t.Runs[0].Steps[1].Status = StatusRunning
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
			expect: func(e *Expectation) { e.Runs[0].Steps[0].Attempts = 2 },
			want: `
broken: step load-order of confirm: it was tried 1 time, want 2
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✗ step load-order COMPLETED   ← first broken hop
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"a step's output": {
			expect: func(e *Expectation) { e.Runs[0].Steps[0].Output = json.RawMessage(`{"total":13}`) },
			want: `
broken: step load-order of confirm: output.total is 12, want 13
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✗ step load-order COMPLETED   ← first broken hop
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"a run's output": {
			expect: func(e *Expectation) { e.Runs[0].Output = json.RawMessage(`{"id":1}`) },
			want: `
broken: run of confirm: output has no field "id", want 1
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm COMPLETED (01RUN)   ← first broken hop
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"an error's text": {
			expect: func(e *Expectation) { e.Runs[0].Status, e.Runs[0].Error = "", "timeout" },
			want: `
broken: run of confirm: error is "", want one with "timeout"
  ✓ event order/placed accepted (01EVENT)
    ✗ run of confirm COMPLETED (01RUN)   ← first broken hop
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"`,
		},
		"a run too many": {
			trace: func(t *Trace) {
				t.Runs = append(t.Runs, TraceRun{ID: "01MORE", Function: "audit", EventID: "01EVENT", Status: StatusCompleted})
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
			trace: func(t *Trace) {
				t.Mail = append(t.Mail, TraceMail{Inferred: true, Message: &inbox.Message{Subject: "Spam", Envelope: inbox.Envelope{To: []string{"lee@shop.test"}}}})
			},
			want: `
broken: there is an email that was not expected: email to lee@shop.test: "Spam" (tied to this event by recipient and time, not by a header)
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"
    ✗ email to lee@shop.test: "Spam" (tied to this event by recipient and time, not by a header)   ← first broken hop`,
		},
		"an email twice": {
			expect: func(e *Expectation) { e.Mail[0].Copies = 0 },
			trace:  func(t *Trace) { t.Mail = append(t.Mail, t.Mail[0]) },
			want: `
broken: there is an email that was not expected: email to kim@shop.test: "Your order 7"; an entry describes it, which stands for one email and has one: to allow more, say how many with copies
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✓ email to kim@shop.test: "Your order 7"
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"an email that should be absent": {
			expect: func(e *Expectation) { e.Mail = []MailExpectation{{To: "kim@shop.test", Absent: true}} },
			want: `
broken: there is an email to kim@shop.test, want none: subject "Your order 7"
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"copies": {
			expect: func(e *Expectation) { e.Mail[0].Copies = 2 },
			want: `
broken: email to Kim@shop.test: there are 1 of it, want 2
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop`,
		},
		"no such email, but others": {
			expect: func(e *Expectation) { e.Mail[0].To, e.NoOtherMail = "lee@shop.test", false },
			trace: func(t *Trace) {
				t.OtherMailCount, t.OtherMail = 3, []MailSummary{{To: []string{"lee@shop.test"}, Subject: "Another order"}}
			},
			want: `
broken: there is no email to lee@shop.test
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ no email to lee@shop.test   ← first broken hop
        this event sent: email to kim@shop.test: "Your order 7"
        since the event the inbox got 3 of something else, the last of them:
          to lee@shop.test: "Another order"`,
		},
		"the mail server has it, the inbox does not": {
			expect: func(e *Expectation) { *e = Expectation{Mail: []MailExpectation{{To: "kim@shop.test"}}} },
			trace: func(t *Trace) {
				t.Mail = nil
				t.Deliveries = []Delivery{{Mail: tap.Mail{To: []string{"kim@shop.test"}, Accepted: true, AcceptedAt: noon}}}
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
		"sender, subject, text, HTML and header": {
			expect: func(e *Expectation) {
				e.Mail[0] = MailExpectation{
					To: "kim@shop.test", From: "boss@shop.test", Subject: "Your order 8", Text: []string{"costs 13"}, HTML: []string{"<h1>"},
					Headers: map[string]string{"X-Order": "8"},
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
        its text lacks "costs 13"; nearest to that is, in line 2 (- expected, + email):
          - costs 13
          + costs 12
        its HTML lacks "<h1>", and nothing in it comes near; it reads:
          | <p>Thank you</p>
        its header X-Order is ["7"], want "8"`,
		},
		"golden": {
			expect: func(e *Expectation) { e.Mail[0] = MailExpectation{To: "kim@shop.test", Golden: "order"} },
			golden: func(name string, m *TraceMail) error {
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
			expect: func(e *Expectation) { e.Mail[0] = MailExpectation{To: "kim@shop.test", Golden: "order"} },
			want: `
broken: email to kim@shop.test: golden "order" cannot be compared: the judge was given no goldens
  ✓ event order/placed accepted (01EVENT)
    ✓ run of confirm COMPLETED (01RUN)
      ✓ step load-order COMPLETED
      ✓ step send-email COMPLETED
    ✗ email to kim@shop.test: "Your order 7"   ← first broken hop
        golden "order" cannot be compared: the judge was given no goldens`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, tr := confirmed(test.expect), good(test.trace)
			require.NoError(t, e.Validate())
			v := judged(e, tr, test.golden)
			require.Equal(t, Broken, v.Outcome)
			require.ErrorIs(t, v.Err(), ErrBroken)
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

func TestAllDifferencesAreListed(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(func(e *Expectation) { e.Runs[0].Steps[0].Attempts, e.Mail[0].Subject = 3, "Other" }), good(nil), nil)
	require.Len(t, v.Findings, 2)
	require.Contains(t, v.String(), "all differences:\n    - step load-order of confirm: it was tried 1 time, want 3\n    - email to Kim@shop.test: its subject differs")
}

func TestTwoRunsOfOneFunctionNeedTwo(t *testing.T) {
	t.Parallel()
	e := Expectation{Runs: []RunExpectation{{Function: "confirm", Status: StatusFailed}, {Function: "shop-confirm", Status: StatusCompleted}}}
	require.ErrorContains(t, judged(e, good(nil), nil).Err(), "there is no run of confirm, or no further one")
	both := good(func(t *Trace) {
		t.Runs = append(t.Runs, TraceRun{ID: "02RUN", Function: "confirm", App: "shop", Status: StatusFailed})
	})
	require.NoError(t, judged(e, both, nil).Err(), "whichever order they come in")
}

func TestWhatMayStillComeIsNotToBlame(t *testing.T) {
	t.Parallel()
	v := judged(confirmed(nil), good(func(t *Trace) {
		t.Runs[0].Status, t.Runs[0].Output, t.Quiet = StatusRunning, nil, false
		t.Runs = append(t.Runs, TraceRun{ID: "01MORE", Function: "audit", EventID: "01EVENT", Status: StatusCompleted})
	}), nil)
	require.Equal(t, "there is a run that was not expected: 01MORE of audit", v.Why)
}

func TestTheOrderOfEntriesDoesNotMatter(t *testing.T) {
	t.Parallel()
	tr := good(func(t *Trace) {
		t.Runs = append(t.Runs, TraceRun{ID: "02RUN", Function: "confirm", App: "shop", Status: StatusCompleted, Output: json.RawMessage(`"second"`)})
		t.Mail = append(t.Mail, TraceMail{RunID: "02RUN", Message: &inbox.Message{ID: "m2", Subject: "B", Envelope: inbox.Envelope{To: []string{"kim@shop.test"}}}})
	})
	for _, e := range []Expectation{
		{Mail: []MailExpectation{{To: "kim@shop.test"}, {To: "kim@shop.test", Subject: "B"}}, NoOtherMail: true},
		{Mail: []MailExpectation{{To: "kim@shop.test"}, {To: "kim@shop.test", Subject: "Your order 7"}}, NoOtherMail: true},
		{Runs: []RunExpectation{{Function: "confirm"}, {Function: "confirm", Output: json.RawMessage(`"second"`)}}, NoOtherRuns: true},
		{Runs: []RunExpectation{{Function: "confirm"}, {Function: "confirm", Output: json.RawMessage(`{"n":1}`)}}, NoOtherRuns: true},
	} {
		require.NoError(t, judged(e, tr, nil).Err())
		slices.Reverse(e.Mail)
		slices.Reverse(e.Runs)
		require.NoError(t, judged(e, tr, nil).Err())
	}
}

func TestHowManyEmailsAnEntryStandsFor(t *testing.T) {
	t.Parallel()
	const kim = "kim@shop.test"
	mail := func(subjects ...string) func(*Trace) {
		return func(t *Trace) {
			t.Mail = nil
			for i, s := range subjects {
				t.Mail = append(t.Mail, TraceMail{RunID: "01RUN", Message: &inbox.Message{
					ID: fmt.Sprint(i), Subject: s, Text: "text of " + s, Envelope: inbox.Envelope{To: []string{kim}},
				}})
			}
		}
	}
	tests := map[string]struct {
		mail   []string
		expect []MailExpectation
		others bool // other emails are allowed
		want   string
	}{
		"two alike, one entry":                       {[]string{"A", "A"}, []MailExpectation{{To: kim, Subject: "A"}}, false, "to allow more, say how many with copies"},
		"two alike, two entries":                     {[]string{"A", "A"}, []MailExpectation{{To: kim, Subject: "A"}, {To: kim, Subject: "A"}}, false, ""},
		"two alike, counted":                         {[]string{"A", "A"}, []MailExpectation{{To: kim, Subject: "A", Copies: 2}}, false, ""},
		"three, of which two are counted":            {[]string{"A", "A", "A"}, []MailExpectation{{To: kim, Subject: "A", Copies: 2}}, false, "there are 3 of it, want 2"},
		"two alike, where others are allowed":        {[]string{"A", "A"}, []MailExpectation{{To: kim, Subject: "A"}}, true, ""},
		"one, of two entries":                        {[]string{"A"}, []MailExpectation{{To: kim, Subject: "A"}, {To: kim}}, true, "there is no email to kim"},
		"two, an entry for each and one that counts": {[]string{"A", "B", "B"}, []MailExpectation{{To: kim, Copies: 2}, {To: kim, Subject: "A"}}, false, ""},
		"an entry that has to change its own": {[]string{"AB", "A", "B"}, []MailExpectation{
			{To: kim, Text: []string{"A"}}, {To: kim, Text: []string{"B"}}, {To: kim, Text: []string{"AB"}},
		}, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // whatever the order of the entries
				e := Expectation{Mail: test.expect, NoOtherMail: !test.others}
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

func TestWhatIsThereIsShownBeforeWhatIsNot(t *testing.T) {
	t.Parallel()
	e := Expectation{Mail: []MailExpectation{{To: "lee@shop.test", Absent: true}, {To: "kim@shop.test", Copies: 1}}}
	require.Contains(t, judged(e, good(nil), nil).String(), `
    ✓ email to kim@shop.test: "Your order 7"
    ✓ no email to lee@shop.test
`)
}

func TestAnEmailIsComparedWithNoGoldenThatAnotherHas(t *testing.T) {
	t.Parallel()
	tr := good(func(t *Trace) {
		second := *t.Mail[0].Message
		second.ID = "m2"
		t.Mail = append(t.Mail, TraceMail{Message: &second})
	})
	written := map[string]string{} // as when goldens are being made: the first email is the golden, others differ from it
	golden := func(name string, m *TraceMail) error {
		if id, ok := written[name]; ok && id != m.ID {
			return errors.New("another email has it")
		}
		written[name] = m.ID
		return nil
	}
	e := Expectation{Mail: []MailExpectation{{To: "kim@shop.test", Golden: "a"}, {To: "kim@shop.test", Golden: "b"}}, NoOtherMail: true}
	require.NoError(t, judged(e, tr, golden).Err())
	require.Equal(t, map[string]string{"a": "m1", "b": "m2"}, written)
}

func TestRunsAreFoundForAsManyEntriesAsCanBe(t *testing.T) {
	t.Parallel()
	tr := good(func(t *Trace) {
		for i, output := range []string{`{"a":1,"b":1}`, `{"a":1}`, `{"b":1}`} {
			r := TraceRun{ID: fmt.Sprint(i), Function: "confirm", Status: StatusCompleted, Output: json.RawMessage(output)}
			t.Runs = append(t.Runs[:i:i], r)
		}
	})
	want := func(output string) RunExpectation {
		return RunExpectation{Function: "confirm", Output: json.RawMessage(output)}
	}
	e := Expectation{Runs: []RunExpectation{want(`{"a":1}`), want(`{"b":1}`), want(`{"a":1,"b":1}`)}, NoOtherRuns: true}
	require.NoError(t, judged(e, tr, nil).Err())
	slices.Reverse(e.Runs)
	require.NoError(t, judged(e, tr, nil).Err())
}

func TestCannotBeJudgedIsNoPass(t *testing.T) {
	t.Parallel()
	v := &Verdict{Outcome: CannotBeJudged, Why: "more may happen"}
	require.ErrorIs(t, v.Err(), ErrCannotBeJudged)
	require.False(t, errors.Is(v.Err(), ErrBroken))
}

func TestVerdictIsJSON(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(judged(confirmed(nil), good(nil), nil))
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, "holds", back["outcome"])
}

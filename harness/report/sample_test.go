package report_test

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// record is a test that sent one email, number n.
func record(n int, change func(*report.Record)) report.Record {
	to := fmt.Sprintf("kim%d@plant.test", n)
	text := fmt.Sprintf("Hello Kim,\nthe press %d leaks.\nOpen the request\n", n)
	page := fmt.Sprintf(`<html><body><h1>Hello Kim,</h1><p>the press %d leaks.</p><a href="http://127.0.0.1:3000/%d">Open the request</a></body></html>`, n, n)
	r := report.Record{
		Package: "example.test/shop", Test: fmt.Sprintf("TestPress%03d/local", n), Backend: "local", Outcome: report.Passed, Began: noon, Took: 1234 * time.Millisecond,
		Verdicts: []*harness.Verdict{{
			Outcome: harness.Holds, Why: "1 runs, 1 emails", Took: 300 * time.Millisecond,
			Hops: []harness.Hop{
				{State: harness.HopOK, Text: "event press/leaks accepted (01EVENT)"},
				{Depth: 1, State: harness.HopOK, Text: "run of notify COMPLETED (01RUN)"},
				{Depth: 2, State: harness.HopOK, Text: "step send-email COMPLETED"},
				{Depth: 1, State: harness.HopOK, Text: "email to " + to},
			},
			Trace: &harness.Trace{
				EventID: "01EVENT", Quiet: true, Evidence: []string{"its 1 runs have ended"}, Taken: after(500), Log: []string{"app: sent"},
				Event: &harness.TraceEvent{Name: "press/leaks", Data: json.RawMessage(`{"press":4}`), Received: noon},
				Runs: []harness.TraceRun{{
					ID: "01RUN", Function: "notify", Status: harness.StatusCompleted, Output: json.RawMessage(`{"sent":true}`),
					Queued: after(10), Started: after(100), Ended: after(400),
					Steps: []harness.TraceStep{{
						ID: "send-email", Status: harness.StatusCompleted, Started: after(110), Ended: after(390), Input: json.RawMessage(`["kim@plant.test"]`), Output: json.RawMessage(`"accepted"`),
						Attempts: []harness.TraceAttempt{
							{Status: harness.StatusFailed, Error: "451 later", Started: after(110), Ended: after(120)},
							{Status: harness.StatusCompleted, Started: after(300), Ended: after(390)},
						},
					}},
				}},
				Mail: []harness.TraceMail{{RunID: "01RUN", Message: &harness.Message{
					ID: fmt.Sprintf("m%d", n), Subject: fmt.Sprintf("Press %d leaks", n), Text: text, HTML: page, Received: after(380),
					From: []*mail.Address{{Name: "Desk", Address: "desk@plant.test"}}, Envelope: harness.Envelope{From: "desk@plant.test", To: []string{to}},
				}}},
				Deliveries: []harness.Delivery{{Began: after(310), MailTransaction: harness.MailTransaction{RunID: "01RUN",
					To: []string{to}, Accepted: true, AcceptedAt: after(370), Dialogue: []harness.SMTPLine{{At: after(311), By: "server", Text: "220 ready"}},
				}}},
			},
		}},
	}
	if change != nil {
		change(&r)
	}
	return r
}

// failed makes a record one of a test that failed in a step.
func failed(r *report.Record) {
	r.Outcome = report.Failed
	r.Failures = []string{"expectation broken: step look-up failed\n  ✗ step look-up FAILED"}
	r.Evidence = "/src/.harness/evidence/TestPress"
	v := r.Verdicts[0]
	v.Outcome, v.Why = harness.Broken, "technician 66f has no email address"
	v.Differences = []string{"there is no email to kim@plant.test"}
	v.Hops[2] = harness.Hop{Depth: 2, State: harness.HopBroken, First: true, Text: "step look-up FAILED", Detail: []string{"attempt 1: no address"}}
	v.Trace.Mail = nil
}

// changed makes the record's email differ from its golden.
func changed(r *report.Record) {
	m := r.Verdicts[0].Trace.Mail[0]
	files := golden.Files{Email: "Subject: " + m.Subject + "\n", Text: m.Text, HTML: m.HTML}
	before := files
	before.Text = strings.Replace(files.Text, "leaks", "is fine", 1)
	before.HTML = strings.Replace(files.HTML, "leaks", "is fine", 1)
	r.Goldens = []report.Golden{{Name: "press", Message: m.ID, Before: before, After: files}}
}

// unchanged makes the record's email be like its golden.
func unchanged(r *report.Record) {
	m := r.Verdicts[0].Trace.Mail[0]
	files := golden.Files{Email: "Subject: " + m.Subject + "\n", Text: m.Text, HTML: m.HTML}
	r.Goldens = []report.Golden{{Name: "press", Message: m.ID, Before: files, After: files}}
}

// fresh makes the record's email one without a golden.
func fresh(r *report.Record) {
	r.Goldens = []report.Golden{{Name: "press", Message: r.Verdicts[0].Trace.Mail[0].ID}}
}

func milli(ms float64) harness.Duration { return harness.Duration(ms * float64(time.Millisecond)) }

// sample is a report with one of everything.
func sample() *report.Report {
	return &report.Report{
		Records: []report.Record{
			record(1, changed), record(2, failed), record(3, unchanged), record(4, fresh), record(5, nil),
			record(6, func(r *report.Record) { r.Outcome, r.Verdicts, r.Package = report.Skipped, nil, "example.test/other" }),
		},
		Faults: []report.Fault{
			{Fault: "451 twice", Backend: "local", Promised: "sent", Happened: "sent, 1 copy", Kept: true, Took: harness.Duration(1500 * time.Millisecond)},
			{Fault: "550", Backend: "local", Promised: "failed", Happened: "sent", Took: harness.Duration(3 * time.Second)},
			{Fault: "550", Backend: "containers", Promised: "failed", Happened: "failed", Kept: true, Took: harness.Duration(4 * time.Second)},
		},
		Figures: []report.Figure{
			{Name: "event to email", Median: milli(131.2), Low: milli(122), High: milli(165), N: 300, Note: "floor 120 ms"},
			{Name: "tap", Median: milli(0.09), Low: milli(0.085), High: milli(0.095), N: 300},
		},
	}
}

// render returns the page, as text and parsed.
func render(t testing.TB, rep *report.Report) (string, *html.Node) {
	t.Helper()
	var out strings.Builder
	require.NoError(t, rep.WriteHTML(&out))
	doc, err := html.Parse(strings.NewReader(out.String()))
	require.NoError(t, err)
	return out.String(), doc
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// all returns the elements of a document that satisfy a condition, in order.
func all(doc *html.Node, is func(*html.Node) bool) []*html.Node {
	var found []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && is(n) {
			found = append(found, n)
		}
	}
	return found
}

func byID(t testing.TB, doc *html.Node, id string) *html.Node {
	t.Helper()
	found := all(doc, func(n *html.Node) bool { return attr(n, "id") == id })
	require.Len(t, found, 1, "elements with the id %s", id)
	return found[0]
}

func byClass(doc *html.Node, class string) []*html.Node {
	return all(doc, func(n *html.Node) bool {
		for _, c := range strings.Fields(attr(n, "class")) {
			if c == class {
				return true
			}
		}
		return false
	})
}

func byTag(doc *html.Node, tag string) []*html.Node {
	return all(doc, func(n *html.Node) bool { return n.Data == tag })
}

// textOf is an element's text with its white space made even.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

//go:build browser

package browser_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/accessibility"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// view is a page, and what is done there before it is looked at.
type view struct {
	name, url string
	// ready is an expression that is true once the page is as it is to be looked at.
	ready string
	// prepare is evaluated then.
	prepare string
}

// openAll opens all that can be opened in a page.
const openAll = `document.querySelectorAll('details').forEach(d => { d.open = true }); true`

func TestPages_AreAccessible(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		urgent := d.create("urgent")
		requests := []app.Request{urgent}
		for _, name := range []string{"preventive-scheduled", "right-to-left"} {
			requests = append(requests, d.create(name))
		}
		emails := map[string]*harness.Message{}
		for _, r := range requests {
			emails[r.Subject] = d.email(r)
		}
		ids, err := d.Stack.Send(d.Context(),
			harness.Event{Name: "maintenance/request.created", Data: map[string]any{"requestId": "nonsense"}},
			harness.Event{Name: "plant/audited", Data: map[string]any{"by": "Noor"}})
		require.NoError(d, err)
		lonely := d.deliver("unattributed@plant.test", "From: stranger@a.test\r\nTo: unattributed@plant.test\r\nSubject: An unattributed email\r\nContent-Type: text/html\r\n\r\n<p>Hello. <a href=\"http://a.test/\">There</a>\r\n")
		d.openBoard()
		const arrived = `['completed', 'failed', 'unsubscribed', 'mail'].map(state => [...rows.values()].filter(r => r.state === state).length).join() === '3,1,1,1'`
		d.until(arrived)
		completed := eval[string](d, `order.find(r => r.state === 'completed').id`)

		const traced = `document.querySelector('#summary .state-%s') !== null && document.querySelector('#link[data-state=live]') !== null`
		const whole = `document.readyState === 'complete'`
		views := []view{
			{"dashboard", d.url, arrived, `true`},
			{"dashboard, many emails", d.url, arrived, `document.getElementById('inbox').textContent = '10000'; true`},
			{"dashboard, the samples", d.url, arrived, `document.querySelector('#samples summary').click(); true`},
			{"dashboard, a log", d.url, arrived, `document.querySelector('[data-service=inngest] button').click(); document.getElementById('log').open`},
			{"dashboard, no match", d.url, arrived, `document.getElementById('filter').value = 'no such event'; arrange(); schedule(); true`},
			{"event, completed", d.url + "/event/" + completed, fmt.Sprintf(traced, "completed"), openAll},
			{"event, failed", d.url + "/event/" + ids[0], fmt.Sprintf(traced, "failed"), openAll},
			{"event, without a function", d.url + "/event/" + ids[1], fmt.Sprintf(traced, "unsubscribed"), openAll},
			{"event, unknown", d.url + "/event/01KC000000000000000000000X", whole, `true`},
			{"request", d.Env().AppURL + "/requests/" + urgent.ID, whole, `true`},
			{"request, unknown", d.Env().AppURL + "/requests/000000000000000000000000", whole, `true`},
			{"report", serve(d, d.report(completed, ids[0])), whole, openAll},
			{"exploration", serve(d, d.exploration(completed, ids[0])), whole, openAll},
		}
		for _, pane := range []string{"rendered", "links", "source"} {
			views = append(views, view{"email in the dashboard, " + pane, d.url + "/mail/" + lonely.ID, whole,
				fmt.Sprintf(`document.querySelector('.mv [value=%s]').click(); %s`, pane, openAll)})
		}
		for subject, m := range emails {
			views = append(views, view{"email, " + subject, serve(d, []byte(m.HTML)), whole, `true`})
		}
		for _, v := range views {
			d.audit(v)
		}
	})
}

// audit looks at a page at three widths and in both colour schemes, and goes through it with the Tab key.
func (d *env) audit(v view) {
	d.Helper()
	tab, cancel, err := browser.Open(d.Context(), 1280, 900)
	require.NoError(d, err)
	defer cancel()
	d.tab = tab
	open := func(width int64, s string) {
		d.Helper()
		d.do(chromedp.EmulateViewport(width, 900), scheme(s), chromedp.Navigate(v.url))
		d.until(v.ready)
		require.True(d, eval[bool](d, v.prepare), v.name)
	}
	open(390, "light")
	for _, width := range []int64{390, 768, 1280} {
		for _, s := range []string{"light", "dark"} {
			at := fmt.Sprintf("%s, %d pixels wide, %s", v.name, width, s)
			d.do(chromedp.EmulateViewport(width, 900), scheme(s))
			eval[bool](d, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
			d.keep("Accessible: " + at)
			assert.LessOrEqual(d, eval[int64](d, `document.documentElement.scrollWidth`), width, "%s: it scrolls sideways", at)
			findings, err := accessibility.Check(d.tab)
			require.NoError(d, err, at)
			assert.Empty(d, findings, at)
		}
	}
	for width, s := range map[int64]string{390: "light", 1280: "dark"} {
		open(width, s)
		findings, err := accessibility.Keyboard(d.tab)
		at := fmt.Sprintf("%s, %d pixels wide, %s", v.name, width, s)
		require.NoError(d, err, at)
		assert.Empty(d, findings, at)
	}
}

// serve returns the address of a page.
func serve(d *env, page []byte) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	}))
	d.Cleanup(server.Close)
	return server.URL
}

// verdict judges whether an event led to a notification.
func (d *env) verdict(eventID string) *harness.Verdict {
	d.Helper()
	v, err := d.Stack.Judge(d.Context(), eventID, harness.Expectation{Runs: []harness.RunExpectation{{Function: "send-request-notification", Status: harness.StatusCompleted}}}, stack.JudgeOptions{})
	require.NoError(d, err)
	return v
}

// exploration returns the page of an exploration with one of everything.
func (d *env) exploration(completed, failed string) []byte {
	d.Helper()
	violation := report.ExploredViolation{Rule: "expectation", Says: "there is no email to kim@plant.test", Finding: 1}
	x := &report.Exploration{
		Summary: "explored 5 schedules (all 4 single faults; 1 of 9 pairs) in 1.2s, 3 violations of 2 kinds", Target: "in process",
		Counts:      []report.ExploredCount{{Name: "single faults", Possible: 26}, {Name: "pairs", Possible: 9}},
		NotExplored: []string{"the app's death: it runs in this process"},
		Findings: []report.ExploredFinding{
			{Rule: "expectation", Says: violation.Says, Story: "the answer to call 1 was lost", Schedules: 2, Unsure: "it did not show again", Verdict: d.verdict(failed)},
			{Rule: "copies", Says: "the email arrived twice", Story: "call 1 was refused with 503; then event 2 came before it", Schedules: 1, Verdict: d.verdict(completed)},
		},
	}
	for _, kind := range []string{"kill", "lose-answer", "refuse", "drop", "refuse-for-good", "restart-database", "restart-mail", "restart-inngest", "freeze", "late", "send", "twice", "twice-at-once"} {
		x.Kinds = append(x.Kinds, report.ExploredKind{Name: kind, Says: "Something goes wrong here."})
	}
	for row, hop := range []string{"before call 1 of odoo-maintenance-send-request-notification", "after the end of the message to kim@plant.test"} {
		x.Hops = append(x.Hops, hop)
		for column, kind := range x.Kinds {
			s := report.ExploredSchedule{Story: kind.Name + " " + hop, Faults: 1, Hop: row, Kind: column, Why: "1 run, 1 email"}
			switch column % 5 {
			case 1:
				s.Violations = []report.ExploredViolation{violation}
			case 2:
				s.NotRun = "the run never came to it"
			case 3:
				continue
			}
			x.Schedules = append(x.Schedules, s)
		}
	}
	x.Schedules = append(x.Schedules, report.ExploredSchedule{Story: "call 1 was refused with 503; then event 2 came before it", Faults: 2, Violations: []report.ExploredViolation{violation, {Rule: "copies", Says: "the email arrived twice", Finding: 2}}})
	var page bytes.Buffer
	require.NoError(d, x.WriteHTML(&page))
	return page.Bytes()
}

// report returns the page of a report with one of everything: of a test that passed, one that failed, and one that was skipped.
func (d *env) report(completed, failed string) []byte {
	d.Helper()
	record := func(name string, outcome report.Outcome, eventID string) report.Record {
		r := report.Record{Package: "example.test/plant", Test: name, Backend: "local", Outcome: outcome, Began: time.Now(), Took: time.Second}
		if eventID != "" {
			r.Verdicts = append(r.Verdicts, d.verdict(eventID))
		}
		return r
	}
	passed, broken := record("TestPassed", report.Passed, completed), record("TestFailed", report.Failed, failed)
	broken.Failures, broken.Evidence = []string{broken.Verdicts[0].Why}, "/src/.harness/evidence"
	require.Len(d, passed.Verdicts[0].Trace.Mail, 1)
	m := passed.Verdicts[0].Trace.Mail[0]
	after := golden.Files{Email: "Subject: " + m.Subject + "\n", Text: m.Text, HTML: m.HTML}
	before := golden.Files{Email: "Subject: another\n", Text: m.Text + "a line\n", HTML: m.HTML}
	passed.Goldens = []report.Golden{{Name: "changed", Message: m.ID, Before: before, After: after}}
	picture, err := chromedp.Run(d.tab, chromedp.CaptureScreenshot())
	require.NoError(d, err)
	passed.Pictures = []report.Picture{{Name: "The dashboard", PNG: picture}}
	rep := &report.Report{
		Records: []report.Record{passed, broken, record("TestSkipped", report.Skipped, "")},
		Faults: []report.Fault{
			{Fault: "451 twice", Backend: "local", Promised: "sent", Happened: "sent", Kept: true, Took: harness.Duration(1500 * time.Millisecond)},
			{Fault: "550", Backend: "local", Promised: "failed", Happened: "sent", Took: harness.Duration(3 * time.Second)},
		},
		Figures: []report.Figure{
			{Name: "event to email", Median: harness.Duration(131 * time.Millisecond), Low: harness.Duration(122 * time.Millisecond), High: harness.Duration(165 * time.Millisecond), N: 300, Note: "floor 120 ms"},
			{Name: "tap", Median: harness.Duration(90 * time.Microsecond), Low: harness.Duration(85 * time.Microsecond), High: harness.Duration(95 * time.Microsecond), N: 300},
		},
	}
	var page bytes.Buffer
	require.NoError(d, rep.WriteHTML(&page))
	return page.Bytes()
}

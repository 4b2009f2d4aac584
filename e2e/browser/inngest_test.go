//go:build browser

package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// inngestPage is a browser tab with Inngest's own page, on a stack with the app.
type inngestPage struct {
	*testing.T
	stack *stack.Stack
	tab   context.Context
	url   string

	mu      sync.Mutex
	refused []string // answers of the stack's server that are none
	thrown  []string // errors that the page's scripts have not caught
}

// onInngestsPage runs f on the page of the dev server and on that of sim. The page must have been built: make browser does.
func onInngestsPage(t *testing.T, f func(p *inngestPage)) {
	t.Parallel()
	for _, backend := range []harness.Backend{local.New(local.Options{}), simstack.New(local.New(local.Options{}), simstack.Options{})} {
		t.Run(backend.Name(), func(t *testing.T) {
			st, err := testenv.Start(t.Context(), backend, stack.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(t.Context()))) })
			require.NotEmpty(t, st.RunURL("any"), "Inngest's page is not built: harness tools build page")
			tab, cancel, err := browser.Open(t.Context(), 1400, 900)
			require.NoError(t, err)
			t.Cleanup(cancel)
			p := &inngestPage{T: t, stack: st, tab: tab, url: st.Endpoints().Inngest}
			p.open("about:blank") // the tab begins with it
			require.NoError(t, chromedp.Listen(tab, p.note))
			f(p)
			p.mu.Lock()
			defer p.mu.Unlock()
			require.Empty(t, p.refused, "the page asked what the server does not know")
			require.Empty(t, p.thrown, "a script of the page has failed")
		})
	}
}

func (p *inngestPage) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && strings.HasPrefix(e.Response.URL, p.url) {
			p.refused = append(p.refused, fmt.Sprint(e.Response.Status, " ", e.Response.URL))
		}
	case *runtime.EventExceptionThrown:
		// The editor rejects a promise with an object, and not an error, where it is gone before it has loaded.
		// From an update of a part of the page that React has not taken over yet, its error 421, it recovers: it draws that part anew.
		if thrown := e.ExceptionDetails.Exception; thrown != nil && thrown.Subtype == runtime.RemoteObjectSubtypeError &&
			!strings.Contains(thrown.Description, "Minified React error #421;") {
			p.thrown = append(p.thrown, thrown.Description)
		}
	}
}

func (p *inngestPage) open(url string) {
	p.Helper()
	require.NoError(p, chromedp.Do(p.tab, chromedp.Navigate(url)))
}

// until waits until an expression in the page is true.
func (p *inngestPage) until(expression string) {
	p.Helper()
	_, err := chromedp.Run(p.tab, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(timeout)))
	if err != nil {
		text, _ := chromedp.Run(p.tab, chromedp.Evaluate[string](`document.body.innerText`))
		require.NoError(p, err, "%s\nthe page says:\n%s", expression, text)
	}
}

// says waits until the page shows texts.
func (p *inngestPage) says(texts ...string) {
	p.Helper()
	for _, text := range texts {
		p.until(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
	}
}

// press clicks on what an XPath expression names.
func (p *inngestPage) press(path string) {
	p.Helper()
	found := fmt.Sprintf(`document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE, null).singleNodeValue`, path)
	p.until(fmt.Sprintf(`(e => Boolean(e?.checkVisibility()) && !e.disabled)(%s)`, found))
	_, err := chromedp.Run(p.tab, chromedp.Evaluate[bool](fmt.Sprintf(`%s.click(); true`, found)))
	require.NoError(p, err)
}

// create makes a request through the app's API, and waits for its run to have a status. It returns the run, too.
func (p *inngestPage) create(status harness.Status) (app.Request, inngestapi.Run) {
	p.Helper()
	env, _ := p.stack.Env()
	r, err := testenv.Create(p.Context(), env.AppURL, fixtures.Requests()[0])
	require.NoError(p, err)
	return r, p.run(status, func(e inngestapi.ReceivedEvent) bool { return strings.Contains(string(e.Data), r.ID) })
}

// run waits for a run with this status of an event that matches.
func (p *inngestPage) run(status harness.Status, of func(inngestapi.ReceivedEvent) bool) (found inngestapi.Run) {
	p.Helper()
	require.Eventually(p, func() bool {
		events, err := p.stack.API().Events(p.Context(), inngestapi.EventFilter{Since: time.Now().Add(-time.Hour), Limit: 100})
		if err != nil {
			return false
		}
		for _, e := range events {
			if !of(e) {
				continue
			}
			runs, err := p.stack.API().EventRuns(p.Context(), e.EventID)
			if err == nil && len(runs) == 1 && runs[0].Status == status {
				found = runs[0]
				return true
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond)
	return found
}

func (p *inngestPage) status(runID string) harness.Status {
	run, err := p.stack.API().Run(p.Context(), runID)
	if err != nil {
		return ""
	}
	return run.Status
}

func TestInngestsPage_ShowsRunsAndTheirTraces(t *testing.T) {
	onInngestsPage(t, func(p *inngestPage) {
		_, run := p.create(harness.StatusCompleted)
		p.open(p.url)
		p.says(run.ID, "Send request notification", "Completed", "maintenance/request.created")

		p.open(p.stack.RunURL(run.ID))
		p.says(run.ID, "odoo-maintenance", "fetch-request-details", "get-technician-email", "send-email")
		p.press(`//*[text()="get-technician-email"]`)
		// The editor that shows outputs comes from the server, too: there may be no network.
		p.until(`[...document.querySelectorAll('.monaco-editor .view-lines')].some(e => e.innerText.includes('@plant.test'))`)
	})
}

// enterAndSend is a script that enters a text in the dialog's editor, and presses its button, until the dialog closes because
// the event was sent. The editor shows a text before the dialog listens to it; the dialog then has none to send.
const enterAndSend = `(async () => {
	const pause = ms => new Promise(done => setTimeout(done, ms))
	for (let blanks = ''; ; blanks += ' ') { // which make each text another one
		const dialog = document.querySelector('[role=dialog]')
		if (!dialog) return true
		const editor = globalThis.monaco?.editor.getEditors().find(e => dialog.contains(e.getDomNode()))
		const button = [...dialog.querySelectorAll('button')].find(b => b.innerText.includes('Send event'))
		if (editor && button && !button.disabled) {
			editor.setValue(%q + blanks)
			await pause(100)
			button.click()
		}
		await pause(1000)
	}
})()`

func TestInngestsPage_SendsAnEvent(t *testing.T) {
	onInngestsPage(t, func(p *inngestPage) {
		r, _ := p.create(harness.StatusCompleted)
		p.open(p.url + "/events")
		p.press(`//button[contains(.,"Send event")]`)
		p.until(`document.querySelector('[role=dialog] .monaco-editor .view-lines') !== null`)
		payload, err := json.Marshal(harness.Event{Name: "maintenance/request.created", Data: map[string]any{"requestId": "by hand, after " + r.ID}})
		require.NoError(p, err)
		_, err = chromedp.Run(p.tab, chromedp.Evaluate[bool](fmt.Sprintf(enterAndSend, payload), chromedp.EvalAwaitPromise))
		require.NoError(p, err)
		run := p.run(harness.StatusFailed, func(e inngestapi.ReceivedEvent) bool { return strings.Contains(string(e.Data), "by hand, after "+r.ID) })
		p.open(p.stack.RunURL(run.ID))
		p.says("Failed", "is not an id of 24 hexadecimal digits")
	})
}

func TestInngestsPage_RunsAgain(t *testing.T) {
	onInngestsPage(t, func(p *inngestPage) {
		_, run := p.create(harness.StatusCompleted)
		p.open(p.stack.RunURL(run.ID))
		p.says("send-email")
		p.press(`//button[.="Rerun"]`)
		p.says("Successfully queued rerun")
		var again string
		require.Eventually(p, func() bool {
			runs, err := p.stack.API().EventRuns(p.Context(), run.EventIDs[0])
			for _, r := range runs {
				if r.ID != run.ID && r.Status == harness.StatusCompleted {
					again = r.ID
				}
			}
			return err == nil && again != ""
		}, time.Minute, 20*time.Millisecond)
		p.open(p.url + "/runs")
		p.says(run.ID, again)
	})
}

func TestInngestsPage_CancelsARun(t *testing.T) {
	onInngestsPage(t, func(p *inngestPage) {
		// Without a mail server the run waits for its next attempt.
		require.NoError(p, p.stack.Stop(p.Context(), harness.ServiceMailHog))
		_, run := p.create(harness.StatusRunning)
		p.open(p.stack.RunURL(run.ID))
		p.says("send-email", "Running")
		p.press(`//button[.="Cancel"]`)
		require.Eventually(p, func() bool { return p.status(run.ID) == harness.StatusCancelled }, time.Minute, 20*time.Millisecond)
		p.open(p.stack.RunURL(run.ID))
		p.says("Cancelled")
	})
}

//go:build browser

package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

func TestDashboard_FollowsAnEventToItsEmail(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		d.openBoard()
		eval[bool](d, `window.sameDocument = true`)

		r := d.create("corrective")
		d.find(r.ID)
		d.until(`order.length === 1 && order[0].state === 'completed' && document.querySelector('#rows li[data-state=completed] .chip-mail') !== null`)
		spoken := eval[string](d, `document.querySelector('#rows a .hidden').textContent`)
		require.Contains(t, spoken, "maintenance/request.created; completed; run of send-request-notification, completed, 3 steps; email to ")
		require.True(t, eval[bool](d, `window.sameDocument`), "the page has been loaded again")

		m := d.email(r)
		d.touch("#rows a")
		d.see("#timeline")
		d.until(`document.querySelector('.mv h2')?.textContent === ` + fmt.Sprintf("%q", m.Subject))
		for _, want := range []string{
			"fetch-request-details", "get-technician-email", "send-email", "SMTP to " + m.Envelope.To[0], "In the inbox of " + m.Envelope.To[0],
			r.ID, "Nothing more can happen", "MailHog’s own preview has no sandbox",
		} {
			d.until(fmt.Sprintf(`document.querySelector('#trace').innerText.includes(%q)`, want))
		}
	})
}

func TestEventPage_GrowsWhileItIsOpen(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		// The page is asked for before the server shows the event, and follows it to its end.
		id := d.Send(harness.Event{Name: "maintenance/request.created", Data: map[string]any{"requestId": "of " + d.Salt()}})
		d.do(chromedp.Navigate(d.url + "/event/" + id))
		d.see("#summary")
		d.until(`document.querySelector('#summary .state')?.textContent.includes('failed')`)
		require.Contains(t, eval[string](d, `document.querySelector('.run').innerText`), "is not an id of 24 hexadecimal digits")
	})
}

func TestDashboard_SendsASample(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		d.openBoard()
		// One click, and the rendered email is on the screen.
		d.touch("#sample")
		d.see(".mv iframe")
		d.until(`document.querySelector('.mv h2').textContent === 'Corrective maintenance: Belt slips under full load'`)
		first := eval[string](d, `location.pathname`)

		d.openBoard()
		d.touch("#samples summary")
		d.touch("#samples button[value=urgent]")
		d.see(".mv iframe")
		d.until(`document.querySelector('.mv h2').textContent.startsWith('[High] Corrective maintenance: ')`)
		id := strings.TrimPrefix(eval[string](d, `location.pathname`), "/event/")
		require.NotEqual(t, first, "/event/"+id)

		d.see("#summary .state-completed") // from then on nothing on the page changes
		d.touch("#summary form button")
		d.until(`location.pathname.startsWith('/event/') && location.pathname !== '/event/` + id + `' && document.querySelector('#timeline') !== null`)
		require.NotContains(t, eval[string](d, `document.querySelector('#summary').innerText`), id, "it is sent under a fresh id")
	})
}

func TestDashboard_EmptiesTheInbox(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		d.email(d.create("corrective"))
		d.openBoard()
		d.until(`[...rows.values()].some(r => r.mail?.length)`)
		eval[bool](d, `window.confirm = () => true; true`)
		d.touch("#clear")
		d.until(`[...rows.values()].every(r => !r.mail) && document.getElementById('inbox').textContent === '0'`)
		n, err := d.Stack.Inbox().Count(d.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestDashboard_ShowsWhatIsWrongWithTheStack(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		d.openBoard()
		d.until(`document.querySelector('#app[data-state=synced]') !== null`)
		require.NoError(t, d.Stack.Stop(d.Context(), harness.ServiceMailHog))
		d.until(`document.querySelector('[data-service=mailhog][data-state=down]') !== null`)
		d.touch("[data-service=mailhog] button")
		d.see("#log[open]")
		d.until(`document.getElementById('log-title').textContent === 'MailHog: down' && document.getElementById('log-text').textContent.length > 20`)
		d.keep("Dashboard: the log of a service that is down")
		require.NoError(t, d.Stack.Start(d.Context(), harness.ServiceMailHog))
		d.until(`document.querySelector('[data-service=mailhog][data-state=up]') !== null`)

		require.NoError(t, d.Stack.Stop(d.Context(), harness.ServiceApp))
		d.until(`document.querySelector('#app[data-state=unsynced]')?.textContent.includes('the app does not answer')`)
		d.touch("#log button")
		d.keep("Dashboard: the app is down")
	})
}

func TestDashboard_IsUsableByKeyboard(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		var events []harness.Event
		for i := range 40 {
			events = append(events, harness.Event{Name: "keys/pressed", Data: map[string]any{"n": i, "of": d.Salt()}})
		}
		_, err := d.Stack.Send(d.Context(), events...)
		require.NoError(t, err)
		d.openBoard()
		d.do(chromedp.KeyEvent("/"))
		d.until(`document.activeElement.id === 'filter'`)
		// The protocol delivers the slash to what has the focus by then, as no keyboard does.
		eval[string](d, `document.getElementById('filter').value = ''`)
		d.do(chromedp.KeyEvent(d.Salt()))
		// Until each is settled its time may be corrected, and with it the order.
		d.until(`order.length === 40 && order.every(r => r.state === 'unsubscribed')`)
		focused := `document.activeElement.closest('li')?.getAttribute('aria-posinset')`
		d.do(chromedp.KeyEvent(kb.ArrowDown))
		d.until(focused + ` === '1'`)
		for range 24 {
			d.do(chromedp.KeyEvent(kb.ArrowDown))
		}
		d.until(focused + ` === '25'`)
		require.True(t, eval[bool](d, `(r => r.top >= 0 && r.bottom <= innerHeight)(document.activeElement.getBoundingClientRect())`), "what has the focus is in sight")
		require.Equal(t, "40", eval[string](d, `document.activeElement.closest('li').getAttribute('aria-setsize')`))
		d.do(chromedp.KeyEvent(kb.Enter))
		// The stream is live, so the script that handles the keyboard has run.
		d.until(`location.pathname.startsWith('/event/') && document.querySelector('#link[data-state=live]') !== null`)
		d.do(chromedp.KeyEvent(kb.Escape))
		d.until(`location.pathname === '/' && document.getElementById('filter') !== null`)
	})
}

func TestDashboard_NamesEveryControl(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1280, 900)
		r := d.create("minimal")
		d.openBoard()
		d.find(r.ID)
		d.until(`order.length === 1 && document.querySelector('#rows li[data-state=completed] .chip-mail') !== null`)
		nameless := `[...document.querySelectorAll('a, button, input, summary, iframe, section, [role=region]')].filter(e => e.checkVisibility() &&
			!(e.getAttribute('aria-label') || e.title || e.innerText?.trim() || e.labels?.[0]?.innerText.trim() || document.getElementById(e.getAttribute('aria-labelledby')))).map(e => e.outerHTML)`
		require.Empty(t, eval[[]string](d, nameless))
		url := eval[string](d, `location.origin + '/event/' + order[0].id`)
		d.do(chromedp.Navigate(url))
		d.see("iframe")
		require.Empty(t, eval[[]string](d, strings.Replace(nameless, "section, ", "", 1)))
	})
}

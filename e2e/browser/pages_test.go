//go:build browser

package browser_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

func TestMailHog_ShowsTheEmail(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newEnv(t, 1180, 900)
		r := d.create("preventive-scheduled")
		d.email(r)
		d.do(chromedp.Navigate(d.Stack.Endpoints().MailHog),
			chromedp.Click(chromedp.Search(fmt.Sprintf(`//div[contains(@class,"msglist-message")][contains(.,%q)]`, r.Subject))),
			chromedp.WaitVisible(chromedp.CSS("#preview-html")))
		_, err := chromedp.Run(d.tab, browser.Settled("#preview-html"))
		require.NoError(t, err)
		shown := eval[string](d, `document.querySelector('#preview-html').contentDocument.body.innerText`)
		require.Contains(t, shown, "Hello ")
		require.Contains(t, shown, "This maintenance request is assigned to you.")
	})
}

func TestRequestPage_OpensFromTheEmail(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1180, 900)
		r := d.create("corrective")
		m := d.email(r)
		d.do(chromedp.Navigate(d.url+"/mail/"+m.ID), chromedp.WaitVisible(chromedp.CSS(".mv iframe")))

		opened := chromedp.WaitNewTarget(d.tab, func(i *target.Info) bool { return i.URL != "" })
		d.do(chromedp.Click(chromedp.Search(`//label[contains(.,"Links")]`)), chromedp.Click(chromedp.CSS(".mv-links a")))
		tab, cancel := chromedp.NewContext(d.tab, chromedp.WithTargetID(<-opened))
		defer cancel()
		require.NoError(t, chromedp.Do(tab, chromedp.WaitVisible(chromedp.CSS("h1"))))
		at, err := chromedp.Run(tab, chromedp.Location())
		require.NoError(t, err)
		require.Equal(t, d.Env().AppURL+"/requests/"+r.ID, at)
		text, err := chromedp.Run(tab, chromedp.Text(chromedp.CSS("body")))
		require.NoError(t, err)
		require.Contains(t, text, r.Subject)
	})
}

//go:build browser

package browser_test

import (
	"fmt"
	"net/smtp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

func TestAnEmailIsShownWithin100MillisecondsOfMailHogHavingIt(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newDesk(t, 1280, 900)
		d.do(chromedp.Navigate(d.url), chromedp.WaitVisible(chromedp.CSS(`#link[data-state=live]`)))
		d.until(`stack !== null`)
		// The best of several: on a machine that does other things too, one figure says more about those.
		best := time.Hour
		for i := range 10 {
			subject := fmt.Sprintf("Speed %d", i)
			shown := make(chan float64, 1)
			eval[bool](d, fmt.Sprintf(`window.shownAt = new Promise(done => new MutationObserver((_, o) => {
				if ([...document.querySelectorAll('#rows .name')].some(e => e.textContent === %q)) { o.disconnect(); requestAnimationFrame(() => done(Date.now())); }
			}).observe(document.getElementById('rows'), { childList: true, subtree: true })); true`, subject))
			go func() {
				at, _ := chromedp.Run(d.tab, chromedp.Evaluate[float64](`window.shownAt`, chromedp.EvalAwaitPromise))
				shown <- at
			}()
			require.NoError(t, smtp.SendMail(d.Stack.Endpoints().SMTP, nil, "a@a.test", []string{"kim@plant.test"}, []byte("Subject: "+subject+"\r\n\r\nx\r\n")))
			had := time.Now() // MailHog has said 250
			at := time.UnixMilli(int64(<-shown))
			best = min(best, at.Sub(had))
		}
		t.Logf("an email is shown %v after MailHog has it, at best", best)
		require.Less(t, best, 100*time.Millisecond)
	})
}

func TestTheBoardIsSmoothWith5000Events(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d := newDesk(t, 1280, 900)
		const n = 5000
		for sent := 0; sent < n; sent += 500 {
			var events []harness.Event
			for i := range 500 {
				events = append(events, harness.Event{Name: "plant/measured", Data: map[string]any{"reading": sent + i, "place": "Hall B, line 2"}})
			}
			_, err := d.Stack.Send(d.Context(), events...)
			require.NoError(t, err)
		}
		began := time.Now()
		d.do(chromedp.Navigate(d.url))
		d.until(`rows.size >= 5000`)
		t.Logf("they are there %v after the page was asked for", time.Since(began).Round(time.Millisecond))
		require.Less(t, eval[int](d, `document.querySelectorAll('#rows li').length`), 60, "only what is in sight is in the document")

		// How long the page works on one step of scrolling, and on one keystroke in the filter.
		scroll := eval[[]float64](d, `(async () => {
			const took = [];
			for (let i = 1; i <= 60; i++) {
				scrollTo(0, i * 5900);
				const began = performance.now();
				draw();
				document.body.offsetHeight;
				took.push(performance.now() - began);
				await new Promise(requestAnimationFrame);
			}
			return took.sort((a, b) => a - b);
		})()`)
		filter := eval[[]float64](d, `(async () => {
			const took = [];
			for (const text of ['4', '49', '499', '49', '4', '', 'hall', 'hall 12', 'nothing such', '']) {
				document.getElementById('filter').value = text;
				document.getElementById('filter').dispatchEvent(new Event('input'));
				const began = performance.now();
				draw();
				document.body.offsetHeight;
				took.push(performance.now() - began);
				await new Promise(requestAnimationFrame);
			}
			return took.sort((a, b) => a - b);
		})()`)
		t.Logf("with %d events: a step of scrolling takes %.1f ms (the longest %.1f), a keystroke in the filter %.1f ms (the longest %.1f)",
			n, scroll[len(scroll)/2], scroll[len(scroll)-1], filter[len(filter)/2], filter[len(filter)-1])
		require.Less(t, scroll[len(scroll)/2], 50.0)
		require.Less(t, filter[len(filter)/2], 50.0)
	})
}

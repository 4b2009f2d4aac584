package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/smtp"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// What the dashboard is to keep to.
const (
	mostShown = 100 * time.Millisecond // until an email that MailHog has is on the page
	mostStep  = 50 * time.Millisecond  // of work in the page for a step of scrolling, or a keystroke in the filter
	// mostEmails is how many emails are enough to tell the first.
	mostEmails = 50
	// manyEvents is how many events there are on the page for that.
	manyEvents = 5000
)

// benchDashboard measures, in headless Chromium, how soon the dashboard shows an email that MailHog has, and how long
// its page works on a step of scrolling and on a keystroke in the filter when there are many events. Without Chromium it
// measures nothing and says so.
func benchDashboard(ctx context.Context, n int) (figures []figure, err error) {
	if _, err := browser.Find(); err != nil {
		fmt.Println("the dashboard is not measured:", err)
		return nil, nil
	}
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	board, err := dashboard.New(st, dashboard.Options{})
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(board)
	defer func() { _ = board.Close(context.WithoutCancel(ctx)); server.Close() }()
	tab, cancel, err := browser.Open(ctx, 1280, 900)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if err := chromedp.Do(tab, chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS(`#link[data-state=live]`))); err != nil {
		return nil, err
	}

	shown, err := emailsShown(ctx, st, tab, n)
	if err != nil {
		return nil, fmt.Errorf("emails on the dashboard: %w", err)
	}
	smooth, err := manyShown(ctx, st, tab)
	if err != nil {
		return nil, fmt.Errorf("%d events on the dashboard: %w", manyEvents, err)
	}
	return append(shown, smooth...), nil
}

// emailsShown measures the time from MailHog's 250 to the frame in which the page shows the email, and, of the same
// emails, to MailHog's own push.
func emailsShown(ctx context.Context, st *stack.Stack, tab context.Context, n int) ([]figure, error) {
	push, err := listen(ctx, st.Endpoints().MailHog)
	if err != nil {
		return nil, err
	}
	defer push.CloseNow()
	var shown, pushed []time.Duration
	for i := range n {
		subject := fmt.Sprintf("Email number %d", i)
		watch := fmt.Sprintf(`window.shownAt = new Promise(done => new MutationObserver((_, o) => {
			if ([...document.querySelectorAll('#rows .name')].some(e => e.textContent === %q)) { o.disconnect(); requestAnimationFrame(() => done(Date.now())); }
		}).observe(document.getElementById('rows'), { childList: true, subtree: true })); true`, subject)
		if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](watch)); err != nil {
			return nil, err
		}
		message := []byte("Subject: " + subject + "\r\n\r\nx\r\n")
		if err := smtp.SendMail(st.Endpoints().SMTP, nil, "a@a.test", []string{"kim@plant.test"}, message); err != nil {
			return nil, err
		}
		had := time.Now() // MailHog has said 250
		for found := false; !found; {
			_, message, err := push.Read(ctx)
			if err != nil {
				return nil, err
			}
			found = bytes.Contains(message, []byte(subject))
		}
		pushed = append(pushed, max(0, time.Since(had)))
		at, err := chromedp.Run(tab, chromedp.Evaluate[float64](`window.shownAt`, chromedp.EvalAwaitPromise))
		if err != nil {
			return nil, err
		}
		shown = append(shown, max(0, time.UnixMilli(int64(at)).Sub(had)))
		pause(ctx)
	}
	return []figure{
		wanted(measured("email in MailHog → shown on the dashboard", shown), mostShown),
		measured("email in MailHog → heard from its push, floor", pushed),
	}, nil
}

// manyShown measures the work of the page when it has many events.
func manyShown(ctx context.Context, st *stack.Stack, tab context.Context) ([]figure, error) {
	const batch = 500
	for sent := 0; sent < manyEvents; sent += batch {
		var events []harness.Event
		for i := range batch {
			data, err := json.Marshal(map[string]any{"reading": sent + i, "place": "Hall B, line 2"})
			if err != nil {
				return nil, err
			}
			events = append(events, harness.Event{Name: "plant/measured", Data: json.RawMessage(data)})
		}
		if _, err := st.Send(ctx, events...); err != nil {
			return nil, err
		}
	}
	there := chromedp.Poll[bool](fmt.Sprintf(`rows.size >= %d`, manyEvents), chromedp.WithPollingTimeout(time.Minute))
	if _, err := chromedp.Run(tab, there); err != nil {
		return nil, err
	}
	scrolling, err := pageWork(tab, `(async work => {
		for (let i = 1; i <= 60; i++) { scrollTo(0, i * 5900); await work(); }
	})`)
	if err != nil {
		return nil, err
	}
	filtering, err := pageWork(tab, `(async work => {
		const filter = document.getElementById('filter');
		for (const text of ['4', '49', '499', '49', '4', '', 'h', 'hall', 'hall 12', 'nothing such', 'nothing', '']) {
			filter.value = text;
			filter.dispatchEvent(new Event('input'));
			await work();
		}
	})`)
	if err != nil {
		return nil, err
	}
	return []figure{
		wanted(measured(fmt.Sprintf("a step of scrolling, %d events", manyEvents), scrolling), mostStep),
		wanted(measured(fmt.Sprintf("a keystroke in the filter, %d events", manyEvents), filtering), mostStep),
	}, nil
}

// pageWork runs a script which calls work after each change of the page, and returns how long the page then works until
// what it shows is laid out.
func pageWork(tab context.Context, script string) ([]time.Duration, error) {
	took, err := chromedp.Run(tab, chromedp.Evaluate[[]float64](`(async () => {
		const took = [];
		await (`+script+`)(async () => {
			const began = performance.now();
			draw();
			document.body.offsetHeight;
			took.push(performance.now() - began);
			await new Promise(requestAnimationFrame);
		});
		return took;
	})()`, chromedp.EvalAwaitPromise))
	var all []time.Duration
	for _, ms := range took {
		all = append(all, time.Duration(ms*float64(time.Millisecond)))
	}
	return all, err
}

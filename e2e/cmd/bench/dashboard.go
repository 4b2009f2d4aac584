package main

import (
	"context"
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
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// The dashboard's goals.
const (
	shownGoal = 100 * time.Millisecond // until the page shows an email that MailHog has
	stepGoal  = 50 * time.Millisecond  // for the page's work on a step of scrolling or a keystroke in the filter
	// manyEvents is how many events the page holds for the second.
	manyEvents = 5000
)

// benchDashboard measures in headless Chromium how soon the dashboard shows an email, beside MailHog's own push, and how
// long its page works on a step of scrolling and on a keystroke in the filter when it holds many events. Without Chromium
// it says so and measures nothing.
func benchDashboard(ctx context.Context, n int) (figures []report.Figure, err error) {
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
		return nil, fmt.Errorf("emails: %w", err)
	}
	work, err := pageWork(ctx, st, tab)
	if err != nil {
		return nil, fmt.Errorf("%d events: %w", manyEvents, err)
	}
	return append(shown, work...), nil
}

// emailsShown measures the time from MailHog's 250 to the frame in which the page shows the email. The floor is MailHog's
// push of the same email.
func emailsShown(ctx context.Context, st *stack.Stack, tab context.Context, n int) ([]report.Figure, error) {
	push, err := dialPush(ctx, st.Endpoints().MailHog)
	if err != nil {
		return nil, err
	}
	defer push.CloseNow()
	var s samples
	shown := "email in MailHog → shown on the dashboard"
	s.goal(shown, limit{most: shownGoal})
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
		accepted := time.Now()
		if err := awaitPush(ctx, push, subject); err != nil {
			return nil, err
		}
		s.add("email in MailHog → pushed by MailHog, floor", time.Since(accepted))
		at, err := chromedp.Run(tab, chromedp.Evaluate[float64](`window.shownAt`, chromedp.EvalAwaitPromise))
		if err != nil {
			return nil, err
		}
		s.add(shown, max(0, time.UnixMilli(int64(at)).Sub(accepted)))
		pause(ctx)
	}
	return s.figures(""), nil
}

// pageWork measures how long the page works until what it shows is laid out, when it holds many events.
func pageWork(ctx context.Context, st *stack.Stack, tab context.Context) ([]report.Figure, error) {
	events := make([]harness.Event, 500)
	for sent := 0; sent < manyEvents; sent += len(events) {
		for i := range events {
			events[i] = harness.Event{Name: "plant/measured", Data: map[string]any{"reading": sent + i, "place": "Hall B, line 2"}}
		}
		if _, err := st.Send(ctx, events...); err != nil {
			return nil, err
		}
	}
	loaded := chromedp.Poll[bool](fmt.Sprintf(`rows.size >= %d`, manyEvents), chromedp.WithPollingTimeout(time.Minute))
	if _, err := chromedp.Run(tab, loaded); err != nil {
		return nil, err
	}
	var s samples
	for _, script := range []struct{ name, text string }{
		{"a step of scrolling", `for (let i = 1; i <= 60; i++) { scrollTo(0, i * 5900); await work(); }`},
		{"a keystroke in the filter", `for (const text of ['4', '49', '499', '49', '4', '', 'h', 'hall', 'hall 12', 'nothing such', 'nothing', '']) {
			const filter = document.getElementById('filter');
			filter.value = text;
			filter.dispatchEvent(new Event('input'));
			await work();
		}`},
	} {
		took, err := chromedp.Run(tab, chromedp.Evaluate[[]float64](`(async () => {
			const took = [];
			const work = async () => {
				const began = performance.now();
				draw();
				document.body.offsetHeight;
				took.push(performance.now() - began);
				await new Promise(requestAnimationFrame);
			};
			`+script.text+`
			return took;
		})()`, chromedp.EvalAwaitPromise))
		if err != nil {
			return nil, err
		}
		for _, ms := range took {
			name := fmt.Sprintf("%s, %d events", script.name, manyEvents)
			s.goal(name, limit{most: stepGoal})
			s.add(name, time.Duration(ms*float64(time.Millisecond)))
		}
	}
	return s.figures(""), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// studio is a browser before the pages of a stack.
type studio struct {
	tab     context.Context
	mailURL string
	url     string // of the dashboard
	shown   app.Request
	close   func()
}

func newStudio(ctx context.Context, st *stack.Stack) (*studio, error) {
	var samples []dashboard.Sample
	for _, r := range fixtures.Requests() {
		samples = append(samples, dashboard.Sample{Name: r.Name, Path: "/api/requests", Body: r.Body})
	}
	board, err := dashboard.New(st, dashboard.Options{Samples: samples})
	if err != nil {
		return nil, err
	}
	tab, cancel, err := browser.Open(ctx, 1180, 860)
	if err != nil {
		return nil, errors.Join(err, board.Close(ctx))
	}
	server := httptest.NewServer(board)
	return &studio{tab: tab, mailURL: st.Endpoints().MailHog, url: server.URL, close: func() { cancel(); _ = board.Close(context.WithoutCancel(ctx)); server.Close() }}, nil
}

// mailhog photographs the email in MailHog.
func (s *studio) mailhog(context.Context) ([]byte, error) {
	return s.photograph(860, browser.Settled("#preview-html"),
		chromedp.Navigate(s.mailURL),
		chromedp.WaitVisible(chromedp.CSS(".msglist-message")),
		chromedp.Click(chromedp.Search(fmt.Sprintf(`//div[contains(@class,"msglist-message")][contains(.,%q)]`, s.shown.Subject))),
		chromedp.WaitVisible(chromedp.CSS("#preview-html")),
	)
}

// settled are as many rows as there are requests and events, each with what came of it.
const settled = `order.length === %d && order.every(r => r.state !== 'waiting' && r.state !== 'running')`

// board photographs the dashboard's list of events.
func (s *studio) board(context.Context) ([]byte, error) {
	return s.photograph(912, until(fmt.Sprintf(settled, len(fixtures.Requests())+2)), chromedp.Navigate(s.url))
}

// event photographs the page of the event that led to the email.
func (s *studio) event(context.Context) ([]byte, error) {
	id, err := chromedp.Run(s.tab, chromedp.Evaluate[string](fmt.Sprintf(`order.find(r => r.data.includes(%q)).id`, s.shown.ID)))
	if err != nil {
		return nil, err
	}
	return s.photograph(1000, until(`document.querySelector('#summary .state-completed') !== null`),
		chromedp.Navigate(s.url+"/event/"+id), chromedp.WaitVisible(chromedp.CSS(".mv iframe")),
		chromedp.Click(chromedp.Search(`//summary[contains(.,"get-technician-email")]`)))
}

// report photographs the report's first email that has changed.
func (s *studio) report(_ context.Context, page string) ([]byte, error) {
	return s.photograph(1000, until(`document.readyState === 'complete'`), chromedp.Navigate("file://"+page))
}

// patience bounds the wait for a page to be as wanted.
const patience = 30 * time.Second

// until waits for an expression to be true in the page.
func until(expression string) chromedp.Action[bool] {
	return chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience))
}

// photograph takes the steps in a window of some height, waits for ready, and returns a picture of what is then to see.
func (s *studio) photograph(height int64, ready chromedp.Action[bool], steps ...chromedp.Action[chromedp.Void]) ([]byte, error) {
	if err := chromedp.Do(s.tab, append([]chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(1180, height)}, steps...)...); err != nil {
		return nil, err
	}
	if _, err := chromedp.Run(s.tab, ready); err != nil {
		return nil, err
	}
	// Frames are drawn by processes of their own: the picture is ready when two of them are the same.
	var before []byte
	for {
		drawn := chromedp.Evaluate[bool](`new Promise(done => setTimeout(() => requestAnimationFrame(() => done(true)), 150))`, chromedp.EvalAwaitPromise)
		if _, err := chromedp.Run(s.tab, drawn); err != nil {
			return nil, err
		}
		picture, err := chromedp.Run(s.tab, chromedp.CaptureScreenshot())
		if err != nil || string(before) == string(picture) {
			return picture, err
		}
		before = picture
	}
}

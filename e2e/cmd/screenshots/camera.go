package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// camera is a browser that takes pictures of a stack's pages.
type camera struct {
	tab     context.Context
	mailURL string
	url     string // of the dashboard
	shown   app.Request
	close   func()
}

func newCamera(ctx context.Context, st *stack.Stack) (*camera, error) {
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
		_ = board.Close(context.Background())
		return nil, err
	}
	server := httptest.NewServer(board)
	return &camera{tab: tab, mailURL: st.Endpoints().MailHog, url: server.URL, close: func() { cancel(); _ = board.Close(context.Background()); server.Close() }}, nil
}

// mailhog takes a picture of the email in MailHog.
func (c *camera) mailhog() ([]byte, error) {
	return c.picture(860, browser.Settled("#preview-html"),
		chromedp.Navigate(c.mailURL),
		chromedp.WaitVisible(chromedp.CSS(".msglist-message")),
		chromedp.Click(chromedp.Search(fmt.Sprintf(`//div[contains(@class,"msglist-message")][contains(.,%q)]`, c.shown.Subject))),
		chromedp.WaitVisible(chromedp.CSS("#preview-html")),
	)
}

// settled is true in the dashboard when it has a row for each event and no run is waiting or running.
const settled = `order.length === %d && order.every(r => r.state !== 'waiting' && r.state !== 'running')`

// board takes a picture of the dashboard's list of events.
func (c *camera) board() ([]byte, error) {
	return c.picture(912, until(fmt.Sprintf(settled, len(fixtures.Requests())+2)), chromedp.Navigate(c.url))
}

// event takes a picture of the page of the event that led to the email.
func (c *camera) event() ([]byte, error) {
	id, err := chromedp.Run(c.tab, chromedp.Evaluate[string](fmt.Sprintf(`order.find(r => r.data.includes(%q)).id`, c.shown.ID)))
	if err != nil {
		return nil, err
	}
	return c.picture(1000, until(`document.querySelector('#summary .state-completed') !== null`),
		chromedp.Navigate(c.url+"/event/"+id), chromedp.WaitVisible(chromedp.CSS(".mv iframe")),
		chromedp.Click(chromedp.Search(`//summary[contains(.,"get-technician-email")]`)))
}

// inngest takes a picture of the run that led to the email, in Inngest's own page.
func (c *camera) inngest(ctx context.Context, st *stack.Stack) ([]byte, error) {
	id, err := st.AwaitEvent(ctx, c.shown.Event().IdempotencyKey)
	if err != nil {
		return nil, err
	}
	runs, err := st.API().EventRuns(ctx, id)
	if err != nil {
		return nil, err
	}
	url := st.RunURL(runs[0].ID)
	if url == "" {
		return nil, errors.New("there is no page of Inngest yet: harness tools build page")
	}
	const output = `[...document.querySelectorAll('.monaco-editor .view-lines')].some(e => e.innerText.includes('@plant.test'))`
	return c.picture(800, until(output), chromedp.Navigate(url), chromedp.Click(chromedp.Search(`//*[text()="get-technician-email"]`)))
}

// report takes a picture of the first changed email in the report of a change to the template.
func (c *camera) report(ctx context.Context, st *stack.Stack) (png []byte, err error) {
	dir, err := os.MkdirTemp("", "screenshots-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writeReport(ctx, st, dir); err != nil {
		return nil, err
	}
	return c.picture(1000, until(`document.readyState === 'complete'`), chromedp.Navigate("file://"+filepath.Join(dir, report.PageFile)))
}

// timeout bounds the wait for a condition in a page.
const timeout = time.Minute

// until waits for an expression to be true in the page.
func until(expression string) chromedp.Action[bool] {
	return chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(timeout))
}

// picture performs the steps in a window of this height, waits for ready, and returns a picture of the page.
func (c *camera) picture(height int64, ready chromedp.Action[bool], steps ...chromedp.Action[chromedp.Void]) ([]byte, error) {
	if err := chromedp.Do(c.tab, append([]chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(1180, height)}, steps...)...); err != nil {
		return nil, err
	}
	if _, err := chromedp.Run(c.tab, ready); err != nil {
		return nil, err
	}
	// Chromium draws frames in other processes: the page is complete when two pictures in a row are the same.
	var before []byte
	for {
		drawn := chromedp.Evaluate[bool](`new Promise(done => setTimeout(() => requestAnimationFrame(() => done(true)), 150))`, chromedp.EvalAwaitPromise)
		if _, err := chromedp.Run(c.tab, drawn); err != nil {
			return nil, err
		}
		picture, err := chromedp.Run(c.tab, chromedp.CaptureScreenshot())
		if err != nil || string(before) == string(picture) {
			return picture, err
		}
		before = picture
	}
}

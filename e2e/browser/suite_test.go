//go:build browser

package browser_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/smtp"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

var suite = harnesstest.New(harnesstest.Options{
	Fixed:    true, // what a page shows does not depend on the backend
	Backends: []harness.Backend{local.New(local.Options{})},
	Handler:  testenv.App,
})

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }

// env is a browser tab with the dashboard of the test's stack, and the test's own plant.
type env struct {
	*harnesstest.T
	tab   context.Context
	plant fixtures.Plant
	url   string // of the dashboard
}

// newEnv opens a browser. Without one the test fails with what to install.
func newEnv(t *harnesstest.T, width, height int) *env {
	t.Helper()
	tab, cancel, err := browser.Open(t.Context(), width, height)
	require.NoError(t, err)
	t.Cleanup(cancel)
	plant := fixtures.World().Clone(t.Salt())
	store, err := testenv.Seed(t.Context(), t.Env().MongoURI, plant)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close(context.WithoutCancel(t.Context())) })
	d := &env{T: t, tab: tab, plant: plant}

	var samples []dashboard.Sample
	for _, r := range fixtures.Requests() {
		samples = append(samples, dashboard.Sample{Name: r.Name, Path: "/api/requests", Body: r.In(plant).Body})
	}
	board, err := dashboard.New(t.Stack, dashboard.Options{Samples: samples})
	require.NoError(t, err)
	server := httptest.NewServer(board)
	t.Cleanup(func() { require.NoError(t, board.Close(context.Background())); server.Close() })
	d.url = server.URL
	return d
}

// do performs steps in the browser.
func (d *env) do(steps ...chromedp.Action[chromedp.Void]) {
	d.Helper()
	require.NoError(d, chromedp.Do(d.tab, steps...))
}

// timeout bounds the wait for a page on a busy machine.
const timeout = time.Minute

// until waits until an expression in the page is true, whatever page is loaded meanwhile.
func (d *env) until(expression string) {
	d.Helper()
	var err error
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline) && d.tab.Err() == nil; {
		if _, err = chromedp.Run(d.tab, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Until(deadline)))); err == nil {
			return
		}
	}
	text, _ := chromedp.Run(d.tab, chromedp.Evaluate[string](`document.body.innerText`))
	require.NoError(d, err, "%s\nthe page says:\n%s", expression, text)
	require.FailNow(d, "the time is up", "%s\nthe page says:\n%s", expression, text)
}

// see waits until what a selector names is to be seen. A live page may replace it at any time, which the protocol's own
// waiting takes for an error.
func (d *env) see(selector string) {
	d.Helper()
	d.until(fmt.Sprintf(`Boolean(document.querySelector(%q)?.checkVisibility())`, selector))
}

// touch clicks into the middle of what a selector names, once it is to be seen.
func (d *env) touch(selector string) {
	d.Helper()
	d.see(selector)
	at := eval[[]float64](d, fmt.Sprintf(`(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })(document.querySelector(%q))`, selector))
	d.do(chromedp.MouseClickXY(at[0], at[1]))
}

// eval returns the value of an expression in the page.
func eval[V any](d *env, expression string) V {
	d.Helper()
	v, err := chromedp.Run(d.tab, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
	require.NoError(d, err, expression)
	return v
}

// openBoard opens the dashboard's first page and waits until its stream flows.
func (d *env) openBoard() {
	d.Helper()
	d.do(chromedp.Navigate(d.url), chromedp.WaitVisible(chromedp.CSS(`#link[data-state=live]`)))
}

// find types a text into the board's filter, as a person would. It comes before every look at the board of a shared
// stack: other tests' events push a row out of sight at any time, and what is out of sight is not in the document. From
// then on `order` is what matches, the newest first, and so are the rows in the document.
func (d *env) find(text string) {
	d.Helper()
	d.do(chromedp.SendKeys(chromedp.CSS("#filter"), text))
	d.until(fmt.Sprintf(`document.getElementById('filter').value === %q && !dirty`, text))
}

// create makes a request through the app's API.
func (d *env) create(name string) app.Request {
	d.Helper()
	for _, f := range fixtures.Requests() {
		if f.Name != name {
			continue
		}
		r, err := testenv.Create(d.Context(), d.Env().AppURL, f.In(d.plant))
		require.NoError(d, err)
		return r
	}
	require.FailNow(d, "there is no request "+name)
	return app.Request{}
}

// email waits for the email about a request.
func (d *env) email(r app.Request) *harness.Message {
	d.Helper()
	return d.await(testenv.EmailOf(r))
}

func (d *env) await(f inbox.Filter) *harness.Message {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), time.Minute)
	defer cancel()
	m, err := d.Stack.Inbox().Wait(ctx, f)
	require.NoError(d, err)
	return m
}

// deliver sends an email to MailHog without the app, and returns it as stored there.
func (d *env) deliver(to, message string) *harness.Message {
	d.Helper()
	err := smtp.SendMail(d.Stack.Endpoints().SMTP, nil, "stranger@a.test", []string{to}, []byte(message))
	require.NoError(d, err)
	return d.await(inbox.Filter{To: to})
}

//go:build browser

package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

// hostile are emails that try to run or load something. SERVER stands for a server of theirs.
var hostile = map[string]string{
	"script":            `<script>parent.pwned = 1; fetch('SERVER/script')</script>`,
	"script file":       `<script src="SERVER/script.js"></script>`,
	"handlers":          `<body onload="fetch('SERVER/onload')"><img src=x onerror="fetch('SERVER/onerror')"><svg onload="fetch('SERVER/svg')"></svg><details open ontoggle="fetch('SERVER/toggle')">x</details>`,
	"picture":           `<img src="SERVER/pixel.png"><img srcset="SERVER/2x.png 2x"><picture><source srcset="SERVER/source.png"><img></picture><input type=image src="SERVER/input.png">`,
	"styles":            `<link rel=stylesheet href="SERVER/link.css"><style>@import "SERVER/import.css"; @font-face{font-family:f;src:url(SERVER/font)} *{font-family:f;background:url(SERVER/bg.png);cursor:url(SERVER/cursor),auto;list-style:url(SERVER/list)}</style><p style="background:url('SERVER/inline.png')">x</p>`,
	"hints":             `<link rel=preload as=image href="SERVER/preload"><link rel=prefetch href="SERVER/prefetch"><link rel=preconnect href="SERVER"><link rel=icon href="SERVER/icon">`,
	"frames":            `<iframe src="SERVER/frame"></iframe><object data="SERVER/object"></object><embed src="SERVER/embed"><iframe srcdoc="<script>top.pwned=1</script>"></iframe>`,
	"refresh":           `<meta http-equiv=refresh content="0; url=SERVER/refresh">`,
	"refresh late":      `<p>x</p><meta http-equiv=refresh content="0; url=javascript:top.pwned=1">`,
	"base and link":     `<base href="SERVER/" target="_top"><a id=link href="go" style="position:fixed;inset:0">Everywhere is a link</a>`,
	"top link":          `<a href="SERVER/top" target="_top" style="position:fixed;inset:0;display:block">Everywhere is a link</a>`,
	"script link":       `<a href="javascript:top.pwned=1" style="position:fixed;inset:0;display:block">Everywhere is a link</a>`,
	"form":              `<form action="SERVER/form" method=post target=_top><button autofocus style="position:fixed;inset:0">Everywhere is a button</button></form>`,
	"media":             `<video autoplay src="SERVER/video"></video><audio autoplay src="SERVER/audio"></audio><video poster="SERVER/poster"></video>`,
	"breaks out":        `"></iframe><script>top.pwned=1;fetch('SERVER/out')</script><img src=x onerror=top.pwned=1>`,
	"policy of its own": `<meta http-equiv="Content-Security-Policy" content="default-src * 'unsafe-inline'"><img src="SERVER/policy.png">`,
	"mutation":          `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=top.pwned=1&gt;">`,
	"svg picture":       `<img src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='SERVER/svg.png'/><script>top.pwned=1</script></svg>">`,
}

// webServer records the requests that it gets.
type webServer struct {
	*httptest.Server
	called chan struct{} // has something after a call
	mu     sync.Mutex
	calls  []string
}

func newWebServer(t testing.TB) *webServer {
	c := &webServer{called: make(chan struct{}, 1)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.calls = append(c.calls, r.Method+" "+r.URL.Path)
		c.mu.Unlock()
		select {
		case c.called <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *webServer) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func TestHostileEmails_RunAndLoadNothing(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1180, 1200)
		server := newWebServer(t)
		answered := watch(d)
		dialogs := 0
		require.NoError(t, chromedp.Listen(d.tab, func(ev any) {
			if _, ok := ev.(*page.EventJavascriptDialogOpening); ok {
				dialogs++
			}
		}))
		for name, body := range hostile {
			to := strings.ReplaceAll(name, " ", "-") + "+" + d.Salt() + "@plant.test"
			m := d.deliver(to, "From: \"<script>top.pwned=1</script>\" <stranger@a.test>\r\nTo: "+to+"\r\nSubject: </title><script>window.pwned=1</script>"+name+
				"\r\nX-Evil: <img src=x onerror=top.pwned=1>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>visible</p>"+
				strings.ReplaceAll(body, "SERVER", server.URL)+"\r\n")
			url := d.url + "/mail/" + m.ID
			d.do(chromedp.Navigate(url))
			// Where it covers everything with a link or a button, a person touches it.
			d.touch(".mv iframe")
			d.settle()
			require.Nil(t, eval[any](d, `window.pwned ?? null`), name)
			require.Equal(t, url, eval[string](d, `location.href`), "%s leads away", name)
			// Each way of looking at it.
			eval[bool](d, `(async () => {
				for (const choice of document.querySelectorAll('.mv-choice input')) {
					choice.click();
					await new Promise(requestAnimationFrame);
				}
				return true;
			})()`)
			// Its document in a tab of its own.
			d.do(chromedp.Navigate(url + "/document"))
			d.until(`document.readyState === 'complete'`) // no script runs there, so nothing can be begun later
			require.Nil(t, eval[any](d, `window.pwned ?? null`), name)
			require.Equal(t, url+"/document", eval[string](d, `location.href`), "%s leads away", name)
		}
		// The board shows their subjects.
		d.openBoard()
		d.find(d.Salt())
		d.until(fmt.Sprintf(`order.length === %d && document.querySelectorAll('#rows li[data-state=mail]').length > 3`, len(hostile)))
		require.Nil(t, eval[any](d, `window.pwned ?? null`))

		require.Empty(t, server.requests(), "a request reached the sender's server")
		require.Zero(t, dialogs)
		for _, url := range answered() {
			require.True(t, strings.HasPrefix(url, d.url+"/") || strings.HasPrefix(url, "data:image/"), "the browser has loaded %s", url)
		}
	})
}

// harmless lists the hostile emails that do nothing in this browser even without precautions. Other browsers, or a
// mistake of the dashboard, could act on them.
var harmless = map[string]string{
	"refresh late": "it follows no refresh to a script",
	"svg picture":  "a picture runs no script and loads no file",
	"mutation":     "its parser leaves the title as it is; what is written out and parsed again may not",
}

// Without the dashboard's precautions the same emails do act: the test above can fail.
func TestHostileEmails_AreNoticedWithoutPrecautions(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		d := newEnv(t, 1180, 900)
		for name, body := range hostile {
			server := newWebServer(t)
			// What a payload does to the page it is a call at the server, too.
			page := "<!doctype html><script>Object.defineProperty(window, 'pwned', {set() { fetch('SERVER/pwned', {mode: 'no-cors'}) }})</script>" + body
			bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte(strings.ReplaceAll(page, "SERVER", server.URL)))
			}))
			t.Cleanup(bare.Close)
			_ = chromedp.Do(d.tab, chromedp.Navigate(bare.URL)) // it may lead away before it is there
			click := chromedp.MouseClickXY(400, 300)
			if harmless[name] != "" {
				d.settle()
				d.do(click)
				d.settle()
				require.Empty(t, server.requests(), "%s is not as harmless as is said", name)
				continue
			}
			require.True(t, server.isCalled(func() { _ = chromedp.Do(d.tab, click) }), "%s does nothing even without precautions, so that it proves nothing", name)
		}
	})
}

// isCalled reports whether the server is called in time, and calls act meanwhile: a page that is not drawn yet misses a click.
func (c *webServer) isCalled(act func()) bool {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		act()
		select {
		case <-c.called:
			return true
		case <-time.After(time.Second):
		}
	}
	return false
}

// settle waits until what the page has begun has had its turn: it has been drawn twice, and something that it asked for
// after that has been answered, or refused by its policy.
func (d *env) settle() {
	d.Helper()
	d.until(`document.readyState === 'complete'`)
	eval[bool](d, `(async () => {
		for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
		await fetch(location.href, {cache: 'no-store'}).catch(() => {});
		return true;
	})()`)
}

// watch records everything that the browser loads from now on: answers, since a request that its policy refuses is an event
// of the protocol, too.
func watch(d *env) func() []string {
	d.Helper()
	var mu sync.Mutex
	var urls []string
	ctx, cancel := context.WithCancel(d.tab)
	d.Cleanup(cancel)
	require.NoError(d, chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*network.EventResponseReceived); ok {
			mu.Lock()
			defer mu.Unlock()
			urls = append(urls, e.Response.URL)
		}
	}))
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(urls)
	}
}

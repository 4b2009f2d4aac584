//go:build browser

package accessibility_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/accessibility"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
)

// page opens a document, under a policy that is as strict as the dashboard's.
func page(t *testing.T, head, body string) context.Context {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><head><title>A page</title>` + head + `</head><body><main><h1>A page</h1>` + body + `</main></body></html>`))
	}))
	t.Cleanup(server.Close)
	tab, cancel, err := browser.Open(t.Context(), 800, 600)
	require.NoError(t, err)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate(server.URL)))
	return tab
}

const good = `<p><a href="/a">A link</a></p><p><button>A button</button></p>
	<p><label>A field <input></label></p>
	<fieldset><legend>A choice</legend><label><input type=radio name=r checked> one</label> <label><input type=radio name=r> two</label></fieldset>
	<details><summary>More</summary><button>Hidden until it is open</button></details>
	<p><button disabled>Not now</button></p>`

func TestCheck_PassesAGoodPage(t *testing.T) {
	findings, err := accessibility.Check(page(t, "", good))
	require.NoError(t, err)
	require.Empty(t, findings)
}

func TestCheck_FindsKnownProblems(t *testing.T) {
	findings, err := accessibility.Check(page(t, `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`, `
		<p style="color: #aaa">Pale text</p>
		<img src="data:,">
		<p><button aria-label="Send">Save</button></p>
		</main><p>Outside of every landmark</p><main>`))
	require.NoError(t, err)
	var rules []string
	for _, f := range findings {
		rules = append(rules, f.Rule+" "+f.Impact)
		require.NotEmpty(t, f.Where)
	}
	require.Subset(t, rules, []string{"color-contrast serious", "image-alt critical", "label-content-name-mismatch serious", "region moderate"})
	require.Contains(t, findings[0].String(), "\n    <")
}

func TestKeyboard_PassesAGoodPage(t *testing.T) {
	findings, err := accessibility.Keyboard(page(t, "", good))
	require.NoError(t, err)
	require.Empty(t, findings)
}

func TestKeyboard_FindsWhatTabDoesNotReach(t *testing.T) {
	findings, err := accessibility.Keyboard(page(t, "", `<a href="/a">first</a>
		<button onkeydown="if (event.key === 'Tab') event.preventDefault()">trap</button> <button id="behind">behind</button> <a href="/b" tabindex="-1">left out</a>`))
	require.NoError(t, err)
	require.Len(t, findings, 1, "%v", findings)
	require.Equal(t, "Tab does not reach the control", findings[0].Text)
	require.Equal(t, []string{`<button id="behind">behind</button>`, `<a href="/b" tabindex="-1">left out</a>`}, findings[0].Where)
}

func TestKeyboard_FindsInvisibleFocus(t *testing.T) {
	spinning := `@keyframes spin { to { background: #000; rotate: 1turn } }
		.none { outline: none } .pale:focus-visible { outline: 2px solid #eee } .dot:focus-visible { outline: none; border-left: 2px solid #000 }
		i { display: inline-block; width: 40px; height: 40px; background: #fff; animation: spin .1s infinite alternate }
		.late:focus-visible { outline: 2px solid #00f; transition: outline-color 5s }
		.ticking i { animation: none }`
	findings, err := accessibility.Keyboard(page(t, "<style>"+spinning+"</style>", `
		<p><a class="none" href="/1">none</a></p>
		<p><a class="pale" href="/2">pale</a></p>
		<p><a class="dot" href="/3" style="display:inline-block;border-left:2px solid #fff;width:300px">one side of a wide link</a></p>
		<p><a class="none" href="/4">moved by CSS <i></i></a></p>
		<p><a class="none ticking" href="/5">moved by a script <i></i></a></p>
		<p><a class="late" href="/6">in time</a></p>
		<div style="height: 3000px"></div>
		<p><a href="/7">seen far below</a> <a class="none" href="/8">none far below</a></p>
		<script>const i = document.querySelector('.ticking i'); let n = 0; // no colour twice
			(function tick() { i.style.background = '#' + (n += 4099).toString(16).padStart(6, '0').slice(-6).split('').reverse().join(''); requestAnimationFrame(tick) })()</script>`))
	require.NoError(t, err)
	require.Len(t, findings, 1, "%v", findings)
	require.Equal(t, "the control does not show that it has the focus", findings[0].Text)
	require.Len(t, findings[0].Where, 6, "%v", findings[0].Where)
	require.NotContains(t, findings[0].String(), "in time")
	require.NotContains(t, findings[0].String(), "seen far below")
}

//go:build browser

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// attack returns an email that tries everything to make requests to a server.
func attack(url string) string {
	return strings.ReplaceAll(`<html><head>
		<meta http-equiv="refresh" content="0;url=URL/refresh"><base href="URL/"><link rel="stylesheet" href="URL/sheet"><link rel="preload" as="image" href="URL/preload">
		<link rel="prefetch" href="URL/prefetch"><link rel="icon" href="URL/icon">
		<style>@import "URL/import"; body{background:url(URL/background)} @font-face{font-family:x;src:url(URL/font)} p{font-family:x}</style>
		<script>fetch("URL/fetch"); top.document.title = "taken"</script><script src="URL/script"></script></head>
		<body onload="fetch('URL/onload'); parent.document.title='taken'" background="URL/attribute"><p>Drawn</p>
		<img src="URL/image" srcset="URL/srcset 2x" onerror="fetch('URL/onerror')"><iframe src="URL/frame"></iframe><object data="URL/object"></object><embed src="URL/embed">
		<video poster="URL/poster" src="URL/video" autoplay></video><audio src="URL/audio" autoplay></audio><input type="image" src="URL/input">
		<svg><image href="URL/svg"/><script>fetch("URL/svgscript")</script></svg><form id="f" action="URL/form"><button autofocus>x</button></form>
		<div style="background-image:url('URL/style')">x</div><a href="URL/link" ping="URL/ping" target="_top">x</a></body></html>`, "URL", url)
}

// server records the paths that it is asked for.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.asked...)
}

// drawAll loads and draws every frame of the page, and returns their number.
const drawAll = `(async () => {
	document.querySelectorAll("details").forEach(d => d.open = true);
	const frames = [...document.querySelectorAll("iframe")];
	for (const frame of frames) {
		const loaded = new Promise(done => frame.addEventListener("load", done, {once: true}));
		frame.loading = "eager";
		frame.srcdoc = frame.srcdoc;
		frame.scrollIntoView();
		await loaded;
		await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
	}
	return frames.length;
})()`

func TestReport_DrawsAHostileEmailAndLoadsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rep := &report.Report{Records: []report.Record{{Package: "p", Test: "TestHostile", Outcome: report.Passed, Verdicts: []*harness.Verdict{{
		Outcome: harness.Holds,
		Trace: &harness.Trace{Mail: []harness.TraceMail{{Message: &harness.Message{
			ID: "m1", Subject: attack(s.URL), Text: attack(s.URL), HTML: attack(s.URL), From: []*mail.Address{{Name: attack(s.URL)}},
		}}}},
	}}}}}
	page, bare := filepath.Join(t.TempDir(), "report.html"), filepath.Join(t.TempDir(), "bare.html")
	var out strings.Builder
	require.NoError(t, rep.WriteHTML(&out))
	require.NoError(t, os.WriteFile(page, []byte(out.String()), 0o644))
	require.NoError(t, os.WriteFile(bare, []byte(attack(s.URL)), 0o644))

	tab, cancel, err := browser.Open(t.Context(), 1180, 900)
	require.NoError(t, err)
	defer cancel()
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate("file://"+page)))
	frames, err := chromedp.Run(tab, chromedp.Evaluate[int](drawAll, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	require.Equal(t, 1, frames)
	title, err := chromedp.Run(tab, chromedp.Title())
	require.NoError(t, err)
	require.Equal(t, "1 test passed", title)
	require.Empty(t, s.requests(), "the report made a request")

	// Without the report's precautions the same email makes requests.
	_ = chromedp.Do(tab, chromedp.Navigate("file://"+bare)) // it may redirect before it is loaded
	require.NotEmpty(t, s.requests())
}

// The page fits windows of every width, and its two choices change the frames.
func TestReport_OpensFromDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, run(t.Context(), io.Discard, options{dir: dir, golden: goldens(t), once: true}))
	page := filepath.Join(dir, report.PageFile)
	tab, cancel, err := browser.Open(t.Context(), 1180, 900)
	require.NoError(t, err)
	defer cancel()
	ask := func(script string) string {
		answer, err := chromedp.Run(tab, chromedp.Evaluate[string](script))
		require.NoError(t, err)
		return answer
	}
	for _, width := range []int64{390, 820, 1480} {
		require.NoError(t, chromedp.Do(tab, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+page)))
		require.Equal(t, "0", ask("String(document.documentElement.scrollWidth - document.documentElement.clientWidth)"), "at %d pixels the page is wider than the window", width)
	}
	require.Equal(t, "390px", ask(`document.getElementById("phone").click(); getComputedStyle(document.querySelector(".pair iframe")).width`))
	require.Equal(t, "dark", ask(`document.getElementById("dark").click(); getComputedStyle(document.querySelector(".pair iframe")).colorScheme`))
	require.Equal(t, "light", ask(`document.getElementById("light").click(); getComputedStyle(document.querySelector(".pair iframe")).colorScheme`))
}

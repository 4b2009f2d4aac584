package mailcheck_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// good is an email with which nothing is wrong.
func good() *harness.Message {
	return &harness.Message{
		Text: "Hello Kim,\nthe press leaks.\n\nEquipment: Press HP-200\n\nOpen the request: https://app.test/requests/7\n",
		HTML: `<html><head><title>Not shown</title><style>td{background:url(data:image/png;base64,AA)}</style></head><body>
			<div style="display:none">Preview only</div><h1>The press leaks</h1><p>Hello <b>Kim</b></p>
			<table><tr><td>Equipment</td><td>Press <bdi>HP-200</bdi></td></tr></table>
			<a href="https://app.test/requests/7">Open the request</a> <a href="mailto:desk@app.test"><img src="cid:logo" alt="desk"></a>
			<img src="cid:logo" alt=""></body></html>`,
		Inlines: []harness.Part{{ContentID: "logo"}},
	}
}

func TestRun_FindsDefects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*harness.Message)
		want   []string
	}{
		"nothing wrong": {func(*harness.Message) {}, nil},
		"no HTML":       {func(m *harness.Message) { m.HTML = "" }, nil},
		"no text": {func(m *harness.Message) { m.Text = " \n" },
			[]string{"text: there is no text part: clients that show no HTML, screen readers and spam filters look for one"}},
		"text lacks a word": {func(m *harness.Message) { m.Text = strings.ReplaceAll(m.Text, "leaks", "is fine") },
			[]string{`text: the text part lacks "leaks" of the HTML, which says "The press leaks"`}},
		"case, wrapping and order do not count": {func(m *harness.Message) {
			m.Text = "REQUEST\nthe OPEN\n kim: hello; hp 200-Equipment of press “leaks” desk"
		}, nil},
		"soft hyphens and ligatures do not count": {func(m *harness.Message) { m.HTML, m.Text = "<p>o\u00ADﬃce</p>", "office" }, nil},
		"a line of Japanese breaks anywhere": {func(m *harness.Message) {
			m.HTML, m.Text = "<p>油圧プレスの点検</p>", "油圧プレ\nスの点検"
		}, nil},
		"a word of Japanese is missing": {func(m *harness.Message) { m.HTML, m.Text = "<p>油圧プレスの点検</p>", "油圧の点検" },
			[]string{`text: the text part lacks "油圧プレスの点検" of the HTML, which says "油圧プレスの点検"`}},
		"noscript shows": {func(m *harness.Message) { m.HTML += "<noscript>ruined <img alt='' src=a.png></noscript>" },
			[]string{
				`text: the text part lacks "ruined" of the HTML, which says "ruined"`,
				`images: <img src> shows "a.png", which is not absolute: an email has no address that it could be relative to`,
			}},
		"relative link": {func(m *harness.Message) { m.HTML += `<a href="/requests/7">request</a>` },
			[]string{`links: the link "/requests/7" is not absolute: an email has no address that it could be relative to`}},
		"link of a template": {func(m *harness.Message) { m.HTML += `<a href="{{.URL}}/7">request</a>` },
			[]string{`links: the link "{{.URL}}/7" has "{{.URL}}" in the place of a value`}},
		"no protocol":       {func(m *harness.Message) { m.HTML += `<a href="//app.test/">request</a>` }, []string{`links: the link "//app.test/" is not absolute: an email has no address that it could be relative to`}},
		"no host":           {func(m *harness.Message) { m.HTML += `<a href="https:///7">request</a>` }, []string{`links: the link "https:///7" names no host`}},
		"no recipient":      {func(m *harness.Message) { m.HTML += `<a href="mailto:">request</a>` }, []string{`links: the link "mailto:" names no recipient`}},
		"script":            {func(m *harness.Message) { m.HTML += `<a href="javascript:alert(1)">request</a>` }, []string{`links: the link "javascript:alert(1)" has the scheme "javascript", which mail clients do not open`}},
		"empty link":        {func(m *harness.Message) { m.HTML += `<a href="">request</a>` }, []string{`links: the link "" is empty`}},
		"malformed link":    {func(m *harness.Message) { m.HTML += `<a href="https://a b/">request</a>` }, []string{`links: the link "https://a b/" is not a URL: invalid character " " in host name`}},
		"place in it":       {func(m *harness.Message) { m.HTML += `<a href="#a">request</a><p id=a>` }, nil},
		"place not in it":   {func(m *harness.Message) { m.HTML += `<a href="#b">request</a>` }, []string{`links: the link "#b" names a place that the email does not have`}},
		"no alt":            {func(m *harness.Message) { m.HTML += `<img src="cid:logo">` }, []string{`alt: <img> "cid:logo" has no alt attribute: say what it shows, or alt="" where it is decoration`}},
		"link of an image":  {func(m *harness.Message) { m.HTML += `<a href="https://app.test/"><img src="cid:logo" alt=""></a>` }, []string{`alt: <img> "cid:logo" is all there is in the link to "https://app.test/" and its alt text is empty: say where the link leads`}},
		"image beside text": {func(m *harness.Message) { m.HTML += `<a href="https://app.test/"><img src="cid:logo" alt=""> Open</a>` }, nil},
		"too big":           {func(m *harness.Message) { m.HTML += strings.Repeat(" ", 102<<10) }, []string{`size: the HTML has 104907 bytes: Gmail clips an email at 104448 (102 KB) and hides the rest`}},
		"a part that is not there": {func(m *harness.Message) { m.Inlines = nil; m.HTML = `<img alt="" src="cid:logo">` },
			[]string{`images: <img src> shows "cid:logo", a part that the email does not have`}},
		"many of one kind": {func(m *harness.Message) {
			m.HTML, m.Text = "", "x"
			for i := range 7 {
				m.HTML += fmt.Sprintf(`<img alt src="a%d"><img alt src="a%d">`, i, i)
			}
		}, append(numbered(5, `images: <img src> shows "a%d", which is not absolute: an email has no address that it could be relative to`), "images: … and 2 more")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := good()
			test.change(m)
			require.Equal(t, test.want, texts(mailcheck.Run(m, []harness.Check{harness.CheckAll}, mailcheck.Options{})))
		})
	}
}

func TestRun_MakesTheChecksAskedFor(t *testing.T) {
	t.Parallel()
	m := &harness.Message{HTML: `<a href="/a"><img src="/b"></a>`}
	for _, test := range []struct{ ask, found []harness.Check }{
		{nil, nil},
		{[]harness.Check{harness.CheckSize}, nil},
		{[]harness.Check{harness.CheckExternal, harness.CheckText}, []harness.Check{harness.CheckText, harness.CheckExternal}},
		{[]harness.Check{harness.CheckAll}, []harness.Check{harness.CheckText, harness.CheckLinks, harness.CheckImages, harness.CheckAlt}},
		{[]harness.Check{harness.CheckAll, harness.CheckExternal},
			[]harness.Check{harness.CheckText, harness.CheckLinks, harness.CheckImages, harness.CheckAlt, harness.CheckExternal}},
	} {
		var found []harness.Check
		for _, f := range mailcheck.Run(m, test.ask, mailcheck.Options{}) {
			found = append(found, f.Check)
		}
		require.Equal(t, test.found, found, "asked for %v", test.ask)
	}
}

func TestValidateChecks_NamesTheChecks(t *testing.T) {
	t.Parallel()
	require.NoError(t, harness.ValidateChecks([]harness.Check{harness.CheckText, harness.CheckAll}))
	require.EqualError(t, harness.ValidateChecks([]harness.Check{"txt"}),
		`there is no check "txt": it is one of text, links, resolve, images, alt, placeholders, size, format, external, or all for all of them but external`)
}

func TestRun_EndsInTimeOnHostileHTML(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"deep":      strings.Repeat("<div><b>", 100_000),
		"wide":      strings.Repeat(`<a href="x">`, 3_000),
		"no end":    "<plaintext><a href=",
		"sheet":     "<style>" + strings.Repeat("url(", 50_000),
		"not UTF-8": "<p>\xff\xfe<a href='\xff'>",
		"rules":     "<style>" + strings.Repeat(".a .a .a{display:none}", 20_000) + "</style>" + strings.Repeat("<p class=a>word", 20_000),
		"words":     "<p>" + strings.Repeat("words that are not there ", 100_000),
		"no spaces": "<p>" + strings.Repeat("油圧 ", 100_000),
		"braces":    "<p>" + strings.Repeat("{{", 500_000) + strings.Repeat(" undefined {% <% *| ", 50_000),
		"links":     strings.Repeat("<v:rect href=/undefined>", 400) + strings.Repeat("word ", 200_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range mailcheck.Run(&harness.Message{HTML: source, Text: strings.Repeat("x y ", 100_000)}, []harness.Check{harness.CheckAll}, mailcheck.Options{}) {
				require.Less(t, len(f.Text), 1000)
			}
		})
	}
}

func TestResolver_ReportsMissingPages(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /there", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /private", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.invalid/", http.StatusFound)
	})
	mux.HandleFunc("HEAD /get-only", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	mux.HandleFunc("GET /get-only", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	r := mailcheck.NewResolver("")
	for url, want := range map[string]string{
		server.URL + "/there#part":         "",
		server.URL + "/private":            "",
		server.URL + "/moved":              "",
		server.URL + "/get-only":           "",
		server.URL + "/nowhere":            "the answer is 404 Not Found",
		"https://elsewhere.invalid/nobody": "",
		"http://127.0.0.1:1":               "connect", // where no program listens
	} {
		err := r.Resolve(t.Context(), url)
		if want == "" {
			require.NoError(t, err, url)
		} else {
			require.ErrorContains(t, err, want, url)
		}
	}

	m := &harness.Message{Text: "a", HTML: `<a href="` + server.URL + `/nowhere">a</a><a href="/relative">a</a>`}
	ask := func(url string) error { return r.Resolve(t.Context(), url) }
	require.Equal(t, []string{`resolve: the link "` + server.URL + `/nowhere" leads nowhere: the answer is 404 Not Found`},
		texts(mailcheck.Run(m, []harness.Check{harness.CheckResolve}, mailcheck.Options{Resolve: ask})))
}

func texts(found []mailcheck.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.String())
	}
	return all
}

func numbered(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

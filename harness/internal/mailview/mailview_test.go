package mailview_test

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mailview"
)

func message(body string) *harness.Message {
	return inbox.Decode([]byte("From: Shop <shop@shop.test>\r\nTo: kim@plant.test\r\nSubject: Your <order>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body))
}

func TestDocument_CannotRunLoadOrLeadAway(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body     string
		absent   string // what must not be in the document
		external []string
	}{
		"script":              {`<script>alert(1)</script>`, `alert`, nil},
		"script from away":    {`<script src=http://a.test/x></script>`, `script`, []string{"http://a.test/x"}},
		"handler":             {`<p onclick=alert(1) ONLOAD=alert(2)>x</p>`, `alert`, nil},
		"handler of a body":   {`<body onload=alert(1)>x`, `alert`, nil},
		"refresh":             {`<meta http-equiv=refresh content="0;url=http://a.test/">`, `a.test`, nil},
		"own policy":          {`<meta http-equiv=Content-Security-Policy content="default-src *">`, `default-src *`, nil},
		"base":                {`<base href=http://a.test/>`, `a.test`, nil},
		"frame":               {`<iframe srcdoc="<script>alert(1)</script>" src=http://a.test/f></iframe>`, `iframe`, []string{"http://a.test/f"}},
		"object":              {`<object data=http://a.test/o></object>`, `object`, []string{"http://a.test/o"}},
		"prefetch":            {`<link rel="x PREFETCH" href=http://a.test/>`, `a.test`, []string{"http://a.test/"}},
		"DNS prefetch":        {`<link rel=dns-prefetch href=http://a.test/>`, `a.test`, nil},
		"picture":             {`<img src=http://a.test/p.png alt=pump>`, `a.test`, []string{"http://a.test/p.png"}},
		"picture in sizes":    {`<img srcset="http://a.test/1 1x, http://a.test/2 2x">`, `a.test`, []string{"http://a.test/1", "http://a.test/2"}},
		"picture with script": {`<img src="data:image/svg+xml,<svg onload=alert(1)>">`, `alert`, nil},
		"background":          {`<table background=http://a.test/b><tr><td>x</table>`, `a.test`, []string{"http://a.test/b"}},
		"drawing":             {`<svg><script>alert(1)</script><a xlink:href=javascript:alert(1)>x</a></svg>`, `alert`, nil},
		"formulas":            {`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`, `alert(1)>`, nil},
		"link of script":      {`<a href="javascript:alert(1)">x</a>`, `javascript`, nil},
		"form":                {`<form action=http://a.test/><button formaction=http://a.test/b>x</button></form>`, `a.test`, nil},
		"ping":                {`<a href=# ping=http://a.test/>x</a>`, `a.test`, nil},
		"comment":             {`<!--[if mso]><script>alert(1)</script><![endif]-->`, `alert`, nil},
		"plain text":          {`<plaintext><script>alert(1)</script>`, `<script`, nil},
		"template":            {`<template><script>alert(1)</script></template>`, `alert`, nil},
		"frames":              {`<frameset><frame src=http://a.test/></frameset>`, `a.test`, []string{"http://a.test/"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := mailview.Document(message(tt.body), "#")
			require.NotContains(t, strings.ToLower(doc.HTML), strings.ToLower(tt.absent))
			require.Equal(t, tt.external, doc.External)
			require.Regexp(t, `^<html><head><meta charset="utf-8"/><meta http-equiv="Content-Security-Policy" content="`+
				regexp.QuoteMeta(html.EscapeString(mailview.Policy))+`"/>`, strings.TrimPrefix(doc.HTML, "<!DOCTYPE html>"),
				"the policy comes before all that it holds for")
		})
	}
}

func TestDocument_ListsWhatStylesWouldLoad(t *testing.T) {
	t.Parallel()
	doc := mailview.Document(message(`<style>@import "http://a.test/i.css"; p{background:url( 'http://a.test/s.png')}</style><p style="background:URL(http://a.test/p.png)">x`), "#")
	require.Equal(t, []string{"http://a.test/i.css", "http://a.test/s.png", "http://a.test/p.png"}, doc.External)
}

func TestDocument_LooksAsTheEmailDoes(t *testing.T) {
	t.Parallel()
	doc := mailview.Document(message(`<!doctype html><html lang=en><head><meta name=color-scheme content="light dark"><style>p{color:red}</style></head>`+
		`<body bgcolor=#eee style="margin:0"><noscript>plain</noscript><a class=b href=https://a.test/r/1>Open <b>it</b></a><a href=https://a.test/r/1>again</a><a href=mailto:kim@plant.test><img alt=Kim></a>`), "#")
	for _, want := range []string{
		`<!DOCTYPE html><html lang="en">`, `<meta name="color-scheme" content="light dark"/>`, `<style>p{color:red}</style>`,
		`<body bgcolor="#eee" style="margin:0">`, `<div>plain</div>`, `<a class="b" href="#">Open <b>it</b></a>`,
	} {
		require.Contains(t, doc.HTML, want)
	}
	require.Equal(t, []mailview.Link{
		{Text: "Open it", URL: "https://a.test/r/1", Openable: true},
		{Text: "Kim", URL: "mailto:kim@plant.test"},
	}, doc.Links)
}

func TestDocument_EmbedsInlinePictures(t *testing.T) {
	t.Parallel()
	m := message(`<img src="cid:Logo@shop"><img src="cid:drawing@shop">`)
	m.Inlines = []harness.Part{
		{ContentType: "image/png", ContentID: "logo@shop", Data: []byte("png")},
		{ContentType: "image/svg+xml", ContentID: "drawing@shop", Data: []byte("<svg/>")},
	}
	require.Contains(t, mailview.Document(m, "#").HTML, `<body><img src="data:image/png;base64,cG5n"/><img/></body>`)
}

func TestDocument_FindsPicturesAsWrittenAndAsEncoded(t *testing.T) {
	t.Parallel()
	for link, id := range map[string]string{
		"logo+1@shop": "logo+1@shop", "logo%2B1@shop": "logo+1@shop", "logo%40shop": "logo@shop", "LOGO@shop": "logo@shop", "100%@shop": "100%@shop",
		"a%40b@shop": "a%40b@shop",
	} {
		m := inbox.Decode([]byte("From: a@b.test\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n" +
			`<img src="cid:` + link + `">` + "\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <" + id + ">\r\n\r\npng\r\n--b--\r\n"))
		require.Contains(t, mailview.Document(m, "#").HTML, `<img src="data:image/png;base64,cG5n"/>`, link)
	}
}

func TestRender_ListsAttachments(t *testing.T) {
	t.Parallel()
	m := message("<p>x")
	m.Inlines = []harness.Part{{ContentType: "image/png", ContentID: "logo@shop", Data: []byte("png")}}
	m.Attachments = []harness.Part{{Name: "order.pdf", ContentType: "application/pdf", Data: []byte("%PDF")}}
	fragment, err := mailview.Render(m, mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), `<li><span dir="auto">logo@shop</span> <small>image/png, 3 B</small></li>`+
		`<li><span dir="auto">order.pdf</span> <small>application/pdf, 4 B</small></li>`)
}

func TestRender_SaysWhenADocumentIsTooDeep(t *testing.T) {
	t.Parallel()
	doc := mailview.Document(message(strings.Repeat("<div>", 100_000)), "#")
	require.Empty(t, doc.HTML)
	require.NotEmpty(t, doc.Problem)
	fragment, err := mailview.Render(message(strings.Repeat("<div>", 100_000)), mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), "<strong>Not drawn:</strong>")
}

var srcdoc = regexp.MustCompile(`srcdoc="([^"]*)"`)

func TestRender_UsesASandboxedFrame(t *testing.T) {
	t.Parallel()
	m := message(`<p title='"></iframe><script>alert(1)</script>'>Grüße</p>`)
	fragment, err := mailview.Render(m, mailview.Options{ID: "m", Mail: mailview.Catcher{URL: "http://127.0.0.1:8025", HasPage: true}})
	require.NoError(t, err)
	require.Contains(t, string(fragment), `<iframe sandbox="" `)
	require.NotContains(t, string(fragment), "<script")
	require.Contains(t, string(fragment), "Your &lt;order&gt;")
	require.Contains(t, string(fragment), "MailHog’s own preview has no sandbox")
	held := srcdoc.FindStringSubmatch(string(fragment))
	require.NotNil(t, held)
	require.Equal(t, mailview.Document(m, "about:srcdoc#").HTML, html.UnescapeString(held[1]), "the document arrives in the frame as it was made")
}

// Links lead to what the mail catcher has: Mailpit has a page of each email, but none at all in a build from its module.
func TestRender_LinksToTheMailCatcher(t *testing.T) {
	t.Parallel()
	const base = "http://127.0.0.1:8025"
	for name, c := range map[string]struct {
		mail         mailview.Catcher
		links, lacks []string
	}{
		"MailHog": {mailview.Catcher{Program: harness.MailHog, URL: base, HasPage: true},
			[]string{`href="` + base + `" target="_blank" rel="noopener noreferrer">Open MailHog<`, `href="` + base + `/api/v1/messages/a%2Fb/download"`, "no sandbox"}, nil},
		"Mailpit": {mailview.Catcher{Program: harness.Mailpit, URL: base, HasPage: true},
			[]string{`href="` + base + `/view/a%2Fb" target="_blank" rel="noopener noreferrer">Open Mailpit<`, `href="` + base + `/api/v1/message/a%2Fb/raw?dl=1"`, "Download it from there"}, []string{"MailHog", "no sandbox"}},
		"Mailpit without its page": {mailview.Catcher{Program: harness.Mailpit, URL: base},
			[]string{`href="` + base + `/api/v1/message/a%2Fb/raw?dl=1"`, "Download it from Mailpit"}, []string{"Open Mailpit", "MailHog"}},
		"none": {mailview.Catcher{}, nil, []string{"Open ", "Download it"}},
	} {
		m := message("<p>x")
		m.ID = "a/b"
		fragment, err := mailview.Render(m, mailview.Options{ID: "m", Mail: c.mail})
		require.NoError(t, err)
		for _, link := range c.links {
			require.Contains(t, string(fragment), link, name)
		}
		for _, none := range c.lacks {
			require.NotContains(t, string(fragment), none, name)
		}
	}
}

func TestRender_CanLeaveTheDocumentToTheServer(t *testing.T) {
	t.Parallel()
	fragment, err := mailview.Render(message("<p>x"), mailview.Options{ID: "m", Frame: "/mail/1/document"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), `src="/mail/1/document"`)
	require.NotContains(t, string(fragment), "srcdoc")
}

func TestRender_SaysWhichPartIsMissing(t *testing.T) {
	t.Parallel()
	m := inbox.Decode([]byte("Subject: x\r\n\r\nHello\r\n"))
	fragment, err := mailview.Render(m, mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.NotContains(t, string(fragment), "<iframe")
	require.Contains(t, string(fragment), "Hello")
	fragment, err = mailview.Render(message("<p>x"), mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), "It has no plain text.")
}

func TestRender_ShowsFindings(t *testing.T) {
	t.Parallel()
	fragment, err := mailview.Render(message(`<img src="https://a.test/<b>.png">`), mailview.Options{ID: "m"})
	require.NoError(t, err)
	for _, want := range []string{"<b>text</b> there is no text part", "<b>alt</b> ", "<b>format</b> it has no Date header"} {
		require.Contains(t, string(fragment), want)
	}
	require.NotContains(t, string(fragment), "<b>.png")
	require.NotContains(t, string(fragment), "<b>external</b>", "to load a picture from the web is no defect")
	require.NotContains(t, string(fragment), mailview.Checks())

	twice := inbox.Decode([]byte("Subject: x\r\nSubject: y\r\n\r\nHello\r\n"))
	fragment, err = mailview.Render(twice, mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(fragment), "header Subject stands 2 times"), "what is malformed is shown once")

	sound := message("<p>Hello</p>")
	sound.Text, sound.Headers = "Hello", nil
	fragment, err = mailview.Render(sound, mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), mailview.Checks()+": passed")
}

func TestRender_LinksOnlyWebAddresses(t *testing.T) {
	t.Parallel()
	fragment, err := mailview.Render(message(`<a href="javascript:alert(1)">x</a><a href="https://a.test/">y</a>`), mailview.Options{ID: "m"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), `<code>javascript:alert(1)</code>`)
	require.Contains(t, string(fragment), `<a href="https://a.test/" target="_blank" rel="noopener noreferrer">`)
}

func TestRender_ClipsALongSource(t *testing.T) {
	t.Parallel()
	m := message(strings.Repeat("x", 300<<10))
	fragment, err := mailview.Render(m, mailview.Options{ID: "m", Frame: "/f"})
	require.NoError(t, err)
	require.Contains(t, string(fragment), "The source goes on; this is its beginning.")
	require.Less(t, len(fragment), 300<<10)
}

func TestSize_Formats(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 104448: "102.0 KB", 3 << 20: "3.0 MB"} {
		require.Equal(t, want, mailview.Size(n))
	}
}

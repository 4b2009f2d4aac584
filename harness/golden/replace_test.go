package golden

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/textdiff"
)

func TestReplacer_ReplacesInHTML(t *testing.T) {
	t.Parallel()
	r, err := newReplacer([]Replacement{
		{Old: "http://127.0.0.1:40123/x", New: "{{app-url}}/x"}, // the longer value first
		{Old: "http://127.0.0.1:40123", New: "{{app-url}}"},
		{Old: "kim+a&b@plant.test", New: "{{kim}}"},
		{Pattern: regexp.MustCompile(`run-(\d)\d*`), New: "run-$1"},
	})
	require.NoError(t, err)
	for name, test := range map[string]struct{ in, want string }{
		"text":                 {`<p >run-123 &amp; run-4</p >`, `<p >run-1 &amp; run-4</p >`},
		"untouched spelling":   {"<P CLASS=a b='c' >&eacute;<BR/></P><a", "<P CLASS=a b='c' >&eacute;<BR/></P><a"},
		"attribute":            {`<a HREF='http://127.0.0.1:40123/x?q=&quot;'>`, `<a href="{{app-url}}/x?q=&#34;">`},
		"escaped in text":      {`<p>kim&#43;a&amp;b@plant.test`, `<p>{{kim}}`},
		"escaped in attribute": {`<i title="kim&plus;a&#x26;b@plant.test">`, `<i title="{{kim}}">`},
		"URL-encoded":          {`<a href="mailto:kim%2Ba%26b%40plant.test">`, `<a href="mailto:{{kim}}">`},
		"URL-encoded, lower":   {`<a href="/?to=kim%2ba%26b%40plant.test&amp;x=1">`, `<a href="/?to={{kim}}&amp;x=1">`},
		"URL in a URL":         {`<a href="/?to=http%3A%2F%2F127.0.0.1%3A40123%2Fx">`, `<a href="/?to={{app-url}}/x">`},
		"self-closing":         {`<img alt=run-12 />`, `<img alt="run-1"/>`},
		"style":                {`<style>a>b{content:"run-12 &amp;"}</style>&lt;run-12`, `<style>a>b{content:"run-1 &amp;"}</style>&lt;run-1`},
		"title":                {`<title>a &amp; run-12</title>`, `<title>a &amp; run-1</title>`},
		"conditional comment":  {`<!--[if mso]><a href="kim&#43;a&amp;b@plant.test">run-12<![endif]-->`, `<!--[if mso]><a href="{{kim}}">run-1<![endif]-->`},
		"revealed comment":     {`<![if !mso]>run-12<![endif]>`, `<![if !mso]>run-1<![endif]>`},
		"noscript":             {`<noscript><a href="kim&#43;a&amp;b@plant.test"></noscript>`, `<noscript><a href="{{kim}}"></noscript>`},
		"a name by itself":     {`<p title="{{kim}}">{{app-url}}/x`, `<p title="{{kim}} (as it stands in the email)">{{app-url}}/x (as it stands in the email)`},
		"unfinished comment":   {`<p>a<!-- run-12`, `<p>a<!-- run-1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, r.html(test.in))
		})
	}
}

func FuzzReplace(f *testing.F) {
	for _, seed := range []string{
		"<P CLASS=a>&eacute;<!-- x --><![if x]><style>a</style><textarea>\n</textarea><a href=",
		"<!--><noscript><b</noscript><script><!--<script>x</script>-->",
		"<svg/><title/>\x00<?php ?></br></><plaintext>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		got := replacer(nil).html(doc)
		if !strings.Contains(got, "{{secret}}") {
			require.Equal(t, doc, got, "what holds nothing to replace stays as it is")
		}
	})
}

func FuzzSummary(f *testing.F) {
	f.Add("Press 4", "a\nb", "x\xff")
	f.Fuzz(func(t *testing.T, subject, text, name string) {
		files := render(&harness.Message{Subject: subject, Text: text, Attachments: []harness.Part{{Name: name}}}, Options{}, nil)
		require.Len(t, textdiff.Split(files.Email), 2)
		for _, line := range textdiff.Split(files.Email) {
			require.Contains(t, line, ":")
		}
		require.Equal(t, files.Email, canonicalText(files.Email))
		require.Equal(t, files.Text, canonicalText(files.Text))
	})
}

package report_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// attacks are texts that try to leave the place in which they are shown.
var attacks = map[string]string{
	"tags":       `</title></style></textarea><script>alert(1)</script><img src=x onerror=alert(1)>`,
	"attribute":  `" onmouseover="alert(1)" srcdoc="<script>alert(1)</script>`,
	"frame":      `"></iframe><iframe src="https://evil.test/">`,
	"plaintext":  `<plaintext><svg onload=alert(1)><base href="https://evil.test/"><meta http-equiv=refresh content="0;url=https://evil.test/">`,
	"CSS":        `}*{background:url(https://evil.test/)}</style><style>@import "https://evil.test/";`,
	"template":   `{{.Title}} {{template "email" .}} {{"` + "`" + `"}}`,
	"controls":   "\x00\x01\x1b[2J\x7f\u202Egnp.exe\u2066\uFFFE\r\n",
	"no UTF-8":   "\xff\xfe<script>\xc0\xbc",
	"XML":        `]]><!ENTITY x SYSTEM "file:///etc/passwd">&x;--><!--`,
	"fence":      "```\n````` \n<script>alert(1)</script>\n# Heading\n@octocat #1 [x](https://evil.test/) ![](https://evil.test/)",
	"long":       strings.Repeat("<b>&\"'", 20_000),
	"deep":       strings.Repeat("<div>", 5_000),
	"link":       `<a href="javascript:alert(1)">x</a><a href="https://evil.test/" target=_top ping="https://evil.test/">x</a>`,
	"resources":  `<img src="https://evil.test/a"><link rel=preconnect href="https://evil.test/"><video poster="https://evil.test/b"><p style="background:url(//evil.test/c)">`,
	"forms":      `<form action="https://evil.test/"><button formaction="https://evil.test/">x</button></form>`,
	"conditions": `<!--[if mso]><script>alert(1)</script><![endif]--><noscript><img src="https://evil.test/"></noscript>`,
}

// hostile is a report in which everything that comes from outside is an attack.
func hostile(attack string) *report.Report {
	data, err := json.Marshal(map[string]string{attack: attack})
	if err != nil {
		panic(err)
	}
	r := record(1, failed)
	r.Test, r.Failures, r.Evidence = "TestX/"+attack, []string{attack}, attack
	full := record(2, func(r *report.Record) {
		v := r.Verdicts[0]
		v.Why, v.Hops[0].Text, v.Hops[0].Detail, v.Differences = attack, attack, []string{attack}, []string{attack}
		t := v.Trace
		t.Event.Name, t.Event.Data, t.Log, t.Evidence, t.Unquiet = attack, data, []string{attack}, []string{attack}, attack
		t.Runs[0].Function, t.Runs[0].ID, t.Runs[0].Error, t.Runs[0].Output = attack, attack, attack, data
		t.Runs[0].Steps[0].ID, t.Runs[0].Steps[0].Error, t.Runs[0].Steps[0].Attempts[0].Error = attack, attack, attack
		t.Deliveries[0].To, t.Deliveries[0].Dialogue[0].Text, t.Deliveries[0].Faults, t.Deliveries[0].Err = []string{attack}, attack, []string{attack}, attack
		m := t.Mail[0].Message
		m.Subject, m.Text, m.HTML, m.Envelope.To, m.From[0].Name, m.Problems = attack, attack, attack, []string{attack}, attack, []string{attack}
		r.Goldens = []report.Golden{{
			Name: attack, Message: m.ID, Before: golden.Files{Email: "Subject: x\n", Text: "x\n" + attack, HTML: "<p>before" + attack},
			After: golden.Files{Email: attack, Text: attack, HTML: attack},
		}}
	})
	return &report.Report{
		Records: []report.Record{r, full},
		Faults:  []report.Fault{{Fault: attack, Backend: attack, Promised: attack, Happened: attack}},
		Figures: []report.Figure{{Name: attack, Note: attack, Median: 1}},
	}
}

func TestWriteHTML_RunsAndLoadsNothingHostile(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, doc := render(t, hostile(attack))
			requireHarmless(t, doc)
			require.Less(t, len(page), 12<<20)
			frames := byTag(doc, "iframe")
			require.Len(t, frames, len(byClass(doc, "stage")))
			for _, f := range frames {
				requireInert(t, attr(f, "srcdoc"))
			}
			require.Len(t, byTag(doc, "section"), 5, "the page keeps its shape")
		})
	}
}

// requireInert: the document of a frame runs nothing and loads nothing, whatever its frame allows.
func requireInert(t *testing.T, source string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(source))
	require.NoError(t, err)
	policy := all(doc, func(n *html.Node) bool { return attr(n, "http-equiv") != "" })
	require.Len(t, policy, 1, "it has a policy of its own, which is what keeps style sheets from loading")
	require.Contains(t, attr(policy[0], "content"), "default-src 'none'")
	for _, n := range all(doc, func(*html.Node) bool { return true }) {
		require.NotContains(t, []string{"script", "link", "base", "iframe", "object", "embed"}, n.Data)
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), "%s has the event handler %s", n.Data, a.Key)
			if a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "poster" {
				require.NotContains(t, a.Val, "evil.test", "%s %s", n.Data, a.Key)
				require.NotContains(t, a.Val, "javascript:", "%s %s", n.Data, a.Key)
			}
		}
	}
}

func TestWriteJUnit_IsWellFormed(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			require.NoError(t, hostile(attack).WriteJUnit(&out))
			d := xml.NewDecoder(strings.NewReader(out.String()))
			elements := map[string]int{}
			for {
				token, err := d.Token()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				if e, ok := token.(xml.StartElement); ok {
					elements[e.Name.Local]++
				}
			}
			require.Equal(t, map[string]int{"testsuites": 1, "testsuite": 1, "testcase": 2, "failure": 1, "system-out": 2}, elements)
		})
	}
}

func TestWriteMarkdown_EscapesHostileText(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			require.NoError(t, hostile(attack).WriteMarkdown(&out))
			require.Less(t, out.Len(), 65_000)
			fence := ""
			for line := range strings.Lines(out.String()) {
				line = strings.TrimRight(line, "\n")
				switch {
				case fence == "" && strings.HasPrefix(line, "```"):
					fence = strings.TrimRight(line, "abcdefghijklmnopqrstuvwxyz")
				case line == fence:
					fence = ""
				case fence == "":
					line = strings.NewReplacer("<details>", "", "</details>", "", "<summary>", "", "</summary>", "", "<i>", "", "</i>", "", "<br>", "").Replace(line)
					require.NotRegexp(t, `<|https?://|!?\[|(^|\s)[@#][a-z0-9]`, line)
				}
			}
			require.Empty(t, fence, "every fence is closed")
		})
	}
}

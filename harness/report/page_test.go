package report_test

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mailview"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func TestWriteHTML_IsOneFileWithoutScripts(t *testing.T) {
	t.Parallel()
	page, doc := render(t, sample())
	requireHarmless(t, doc)
	require.True(t, strings.HasPrefix(page, "<!DOCTYPE html>"), "browsers draw it by the standard")

	ids := map[string]bool{}
	for _, n := range all(doc, func(n *html.Node) bool { return attr(n, "id") != "" }) {
		require.False(t, ids[attr(n, "id")], "the id %s stands twice", attr(n, "id"))
		ids[attr(n, "id")] = true
	}
	links := byTag(doc, "a")
	require.NotEmpty(t, links)
	for _, a := range links {
		require.True(t, ids[strings.TrimPrefix(attr(a, "href"), "#")], "the link %s leads to a place on the page", attr(a, "href"))
	}
}

// requireHarmless: nothing on a page runs or is loaded, and its policy would not let it.
func requireHarmless(t testing.TB, doc *html.Node) {
	t.Helper()
	head := byTag(doc, "head")[0]
	policy := ""
	for _, n := range all(head, func(n *html.Node) bool { return n.Data == "meta" || n.Data == "style" || n.Data == "title" }) {
		if attr(n, "http-equiv") == "Content-Security-Policy" {
			policy = attr(n, "content")
			break
		}
		require.NotEmpty(t, attr(n, "charset"), "nothing but the charset stands before the policy")
	}
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "script-src")
	require.Len(t, all(doc, func(n *html.Node) bool { return attr(n, "http-equiv") != "" }), 1)
	for _, n := range all(doc, func(*html.Node) bool { return true }) {
		require.NotContains(t, []string{"script", "link", "base", "form", "object", "embed", "audio", "video"}, n.Data)
		if n.Data == "img" {
			require.Regexp(t, "^data:image/png;base64,[A-Za-z0-9+/=]+$", attr(n, "src"))
			continue
		}
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), "%s has the event handler %s", n.Data, a.Key)
			require.NotContains(t, []string{"src", "srcset", "action", "formaction", "background", "poster", "ping"}, a.Key)
			if a.Key == "href" {
				require.True(t, strings.HasPrefix(a.Val, "#"), "%s leads to %s", n.Data, a.Val)
			}
			if a.Key == "style" {
				require.NotContains(t, a.Val, "url(")
			}
		}
		if n.Data == "iframe" {
			sandbox := false
			for _, a := range n.Attr {
				sandbox = sandbox || a.Key == "sandbox"
			}
			require.True(t, sandbox && attr(n, "sandbox") == "", "a frame may do nothing")
			require.Equal(t, "lazy", attr(n, "loading"))
			require.NotEmpty(t, attr(n, "title"))
		}
	}
}

func TestHeadline_NamesFailuresAndChanges(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1 of 6 tests failed, 1 email changed, 1 promise not kept", sample().Headline())
	require.Equal(t, "2 tests passed", (&report.Report{Records: []report.Record{record(1, unchanged), record(2, nil)}}).Headline())
	require.Equal(t, "Report", (&report.Report{Figures: sample().Figures}).Headline())
	_, doc := render(t, sample())
	require.Equal(t, sample().Headline(), textOf(byTag(doc, "h1")[0]))
	require.Equal(t, sample().Headline(), textOf(byTag(doc, "title")[0]))
}

func TestWriteHTML_BrokenHopComesFirst(t *testing.T) {
	t.Parallel()
	_, doc := render(t, sample())
	require.Equal(t, "failures", attr(byTag(doc, "section")[0], "id"))
	failure := byID(t, doc, "t2")
	require.Regexp(t, `^TestPress002 local 1\.234s · example\.test/shop First broken hop step look-up FAILED technician 66f has no email address What the test said`, textOf(failure))
	require.Equal(t, "step look-up FAILED first broken hop attempt 1: no address", textOf(byClass(failure, "first")[0]))
	require.Contains(t, textOf(failure), "/src/.harness/evidence/TestPress")
	require.Contains(t, textOf(failure), `Step send-email COMPLETED Arguments [ "kim@plant.test" ] "accepted"`)
	require.Contains(t, textOf(byID(t, doc, "tests")), "failed TestPress002")
}

func TestWriteHTML_EmbedsPictures(t *testing.T) {
	t.Parallel()
	var dot bytes.Buffer
	require.NoError(t, png.Encode(&dot, image.NewGray(image.Rect(0, 0, 1, 1))))
	kept := record(1, func(r *report.Record) { r.Pictures = []report.Picture{{Name: `a phone, "dark"`, PNG: dot.Bytes()}} })
	dir := t.TempDir()
	require.NoError(t, report.Save(dir, kept))
	rep, err := report.Load(dir)
	require.NoError(t, err)
	_, doc := render(t, rep)
	requireHarmless(t, doc)
	shown := byTag(byID(t, doc, "pictures"), "img")
	require.Len(t, shown, 1)
	require.Equal(t, "data:image/png;base64,"+base64.StdEncoding.EncodeToString(dot.Bytes()), attr(shown[0], "src"))
	require.Equal(t, `a phone, "dark"`, attr(shown[0], "alt"))
	require.Contains(t, textOf(byID(t, doc, "pictures")), `a phone, "dark" TestPress001`)

	kept.Pictures[0].PNG = []byte("<svg>")
	require.EqualError(t, report.Save(dir, kept), `save the record of TestPress001/local: the picture "a phone, \"dark\"" is no PNG with a name`)
}

func TestWriteHTML_ShowsFailuresOutsideVerdicts(t *testing.T) {
	t.Parallel()
	_, doc := render(t, &report.Report{Records: []report.Record{record(1, func(r *report.Record) {
		r.Outcome, r.Failures = report.Failed, []string{"got 1, want 2"}
	})}})
	failure := byID(t, doc, "t1")
	require.Empty(t, byClass(failure, "broken"))
	open := all(failure, func(n *html.Node) bool {
		return n.Data == "details" && strings.Contains(textOf(n), "got 1, want 2")
	})[0]
	require.Contains(t, open.Attr, html.Attribute{Key: "open"})
}

func TestWriteHTML_RendersEveryEmail(t *testing.T) {
	t.Parallel()
	_, doc := render(t, sample())
	emails := byID(t, doc, "emails")
	var heads []string
	for _, h := range byClass(emails, "group") {
		heads = append(heads, strings.Join(strings.Fields(textOf(h))[:2], " "))
	}
	require.Equal(t, []string{"Changed 1", "New 1", "Not compared", "Unchanged 1"}, heads, "what has to be looked at comes first")

	cards := byClass(emails, "email")
	require.Len(t, cards, 4)
	change := byTag(cards[0], "iframe")
	require.Len(t, change, 2)
	require.Contains(t, attr(change[0], "srcdoc"), "the press 1 is fine.")
	require.Contains(t, attr(change[1], "srcdoc"), "the press 1 leaks.")
	require.Equal(t, "Before: Press 1 leaks", attr(change[0], "title"))
	require.Equal(t, "After: Press 1 leaks", attr(change[1], "title"))
	diff := textOf(byClass(cards[0], "diff")[0])
	require.Contains(t, diff, "- the press 1 is fine . + the press 1 leaks .")
	var marked []string
	for _, m := range byTag(cards[0], "mark") {
		marked = append(marked, textOf(m))
	}
	require.Equal(t, []string{"is fine", "leaks", "is fine", "leaks"}, marked, "in the text and in the source")

	for _, card := range cards[1:] {
		require.Len(t, byTag(card, "iframe"), 1)
		require.Empty(t, byClass(card, "diff"))
	}
	require.Contains(t, textOf(cards[0]), mailview.Checks()+": passed")
}

func TestWriteHTML_ShowsAnEmailOnce(t *testing.T) {
	t.Parallel()
	_, doc := render(t, &report.Report{Records: []report.Record{record(1, func(r *report.Record) {
		r.Verdicts = append(r.Verdicts, r.Verdicts[0])
	})}})
	require.Len(t, byClass(doc, "email"), 1)
	require.Len(t, byClass(doc, "verdict"), 2)
}

func TestWriteHTML_ShowsFindings(t *testing.T) {
	t.Parallel()
	_, doc := render(t, &report.Report{Records: []report.Record{record(1, func(r *report.Record) {
		m := r.Verdicts[0].Trace.Mail[0].Message
		m.Text, m.Problems = "", []string{"the header Subject stands twice"}
	})}})
	require.Contains(t, textOf(byClass(doc, "findings")[0]), "text there is no text part")
	require.Contains(t, textOf(byClass(doc, "findings")[0]), "format the header Subject stands twice")
	require.Contains(t, textOf(byClass(doc, "email")[0]), "2 findings")
}

func TestWriteHTML_DrawsATimeline(t *testing.T) {
	t.Parallel()
	_, doc := render(t, &report.Report{Records: []report.Record{record(1, nil)}})
	rows := byClass(doc, "tl")
	require.Len(t, rows, 5)
	var texts, bars []string
	for _, r := range rows {
		texts = append(texts, textOf(r))
	}
	require.Equal(t, []string{
		"event press/leaks 12:00:00.000", "run notify completed in 300ms", "step send-email 280ms, 2 attempts",
		"delivery SMTP to kim1@plant.test accepted after 60ms", "mail Press 1 leaks +380ms",
	}, texts)
	for _, b := range byTag(byClass(rows[2], "track")[0], "i") {
		bars = append(bars, attr(b, "class")+" "+attr(b, "style")+" "+attr(b, "title"))
	}
	require.Equal(t, []string{
		"failed left:27.50%;width:2.50% attempt 1 FAILED 451 later",
		"waiting left:30.00%;width:45.00% waits 180ms to try again",
		"completed left:75.00%;width:22.50% attempt 2 COMPLETED",
	}, bars)
}

func TestWriteHTML_DrawsNoTimelineWithoutTimes(t *testing.T) {
	t.Parallel()
	_, doc := render(t, &report.Report{Records: []report.Record{record(1, func(r *report.Record) {
		r.Verdicts[0].Trace = &harness.Trace{EventID: "01UNKNOWN", Unquiet: "the server is away"}
	})}})
	require.Empty(t, byClass(doc, "tl"))
	require.Contains(t, textOf(byID(t, doc, "t1")), "01UNKNOWN")
	require.Contains(t, textOf(byID(t, doc, "t1")), "More may happen (the server is away):")
}

func TestWriteHTML_PlotsFaultsAndMeasurements(t *testing.T) {
	t.Parallel()
	_, doc := render(t, sample())
	faults := byID(t, doc, "faults")
	require.Contains(t, textOf(faults), "local 1 of 2 promises kept")
	require.Contains(t, textOf(faults), "containers 1 of 1 promise kept")
	require.Contains(t, textOf(byClass(faults, "lost")[0]), "not kept sent 3.0 s")
	var widths []string
	for _, r := range byTag(faults, "rect") {
		widths = append(widths, attr(r, "class")+" "+attr(r, "width"))
	}
	require.Equal(t, []string{"ok 50.00%", "bad 100.00%", "ok 100.00%"}, widths)

	bench := byID(t, doc, "bench")
	require.Contains(t, textOf(bench), "event to email floor 120 ms 131 ms 122 ms – 165 ms 300")
	require.Contains(t, textOf(bench), "tap 90 µs 85 µs – 95 µs 300")
	var ticks, dots []string
	for _, n := range byTag(bench, "text") {
		ticks = append(ticks, textOf(n)+" "+attr(n, "x"))
	}
	require.Equal(t, []string{"10 µs 0.00%", "100 µs 20.00%", "1 ms 40.00%", "10 ms 60.00%", "100 ms 80.00%", "1 s 100.00%"}, ticks)
	for _, n := range byTag(bench, "circle") {
		dots = append(dots, attr(n, "cx"))
	}
	require.Equal(t, []string{"82.36%", "19.08%"}, dots)
}

func TestWriteHTML_AcceptsFiguresWithoutValues(t *testing.T) {
	t.Parallel()
	page, _ := render(t, &report.Report{Figures: []report.Figure{{Name: "nothing"}}, Faults: []report.Fault{{Fault: "f"}}})
	require.NotContains(t, page, "NaN")
	require.NotContains(t, page, "Inf")
	require.NotContains(t, page, "ZgotmplZ")
}

// The page is for many emails: 500 of the app's size, all of them changed, stay under 25 MB.
func TestWriteHTML_500EmailsStaySmall(t *testing.T) {
	t.Parallel()
	var out counter
	require.NoError(t, many(500).WriteHTML(&out))
	require.Less(t, int(out), 25<<20)
	require.Greater(t, int(out), 500*10_000, "they are all there")
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// many is a report of n changed emails, each with 8 KB of HTML.
func many(n int) *report.Report {
	filler := strings.Repeat("<tr><td style=\"padding:10px 0;color:#16202b\">Equipment</td><td class=\"value ink\">Press &amp; belt</td></tr>\n", 76)
	rep := &report.Report{}
	for i := range n {
		rep.Records = append(rep.Records, record(i, func(r *report.Record) {
			m := r.Verdicts[0].Trace.Mail[0].Message
			m.HTML = strings.Replace(m.HTML, "</body>", "<table>"+filler+"</table></body>", 1)
			changed(r)
		}))
	}
	return rep
}

// BenchmarkWriteHTML500 is to stay under 5 s and 25 MB.
func BenchmarkWriteHTML500(b *testing.B) {
	rep := many(500)
	var out counter
	for b.Loop() {
		out = 0
		require.NoError(b, rep.WriteHTML(&out))
	}
	b.ReportMetric(float64(out)/(1<<20), "MB")
}

// BenchmarkWrite500 is all of it: reading the records, and writing page, JUnit and summary.
func BenchmarkWrite500(b *testing.B) {
	dir := b.TempDir()
	for _, r := range many(500).Records {
		require.NoError(b, report.Save(dir, r))
	}
	for b.Loop() {
		_, err := report.Write(dir)
		require.NoError(b, err)
	}
}

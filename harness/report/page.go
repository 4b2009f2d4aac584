package report

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mailview"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/timeline"
)

//go:embed report.html exploration.html report.css
var files embed.FS

// page is what the template shows.
type page struct {
	Title    string
	Counts   counts
	When     string
	Took     string
	Backends []string
	Failed   []*test
	Packages []pkg
	Groups   []emailGroup
	Pictures []picture
	Matrix   []matrix
	Bench    *bench
}

// counts are the figures at the head of page and summary.
type counts struct {
	Tests, Passed, Failed, Skipped int
	Emails, Changed, New, Same     int
	Findings                       int
	Faults, Kept, Lost             int
}

// pkg is the tests of one package.
type pkg struct {
	Path  string
	Tests []*test
}

// picture is a picture as the page shows it: in the page itself.
type picture struct {
	Name string
	Src  template.URL
	Test *test
}

// test is one test as the page shows it.
type test struct {
	Record
	ID     string
	Short  string   // the name without the backend's at its end
	Broken *verdict // the first verdict that does not hold
	// Verdicts hide the record's: they are the same, with what the page shows beside them.
	Verdicts []verdict
	Emails   []*email
}

// verdict is a verdict as the page shows it.
type verdict struct {
	*harness.Verdict
	Timeline *timeline.Timeline
	First    *harness.Hop // the first broken hop; nil if there is none
}

// WriteHTML writes the page: one file without a script, which loads nothing.
func (rep *Report) WriteHTML(w io.Writer) error { return rep.page().writeHTML(w) }

func (p *page) writeHTML(w io.Writer) error { return render(w, "report.html", p) }

// render writes a page from its template.
func render(w io.Writer, name string, data any) error {
	css, err := files.ReadFile("report.css")
	if err != nil {
		return err
	}
	view, err := template.New(name).Funcs(template.FuncMap{
		"css":     func() template.CSS { return template.CSS(css) }, // ours
		"clip":    func(s string) string { return text.Clip(s, maxPiece) },
		"percent": func(f float64) string { return fmt.Sprintf("%.2f", f) },
		"ms":      func(d harness.Duration) string { return milliseconds(inMilliseconds(d)) },
		"elapsed": text.Elapsed,
		"checks":  mailview.Checks,
		"pretty":  pretty,
		"plural":  func(n int, what string) string { return text.Count(n, what, what+"s") },
		"frame":   frameOf,
	}).ParseFS(files, "report.html", name)
	if err != nil {
		return err
	}
	return view.Execute(w, data)
}

func (rep *Report) page() *page {
	p := &page{Matrix: matrices(rep.Faults), Bench: benchOf(rep.Figures)}
	var all []*email
	var began, ended time.Time
	for i, r := range rep.Records {
		t := testOf(r, fmt.Sprintf("t%d", i+1))
		for _, e := range t.Emails {
			e.ID = fmt.Sprintf("e%d", len(all)+1)
			all = append(all, e)
		}
		for _, kept := range r.Pictures {
			// It is encoded here, so that nothing but a picture is behind the URL.
			src := "data:image/png;base64," + base64.StdEncoding.EncodeToString(kept.PNG)
			p.Pictures = append(p.Pictures, picture{Name: kept.Name, Src: template.URL(src), Test: t})
		}
		if t.Outcome == Failed {
			p.Failed = append(p.Failed, t)
		}
		if n := len(p.Packages); n == 0 || p.Packages[n-1].Path != r.Package {
			p.Packages = append(p.Packages, pkg{Path: r.Package})
		}
		last := &p.Packages[len(p.Packages)-1]
		last.Tests = append(last.Tests, t)
		if r.Backend != "" && !slices.Contains(p.Backends, r.Backend) {
			p.Backends = append(p.Backends, r.Backend)
		}
		if began.IsZero() || r.Began.Before(began) {
			began = r.Began
		}
		if end := r.Began.Add(r.Took); end.After(ended) {
			ended = end
		}
	}
	p.Groups = groupEmails(all)
	p.Counts = count(rep, all)
	if !began.IsZero() {
		p.When, p.Took = began.UTC().Format("2 January 2006, 15:04 UTC"), text.Elapsed(ended.Sub(began)).String()
	}
	p.Title = headline(p.Counts)
	return p
}

func count(rep *Report, emails []*email) counts {
	c := counts{Tests: len(rep.Records), Emails: len(emails), Faults: len(rep.Faults)}
	for _, r := range rep.Records {
		switch r.Outcome {
		case Passed:
			c.Passed++
		case Failed:
			c.Failed++
		default:
			c.Skipped++
		}
	}
	for _, e := range emails {
		switch e.Kind {
		case changed:
			c.Changed++
		case fresh:
			c.New++
		case same:
			c.Same++
		}
		if len(e.Findings) > 0 {
			c.Findings++
		}
	}
	for _, f := range rep.Faults {
		if f.Kept {
			c.Kept++
		} else {
			c.Lost++
		}
	}
	return c
}

// headline is the report in one line.
func headline(c counts) string {
	var parts []string
	switch {
	case c.Failed > 0:
		parts = append(parts, fmt.Sprintf("%d of %s failed", c.Failed, text.Count(c.Tests, "test", "tests")))
	case c.Tests > 0:
		parts = append(parts, text.Count(c.Passed, "test", "tests")+" passed")
	}
	if c.Changed > 0 {
		parts = append(parts, text.Count(c.Changed, "email", "emails")+" changed")
	}
	if c.Lost > 0 {
		parts = append(parts, text.Count(c.Lost, "promise", "promises")+" not kept")
	}
	if len(parts) == 0 {
		return "Report"
	}
	return strings.Join(parts, ", ")
}

func testOf(r Record, id string) *test {
	t := &test{Record: r, ID: id, Short: r.Test}
	if r.Backend != "" {
		t.Short = strings.TrimSuffix(r.Test, "/"+r.Backend)
	}
	for _, v := range r.Verdicts {
		shown := verdictOf(v)
		t.Verdicts = append(t.Verdicts, shown)
		if v.Outcome != harness.Holds && t.Broken == nil {
			t.Broken = &shown
		}
	}
	t.Emails = emailsOf(t)
	return t
}

func verdictOf(v *harness.Verdict) verdict {
	shown := verdict{Verdict: v, Timeline: timeline.Of(v.Trace)}
	if i := slices.IndexFunc(v.Hops, func(h harness.Hop) bool { return h.First }); i >= 0 {
		shown.First = &v.Hops[i]
	}
	return shown
}

// maxPiece bounds, in characters, each piece of text that is no email's body.
const maxPiece = 4 << 10

// maxJSON bounds, in characters, what is shown of one piece of data.
const maxJSON = 8 << 10

func pretty(data json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, data, "", "  ") != nil {
		return text.Clip(string(data), maxJSON)
	}
	return text.Clip(out.String(), maxJSON)
}

// Headline is the report in one line, as in "1 of 34 tests failed, 2 emails changed".
func (rep *Report) Headline() string { return rep.page().Title }

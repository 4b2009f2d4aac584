package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mailview"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// kind says how an email stands to its golden, in the order in which a reviewer wants to see them.
type kind int

const (
	changed  kind = iota // it differs from its golden
	fresh                // a golden was asked for and there was none
	ungolden             // it was not compared
	same                 // it is as its golden says
)

// String names the kind in a badge.
func (k kind) String() string { return [...]string{"changed", "new", "not compared", "unchanged"}[k] }

// email is one email as the page shows it.
type email struct {
	ID       string
	Test     *test
	Kind     kind
	Golden   string
	Subject  string
	From, To string
	Received string
	RunID    string
	Inferred bool
	Open     bool
	// Before and After are documents for frames; Before is empty unless the email changed.
	Before, After string
	// Height is the frames', in pixels.
	Height   int
	Text     string
	Diffs    []fileDiff
	Findings []mailcheck.Finding
	Problems []string
	Links    []mailview.Link
	Parts    []string
	Size     string
}

// frame is a document in a frame, with a title for screen readers.
type frame struct {
	Title, Doc string
	Height     int
}

func frameOf(when, doc string, e *email) frame {
	return frame{Title: when + ": " + e.Subject, Doc: doc, Height: e.Height}
}

// fileDiff is the difference of one of an email's parts.
type fileDiff struct {
	Part  string
	Lines []diffLine
	Cut   bool
	Open  bool
}

// emailGroup is the emails of one kind.
type emailGroup struct {
	Kind   kind
	Head   string
	Hint   string
	Emails []*email
}

// inert is what links in a frame lead to.
const inert = "about:srcdoc#"

// maxText bounds, in characters, what is shown of an email's text.
const maxText = 64 << 10

// emailsOf returns the emails of a test's traces, each once: a test may judge an event several times.
func emailsOf(t *test) []*email {
	var all []*email
	seen := map[string]bool{}
	for _, v := range t.Record.Verdicts {
		for i := range v.Trace.Mail {
			m := &v.Trace.Mail[i]
			if m.ID != "" && seen[m.ID] {
				continue
			}
			seen[m.ID] = true
			all = append(all, emailOf(t, m))
		}
	}
	return all
}

func emailOf(t *test, m *harness.TraceMail) *email {
	e := &email{
		Test: t, Kind: ungolden, Subject: m.Subject, From: mailview.People(m.From), To: cmp.Or(strings.Join(m.Envelope.To, ", "), mailview.People(m.To)),
		Received: m.Received.UTC().Format("15:04:05.000 UTC"), RunID: m.RunID, Inferred: m.Inferred,
		Problems: mailview.Problems(m.Message), Text: text.Clip(m.Text, maxText), Size: mailview.Size(len(m.HTML)),
		Findings: mailview.Findings(m.Message),
	}
	for _, p := range m.Files() {
		e.Parts = append(e.Parts, fmt.Sprintf("%s (%s, %s)", cmp.Or(p.Name, p.ContentID, "without a name"), p.ContentType, mailview.Size(len(p.Data))))
	}
	shown := m.Message
	if i := slices.IndexFunc(t.Goldens, func(g Golden) bool { return g.Message == m.ID }); i >= 0 {
		g := t.Goldens[i]
		e.Golden = g.Name
		switch {
		case g.New():
			e.Kind = fresh
		case g.Changed():
			e.Kind = changed
			e.compare(g)
			if g.Before.HTML != g.After.HTML {
				// Like beside like: both with the names that stand in goldens for what differs from run to run.
				e.Before = document(m.Message, g.Before.HTML).HTML
				shown = withHTML(m.Message, g.After.HTML)
			}
		default:
			e.Kind = same
		}
	}
	doc := mailview.Document(shown, inert)
	e.After, e.Links = doc.HTML, doc.Links
	if shown.HTML == "" {
		e.After = ""
	}
	e.Height = height(m.Text)
	return e
}

func withHTML(m *harness.Message, html string) *harness.Message {
	with := *m
	with.HTML = html
	return &with
}

func document(m *harness.Message, html string) mailview.Doc {
	if html == "" {
		return mailview.Doc{}
	}
	return mailview.Document(withHTML(m, html), inert)
}

// compare shows the difference of each part that differs. The difference of the HTML's source comes last, since
// the frames show what a reader of the email sees of it.
func (e *email) compare(g Golden) {
	for _, part := range []struct {
		name          string
		before, after string
		open          bool
	}{
		{"Subject and headers", g.Before.Email, g.After.Email, true},
		{"Text", g.Before.Text, g.After.Text, true},
		{"HTML source", g.Before.HTML, g.After.HTML, g.Before.Text == g.After.Text && g.Before.Email == g.After.Email},
	} {
		if part.before == part.after {
			continue
		}
		lines, cut := diffOf(part.before, part.after)
		e.Diffs = append(e.Diffs, fileDiff{part.name, lines, cut, part.open})
	}
}

// height guesses how high an email is drawn: a frame that may do nothing cannot say, and the page cannot look in.
func height(body string) int {
	lines := 0
	for line := range strings.Lines(body) {
		lines += 1 + len(line)/70
	}
	return min(1200, max(400, 270+19*lines))
}

// openAtMost is how many emails may be shown open although they did not change.
const openAtMost = 6

func groupEmails(all []*email) []emailGroup {
	groups := []emailGroup{
		{Kind: changed, Head: "Changed", Hint: "They differ from their goldens: left as it was, right as it is."},
		{Kind: fresh, Head: "New", Hint: "There was no golden to compare them with."},
		{Kind: ungolden, Head: "Not compared", Hint: "No test compares them with a golden."},
		{Kind: same, Head: "Unchanged", Hint: "They are as their goldens say."},
	}
	for _, e := range all {
		g := &groups[e.Kind]
		g.Emails = append(g.Emails, e)
		e.Open = e.Kind == changed || len(all) <= openAtMost
	}
	return slices.DeleteFunc(groups, func(g emailGroup) bool { return len(g.Emails) == 0 })
}

package mailview

import (
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

//go:embed mailview.html mailview.css
var files embed.FS

var view = template.Must(template.New("mailview.html").Funcs(template.FuncMap{
	"people": People, "size": Size, "checks": Checks, "join": strings.Join,
}).ParseFS(files, "mailview.html"))

// CSS is the style sheet of all fragments, which a page includes once. Its colours are the custom properties --mv-…,
// with defaults for both schemes.
func CSS() string {
	css, err := files.ReadFile("mailview.css")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(css)
}

// Options says how an email is shown. ID is required.
type Options struct {
	// ID is unique on the page and made of letters, digits, "-" and "_".
	ID string
	// Frame is a URL under which the page's server gives out [Document] with [Policy]. Empty: the document is part of
	// the fragment, which makes it whole in itself.
	Frame string
	// Mail is the mail catcher that has the email, for links to its page and to the email's file.
	Mail Catcher
	// Clock formats the time of arrival. Empty: "2006-01-02 15:04:05.000".
	Clock string
}

// A Catcher is the mail catcher of a stack, as pages name it and link to it. The zero value is none.
type Catcher struct {
	Program harness.MailCatcher
	// URL is its base URL.
	URL string
	// HasPage says that there is a web page.
	HasPage bool
}

// Title is the mail catcher's name.
func (c Catcher) Title() string { return c.Program.Title() }

// PageOf is the page of an email: of MailHog its front page, since it has no address for one email. Empty: there is none.
func (c Catcher) PageOf(id string) string {
	switch {
	case !c.HasPage:
		return ""
	case c.Program == harness.Mailpit && id != "":
		return c.URL + "/view/" + url.PathEscape(id)
	default:
		return c.URL
	}
}

// FileOf is where an email can be downloaded; empty where it cannot.
func (c Catcher) FileOf(id string) string {
	switch {
	case c.URL == "" || id == "":
		return ""
	case c.Program == harness.Mailpit:
		return c.URL + "/api/v1/message/" + url.PathEscape(id) + "/raw?dl=1"
	default:
		return c.URL + "/api/v1/messages/" + url.PathEscape(id) + "/download"
	}
}

// PageRuns reports whether the page shows emails such that what an email brings runs in it, as MailHog's does.
func (c Catcher) PageRuns() bool { return c.HasPage && c.Program != harness.Mailpit }

// maxSource bounds, in bytes, what is shown of an email's source and of its text.
const maxSource = 256 << 10

// Render returns the fragment of a page that shows an email. It is made of trusted markup; all that comes from the
// email is escaped or in the frame.
func Render(m *harness.Message, o Options) (template.HTML, error) {
	inert := "about:srcdoc#"
	if o.Frame != "" {
		inert = "#"
	}
	doc := Document(m, inert)
	source, cut := clip(string(m.Raw))
	text, textCut := clip(m.Text)
	data := struct {
		Options
		Message                *harness.Message
		Doc                    Doc
		Received, Source, Text string
		SourceCut, TextCut     bool
		Findings               []mailcheck.Finding
		Problems               []string // those that are no findings
	}{
		Options: o, Message: m, Doc: doc,
		Received: at(m.Received, cmp.Or(o.Clock, "2006-01-02 15:04:05.000")),
		Source:   source, SourceCut: cut, Text: text, TextCut: textCut,
		Findings: Findings(m), Problems: Problems(m),
	}
	var out strings.Builder
	if err := view.Execute(&out, data); err != nil {
		return "", fmt.Errorf("show email %s: %w", m.ID, err)
	}
	return template.HTML(out.String()), nil
}

// Findings returns what the checks that a page makes find in an email.
func Findings(m *harness.Message) []mailcheck.Finding {
	return mailcheck.Run(m, []harness.Check{harness.CheckAll}, mailcheck.Options{})
}

// Problems returns what is malformed in an email and no finding says: a page shows each once.
func Problems(m *harness.Message) []string {
	found := Findings(m)
	return slices.DeleteFunc(slices.Clone(m.Problems), func(p string) bool {
		return slices.Contains(found, mailcheck.Finding{Check: harness.CheckFormat, Text: p})
	})
}

// Checks names the checks that a page makes: all of them but the one that asks the app, and those whose findings may be
// intended.
func Checks() string {
	var names []string
	for _, c := range harness.Checks() {
		if c.Check != harness.CheckResolve && !c.ByName {
			names = append(names, string(c.Check))
		}
	}
	return strings.Join(names, ", ")
}

// Size formats a number of bytes: "512 B", "9.8 KB".
func Size(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
}

// People lists addresses with their names.
func People(list []*mail.Address) string {
	var all []string
	for _, a := range list {
		if a.Name == "" {
			all = append(all, a.Address)
			continue
		}
		all = append(all, a.Name+" <"+a.Address+">")
	}
	return strings.Join(all, ", ")
}

func at(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(layout)
}

// clip makes text that a page can show of what may be bytes of any kind and number.
func clip(s string) (_ string, cut bool) {
	if cut = len(s) > maxSource; cut {
		s = s[:maxSource]
	}
	return strings.ToValidUTF8(s, "\uFFFD"), cut
}

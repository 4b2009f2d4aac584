package mailcheck

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// ClipSize is the number of bytes of HTML from which Gmail clips an email and hides the rest behind a link.
const ClipSize = 102 << 10

// A Finding is one defect.
type Finding struct {
	Check harness.Check `json:"check"`
	Text  string        `json:"text"`
}

// String is the check and what it found.
func (f Finding) String() string { return string(f.Check) + ": " + f.Text }

// Options configures [Run]. The zero value is ready to use.
type Options struct {
	// Resolve returns an error that says why there is no page at an absolute http or https URL, and nil where there is
	// one or where it is not to be asked for. Nil: Resolve finds nothing. A [Resolver] has one.
	Resolve func(url string) error
}

// maxFindings is how many findings of one check are listed; the last then says how many more there are.
const maxFindings = 5

// Run makes the checks and returns what they found, in the order of [All]; nothing where the email is in order. An
// email without HTML has nothing that Links, Resolve, Alt, Size and External could object to.
func Run(m *harness.Message, checks []harness.Check, o Options) []Finding {
	p := parse(m.HTML)
	run := map[harness.Check]func() []string{
		harness.CheckText:     func() []string { return text(m, p) },
		harness.CheckLinks:    func() []string { return links(p) },
		harness.CheckResolve:  func() []string { return resolve(p, o.Resolve) },
		harness.CheckAlt:      func() []string { return alt(p) },
		harness.CheckSize:     func() []string { return size(m) },
		harness.CheckExternal: func() []string { return external(m, p) },
	}
	var found []Finding
	for _, info := range harness.Checks() {
		c := info.Check
		if !slices.Contains(checks, c) && !slices.Contains(checks, harness.CheckAll) {
			continue
		}
		texts := run[c]()
		if more := len(texts) - maxFindings; more > 0 {
			texts = append(texts[:maxFindings:maxFindings], fmt.Sprintf("… and %d more", more))
		}
		for _, t := range texts {
			found = append(found, Finding{c, t})
		}
	}
	return found
}

func size(m *harness.Message) []string {
	if len(m.HTML) < ClipSize {
		return nil
	}
	return []string{fmt.Sprintf("the HTML has %d bytes: Gmail clips an email at %d (102 KB) and hides the rest", len(m.HTML), ClipSize)}
}

func alt(p *page) []string {
	var found []string
	for _, n := range p.elements {
		image := n.Data == "img" || n.Data == "area" || n.Data == "input" && strings.EqualFold(attr(n, "type"), "image")
		if !image {
			continue
		}
		what := fmt.Sprintf("<%s> %s", n.Data, quote(attr(n, "src")))
		switch link := enclosingLink(n); {
		case !has(n, "alt"):
			found = append(found, what+" has no alt attribute: say what it shows, or alt=\"\" where it is decoration")
		case strings.TrimSpace(attr(n, "alt")) == "" && link != nil && !saysSomething(link):
			found = append(found, what+" is all there is in the link to "+quote(attr(link, "href"))+" and its alt text is empty: say where the link leads")
		}
	}
	return found
}

// enclosingLink returns the link that an element is in, or nil.
func enclosingLink(n *html.Node) *html.Node {
	for p := range n.Ancestors() {
		if p.Type == html.ElementNode && p.Data == "a" && has(p, "href") {
			return p
		}
	}
	return nil
}

// saysSomething reports whether a link has text, or an image that has, or a label.
func saysSomething(link *html.Node) bool {
	if strings.TrimSpace(attr(link, "aria-label")+attr(link, "title")) != "" {
		return true
	}
	for n := range link.Descendants() {
		if n.Type == html.TextNode && strings.TrimSpace(n.Data) != "" || n.Type == html.ElementNode && strings.TrimSpace(attr(n, "alt")) != "" {
			return true
		}
	}
	return false
}

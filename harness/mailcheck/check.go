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

// checks has the function that makes each check. There is one for each of [harness.Checks].
var checks = map[harness.Check]func(email) []string{
	harness.CheckText:     func(e email) []string { return text(e.message, e.page) },
	harness.CheckLinks:    func(e email) []string { return links(e.page) },
	harness.CheckResolve:  func(e email) []string { return resolve(e.page, e.resolve) },
	harness.CheckAlt:      func(e email) []string { return alt(e.page) },
	harness.CheckSize:     func(e email) []string { return size(e.message) },
	harness.CheckExternal: func(e email) []string { return external(e.message, e.page) },
}

// email is what a check looks at.
type email struct {
	message *harness.Message
	page    *page
	resolve func(url string) error
}

// Run makes the checks that are asked for and returns what they found, in the order of [harness.Checks]; nothing if the
// email passes. An email without HTML passes all checks but [harness.CheckText].
func Run(m *harness.Message, asked []harness.Check, o Options) []Finding {
	e := email{m, parse(m.HTML), o.Resolve}
	var found []Finding
	for _, info := range harness.Checks() {
		if !slices.Contains(asked, info.Check) && !slices.Contains(asked, harness.CheckAll) {
			continue
		}
		texts := checks[info.Check](e)
		if more := len(texts) - maxFindings; more > 0 {
			texts = append(texts[:maxFindings:maxFindings], fmt.Sprintf("… and %d more", more))
		}
		for _, t := range texts {
			found = append(found, Finding{info.Check, t})
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

// saysSomething reports whether a link has text, an image with an alternative text, or a label.
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

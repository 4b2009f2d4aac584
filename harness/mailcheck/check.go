package mailcheck

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// A Check is one thing to look for.
type Check string

const (
	// Text: there is a text part, and every word that the HTML shows is in it. Layout, case, punctuation and order
	// do not count; nor do words that the text has beside them, such as the address behind a button.
	Text Check = "text"
	// Links: every link says where it leads from anywhere: it is absolute, of a scheme that mail clients open
	// (https, http, mailto, tel, sms), or names a place in the same email.
	Links Check = "links"
	// Resolve: every page of the app that a link names is there. Links to anybody else are not followed.
	Resolve Check = "resolve"
	// Alt: every image has an alt attribute, and one that is all there is in a link has text in it.
	Alt Check = "alt"
	// Size: the HTML has less than ClipSize bytes.
	Size Check = "size"
	// External: nothing that the email shows is loaded from elsewhere; images that it refers to by cid: are in it.
	External Check = "external"
)

// Every stands, in a list of checks, for all of them.
const Every Check = "all"

// ClipSize is the number of bytes of HTML from which Gmail clips an email and hides the rest behind a link.
const ClipSize = 102 << 10

// All returns all checks, in the order in which their findings are listed. The slice is the caller's.
func All() []Check { return []Check{Text, Links, Resolve, Alt, Size, External} }

// Validate returns an error unless every check of a list is known.
func Validate(checks []Check) error {
	for _, c := range checks {
		if c != Every && !slices.Contains(All(), c) {
			var known []string
			for _, k := range All() {
				known = append(known, string(k))
			}
			return fmt.Errorf("there is no check %q: it is one of %s, or %s for all of them", c, strings.Join(known, ", "), Every)
		}
	}
	return nil
}

// A Finding is one defect.
type Finding struct {
	Check Check  `json:"check"`
	Text  string `json:"text"`
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
func Run(m *inbox.Message, checks []Check, o Options) []Finding {
	p := parse(m.HTML)
	run := map[Check]func() []string{
		Text:     func() []string { return text(m, p) },
		Links:    func() []string { return links(p) },
		Resolve:  func() []string { return resolve(p, o.Resolve) },
		Alt:      func() []string { return alt(p) },
		Size:     func() []string { return size(m) },
		External: func() []string { return external(m, p) },
	}
	var found []Finding
	for _, c := range All() {
		if !slices.Contains(checks, c) && !slices.Contains(checks, Every) {
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

func size(m *inbox.Message) []string {
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

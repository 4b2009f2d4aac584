package mailcheck

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/css"
)

// A link is one place in an email to click on.
type link struct {
	node *html.Node
	href string // as mail clients read it
}

// links are the links of an email in their sequence, and those that Outlook shows.
func (p *page) links() []link {
	var all []link
	add := func(n *html.Node) {
		if (n.Data == "a" || n.Data == "area" || strings.HasPrefix(n.Data, "v:")) && has(n, "href") {
			all = append(all, link{n, cleanURL(attr(n, "href"))})
		}
	}
	for _, n := range p.elements {
		add(n)
	}
	for _, n := range p.outlook {
		add(n)
	}
	return all
}

// cleanURL returns a URL as browsers and mail clients read it: without line breaks and tabs, and without blanks around it.
func cleanURL(s string) string {
	return strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }))
}

func links(p *page) []string {
	var found []string
	all := p.links()
	clickable := map[string]bool{}
	for _, l := range all {
		clickable[l.href] = clickable[l.href] || strings.HasPrefix(l.href, "#") || p.clickable(l.node)
	}
	for _, l := range all {
		why := badLink(p, l)
		if why == "" && !clickable[l.href] {
			why = "has nothing to click on: it holds no text and no image"
		}
		if why != "" {
			found = append(found, fmt.Sprintf("the link %s %s", quote(l.href), why))
		}
	}
	return found
}

// clickable reports whether a link may show anything. It is lenient: style sheets can make much of an empty element.
func (p *page) clickable(n *html.Node) bool {
	hidden, ofDocument := p.hidden[n]
	mark := has(n, "id") || has(n, "name") // it may be a place to link to
	if n.Data != "a" || hidden || !ofDocument || mark || saysSomething(n) {
		return true
	}
	draws := func(d *html.Node) bool {
		switch d.Data {
		case "img", "svg", "input", "button", "video", "object", "table", "hr":
			return true
		}
		if strings.Contains(d.Data, ":") || has(d, "background") || has(d, "bgcolor") {
			return true
		}
		for property := range p.styles.of(d) {
			for _, prefix := range []string{"background", "border", "padding", "width", "height", "min-"} {
				if strings.HasPrefix(property, prefix) {
					return true
				}
			}
		}
		return false
	}
	if draws(n) {
		return true
	}
	for d := range n.Descendants() {
		// A conditional comment holds what Outlook shows.
		if d.Type == html.ElementNode && draws(d) || d.Type == html.CommentNode && conditionalComment.MatchString(d.Data) {
			return true
		}
	}
	return false
}

var (
	// dead are the schemes of what is on the sender's machine, or of a program.
	dead = []string{"javascript", "vbscript", "data", "file", "blob", "about", "localhost", "undefined", "null"}
	// mistyped is almost http or https.
	mistyped = regexp.MustCompile(`^(?:h+t*p+s*|h+t+|t+ps?|https?[^s].*)$`)
)

// badLink says what is wrong with a link, or returns "".
func badLink(p *page, l link) string {
	if l.href == "" {
		return "is empty"
	}
	if name := unfilledURL(l.href, func() string { return textOf(l.node) }); name != "" {
		return "has " + quote(name) + " in the place of a value"
	}
	if place, ok := strings.CutPrefix(l.href, "#"); ok {
		decoded, err := url.PathUnescape(place)
		switch {
		case place == "":
			return "leads nowhere"
		case strings.EqualFold(place, "top"), p.ids[place], err == nil && p.ids[decoded]:
			return "" // every page has a top
		}
		return "names a place that the email does not have"
	}
	u, err := url.Parse(l.href)
	if _, odd := errors.AsType[url.EscapeError](err); odd {
		return "" // mail clients open it as it is
	}
	switch {
	case err != nil:
		return "is not a URL: " + reason(err)
	case u.Scheme == "", u.Opaque != "" && strings.Contains(u.Scheme, "."): // a host and its port
		return "is not absolute: an email has no address that it could be relative to"
	case slices.Contains(dead, u.Scheme):
		return fmt.Sprintf("has the scheme %q, which mail clients do not open", u.Scheme)
	case u.Scheme == "http" || u.Scheme == "https":
		switch u.Hostname() {
		case "":
			return "names no host"
		case "http", "https":
			return "has its scheme twice"
		}
	case mistyped.MatchString(u.Scheme):
		return fmt.Sprintf("has the scheme %q: is it https?", u.Scheme)
	case u.Scheme == "mailto":
		return badRecipients(u)
	case u.Scheme == "tel" || u.Scheme == "sms":
		if u.Opaque == "" && u.RawQuery == "" && u.Host == "" && u.Path == "" {
			return "names no recipient"
		}
	}
	return ""
}

// badRecipients says what is wrong with a mailto: URL (RFC 6068), or returns "". One without a recipient begins a new email.
func badRecipients(u *url.URL) string {
	if u.Opaque == "" && u.RawQuery == "" {
		return "names no recipient"
	}
	to, err := url.PathUnescape(u.Opaque)
	if err != nil {
		to = u.Opaque
	}
	for address := range strings.FieldsFuncSeq(to, func(r rune) bool { return r == ',' || r == ';' }) {
		if name, host, ok := strings.Cut(address, "@"); strings.TrimSpace(address) != "" && (!ok || name == "" || host == "") {
			return "names " + quote(address) + ", which is no address"
		}
	}
	return ""
}

// textOf returns what a person reads in an element.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// reason is the part of a URL error that says why, without the URL that the sentence around it shows.
func reason(err error) string {
	if u, ok := err.(*url.Error); ok {
		return u.Err.Error()
	}
	return err.Error()
}

func resolve(p *page, ask func(string) error) []string {
	if ask == nil {
		return nil
	}
	var found []string
	asked := map[string]bool{}
	for _, l := range p.links() {
		u, err := url.Parse(l.href)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || asked[l.href] {
			continue
		}
		asked[l.href] = true
		if err := ask(l.href); err != nil {
			found = append(found, fmt.Sprintf("the link %s leads nowhere: %v", quote(l.href), err))
		}
	}
	return found
}

// external lists what a mail client would have to load to show the email.
func external(p *page) []string {
	var found []string
	for _, r := range p.refs(p.elements) {
		if !r.attached {
			found = append(found, fmt.Sprintf("<%s> loads %s: attach it and refer to it by cid:, or leave this check out",
				r.where, quote(r.url)))
		}
	}
	return found
}

// Loads returns the URLs of what a mail client would load to show an email's HTML, each once, in order. What the email
// itself holds (data: and cid:) is not among them.
func Loads(html string) []string {
	var urls []string
	seen := map[string]bool{}
	p := parse(html)
	for _, r := range p.refs(p.elements) {
		if !r.attached && !seen[r.url] {
			seen[r.url] = true
			urls = append(urls, r.url)
		}
	}
	return urls
}

// A ref is something outside of the document that a mail client loads without being asked to.
type ref struct {
	where    string // the element and its attribute
	url      string
	attached bool // it is a part of the email
	picture  bool // it is shown, and is not a style sheet
}

func (p *page) refs(elements []*html.Node) []ref {
	var refs []ref
	for _, n := range elements {
		add := func(where string, urls ...string) {
			for _, link := range urls {
				picture := where == "src" || where == "srcset" || where == "background" || where == "style"
				r := ref{where: n.Data + " " + where, url: strings.TrimSpace(link), picture: picture}
				u, err := url.Parse(r.url)
				if r.url == "" || strings.HasPrefix(r.url, "#") || err == nil && u.Scheme == "data" {
					continue
				}
				r.attached = len(r.url) > 4 && strings.EqualFold(r.url[:4], "cid:")
				refs = append(refs, r)
			}
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "style":
				add("style", css.Loads(a.Val)...)
			case a.Key == "srcset":
				add(a.Key, srcsetRefs(a.Val)...)
			case loads(n, a.Key):
				add(a.Key, a.Val)
			}
		}
		if n.Data == "style" && n.FirstChild != nil {
			add("sheet", css.Loads(n.FirstChild.Data)...)
		}
	}
	return refs
}

// loads reports whether a client loads what an attribute names without being asked to.
func loads(n *html.Node, key string) bool {
	switch key {
	case "src", "background", "poster":
		return true
	case "data":
		return n.Data == "object"
	case "href":
		return n.Data == "link" && loadingLink.MatchString(attr(n, "rel")) || n.Namespace == "svg" && n.Data != "a"
	}
	return false
}

// loadingLink matches the relations of a <link> that mean loading; others name a page, or only prepare for loading.
var loadingLink = regexp.MustCompile(`(?i)(?:^|\s)(?:stylesheet|prefetch|(?:module)?preload|prerender)(?:\s|$)`)

// srcsetRefs returns the URLs of a srcset: a URL goes to the next space, and so may have commas in it.
func srcsetRefs(set string) []string {
	var refs []string
	for {
		set = strings.TrimLeft(set, ", \t\r\n\f")
		if set == "" {
			return refs
		}
		end := strings.IndexAny(set, " \t\r\n\f")
		if end < 0 {
			end = len(set)
		}
		ref := set[:end]
		set = set[end:]
		refs = append(refs, strings.TrimRight(ref, ","))
		if strings.HasSuffix(ref, ",") {
			continue
		}
		_, set, _ = strings.Cut(set, ",") // its width or density
	}
}

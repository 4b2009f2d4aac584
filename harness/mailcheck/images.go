package mailcheck

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// images lists images that no mail client can find.
func images(m *harness.Message, p *page) []string {
	var found []string
	for _, n := range p.elements {
		if n.Data == "img" && strings.TrimSpace(attr(n, "src")) == "" && !has(n, "srcset") {
			found = append(found, fmt.Sprintf("<img> %s names no picture: its src is empty", quote(attr(n, "alt"))))
		}
	}
	for _, r := range append(p.refs(p.elements), p.refs(p.outlook)...) {
		switch why := badImage(m, r); {
		case r.attached && m.PartByCID(r.url) == nil:
			found = append(found, fmt.Sprintf("<%s> shows %s, a part that the email does not have", r.where, quote(r.url)))
		case !r.attached && r.picture && why != "":
			found = append(found, fmt.Sprintf("<%s> shows %s, which %s", r.where, quote(r.url), why))
		}
	}
	return found
}

// badImage says why a picture cannot be found, or returns "".
func badImage(m *harness.Message, r ref) string {
	if name := unfilledURL(r.url, func() string { return "" }); name != "" {
		return "has " + quote(name) + " in the place of a value"
	}
	u, err := url.Parse(cleanURL(r.url))
	switch {
	case err != nil:
		return ""
	case u.Scheme == "" && !bytes.Contains(bytes.ToLower(m.Raw), []byte("\ncontent-location:")): // RFC 2557
		return "is not absolute: an email has no address that it could be relative to"
	case u.Scheme == "file", u.Scheme == "blob", u.Scheme == "about", len(u.Scheme) == 1: // a Windows drive
		return "is on the sender's machine"
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() == "":
		return "names no host"
	}
	return ""
}

func alt(p *page) []string {
	var found []string
	for _, n := range p.elements {
		button := n.Data == "input" && strings.EqualFold(attr(n, "type"), "image")
		image := n.Data == "img" || n.Data == "area" && has(n, "href") || button
		if !image || p.hidden[n] {
			continue
		}
		what := fmt.Sprintf("<%s> %s", n.Data, quote(attr(n, "src")))
		link := enclosingLink(n)
		switch said := saysSomething(n); {
		case link != nil && !said && !saysSomething(link) && (has(n, "alt") || decoration(n)):
			found = append(found, fmt.Sprintf("%s is all there is in the link to %s and its alt text is empty: say where the link leads",
				what, quote(attr(link, "href"))))
		case !has(n, "alt") && !said && !decoration(n):
			found = append(found, what+" has no alt attribute: say what it shows, or alt=\"\" where it is decoration")
		}
	}
	return found
}

// decoration reports whether an image says that it shows nothing: by its role, or by a size at which it cannot, as images
// that count readers do.
func decoration(n *html.Node) bool {
	role := strings.ToLower(attr(n, "role"))
	if role == "presentation" || role == "none" || attr(n, "aria-hidden") == "true" {
		return true
	}
	style := (&cascade{}).of(n)
	dot := func(name string) bool {
		value := style[name]
		if value == "" {
			value = attr(n, name)
		}
		v, _, ok := length(value)
		return ok && v <= 1
	}
	return dot("width") && dot("height")
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

// saysSomething reports whether an element has text, an image with an alternative text, or a label.
func saysSomething(n *html.Node) bool {
	if strings.TrimSpace(attr(n, "aria-label")+attr(n, "aria-labelledby")+attr(n, "title")) != "" {
		return true
	}
	for d := range n.Descendants() {
		if d.Type == html.TextNode && strings.ContainsFunc(d.Data, visible) ||
			d.Type == html.ElementNode && strings.TrimSpace(attr(d, "alt")+attr(d, "aria-label")) != "" {
			return true
		}
	}
	return false
}

// visible reports whether a character can be seen: it is no blank, and has a width.
func visible(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && r != '\u034F'
}

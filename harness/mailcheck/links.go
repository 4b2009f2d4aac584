package mailcheck

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/css"
)

// hrefs are the links of an email, each once.
func (p *page) hrefs() []string {
	var all []string
	for _, n := range p.elements {
		if (n.Data == "a" || n.Data == "area") && has(n, "href") {
			if href := strings.TrimSpace(attr(n, "href")); !slices.Contains(all, href) {
				all = append(all, href)
			}
		}
	}
	return all
}

func links(p *page) []string {
	var found []string
	for _, href := range p.hrefs() {
		if why := badLink(p, href); why != "" {
			found = append(found, fmt.Sprintf("the link %s %s", quote(href), why))
		}
	}
	return found
}

// badLink says what is wrong with a link, or returns "".
func badLink(p *page, href string) string {
	if href == "" {
		return "is empty"
	}
	if place, ok := strings.CutPrefix(href, "#"); ok {
		if !p.ids[place] {
			return "names a place that the email does not have"
		}
		return ""
	}
	u, err := url.Parse(href)
	switch {
	case err != nil:
		return "is not a URL: " + reason(err)
	case u.Scheme == "":
		return "is not absolute: an email has no address that it could be relative to"
	case u.Scheme == "http" || u.Scheme == "https":
		if u.Hostname() == "" {
			return "names no host"
		}
		return ""
	case u.Scheme == "mailto" || u.Scheme == "tel" || u.Scheme == "sms":
		if u.Opaque == "" && u.RawQuery == "" {
			return "names no recipient"
		}
		return ""
	}
	return fmt.Sprintf("has the scheme %q, which mail clients do not open", u.Scheme)
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
	for _, href := range p.hrefs() {
		u, err := url.Parse(href)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		if err := ask(href); err != nil {
			found = append(found, fmt.Sprintf("the link %s leads nowhere: %v", quote(href), err))
		}
	}
	return found
}

// external lists what a mail client would have to load to show the email, and parts that it refers to and lacks.
func external(m *harness.Message, p *page) []string {
	var found []string
	for _, r := range p.refs() {
		switch {
		case r.attached && !hasPart(m, r.cid):
			found = append(found, fmt.Sprintf("<%s> shows %s, a part that the email does not have", r.where, quote(r.url)))
		case !r.attached:
			found = append(found, fmt.Sprintf("<%s> loads %s: attach it and refer to it by cid:, or allow it by leaving this check out", r.where, quote(r.url)))
		}
	}
	return found
}

// Loads returns the URLs of what a mail client would load to show an email's HTML, each once, in order. What the email
// itself holds (data: and cid:) is not among them.
func Loads(html string) []string {
	var urls []string
	for _, r := range parse(html).refs() {
		if !r.attached && !slices.Contains(urls, r.url) {
			urls = append(urls, r.url)
		}
	}
	return urls
}

// A ref is something outside of the document that a mail client loads without being asked to.
type ref struct {
	where    string // the element and its attribute
	url      string
	attached bool   // it is a part of the email
	cid      string // the id of that part
}

func (p *page) refs() []ref {
	var refs []ref
	for _, n := range p.elements {
		add := func(where string, urls ...string) {
			for _, link := range urls {
				r := ref{where: n.Data + " " + where, url: strings.TrimSpace(link)}
				u, err := url.Parse(r.url)
				if r.url == "" || strings.HasPrefix(r.url, "#") || err == nil && u.Scheme == "data" {
					continue
				}
				if r.attached = err == nil && u.Scheme == "cid"; r.attached {
					r.cid = u.Opaque
				}
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
		return n.Data == "link" || n.Namespace == "svg" && n.Data != "a"
	}
	return false
}

func hasPart(m *harness.Message, id string) bool {
	if unescaped, err := url.PathUnescape(id); err == nil {
		id = unescaped
	}
	return slices.ContainsFunc(m.Files(), func(p harness.Part) bool { return p.ContentID != "" && p.ContentID == id })
}

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

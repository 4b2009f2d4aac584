package mailview

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Policy is the content security policy of an email's document. A page that serves [Document] by itself sends it as a
// header, with "sandbox" before it.
const Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"

// A Doc is an email's HTML, made safe to draw.
type Doc struct {
	// HTML is a whole document for a sandboxed frame. It runs nothing and loads nothing, and its links lead nowhere.
	HTML string
	// Links are where its links led, in order, each target once.
	Links []Link
	// External are the resources that it would have loaded, in order, each once.
	External []string
	// Problem says why there is no HTML although the email has some; empty otherwise.
	Problem string
}

// A Link is one link of an email.
type Link struct {
	// Text is what a person reads; the target where there is nothing to read.
	Text string
	// URL is the target as the email has it.
	URL string
	// Openable says that the target is one for a browser: http or https.
	Openable bool
}

// Document makes an email's HTML safe to draw. inert is what its links lead to: a place in the document itself, which
// is "#" in a document that is served and "about:srcdoc#" in one that stands in a frame's srcdoc.
func Document(m *harness.Message, inert string) Doc {
	// As in a mail program, which runs no scripts either: what stands in <noscript> is shown.
	root, err := html.ParseWithOptions(strings.NewReader(m.HTML), html.ParseOptionEnableScripting(false))
	if err != nil {
		return Doc{Problem: err.Error()}
	}
	r := rebuilder{message: m, inert: inert}
	r.clean(root)
	head := find(root, atom.Head)
	first := head.FirstChild
	for _, meta := range []*html.Node{
		element("meta", "charset", "utf-8"),
		element("meta", "http-equiv", "Content-Security-Policy", "content", Policy),
		element("meta", "name", "referrer", "content", "no-referrer"),
	} {
		head.InsertBefore(meta, first)
	}
	var out strings.Builder
	if err := html.Render(&out, root); err != nil {
		return Doc{Problem: err.Error()}
	}
	return Doc{HTML: out.String(), Links: r.links, External: r.external}
}

// rebuilder takes out of a document what could run, load or lead away, and keeps account of it.
type rebuilder struct {
	message  *harness.Message
	inert    string
	links    []Link
	external []string
}

// dropped are the elements that go with all that is in them: they run, load, or change how the rest is read. Of drawings
// (svg, math) no mail program of importance shows any.
var dropped = map[atom.Atom]bool{
	atom.Script: true, atom.Base: true, atom.Link: true, atom.Object: true, atom.Embed: true, atom.Applet: true,
	atom.Iframe: true, atom.Frame: true, atom.Frameset: true, atom.Noframes: true, atom.Noembed: true, atom.Audio: true,
	atom.Video: true, atom.Source: true, atom.Track: true, atom.Svg: true, atom.Math: true, atom.Template: true,
}

// renamed are elements that stay as others: a form that sends nothing, a text that does not swallow what follows it.
var renamed = map[atom.Atom]atom.Atom{atom.Form: atom.Div, atom.Plaintext: atom.Pre, atom.Xmp: atom.Pre, atom.Noscript: atom.Div}

// kept are the attributes that may stay on any element: those that say how it looks or reads, and never where from.
var kept = map[string]bool{
	"abbr": true, "align": true, "alt": true, "aria-hidden": true, "aria-label": true, "bgcolor": true, "border": true,
	"cellpadding": true, "cellspacing": true, "class": true, "clear": true, "color": true, "cols": true, "colspan": true,
	"dir": true, "disabled": true, "face": true, "frame": true, "headers": true, "height": true, "hidden": true,
	"hspace": true, "id": true, "lang": true, "leftmargin": true, "link": true, "marginheight": true,
	"marginwidth": true, "media": true, "noshade": true, "nowrap": true, "open": true, "placeholder": true,
	"reversed": true, "role": true, "rows": true, "rowspan": true, "rules": true, "scope": true, "size": true,
	"span": true, "start": true, "style": true, "summary": true, "text": true, "title": true, "topmargin": true,
	"type": true, "valign": true, "value": true, "vlink": true, "vspace": true, "width": true,
}

// metas are the <meta name> that change how a document looks.
var metas = map[string]bool{"viewport": true, "color-scheme": true, "supported-color-schemes": true}

func (r *rebuilder) clean(n *html.Node) {
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		switch {
		case c.Type == html.CommentNode, c.Type == html.ElementNode && r.drops(c):
			n.RemoveChild(c)
		default:
			r.cleanElement(c)
			r.clean(c)
		}
		c = next
	}
}

// drops says whether an element goes, and notes what it would have loaded.
func (r *rebuilder) drops(n *html.Node) bool {
	if n.DataAtom == atom.Meta {
		return !metas[strings.ToLower(attribute(n, "name"))]
	}
	if !dropped[n.DataAtom] && n.Namespace == "" {
		return false
	}
	for _, key := range []string{"src", "data", "href"} {
		if n.DataAtom != atom.Base {
			r.loads(attribute(n, key))
		}
	}
	return true
}

func (r *rebuilder) cleanElement(n *html.Node) {
	if n.Type != html.ElementNode {
		return
	}
	if to, ok := renamed[n.DataAtom]; ok {
		n.DataAtom, n.Data = to, to.String()
	}
	if n.DataAtom == atom.Style {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			r.loadsOf(c.Data)
		}
	}
	attributes := n.Attr
	n.Attr = nil
	for _, a := range attributes {
		switch key := strings.ToLower(a.Key); {
		case a.Namespace != "":
		case n.DataAtom == atom.Meta && (key == "name" || key == "content"):
			n.Attr = append(n.Attr, a)
		case key == "href" && (n.DataAtom == atom.A || n.DataAtom == atom.Area):
			r.link(n, a.Val)
			n.Attr = append(n.Attr, html.Attribute{Key: "href", Val: r.inert})
		case key == "src" && n.DataAtom == atom.Img:
			if data, ok := r.image(a.Val); ok {
				n.Attr = append(n.Attr, html.Attribute{Key: "src", Val: data})
			}
		case key == "src" || key == "background" || key == "poster":
			r.loads(a.Val)
		case key == "srcset":
			for candidate := range strings.SplitSeq(a.Val, ",") {
				url, _, _ := strings.Cut(strings.TrimSpace(candidate), " ")
				r.loads(url)
			}
		case kept[key]:
			if key == "style" {
				r.loadsOf(a.Val)
			}
			n.Attr = append(n.Attr, a)
		}
	}
}

// link notes where a link led to.
func (r *rebuilder) link(n *html.Node, url string) {
	url = strings.TrimSpace(url)
	if url == "" || strings.HasPrefix(url, "#") || slices.ContainsFunc(r.links, func(l Link) bool { return l.URL == url }) {
		return
	}
	text := strings.Join(strings.Fields(textOf(n)), " ")
	if text == "" {
		text = url
	}
	lower := strings.ToLower(url)
	r.links = append(r.links, Link{
		Text: text, URL: url,
		Openable: strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://"),
	})
}

// shown are the kinds of pictures that are drawn; one that could hold a document of its own is not among them.
var shown = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// image returns a picture that the email itself brings, as a data URL.
func (r *rebuilder) image(url string) (string, bool) {
	url = strings.TrimSpace(url)
	lower := strings.ToLower(url)
	if id, ok := strings.CutPrefix(lower, "cid:"); ok {
		for _, p := range r.message.Files() {
			if strings.EqualFold(p.ContentID, id) && slices.Contains(shown, strings.ToLower(p.ContentType)) {
				return "data:" + strings.ToLower(p.ContentType) + ";base64," + base64.StdEncoding.EncodeToString(p.Data), true
			}
		}
		return "", false
	}
	for _, kind := range shown {
		if strings.HasPrefix(lower, "data:"+kind) {
			return url, true
		}
	}
	r.loads(url)
	return "", false
}

// loads notes a resource that would have come from elsewhere.
func (r *rebuilder) loads(url string) {
	url = strings.TrimSpace(url)
	lower := strings.ToLower(url)
	if url == "" || strings.HasPrefix(lower, "data:") || strings.HasPrefix(lower, "cid:") || slices.Contains(r.external, url) {
		return
	}
	r.external = append(r.external, url)
}

// inStyles finds what a style sheet loads, as far as an account needs it: the policy is what keeps it from loading.
var inStyles = regexp.MustCompile(`(?i)(?:url\(\s*['"]?|@import\s+['"])([^'")]+)`)

func (r *rebuilder) loadsOf(css string) {
	for _, m := range inStyles.FindAllStringSubmatch(css, -1) {
		r.loads(m[1])
	}
}

func element(name string, attributes ...string) *html.Node {
	n := &html.Node{Type: html.ElementNode, Data: name, DataAtom: atom.Lookup([]byte(name))}
	for i := 0; i < len(attributes); i += 2 {
		n.Attr = append(n.Attr, html.Attribute{Key: attributes[i], Val: attributes[i+1]})
	}
	return n
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if strings.EqualFold(a.Key, key) {
			return a.Val
		}
	}
	return ""
}

func find(n *html.Node, what atom.Atom) *html.Node {
	for d := range n.Descendants() {
		if d.DataAtom == what {
			return d
		}
	}
	return nil
}

// textOf is what a person reads in an element: its text, and the alternatives to its pictures.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode:
			b.WriteString(d.Data)
		case d.DataAtom == atom.Img:
			b.WriteString(" " + attribute(d, "alt") + " ")
		}
	}
	return b.String()
}

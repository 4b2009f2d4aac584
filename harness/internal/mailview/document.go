package mailview

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
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
	return Doc{HTML: out.String(), Links: r.links, External: mailcheck.Loads(m.HTML)}
}

// rebuilder removes from a document what could run, load or lead away, and lists its links.
type rebuilder struct {
	message *harness.Message
	inert   string
	links   []Link
}

// dropped are the elements that go with all that is in them: they run, load, or change how the rest is read. Of drawings
// (svg, math) no mail program of importance shows any.
var dropped = set("script base link object embed applet iframe frame frameset noframes noembed audio video source track svg math template")

// renamed are elements that stay as others: a form that sends nothing, a text that has an end.
var renamed = map[atom.Atom]atom.Atom{atom.Form: atom.Div, atom.Plaintext: atom.Pre, atom.Xmp: atom.Pre, atom.Noscript: atom.Div}

// kept are the attributes that may stay on any element: those that say how it looks or reads, and never where from.
var kept = set(`abbr align alt aria-hidden aria-label bgcolor border cellpadding cellspacing class clear color cols colspan dir
	disabled face frame headers height hidden hspace id lang leftmargin link marginheight marginwidth media noshade nowrap open
	placeholder reversed role rows rowspan rules scope size span start style summary text title topmargin type valign value
	vlink vspace width`)

// rewritten are the attributes that stay on one element with another value.
var rewritten = map[string]func(r *rebuilder, n *html.Node, value string) (_ string, stays bool){
	"a href":       (*rebuilder).link,
	"area href":    (*rebuilder).link,
	"img src":      (*rebuilder).image,
	"meta name":    asItIs,
	"meta content": asItIs,
}

// metas are the <meta name> that change how a document looks.
var metas = set("viewport color-scheme supported-color-schemes")

func set(names string) map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(names) {
		all[name] = true
	}
	return all
}

func asItIs(_ *rebuilder, _ *html.Node, value string) (string, bool) { return value, true }

func (r *rebuilder) clean(n *html.Node) {
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		if c.Type == html.CommentNode || c.Type == html.ElementNode && drops(c) {
			n.RemoveChild(c)
		} else {
			r.cleanElement(c)
			r.clean(c)
		}
		c = next
	}
}

// drops reports whether an element goes.
func drops(n *html.Node) bool {
	if n.DataAtom == atom.Meta {
		return !metas[strings.ToLower(attribute(n, "name"))]
	}
	return dropped[n.Data] || n.Namespace != ""
}

func (r *rebuilder) cleanElement(n *html.Node) {
	if n.Type != html.ElementNode {
		return
	}
	if to, ok := renamed[n.DataAtom]; ok {
		n.DataAtom, n.Data = to, to.String()
	}
	attributes := n.Attr
	n.Attr = nil
	for _, a := range attributes {
		key := strings.ToLower(a.Key)
		stays := a.Namespace == "" && kept[key]
		if rewrite := rewritten[n.Data+" "+key]; rewrite != nil && a.Namespace == "" {
			a.Val, stays = rewrite(r, n, a.Val)
		}
		if stays {
			n.Attr = append(n.Attr, a)
		}
	}
}

// link notes where a link led to, and makes it lead nowhere.
func (r *rebuilder) link(n *html.Node, url string) (string, bool) {
	url = strings.TrimSpace(url)
	if url == "" || strings.HasPrefix(url, "#") || slices.ContainsFunc(r.links, func(l Link) bool { return l.URL == url }) {
		return r.inert, true
	}
	lower := strings.ToLower(url)
	r.links = append(r.links, Link{
		Text: cmp.Or(text.OneLine(textOf(n)), url), URL: url,
		Openable: strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://"),
	})
	return r.inert, true
}

// shown are the kinds of pictures that are drawn; one that could hold a document of its own is not among them.
var shown = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// image returns a picture that the email itself brings, as a data URL.
func (r *rebuilder) image(_ *html.Node, url string) (string, bool) {
	url = strings.TrimSpace(url)
	lower := strings.ToLower(url)
	if p := r.message.PartByCID(url); p != nil && slices.Contains(shown, strings.ToLower(p.ContentType)) {
		return "data:" + strings.ToLower(p.ContentType) + ";base64," + base64.StdEncoding.EncodeToString(p.Data), true
	}
	return url, slices.ContainsFunc(shown, func(kind string) bool { return strings.HasPrefix(lower, "data:"+kind) })
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

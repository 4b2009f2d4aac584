package mailcheck

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/css"
)

// page is the HTML of an email as the checks look at it.
type page struct {
	elements []*html.Node // all of them, in order
	blocks   []string     // the pieces of text that show, as one line each
	ids      map[string]bool
}

// maxDepth is how deep elements are looked at: hostile HTML nests without end.
const maxDepth = 500

// parse never fails: a browser makes something of every text, and so does the parser.
func parse(source string) *page {
	p := &page{ids: map[string]bool{}}
	if strings.TrimSpace(source) == "" {
		return p
	}
	// Mail clients run no scripts, so that they show what stands in <noscript>.
	doc, err := html.ParseWithOptions(strings.NewReader(source), html.ParseOptionEnableScripting(false))
	if err != nil {
		// The one thing that the parser refuses is nesting without end: there is nothing in it that a person reads.
		return p
	}
	var line strings.Builder
	p.walk(doc, true, 0, &line)
	p.flush(&line)
	return p
}

func (p *page) walk(n *html.Node, shown bool, depth int, line *strings.Builder) {
	if depth > maxDepth {
		return
	}
	switch n.Type {
	case html.TextNode:
		if shown {
			line.WriteString(n.Data)
		}
		return
	case html.ElementNode:
		p.elements = append(p.elements, n)
		if id := attr(n, "id"); id != "" {
			p.ids[id] = true
		}
		if n.Data == "a" && attr(n, "name") != "" {
			p.ids[attr(n, "name")] = true
		}
		shown = shown && !hidden(n)
	}
	block := n.Type == html.ElementNode && !slices.Contains(inline, n.Data)
	if block {
		p.flush(line)
	}
	for c := range n.ChildNodes() {
		p.walk(c, shown, depth+1, line)
	}
	if block {
		p.flush(line)
	}
}

func (p *page) flush(line *strings.Builder) {
	if text := strings.Join(strings.Fields(line.String()), " "); text != "" {
		p.blocks = append(p.blocks, text)
	}
	line.Reset()
}

// inline are the elements that do not end a line of text.
var inline = []string{
	"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "s",
	"samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
}

// hidden reports whether nothing in an element shows: by its kind, or by its own style, as the preview text that
// mail clients show in a list is.
func hidden(n *html.Node) bool {
	switch n.Data {
	case "head", "script", "style", "template", "title", "iframe", "object", "select", "textarea":
		return true
	}
	if has(n, "hidden") {
		return true
	}
	for _, d := range css.Declarations(attr(n, "style")) {
		switch strings.TrimSuffix(d.String(), " !important") {
		case "display: none", "visibility: hidden", "mso-hide: all":
			return true
		}
	}
	return false
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Namespace == "" && a.Key == name })
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == name {
			return a.Val
		}
	}
	return ""
}

// quote shows a piece of an email in a message: on one line, and not at any length.
func quote(s string) string {
	const most = 90
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

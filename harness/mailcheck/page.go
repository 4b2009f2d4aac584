package mailcheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// page is the HTML of an email as the checks look at it.
type page struct {
	elements []*html.Node // all of them, in order
	outlook  []*html.Node // those in conditional comments, which Outlook shows
	blocks   []string     // the pieces of text that show, as one line each; joint and optional stand in them
	prose    []string     // all pieces of text, hidden ones too, as one line each, without what stands in code
	code     strings.Builder
	ids      map[string]bool
	hidden   map[*html.Node]bool
	styles   *cascade
}

// Marks in blocks, where one word may be two to the eye.
const (
	joint    = '\x1f' // an element begins or ends
	optional = '\x1e' // a raised or lowered text begins: a mark, not a word
)

// maxDepth is how deep elements are looked at: hostile HTML nests without end.
const maxDepth = 500

// parse never fails: a browser makes something of every text, and so does the parser.
func parse(source string) *page {
	p := &page{ids: map[string]bool{}, hidden: map[*html.Node]bool{}}
	doc := parseHTML(source)
	if doc == nil {
		return p
	}
	p.styles = newCascade(doc)
	w := walker{page: p}
	w.walk(doc, shown{}, false, 0)
	w.flush()
	return p
}

// parseHTML returns nil where there is nothing that a person reads.
func parseHTML(source string) *html.Node {
	if strings.TrimSpace(source) == "" {
		return nil
	}
	// Mail clients run no scripts, so that they show what stands in <noscript>.
	doc, err := html.ParseWithOptions(strings.NewReader(source), html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil // the one thing that the parser refuses is nesting without end
	}
	return doc
}

// A walker fills a page.
type walker struct {
	*page
	line, all strings.Builder // what shows of the line, and all of it
}

func (w *walker) walk(n *html.Node, s shown, code bool, depth int) {
	if depth > maxDepth {
		return
	}
	block := false
	switch n.Type {
	case html.TextNode:
		w.text(n.Data, s, code)
		return
	case html.CommentNode:
		w.comment(n.Data)
		return
	case html.ElementNode:
		w.elements = append(w.elements, n)
		if id := attr(n, "id"); id != "" {
			w.ids[id] = true
		}
		if n.Data == "a" && attr(n, "name") != "" {
			w.ids[attr(n, "name")] = true
		}
		style := w.styles.of(n)
		s = s.within(n, style)
		w.hidden[n] = s.hidden
		code = code || slices.Contains(codeElements, n.Data)
		display := style["display"]
		block = !slices.Contains(inline, n.Data) || display != "" && display != "inline" && display != "none" && display != "contents"
	}
	mark := joint
	if n.Data == "sup" || n.Data == "sub" {
		mark = optional
	}
	w.edge(block, mark)
	for c := range n.ChildNodes() {
		w.walk(c, s, code, depth+1)
	}
	w.edge(block, joint)
}

// edge is at the beginning and at the end of an element.
func (w *walker) edge(block bool, mark rune) {
	if block {
		w.flush()
	} else {
		w.line.WriteRune(mark)
	}
}

var unmarked = strings.NewReplacer(string(joint), "", string(optional), "")

func (w *walker) text(s string, as shown, code bool) {
	if as.text() {
		w.line.WriteString(unmarked.Replace(s))
	}
	if code {
		w.code.WriteString(s + "\n")
		w.all.WriteRune('\uFFFC') // which stands for what is no text
	} else {
		w.all.WriteString(s)
	}
}

func (w *walker) flush() {
	if text := strings.Join(strings.Fields(w.line.String()), " "); strings.Trim(text, string([]rune{joint, optional, ' '})) != "" {
		w.blocks = append(w.blocks, text)
	}
	if text := strings.Join(strings.Fields(w.all.String()), " "); text != "" {
		w.prose = append(w.prose, text)
	}
	w.line.Reset()
	w.all.Reset()
}

var conditionalComment = regexp.MustCompile(`(?s)^\s*\[if[^\]]*\]>(.*)<!\[endif\]\s*$`)

// comment takes in what Outlook shows of a conditional comment.
func (w *walker) comment(data string) {
	inside := conditionalComment.FindStringSubmatch(data)
	if inside == nil {
		return
	}
	if doc := parseHTML(inside[1]); doc != nil {
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode {
				w.outlook = append(w.outlook, n)
			}
		}
	}
}

// codeElements hold text that is about programs or templates.
var codeElements = []string{"code", "pre", "kbd", "samp", "tt", "var", "head", "script", "style", "template", "title"}

// inline are the elements that do not end a line of text.
var inline = []string{
	"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label",
	"mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
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

package golden

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/css"
)

// canonicalHTML returns a form of doc in which two documents that read alike are equal, made for comparing line by line:
// an indented outline of the parsed document. It is itself HTML with the same meaning, and its own canonical form.
func canonicalHTML(doc string) string {
	doc = plainLines(doc)
	if strings.TrimSpace(doc) == "" {
		return ""
	}
	if body, ok := strings.CutPrefix(doc, asWritten); ok {
		return asWritten + canonicalText(body)
	}
	// Parsing repairs bad nesting, and a repaired document may be repaired again; sound documents settle at once.
	form := doc
	for range maxRepairs {
		next, err := outline(form)
		if err != nil {
			break
		}
		if next == form {
			return form
		}
		form = next
	}
	return asWritten + canonicalText(doc)
}

const (
	maxRepairs = 8
	// asWritten stands before a document that no parser settles on, which is compared line by line as it came.
	asWritten = "<!-- badly nested HTML: compared as written -->\n"
)

func outline(doc string) (string, error) {
	// Mail clients run no scripts.
	root, err := html.ParseWithOptions(strings.NewReader(joinBlocks(doc)), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "", err
	}
	for n := range root.Descendants() {
		if n.DataAtom == atom.Plaintext {
			return "", errors.New("<plaintext> has no end")
		}
	}
	var p outliner
	p.startLine()
	p.children(root)
	p.newline()
	return p.out.String(), nil
}

// joinBlocks removes white space between the tags of blocks. It does not show, but where an element such as <font> is never
// closed, the parser opens it again around white space.
func joinBlocks(doc string) string {
	if strings.Contains(strings.ToLower(doc), "white-space") {
		return doc
	}
	var b strings.Builder
	var space []byte      // not yet written
	block, pre := true, 0 // the tag before it is of a block; how many elements are open that keep white space
	tokens := html.NewTokenizer(strings.NewReader(doc))
	for {
		kind := tokens.Next()
		raw := tokens.Raw()
		switch kind {
		case html.ErrorToken:
			return b.String() + string(space) + string(raw)
		case html.TextToken:
			if len(bytes.TrimFunc(raw, isSpace)) == 0 {
				space = append(space, raw...)
				continue
			}
			block = false
		case html.CommentToken:
			if text := string(tokens.Text()); !conditional(text) && bytes.HasPrefix(raw, []byte("<!--")) {
				continue
			}
			block = false
		default:
			name, _ := tokens.TagName()
			tag := string(name)
			isBlock := kind == html.DoctypeToken || blockElements[tag] && !literalElements[tag]
			if block && isBlock && pre == 0 {
				space = nil
			}
			block = isBlock
			if tag == "pre" || tag == "listing" || tag == "textarea" {
				if pre++; kind == html.EndTagToken {
					pre = max(0, pre-2)
				}
			}
			if tag == "noscript" {
				tokens.NextIsNotRawText()
			}
		}
		b.Write(space)
		b.Write(raw)
		space = nil
	}
}

// outliner writes a document with block elements on lines of their own and what flows between them on lines that break
// only where white space shows anyway, next to a tag. So the breaks and the indentation change nothing when it is read again.
type outliner struct {
	out     strings.Builder
	depth   int
	blank   bool // nothing stands on the line yet
	opened  bool // the tag just written opened a block that has no content yet
	hidden  bool // white space here would not show: a line of text starts, or there was white space already
	pending bool // white space that shows is to be written before the next word or tag
	tagLast bool // the last thing written was a tag
}

const maxIndent = 40

func (p *outliner) put(s string) {
	if p.opened {
		p.opened = false
		p.newline()
	}
	if p.blank {
		p.out.WriteString(strings.Repeat("  ", min(p.depth, maxIndent)))
	}
	p.blank = false
	p.out.WriteString(s)
}

func (p *outliner) newline() {
	p.opened = false
	if !p.blank && p.out.Len() > 0 {
		p.out.WriteByte('\n')
	}
	p.blank = true
}

// startLine begins a new line of text: white space around it does not show.
func (p *outliner) startLine() {
	p.newline()
	p.pending, p.hidden, p.tagLast = false, true, false
}

// space writes the white space that is due before a word or a tag, next to a tag as a line break.
func (p *outliner) space(tagNext bool) {
	if !p.pending {
		return
	}
	p.pending, p.hidden = false, true
	if tagNext || p.tagLast {
		p.newline()
	} else {
		p.put(" ")
	}
}

func (p *outliner) children(n *html.Node) {
	for c := range n.ChildNodes() {
		switch c.Type {
		case html.TextNode:
			p.text(c.Data)
		case html.CommentNode:
			p.comment(c.Data)
		case html.DoctypeNode:
			var b strings.Builder
			_ = html.Render(&b, c) // a Builder does not fail
			p.startLine()
			p.put(b.String())
			p.startLine()
		case html.ElementNode:
			p.element(c)
		}
	}
}

func (p *outliner) text(s string) {
	words := strings.FieldsFunc(s, isSpace)
	if len(s) > 0 && isSpace(rune(s[0])) && !p.hidden {
		p.pending = true
	}
	for i, word := range words {
		if i > 0 {
			p.pending = true
		}
		p.space(false)
		p.put(textEscaper.Replace(word))
		p.hidden, p.tagLast = false, false
	}
	if len(words) > 0 && isSpace(rune(s[len(s)-1])) {
		p.pending = true
	}
}

// conditionalEnd is the end of a conditional comment with the white space before it, which means nothing.
var conditionalEnd = regexp.MustCompile(`\s+(<!\[endif\])`)

// comment keeps conditional comments, which are instructions to mail clients, and drops the others.
func (p *outliner) comment(data string) {
	if !conditional(data) {
		return
	}
	data = conditionalEnd.ReplaceAllString(data, "$1")
	var b strings.Builder
	for i, word := range strings.FieldsFunc(data, isSpace) {
		if i > 0 {
			if strings.HasPrefix(word, "<") && strings.HasSuffix(b.String(), ">") {
				b.WriteByte('\n')
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString(word)
	}
	p.space(true)
	if p.hidden {
		p.newline()
	}
	p.put(html.Token{Type: html.CommentToken, Data: b.String()}.String())
	p.tagLast = true
}

func conditional(comment string) bool {
	comment = strings.TrimSpace(comment)
	return strings.HasPrefix(comment, "[if") || strings.HasPrefix(comment, "<![endif]") || strings.HasPrefix(comment, "[endif]")
}

func (p *outliner) element(n *html.Node) {
	block := n.Namespace == "" && blockElements[n.Data]
	switch {
	case n.Namespace == "" && n.DataAtom == atom.Style:
		p.block(n, func() { p.styleSheet(n) })
	case n.Namespace == "" && n.DataAtom == atom.Br:
		p.pending = false
		p.put(openTag(n))
		p.startLine()
	case keepsSpace(n) || holdsLiteral(n):
		p.verbatim(n, block)
	case block && isVoid(n):
		p.startLine()
		p.put(openTag(n))
		p.startLine()
	case block:
		p.block(n, func() { p.children(n) })
	default:
		p.space(true)
		p.put(openTag(n))
		p.tagLast = true
		if isVoid(n) {
			p.hidden = false
			return
		}
		p.children(n)
		p.put("</" + n.Data + ">")
		p.tagLast = true
	}
}

// block writes an element with its tags on lines of their own and its content indented between them.
func (p *outliner) block(n *html.Node, content func()) {
	p.startLine()
	p.put(openTag(n))
	p.opened = true
	p.depth++
	content()
	p.depth--
	p.pending = false
	if p.opened {
		p.opened = false
	} else {
		p.newline()
	}
	p.put("</" + n.Data + ">")
	p.startLine()
}

// verbatim writes an element in which every space and line break shows.
func (p *outliner) verbatim(n *html.Node, block bool) {
	if block {
		p.startLine()
	}
	p.space(true)
	p.put("")
	writeVerbatim(&p.out, n)
	p.hidden, p.tagLast = false, true
	if block {
		p.startLine()
	}
}

func writeVerbatim(b *strings.Builder, n *html.Node) {
	switch n.Type {
	case html.TextNode:
		if holdsLiteral(n.Parent) {
			b.WriteString(n.Data)
		} else {
			b.WriteString(textEscaper.Replace(n.Data))
		}
	case html.CommentNode:
		if conditional(n.Data) {
			b.WriteString(html.Token{Type: html.CommentToken, Data: n.Data}.String())
		}
	case html.ElementNode:
		b.WriteString(openTag(n))
		if isVoid(n) {
			return
		}
		// The parser drops a line feed that follows these tags.
		if c := n.FirstChild; c != nil && c.Type == html.TextNode && strings.HasPrefix(c.Data, "\n") &&
			(n.DataAtom == atom.Pre || n.DataAtom == atom.Listing || n.DataAtom == atom.Textarea) {
			b.WriteByte('\n')
		}
		for c := range n.ChildNodes() {
			writeVerbatim(b, c)
		}
		b.WriteString("</" + n.Data + ">")
	}
}

// styleSheet writes the content of a style element with one declaration on each line.
func (p *outliner) styleSheet(n *html.Node) {
	for c := range n.ChildNodes() {
		for _, line := range css.Lines(c.Data) {
			p.put(line)
			p.newline()
		}
	}
}

// openTag writes a start tag with its attributes in alphabetical order.
func openTag(n *html.Node) string {
	var attrs []string
	for _, attr := range n.Attr {
		key, value := attr.Key, attr.Val
		if attr.Namespace != "" {
			key = attr.Namespace + ":" + key
		}
		switch key {
		case "style":
			if value = canonicalStyle(value); value == "" {
				continue
			}
		case "class":
			value = strings.Join(strings.Fields(value), " ")
		case "href", "src":
			value = strings.TrimSpace(value)
		}
		attrs = append(attrs, " "+key+`="`+attributeEscaper.Replace(value)+`"`)
	}
	slices.Sort(attrs)
	return "<" + n.Data + strings.Join(attrs, "") + ">"
}

var (
	textEscaper      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\u00A0", "&nbsp;", "\r", "&#13;")
	attributeEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\u00A0", "&nbsp;", "\r", "&#13;",
		`"`, "&quot;", "\n", "&#10;", "\t", "&#9;")
)

// isSpace reports whether r is white space that HTML collapses; a no-break space is not.
func isSpace(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) }

func isVoid(n *html.Node) bool {
	return n.Namespace == "" && voidElements[n.Data]
}

// holdsLiteral reports whether the text in n is neither escaped nor made of tags.
func holdsLiteral(n *html.Node) bool {
	return n != nil && n.Namespace == "" && literalElements[n.Data]
}

// keepsSpace reports whether white space in n shows.
func keepsSpace(n *html.Node) bool {
	if n.Namespace != "" {
		return false
	}
	switch n.DataAtom {
	case atom.Pre, atom.Listing, atom.Textarea:
		return true
	}
	for _, attr := range n.Attr {
		if attr.Key != "style" {
			continue
		}
		for _, d := range css.Declarations(attr.Val) {
			if d.Property == "white-space" && (strings.HasPrefix(d.Value, "pre") || strings.HasPrefix(d.Value, "break-spaces")) {
				return true
			}
		}
	}
	return false
}

var voidElements = elements("area base br col embed hr img input keygen link meta param source track wbr")

// blockElements start and end a line of text, so that white space next to their tags does not show.
var blockElements = elements(`html head body title meta link base script style template address article aside blockquote center
	dd details dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 header hgroup hr legend
	li listing main menu nav noframes ol optgroup option p pre section summary table caption colgroup col tbody td tfoot th thead
	tr ul xmp`)

func elements(names string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(names) {
		set[name] = true
	}
	return set
}

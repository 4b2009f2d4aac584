// Package css reads style sheets and style attributes of emails: their declarations, and what they load. It never fails:
// what is not CSS is kept as it stands.
package css

import (
	"slices"
	"strings"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

// A Declaration is one "property: value" of a style.
type Declaration struct {
	Property string // in lower case, unless it is a custom property
	Value    string // canonical: case and white space that mean nothing are levelled; as written for a custom property
}

// String returns the declaration as it is written.
func (d Declaration) String() string {
	if d.Value == "" {
		return d.Property
	}
	return d.Property + ": " + d.Value
}

// Declarations returns the declarations of a style attribute, in order.
func Declarations(style string) []Declaration {
	var list []Declaration
	var part []token
	depth := 0
	for _, t := range tokens(style) {
		depth = t.nest(depth)
		if t.kind != css.SemicolonToken || depth > 0 {
			part = append(part, t)
			continue
		}
		list = appendDeclaration(list, part)
		part = nil
	}
	return appendDeclaration(list, part)
}

func appendDeclaration(list []Declaration, part []token) []Declaration {
	if text(part) == "" {
		return list
	}
	return append(list, declaration(part))
}

func declaration(part []token) Declaration {
	colon := slices.IndexFunc(part, func(t token) bool { return t.kind == css.ColonToken })
	if colon < 0 {
		return Declaration{Property: strings.ToLower(text(part))}
	}
	property, value := text(part[:colon]), part[colon+1:]
	if strings.HasPrefix(property, "--") {
		return Declaration{property, text(value)}
	}
	return Declaration{strings.ToLower(property), canonical(value)}
}

// Lines writes a style sheet as indented lines, one for each selector, declaration and closing brace. Comments are left
// out and declarations are canonical.
func Lines(sheet string) []string {
	var lines []string
	var part []token
	depth, parens := 0, 0
	flush := func(end string) {
		line := prelude(part)
		if end == ";" && depth > 0 && line != "" {
			line = declaration(tokens(strings.Join(strings.FieldsFunc(text(part), isSpace), " "))).String()
		}
		part = nil
		if line != "" && end == "{" {
			line += " "
		}
		if line != "" || end == "{" {
			lines = append(lines, strings.Repeat("  ", depth)+line+end)
		}
	}
	for _, t := range tokens(sheet) {
		parens = t.nest(parens)
		switch {
		case parens > 0:
			part = append(part, t)
		case t.kind == css.LeftBraceToken:
			flush("{")
			depth++
		case t.kind == css.RightBraceToken:
			flush(";")
			depth = max(0, depth-1)
			lines = append(lines, strings.Repeat("  ", depth)+"}")
		case t.kind == css.SemicolonToken:
			flush(";")
		default:
			part = append(part, t)
		}
	}
	flush("")
	return lines
}

// A Rule is a style rule of a sheet.
type Rule struct {
	Selectors    []string // each in one spelling, as in "td.name > a"
	Declarations []Declaration
}

// Rules returns the rules of a sheet that apply on a wide screen: not those under a condition, such as
// "@media (max-width: 600px)".
func Rules(sheet string) []Rule {
	var rules []Rule
	var open []string // the blocks that a line is in
	for _, line := range Lines(sheet) {
		line = strings.TrimLeft(line, " ")
		switch {
		case strings.HasSuffix(line, "{"):
			open = append(open, strings.TrimRight(line, " {"))
			if !slices.ContainsFunc(open, conditional) {
				rules = append(rules, Rule{Selectors: strings.Split(open[len(open)-1], ", ")})
			}
		case line == "}":
			open = open[:max(0, len(open)-1)]
		case len(open) > 0 && len(rules) > 0 && !slices.ContainsFunc(open, conditional):
			last := &rules[len(rules)-1]
			last.Declarations = append(last.Declarations, Declarations(line)...)
		}
	}
	return rules
}

// conditional reports whether what stands in a block may not apply.
func conditional(prelude string) bool {
	switch prelude {
	case "@media all", "@media screen", "@media only screen":
		return false
	}
	return strings.HasPrefix(prelude, "@")
}

// Loads returns the URLs that a style sheet or a style attribute makes a mail client load, as they are written.
func Loads(sheet string) []string {
	var urls []string
	rule := "" // the at-rule whose prelude a token is in
	for _, t := range tokens(sheet) {
		switch t.kind {
		case css.AtKeywordToken:
			rule = strings.ToLower(t.text)
		case css.SemicolonToken, css.LeftBraceToken:
			rule = ""
		case css.URLToken, css.BadURLToken:
			if rule != "@namespace" {
				urls = append(urls, t.url())
			}
		case css.StringToken:
			if rule == "@import" {
				urls = append(urls, strings.Trim(t.text, `"'`))
			}
		}
	}
	return urls
}

type token struct {
	kind css.TokenType
	text string
}

// tokens returns the tokens of a text. A comment becomes white space, and so do the marks
// <!-- and --> around a sheet.
func tokens(s string) []token {
	var list []token
	lexer := css.NewLexer(parse.NewInputString(s))
	for {
		kind, data := lexer.Next()
		switch kind {
		case css.ErrorToken: // the end of the text
			return list
		case css.CommentToken, css.CDOToken, css.CDCToken:
			list = append(list, token{css.WhitespaceToken, " "})
		default:
			list = append(list, token{kind, string(data)})
		}
	}
}

// nest returns how many parentheses are open after a token.
func (t token) nest(open int) int {
	switch t.kind {
	case css.LeftParenthesisToken, css.FunctionToken:
		return open + 1
	case css.RightParenthesisToken:
		return max(0, open-1)
	}
	return open
}

// text joins tokens as they are written, without the white space around them.
func text(list []token) string {
	var b strings.Builder
	for _, t := range list {
		b.WriteString(t.text)
	}
	return strings.TrimFunc(b.String(), isSpace)
}

// canonical writes a value in one way: white space, quotes, and letter case outside of strings and URLs.
func canonical(value []token) string {
	var b strings.Builder
	space, tight := false, true // white space came before this token; none belongs after the one before it
	for _, t := range value {
		switch {
		case t.kind == css.WhitespaceToken:
			space = true
			continue
		case t.kind == css.CommaToken:
			b.WriteString(", ")
			space, tight = false, true
			continue
		case (space || t.text == "!") && !tight && t.kind != css.RightParenthesisToken:
			b.WriteByte(' ')
		}
		if spelled, ok := t.quoted(); ok {
			b.WriteString(spelled)
		} else {
			b.Write(parse.ToLower([]byte(t.text)))
		}
		space, tight = false, t.text == "!" || strings.HasSuffix(t.text, "(")
	}
	return strings.TrimRight(b.String(), " ")
}

// prelude writes what stands before a block or ends in a semicolon outside of one, selectors or an at-rule, in one way:
// white space and quotes.
func prelude(part []token) string {
	var b strings.Builder
	space, tight, depth := false, true, 0
	at := false
	for _, t := range part {
		at = at || t.kind == css.AtKeywordToken
		depth = t.nest(depth)
		sign := t.text
		switch {
		case t.kind == css.WhitespaceToken:
			space = true
			continue
		case t.kind == css.CommaToken:
			sign = ", "
		case t.kind == css.ColonToken && at && depth > 0:
			sign = ": "
		case !at && depth == 0 && (sign == ">" || sign == "+" || sign == "~"):
			sign = " " + sign + " "
		default:
			if space && !tight && t.kind != css.RightParenthesisToken {
				b.WriteByte(' ')
			}
			if spelled, ok := t.quoted(); ok {
				sign = spelled
			}
		}
		b.WriteString(sign)
		space, tight = false, strings.HasSuffix(sign, " ") || strings.HasSuffix(sign, "(")
	}
	return strings.TrimSpace(b.String())
}

// quoted returns a string or a URL in the one spelling that it has with other quotes or none; not ok for other tokens.
func (t token) quoted() (_ string, ok bool) {
	switch t.kind {
	case css.StringToken:
		end := len(t.text) - 1
		if end < 1 || t.text[end] != t.text[0] || t.text[end-1] == '\\' {
			return t.text, true // it ends with the sheet
		}
		inside := t.text[1:end]
		if strings.Contains(inside, `"`) {
			return t.text, true
		}
		return `"` + inside + `"`, true
	case css.URLToken:
		url := t.url()
		if url == "" || strings.ContainsAny(url, "\"'() \t\r\n\f\\") {
			return t.text, true
		}
		return "url(" + url + ")", true
	case css.BadStringToken, css.BadURLToken:
		return t.text, true
	}
	return "", false
}

// url returns the URL of a URL token.
func (t token) url() string {
	_, url, _ := strings.Cut(t.text, "(")
	return strings.Trim(strings.TrimSuffix(url, ")"), "\"' \t\r\n\f")
}

func isSpace(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) }

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
		line := strings.Join(strings.FieldsFunc(text(part), isSpace), " ")
		if end == ";" && depth > 0 && line != "" {
			line = declaration(tokens(line)).String()
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

// Loads returns the URLs that a style sheet or a style attribute makes a mail client load, as they are written.
func Loads(sheet string) []string {
	var urls []string
	importing := false
	for _, t := range tokens(sheet) {
		switch {
		case t.kind == css.URLToken || t.kind == css.BadURLToken:
			_, url, _ := strings.Cut(t.text, "(")
			urls = append(urls, strings.Trim(strings.TrimSuffix(url, ")"), "\"' \t\r\n\f"))
		case t.kind == css.StringToken && importing:
			urls = append(urls, strings.Trim(t.text, `"'`))
		}
		importing = t.kind == css.AtKeywordToken && strings.EqualFold(t.text, "@import") || importing && t.kind == css.WhitespaceToken
	}
	return urls
}

type token struct {
	kind css.TokenType
	text string
}

// tokens returns the tokens of a text. A comment becomes white space.
func tokens(s string) []token {
	var list []token
	lexer := css.NewLexer(parse.NewInputString(s))
	for {
		kind, data := lexer.Next()
		switch kind {
		case css.ErrorToken: // the end of the text
			return list
		case css.CommentToken:
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

// canonical writes a value in one way: white space, and letter case outside of strings and URLs.
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
		switch t.kind {
		case css.StringToken, css.BadStringToken, css.URLToken, css.BadURLToken:
			b.WriteString(t.text)
		default:
			b.Write(parse.ToLower([]byte(t.text)))
		}
		space, tight = false, t.text == "!" || strings.HasSuffix(t.text, "(")
	}
	return strings.TrimRight(b.String(), " ")
}

func isSpace(r rune) bool { return strings.ContainsRune(" \t\n\f\r", r) }

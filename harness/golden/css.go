package golden

import (
	"maps"
	"slices"
	"strings"
)

// A declaration is one "property: value" of a style.
type declaration struct {
	property string // in lower case
	value    string // in one spelling
}

func (d declaration) String() string {
	if d.value == "" {
		return d.property
	}
	return d.property + ": " + d.value
}

// canonicalStyle writes the content of a style attribute in one spelling and, where the order of declarations means
// nothing, in alphabetical order.
func canonicalStyle(style string) string {
	declarations := parseDeclarations(style)
	sortDeclarations(declarations)
	var parts []string
	for _, d := range declarations {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, "; ")
}

func parseDeclarations(style string) []declaration {
	var list []declaration
	for _, part := range splitCSS(stripCSS(style), ';') {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, parseDeclaration(part))
		}
	}
	return list
}

func parseDeclaration(s string) declaration {
	property, value, _ := strings.Cut(s, ":")
	property = strings.TrimSpace(property)
	if strings.HasPrefix(property, "--") { // a custom property may hold anything
		return declaration{property, strings.TrimSpace(value)}
	}
	return declaration{strings.ToLower(property), canonicalValue(value)}
}

// sortDeclarations sorts by property but keeps the order of those of which a later one overrides an earlier one.
func sortDeclarations(list []declaration) {
	for _, d := range list {
		if d.property == "all" {
			return
		}
	}
	families := map[string][]declaration{}
	for _, d := range list {
		families[family(d.property)] = append(families[family(d.property)], d)
	}
	sorted := list[:0]
	for _, name := range slices.Sorted(maps.Keys(families)) {
		members := families[name]
		if !overriding(members) {
			slices.SortFunc(members, func(a, b declaration) int { return strings.Compare(a.property, b.property) })
		}
		sorted = append(sorted, members...)
	}
}

// family names the shorthand that a property may belong to.
func family(property string) string {
	if property == "line-height" {
		return "font"
	}
	name, _, _ := strings.Cut(strings.TrimLeft(property, "-"), "-")
	return name
}

// overriding reports whether the order of a family's declarations may matter: a property stands twice or beside its
// shorthand, or in the one family (border) whose shorthands overlap each other.
func overriding(members []declaration) bool {
	for i, a := range members {
		for _, b := range members[i+1:] {
			if a.property == b.property || strings.HasPrefix(a.property, b.property+"-") || strings.HasPrefix(b.property, a.property+"-") ||
				family(a.property) == "border" || a.property == "font" || b.property == "font" {
				return true
			}
		}
	}
	return false
}

// canonicalValue writes a value in one spelling: white space, and case outside of strings and URLs.
func canonicalValue(value string) string {
	var b strings.Builder
	space := false // white space is due before what comes next
	for piece := range cssPieces(value) {
		switch {
		case strings.TrimFunc(piece, isSpace) == "":
			space = b.Len() > 0
			continue
		case piece == ",":
			b.WriteString(", ")
			space = false
			continue
		case piece == "!":
			space = b.Len() > 0
		case piece == ")":
			space = false
		}
		if written := b.String(); space && !strings.HasSuffix(written, " ") && !strings.HasSuffix(written, "(") && !strings.HasSuffix(written, "!") {
			b.WriteByte(' ')
		}
		space = false
		if c := piece[0]; len(piece) == 1 && 'A' <= c && c <= 'Z' {
			piece = strings.ToLower(piece)
		}
		b.WriteString(piece)
	}
	return strings.TrimRight(b.String(), " ")
}

// sheetLines writes a style sheet as indented lines: one for each selector, declaration and closing brace.
func sheetLines(sheet string) []string {
	var (
		lines   []string
		depth   int
		current strings.Builder
	)
	flush := func(end string) {
		text := strings.Join(strings.FieldsFunc(current.String(), isSpace), " ")
		current.Reset()
		if end == ";" && depth > 0 && text != "" {
			text = parseDeclaration(text).String()
		}
		if text != "" && end == "{" {
			text += " "
		}
		if text != "" || end == "{" {
			lines = append(lines, strings.Repeat("  ", depth)+text+end)
		}
	}
	parens := 0
	for piece := range cssPieces(stripCSS(sheet)) {
		switch {
		case piece == "{" && parens == 0:
			flush("{")
			depth++
		case piece == "}" && parens == 0:
			flush(";")
			depth = max(0, depth-1)
			lines = append(lines, strings.Repeat("  ", depth)+"}")
		case piece == ";" && parens == 0:
			flush(";")
		default:
			switch piece {
			case "(":
				parens++
			case ")":
				parens = max(0, parens-1)
			}
			current.WriteString(piece)
		}
	}
	flush("")
	return lines
}

// splitCSS splits s at separators that stand outside of strings, URLs and parentheses.
func splitCSS(s string, separator byte) []string {
	var (
		parts   []string
		current strings.Builder
		parens  int
	)
	for piece := range cssPieces(s) {
		switch {
		case piece == "(":
			parens++
		case piece == ")":
			parens = max(0, parens-1)
		case piece == string(separator) && parens == 0:
			parts = append(parts, current.String())
			current.Reset()
			continue
		}
		current.WriteString(piece)
	}
	return append(parts, current.String())
}

// stripCSS replaces comments by a space.
func stripCSS(s string) string {
	var b strings.Builder
	for piece := range cssPieces(s) {
		if strings.HasPrefix(piece, "/*") {
			piece = " "
		}
		b.WriteString(piece)
	}
	return b.String()
}

// cssPieces yields s in pieces that are not to be looked into: strings, comments, url(…), escapes; all else byte by byte.
func cssPieces(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(s); {
			end := i + pieceLength(s[i:])
			if !yield(s[i:end]) {
				return
			}
			i = end
		}
	}
}

func pieceLength(s string) int {
	switch {
	case s[0] == '\\' && len(s) > 1:
		return 2
	case s[0] == '"' || s[0] == '\'':
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case s[0]:
				return i + 1
			}
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		if end := strings.Index(s[2:], "*/"); end >= 0 {
			return end + 4
		}
		return len(s)
	case len(s) >= 4 && strings.EqualFold(s[:4], "url("):
		inside := s[4:]
		if quoted := strings.TrimLeftFunc(inside, isSpace); quoted != "" && (quoted[0] == '"' || quoted[0] == '\'') {
			inside = quoted[pieceLength(quoted):]
		}
		if end := strings.IndexByte(inside, ')'); end >= 0 {
			return len(s) - len(inside) + end + 1
		}
		return len(s)
	}
	return 1
}

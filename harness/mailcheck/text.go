package mailcheck

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// text compares the words of the two alternatives, HTML to text: what the HTML shows is what most people read, so
// what the text lacks of it is lost to the others.
func text(m *harness.Message, p *page) []string {
	if strings.TrimSpace(m.Text) == "" {
		return []string{"there is no text part: clients that show no HTML, screen readers and spam filters look for one"}
	}
	words := map[string]bool{}
	var stream strings.Builder
	for _, w := range wordsOf(m.Text) {
		words[w] = true
		stream.WriteString(w)
	}
	said := stream.String()
	var found []string
	for _, block := range p.blocks {
		var missing []string
		for _, w := range wordsOf(block) {
			if !words[w] && !(unspaced(w) && strings.Contains(said, w)) {
				missing = append(missing, w)
			}
		}
		if len(missing) > 0 {
			found = append(found, fmt.Sprintf("the text part lacks %s of the HTML, which says %s", quote(strings.Join(missing, " ")), quote(block)))
		}
	}
	return found
}

// wordsOf returns the words of a text: letters, their marks, and digits, without case and without the several ways
// in which Unicode spells one character.
func wordsOf(s string) []string {
	// Soft hyphens and characters of no width are layout.
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, cases.Fold().String(norm.NFKC.String(s)))
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) })
}

// unspaced reports whether a word is of a script that writes words without spaces between them: a line of it may be
// broken anywhere.
func unspaced(word string) bool {
	return strings.ContainsFunc(word, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
	})
}

package mailcheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

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
	if len(p.blocks) == 0 {
		return nil
	}
	t := newTextPart(m.Text)
	var found []string
	for i, block := range p.blocks {
		missing := t.missing(block)
		if len(missing) > 0 && ungrouped(block) != block {
			missing = shorter(missing, t.missing(ungrouped(block)))
		}
		if len(missing) > 0 && t.joins(p.blocks[max(0, i-1):min(len(p.blocks), i+2)], missing) {
			continue
		}
		if len(missing) > 0 {
			found = append(found, fmt.Sprintf("the text part lacks %s of the HTML, which says %s",
				quote(strings.Join(missing, " ")), quote(unmarked.Replace(block))))
		}
	}
	return found
}

// A textPart knows the words of an email's text.
type textPart struct {
	words  map[string]bool
	stream string       // all of them, without anything between
	edges  map[int]bool // where in stream a word begins or ends
	search int          // how many more bytes are searched: hostile emails have words without end
}

// maxSearch bounds the bytes of text that are searched for words that are not found at once.
const maxSearch = 100 << 20

func newTextPart(s string) *textPart {
	t := &textPart{words: map[string]bool{}, edges: map[int]bool{0: true}, search: maxSearch}
	var stream strings.Builder
	for _, w := range wordsOf(s) {
		t.words[w] = true
		stream.WriteString(w)
		t.edges[stream.Len()] = true
	}
	t.stream = stream.String()
	for _, other := range []string{ungrouped(s), spreadSymbols(s)} {
		if other != s {
			for _, w := range wordsOf(other) {
				t.words[w] = true
			}
		}
	}
	return t
}

// missing returns the words of a block that the text does not say.
func (t *textPart) missing(block string) []string {
	var missing []string
	// A symbol such as ™ is no word.
	for _, word := range wordsOf(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.So, r) {
			return ' '
		}
		return r
	}, block)) {
		if whole := unmarked.Replace(word); t.says(whole) || t.saysParts(word) {
			continue
		} else if whole != "" {
			missing = append(missing, whole)
		}
	}
	return missing
}

// saysParts reports whether the text says what stands in several elements without a blank between them: "Home" and "Shop"
// that look like two buttons.
func (t *textPart) saysParts(word string) bool {
	marked := false
	for i := 0; i < len(word); {
		end := strings.IndexAny(word[i+1:], string([]rune{joint, optional}))
		if end < 0 {
			end = len(word)
		} else {
			end += i + 1
		}
		part := word[i:end]
		i = end
		marked = marked || end < len(word)
		if plain := unmarked.Replace(part); plain != "" && rune(part[0]) != optional && !t.says(plain) {
			return false
		}
	}
	return marked || strings.HasPrefix(word, string(optional))
}

// says reports whether a word is one of the text, or several words of it in sequence: a line may break a long word.
func (t *textPart) says(word string) bool {
	if t.words[word] {
		return true
	}
	if !unspaced(word) && utf8.RuneCountInString(word) < 4 {
		return false
	}
	for from := 0; ; {
		if t.search -= len(t.stream) - from; t.search < 0 {
			return true
		}
		i := strings.Index(t.stream[from:], word)
		if i < 0 {
			return false
		}
		if from += i; unspaced(word) || t.edges[from] && t.edges[from+len(word)] {
			return true
		}
		from++
	}
}

// joins reports whether each missing word stands in the text joined to its neighbour: "HomeShop" for two buttons.
func (t *textPart) joins(blocks, missing []string) bool {
	var words []string
	for _, b := range blocks {
		words = append(words, wordsOf(strings.NewReplacer(string(joint), " ", string(optional), " ").Replace(b))...)
	}
	const most = 1000 // of a longer passage there is more missing than a blank
	if len(words) > most || len(missing) > 20 {
		return false
	}
	return !slices.ContainsFunc(missing, func(word string) bool {
		for from := range words {
			for to := from + 2; to <= min(from+4, len(words)); to++ {
				if slices.Contains(words[from:to], word) && t.words[strings.Join(words[from:to], "")] {
					return false
				}
			}
		}
		return true
	})
}

func shorter(a, b []string) []string {
	if len(b) < len(a) {
		return b
	}
	return a
}

// wordsOf returns the words of a text: letters, their marks, and digits, without case and without the several ways
// in which Unicode spells one character. The marks of a block stay.
func wordsOf(s string) []string {
	if strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		s = cases.Fold().String(norm.NFKC.String(s))
	} else {
		s = strings.ToLower(s)
	}
	// Soft hyphens, characters of no width, and what chooses the look of a character are layout.
	s = strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Me) {
			return -1
		}
		return r
	}, s)
	return strings.FieldsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.M, unicode.N) && r != joint && r != optional
	})
}

// spreadSymbols sets symbols apart from the words beside them: "Acme™" says "Acme" and "TM".
func spreadSymbols(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.So, r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.Is(unicode.So, r) {
			b.WriteString(" " + string(r) + " ")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

var (
	grouped    = regexp.MustCompile(`\d{1,3}(?:[,.'’\x{A0}\x{2009}\x{202F}]\d{2,3})*[,.'’\x{A0}\x{2009}\x{202F}]\d{3}`)
	separators = strings.NewReplacer(",", "", ".", "", "'", "", "’", "", "\u00A0", "", "\u2009", "", "\u202F", "")
)

// ungrouped writes numbers without what groups their digits: 1,234.50 as 1234.50.
func ungrouped(s string) string { return grouped.ReplaceAllStringFunc(s, separators.Replace) }

// unspaced reports whether a word is of a script that writes words without spaces between them: a line of it may be
// broken anywhere.
func unspaced(word string) bool {
	return strings.ContainsFunc(word, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
	})
}

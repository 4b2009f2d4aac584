package email

import (
	"html"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/text/unicode/bidi"
)

// maxDirectionDepth is the deepest nesting of direction controls (UAX #9, BD2).
const maxDirectionDepth = 125

const (
	firstStrongIsolate = '\u2068'
	popIsolate         = '\u2069'
	popEmbedding       = '\u202c'
)

// oneLine cleans a user's text for a header or a table cell: valid UTF-8, one line, no control characters, no repeated
// spaces, at most limit bytes.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case isLineBreak(r), r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
	return clip(s, limit)
}

// paragraphs cleans a user's longer text for a body: valid UTF-8, no control characters except tabs. It splits the text at
// blank lines into paragraphs of lines.
func paragraphs(s string) [][]string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case isLineBreak(r):
			return '\n'
		case unicode.IsControl(r) && r != '\t':
			return -1
		}
		return r
	}, s)

	var all [][]string
	var current []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRight(line, " \t")
		if line != "" {
			current = append(current, line)
			continue
		}
		if current != nil {
			all, current = append(all, current), nil
		}
	}
	if current != nil {
		all = append(all, current)
	}
	return all
}

func isLineBreak(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) }

// headerText is oneLine for header values. It also removes direction controls, which can disguise a header, and splits
// "=?", which starts an RFC 2047 encoded word.
func headerText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if opensDirection(r) || closesDirection(r) {
			return -1
		}
		return r
	}, s)
	return oneLine(strings.ReplaceAll(s, "=?", "= ?"), limit)
}

// clip cuts s to at most limit bytes at a grapheme boundary and marks the cut with an ellipsis.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	return strings.TrimRight(cut(s, limit-len(mark)), " ") + mark
}

// cut returns the longest prefix of s that has at most limit bytes and ends at a grapheme boundary. If the first grapheme
// is longer (some texts have thousands of accents on one letter), it is cut between code points.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := 0
	for g := graphemes.FromString(s); g.Next() && g.End() <= limit; {
		end = g.End()
	}
	if end == 0 {
		for end = limit; end > 0 && !utf8.RuneStart(s[end]); end-- {
		}
	}
	return s[:end]
}

// isolate wraps a user's text in isolate controls, so that its writing direction does not reorder the surrounding plain
// text. Left-to-right text is returned unchanged.
func isolate(s string) string {
	if !hasDirection(s) {
		return s
	}
	return string(firstStrongIsolate) + balance(s) + string(popIsolate)
}

// balance closes the direction controls that a line leaves open and removes unmatched closing ones, so that they cannot
// end an isolate around the line (UAX #9, 3.3.2).
func balance(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return opensDirection(r) || closesDirection(r) }) {
		return s
	}
	var b strings.Builder
	var open []rune // the closing control of each open one
	for _, r := range s {
		switch {
		case opensDirection(r):
			if len(open) == maxDirectionDepth {
				continue
			}
			if r >= '\u2066' {
				open = append(open, popIsolate)
			} else {
				open = append(open, popEmbedding)
			}
		case closesDirection(r):
			if len(open) == 0 || open[len(open)-1] != r {
				continue
			}
			open = open[:len(open)-1]
		}
		b.WriteRune(r)
	}
	for _, r := range slices.Backward(open) {
		b.WriteRune(r)
	}
	return b.String()
}

// opensDirection reports whether r is LRE, RLE, LRO, RLO, LRI, RLI or FSI.
func opensDirection(r rune) bool {
	return strings.ContainsRune("\u202a\u202b\u202d\u202e\u2066\u2067\u2068", r)
}

func closesDirection(r rune) bool { return r == popEmbedding || r == popIsolate }

// hasDirection reports whether s has anything but plain left-to-right text.
func hasDirection(s string) bool {
	for rest := s; rest != ""; {
		p, size := bidi.LookupString(rest)
		if size == 0 {
			return false
		}
		switch p.Class() {
		case bidi.R, bidi.AL, bidi.AN, bidi.Control, bidi.LRO, bidi.RLO, bidi.LRE, bidi.RLE, bidi.PDF,
			bidi.LRI, bidi.RLI, bidi.FSI, bidi.PDI:
			return true
		}
		rest = rest[size:]
	}
	return false
}

// fit returns the longest start of a text that takes at most budget bytes in both parts together, and whether that is the
// whole text.
func fit(all [][]string, budget int) (kept [][]string, whole bool) {
	for _, lines := range all {
		budget -= paragraphCost
		var fitting []string
		for _, line := range lines {
			if line, budget = fitLine(line, budget-lineCost); line != "" {
				fitting = append(fitting, line)
			}
			if budget <= 0 {
				break
			}
		}
		if fitting != nil {
			kept = append(kept, fitting)
		}
		if budget <= 0 {
			return kept, false
		}
	}
	return kept, true
}

const (
	paragraphCost = 64 // <p …></p> and a blank line
	lineCost      = 16 // <br>, a line end, direction controls
)

// fitLine returns the part of a line that fits, and the remaining budget, which is 0 if the line was cut.
func fitLine(line string, budget int) (string, int) {
	if w := weight(line); w < budget {
		return line, budget - w
	}
	end := 0
	for i, r := range line {
		if budget -= weight(string(r)); budget <= 0 {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return balance(cut(line, end)), 0
}

// weight returns the length of s in the text part plus its escaped length in the HTML part.
func weight(s string) int {
	return len(s) + len(html.EscapeString(s)) + 4*strings.Count(s, "+") // html/template escapes it too
}

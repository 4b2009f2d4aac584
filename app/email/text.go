package email

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/text/unicode/bidi"
)

// maxDirectionDepth is how deep direction controls may nest (UAX #9, BD2).
const maxDirectionDepth = 125

const (
	firstStrongIsolate = '\u2068'
	popIsolate         = '\u2069'
	popEmbedding       = '\u202c'
)

// oneLine makes a text from outside fit for a header or a table cell: valid UTF-8 on one line, no
// control characters, runs of white space made one, at most limit bytes.
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

// paragraphs makes a longer text from outside fit for a body: valid UTF-8, no control characters
// besides the tab, split into paragraphs of lines at blank lines.
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

func isLineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// headerText is oneLine for header values. Direction controls are of no use there and hide what a
// header says; "=?" would be read as the start of an RFC 2047 encoded word.
func headerText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if opensDirection(r) || closesDirection(r) {
			return -1
		}
		return r
	}, s)
	return oneLine(strings.ReplaceAll(s, "=?", "= ?"), limit)
}

// clip cuts s to at most limit bytes, between characters as a reader sees them, and marks the cut.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	return strings.TrimRight(cut(s, limit-len(mark)), " ") + mark
}

// cut returns the longest start of s that has at most limit bytes and ends between characters as a
// reader sees them. A single character longer than that (there are texts with thousands of accents on
// one letter) is cut between code points.
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

// isolate keeps the direction of a text from outside from reordering the text around it, in plain
// text, where there is no markup to do so. Text that cannot do that is returned as it is.
func isolate(s string) string {
	if !hasDirection(s) {
		return s
	}
	return string(firstStrongIsolate) + balance(s) + string(popIsolate)
}

// balance closes the direction controls that a line leaves open and drops those that close what it
// did not open, so that an isolate around the line ends where it should (UAX #9, 3.3.2).
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
	for i := len(open) - 1; i >= 0; i-- {
		b.WriteRune(open[i])
	}
	return b.String()
}

// opensDirection: LRE, RLE, LRO, RLO, LRI, RLI, FSI.
func opensDirection(r rune) bool {
	switch r {
	case '\u202a', '\u202b', '\u202d', '\u202e', '\u2066', '\u2067', firstStrongIsolate:
		return true
	}
	return false
}

func closesDirection(r rune) bool { return r == popEmbedding || r == popIsolate }

// hasDirection says whether s holds anything that is not plain left-to-right text.
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

// fit keeps as many paragraphs as cost no more than budget bytes in both parts together, and says
// whether that was all of them.
func fit(all [][]string, budget int) (kept [][]string, whole bool) {
	for _, lines := range all {
		budget -= paragraphCost
		var keptLines []string
		for _, line := range lines {
			budget -= lineCost
			if budget <= 0 {
				break
			}
			line, left := fitLine(line, budget)
			if line != "" {
				keptLines = append(keptLines, line)
			}
			if budget = left; budget <= 0 {
				break
			}
		}
		if keptLines != nil {
			kept = append(kept, keptLines)
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

// fitLine returns what fits of one line, and the budget left: nothing, when the line had to be cut.
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

// weight is the length of s in the text part and, escaped, in the HTML part.
func weight(s string) int {
	return len(s) + len(html.EscapeString(s)) + 4*strings.Count(s, "+") // html/template escapes it too
}

package golden

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/textdiff"
)

// format says how differences are shown.
type format struct {
	places  bool // head each group of differences with its line numbers
	outline bool // indentation follows from nesting: lines that differ in nothing else are paired
}

const (
	maxDiffLines = 40  // shown of one part
	maxLine      = 160 // characters shown of one line
	lead         = 50  // of them before the first difference
)

// Diff returns a readable difference of two texts, as a [MismatchError] shows it of a part: lines that start with "- " are
// want's, with "+ " got's, with "  " both's. Of texts that look the same it shows in what they differ all the same; it is
// empty where they do not. At most 40 lines are shown, the rest counted.
func Diff(want, got string) string {
	return lineDiff(textdiff.Split(want), textdiff.Split(got), format{})
}

// lineDiff returns a readable difference of two lists of lines: at most maxDiffLines lines and a count of the rest.
func lineDiff(want, got []string, f format) string {
	var hunks []textdiff.Hunk
	if f.outline {
		hunks = textdiff.Lines(want, got, func(line string) string { return strings.TrimLeft(line, " ") })
	}
	if len(hunks) == 0 {
		hunks = textdiff.Lines(want, got, nil)
	}
	var b strings.Builder
	shown, hidden := 0, 0
	for _, h := range hunks {
		if f.places && shown < maxDiffLines {
			shown++
			b.WriteString(h.Head() + "\n")
		}
		for _, l := range h.Lines {
			if shown == maxDiffLines {
				if l.Kind != textdiff.Both {
					hidden++
				}
				continue
			}
			shown++
			text := clip(visible(l.Text, false), 0)
			if l.Paired {
				text = side(l.Text, l.Other)
			}
			b.WriteString(strings.TrimRight(string(rune(l.Kind))+" "+text, " ") + "\n")
		}
	}
	if hidden > 0 {
		fmt.Fprintf(&b, "… and %s\n", text.Count(hidden, "more changed line", "more changed lines"))
	}
	return b.String()
}

// side shows a line so that its difference from another one can be seen.
func side(line, other string) string {
	exact := looks(line) == looks(other)
	shown := visible(line, exact)
	return clip(shown, commonPrefix(shown, visible(other, exact)))
}

// looks reduces s to what a reader sees of it at a glance.
func looks(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || widthless(r) {
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}

// widthless reports whether nothing is drawn for r itself.
func widthless(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector)
}

func commonPrefix(a, b string) int {
	x, y := []rune(a), []rune(b)
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}

// clip shortens a long line to the part around character at.
func clip(s string, at int) string {
	runes := []rune(s)
	if len(runes) <= maxLine {
		return s
	}
	from := max(0, min(at-lead, len(runes)-maxLine))
	to := min(from+maxLine, len(runes))
	clipped := string(runes[from:to])
	if from > 0 {
		clipped = "…" + clipped
	}
	if to < len(runes) {
		clipped += "…"
	}
	return fmt.Sprintf("%s (%d characters)", clipped, len(runes))
}

// visible escapes what acts on a terminal or reverses the direction of text. When exact, every
// character that could pass unnoticed is shown: white space by marks, combining characters and those without width escaped.
func visible(s string, exact bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case exact && r == ' ':
			b.WriteRune('·')
		case exact && r == '\t':
			b.WriteRune('→')
		case exact && r == '\u00A0':
			b.WriteRune('⍽')
		case r == '\t':
			b.WriteRune(r)
		case misleading(r), exact && (unicode.In(r, unicode.Zs, unicode.Mn) || widthless(r)):
			b.WriteString(escapeRune(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

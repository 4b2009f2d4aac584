package golden

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/text/unicode/norm"
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

// Diff returns a readable difference of two texts, as a [Mismatch] shows it of a part: lines that start with "- " are
// want's, with "+ " got's, with "  " both's. Of texts that look the same it shows in what they differ all the same; it is
// empty where they do not. At most 40 lines are shown, the rest counted.
func Diff(want, got string) string { return lineDiff(splitLines(want), splitLines(got), format{}) }

// lineDiff returns a readable difference of two lists of lines: at most maxDiffLines lines and a count of the rest.
func lineDiff(want, got []string, f format) string {
	changes := changesBetween(want, got, f.outline)
	if len(changes) == 0 && f.outline {
		changes = changesBetween(want, got, false)
	}
	var b strings.Builder
	shown, hidden := 0, 0
	for i := 0; i < len(changes); {
		// A run of removed lines and the run of added lines after it are shown side by side where they are as many.
		removed := runOf(changes[i:], '-')
		added := runOf(changes[i+removed:], '+')
		n := max(1, removed+added)
		for k, c := range changes[i : i+n] {
			if c.kind == '@' && !f.places {
				continue
			}
			if shown == maxDiffLines {
				if c.kind == '-' || c.kind == '+' {
					hidden++
				}
				continue
			}
			line := ""
			if removed == added && removed > 0 {
				line = side(changes[i+k%removed].line, changes[i+removed+k%removed].line, c.kind)
			} else {
				line = clip(visible(c.line, false), 0)
			}
			shown++
			if c.kind == '@' {
				b.WriteString(c.line + "\n")
			} else {
				b.WriteString(strings.TrimRight(string(c.kind)+" "+line, " ") + "\n")
			}
		}
		i += n
	}
	if hidden > 0 {
		fmt.Fprintf(&b, "… and %s\n", count(hidden, "more changed line"))
	}
	return b.String()
}

// A change is a line of a unified diff.
type change struct {
	kind byte // '-' removed, '+' added, ' ' in both, '@' place of a group
	line string
}

func runOf(changes []change, kind byte) int {
	n := 0
	for n < len(changes) && changes[n].kind == kind {
		n++
	}
	return n
}

// changesBetween returns the groups of a unified diff of two lists of lines, comparing them without their indentation
// when so asked.
func changesBetween(want, got []string, unindented bool) []change {
	text := func(lines []string) []byte {
		var b strings.Builder
		for _, line := range lines {
			if unindented {
				line = strings.TrimLeft(line, " ")
			}
			b.WriteString(line + "\n")
		}
		return []byte(b.String())
	}
	unified := string(diff.Diff("golden", text(want), "email", text(got)))
	var (
		changes []change
		x, y    int // next lines of want and got
		header  = 3 // lines that name the files
	)
	for line := range strings.Lines(unified) {
		if header > 0 {
			header--
			continue
		}
		c := change{kind: line[0]}
		switch c.kind {
		case '@':
			c.line = strings.TrimSuffix(line, "\n")
			x, y = groupStart(c.line)
		case '-':
			c.line = want[x]
			x++
		case '+':
			c.line = got[y]
			y++
		default:
			c.line = got[y]
			x++
			y++
		}
		changes = append(changes, c)
	}
	return changes
}

// groupStart reads where a group of a unified diff starts from its head, "@@ -x,n +y,m @@", counting from 0.
func groupStart(head string) (x, y int) {
	fields := strings.Fields(head)
	start := func(field string) int {
		first, _, _ := strings.Cut(field[1:], ",")
		n, err := strconv.Atoi(first)
		if err != nil {
			panic("golden: malformed diff: " + head)
		}
		return max(0, n-1)
	}
	return start(fields[1]), start(fields[2])
}

// side shows one of two lines that stand for each other, so that the difference can be seen.
func side(before, after string, kind byte) string {
	exact := looks(before) == looks(after)
	a, b := visible(before, exact), visible(after, exact)
	at := commonPrefix(a, b)
	if kind == '-' {
		return clip(a, at)
	}
	return clip(b, at)
}

// looks reduces s to what a hasty reader sees of it.
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

// visible shows s as it can be printed anywhere: what acts on a terminal or turns text around is escaped. When exact, every
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

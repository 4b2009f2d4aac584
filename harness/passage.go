package harness

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/odoo-maintenance/inngest-harness/harness/golden"
)

// lacks says that a body lacks an expected piece, and shows what comes nearest to it there, or else how the body begins.
func lacks(what, body, piece string) string {
	text := fmt.Sprintf("its %s lacks %q", what, shorten(piece, 200))
	body, unix := strings.ReplaceAll(body, "\r\n", "\n"), strings.ReplaceAll(piece, "\r\n", "\n")
	passage, line := nearestPassage(body, unix)
	switch {
	case strings.TrimSpace(body) == "":
		return fmt.Sprintf("it has no %s, want some with %q", what, shorten(piece, 200))
	case strings.Contains(body, unix):
		return text + ": it ends its lines in another way"
	case passage == "":
		return text + ", and nothing in it comes near; it reads:\n" + excerpt(body)
	default:
		return fmt.Sprintf("%s; nearest to that is, in line %d (- expected, + email):\n%s", text, line, indent(golden.Diff(unix, passage)))
	}
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return strings.TrimRight(b.String(), "\n")
}

// longestPiece is how much of a piece is looked for: the search takes time in proportion to its square.
const longestPiece = 400

// nearestPassage returns the passage of a text that differs from a piece in the fewest characters, in whole words, and
// the number of the line where it begins. It returns "" where nothing comes near.
func nearestPassage(text, piece string) (passage string, line int) {
	body, want := []rune(text), []rune(piece)
	want = want[:min(len(want), longestPiece)]
	from, to := likeliest(body, want)
	if from == to {
		return "", 0
	}
	begin, end, distance := closest(body[from:to], want)
	if distance*5 > len(want)*3 {
		return "", 0
	}
	begin, end = begin+from, end+from
	for begin > 0 && inWord(body, begin) {
		begin--
	}
	for end < len(body) && inWord(body, end) {
		end++
	}
	return string(body[begin:end]), 1 + strings.Count(string(body[:begin]), "\n")
}

// inWord says whether a word goes on from before position i to behind it.
func inWord(text []rune, i int) bool {
	letter := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return letter(text[i-1]) && letter(text[i])
}

// likeliest returns the part of a text that has the most in common with a piece: runs of three characters that are in
// both. It is somewhat longer than the piece, and empty where they have none in common.
func likeliest(text, piece []rune) (from, to int) {
	const n = 3
	known := map[[n]rune]bool{}
	for i := range max(0, len(piece)-n+1) {
		known[[n]rune(piece[i:i+n])] = true
	}
	length, common, most, best := 2*len(piece)+20, 0, 0, 0
	in := func(i int) int {
		if i >= 0 && i+n <= len(text) && known[[n]rune(text[i:i+n])] {
			return 1
		}
		return 0
	}
	for i := range text {
		if common += in(i) - in(i-length); common > most {
			most, best = common, i
		}
	}
	if most == 0 {
		return 0, 0
	}
	return max(0, best-length-len(piece)), min(len(text), best+length)
}

// closest returns the passage of a text that is the fewest changes of single characters away from a piece (Sellers,
// 1980), of equals the longest.
func closest(text, piece []rune) (begin, end, distance int) {
	type way struct{ changes, begin int }
	better := func(a, b way) way {
		if b.changes < a.changes {
			return b
		}
		return a
	}
	row := make([]way, len(piece)+1) // the best way from some place in the text up to here, to each place in the piece
	for i := range row {
		row[i] = way{i, 0}
	}
	distance = len(piece)
	for j, r := range text {
		diagonal := row[0]
		row[0] = way{0, j + 1}
		for i, p := range piece {
			step := diagonal
			if p != r {
				step.changes++
			}
			left, up := row[i+1], row[i]
			left.changes++
			up.changes++
			diagonal = row[i+1]
			row[i+1] = better(better(step, up), left)
		}
		if last := row[len(piece)]; last.changes <= distance {
			begin, end, distance = last.begin, j+1, last.changes
		}
	}
	return begin, end, distance
}

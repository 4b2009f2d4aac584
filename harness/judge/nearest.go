package judge

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// lacks says that a body does not contain an expected text, and shows the most similar passage, or else how the body
// begins.
func lacks(kind, body, want string) string {
	lack := fmt.Sprintf("its %s lacks %q", kind, text.Clip(want, 200))
	body, unix := strings.ReplaceAll(body, "\r\n", "\n"), strings.ReplaceAll(want, "\r\n", "\n")
	passage, line := nearestPassage(body, unix)
	switch {
	case strings.TrimSpace(body) == "":
		return fmt.Sprintf("it has no %s, want some with %q", kind, text.Clip(want, 200))
	case strings.Contains(body, unix):
		return lack + ": its line breaks are different"
	case passage == "":
		return lack + ", and nothing in it is similar; it reads:\n" + excerpt(body)
	default:
		return fmt.Sprintf("%s; the most similar passage, in line %d, is (- expected, + email):\n%s", lack, line, contrast(unix, passage))
	}
}

// contrast shows how two texts differ, also where they do so only in line breaks, which golden.Diff does not show.
func contrast(want, got string) string {
	if diff := golden.Diff(want, got); diff != "" {
		return indent(diff)
	}
	return fmt.Sprintf("  - %q\n  + %q\n  only line breaks or the spaces beside them differ", text.Clip(want, 200), text.Clip(got, 200))
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("  " + line)
	}
	return strings.TrimRight(b.String(), "\n")
}

// maxSearched bounds, in runes, how much of an expected text is searched for: the time grows with its square.
const maxSearched = 400

// nearestPassage returns the passage of a body that differs from want in the fewest characters, extended to whole words,
// and the number of the line where it begins. It returns "" where nothing is similar.
func nearestPassage(body, want string) (passage string, line int) {
	in, searched := []rune(body), []rune(want)
	searched = searched[:min(len(searched), maxSearched)]
	from, to := candidate(in, searched)
	if from == to {
		return "", 0
	}
	begin, end, distance := closest(in[from:to], searched)
	if distance*5 > len(searched)*3 {
		return "", 0
	}
	begin, end = begin+from, end+from
	for begin > 0 && insideWord(in, begin) {
		begin--
	}
	for end < len(in) && insideWord(in, end) {
		end++
	}
	return string(in[begin:end]), 1 + strings.Count(string(in[:begin]), "\n")
}

// insideWord reports whether the runes before and at index i belong to one word.
func insideWord(in []rune, i int) bool {
	letter := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return letter(in[i-1]) && letter(in[i])
}

// candidate returns the part of a body that shares the most trigrams with want. It is somewhat longer than want, and empty
// where they share none.
func candidate(in, want []rune) (from, to int) {
	const n = 3
	known := map[[n]rune]bool{}
	for i := range max(0, len(want)-n+1) {
		known[[n]rune(want[i:i+n])] = true
	}
	length, shared, most, best := 2*len(want)+20, 0, 0, 0
	at := func(i int) int {
		if i >= 0 && i+n <= len(in) && known[[n]rune(in[i:i+n])] {
			return 1
		}
		return 0
	}
	for i := range in {
		if shared += at(i) - at(i-length); shared > most {
			most, best = shared, i
		}
	}
	if most == 0 {
		return 0, 0
	}
	return max(0, best-length-len(want)), min(len(in), best+length)
}

// closest returns the passage with the smallest edit distance from want (Sellers' algorithm), of equal ones the last and
// longest.
func closest(in, want []rune) (begin, end, distance int) {
	type path struct{ changes, begin int }
	better := func(a, b path) path {
		if b.changes < a.changes {
			return b
		}
		return a
	}
	row := make([]path, len(want)+1) // the best path from anywhere in the body to here, for each prefix of want
	for i := range row {
		row[i] = path{i, 0}
	}
	distance = len(want)
	for j, r := range in {
		diagonal := row[0]
		row[0] = path{0, j + 1}
		for i, w := range want {
			step := diagonal
			if w != r {
				step.changes++
			}
			left, up := row[i+1], row[i]
			left.changes++
			up.changes++
			diagonal = row[i+1]
			row[i+1] = better(better(step, up), left)
		}
		if last := row[len(want)]; last.changes <= distance {
			begin, end, distance = last.begin, j+1, last.changes
		}
	}
	return begin, end, distance
}

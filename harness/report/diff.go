package report

import (
	"strings"
	"unicode"

	"github.com/rogpeppe/go-internal/diff"
)

// A diffLine is a line of a difference between two texts.
type diffLine struct {
	// Kind is "-" for a line that was, "+" for one that is, " " for one of both, "@" for the head of a group.
	Kind  string
	Spans []span
}

// A span is a piece of a line; Marked where it is what differs from the line that it stands for.
type span struct {
	Text   string
	Marked bool
}

// Place says where a group starts, for a person.
func (l diffLine) Place() string {
	_, after, _ := strings.Cut(l.Spans[0].Text, "+")
	line, _, _ := strings.Cut(after, ",")
	return "line " + strings.TrimRight(line, " @")
}

const (
	maxDiffLines = 400  // shown of one difference
	maxDiffLine  = 2000 // bytes shown of one line
	maxWords     = 200  // in a line whose words are compared one by one
)

// diffOf returns the differences between two texts, line by line, with three lines around each; nothing where they
// are equal. Of lines that stand for each other the words that differ are marked. cut says that not all is shown.
func diffOf(before, after string) (lines []diffLine, cut bool) {
	unified := string(diff.Diff("before", []byte(endLine(before)), "after", []byte(endLine(after))))
	const head = 3 // lines that name the files
	for line := range strings.Lines(unified) {
		line = strings.ToValidUTF8(strings.TrimSuffix(line, "\n"), "\uFFFD")
		if len(line) > maxDiffLine {
			line, cut = strings.ToValidUTF8(line[:maxDiffLine], "")+"…", true
		}
		lines = append(lines, diffLine{Kind: line[:1], Spans: []span{{Text: line[1:]}}})
	}
	if len(lines) <= head {
		return nil, false
	}
	lines = lines[head:]
	for i := 0; i < len(lines); {
		removed := runOf(lines[i:], "-")
		added := runOf(lines[i+removed:], "+")
		if removed == added {
			for k := range removed {
				was, is := &lines[i+k], &lines[i+removed+k]
				was.Spans, is.Spans = markWords(was.Spans[0].Text, is.Spans[0].Text)
			}
		}
		i += max(1, removed+added)
	}
	if len(lines) > maxDiffLines {
		lines, cut = lines[:maxDiffLines], true
	}
	return lines, cut
}

func endLine(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

func runOf(lines []diffLine, kind string) int {
	n := 0
	for n < len(lines) && lines[n].Kind == kind {
		n++
	}
	return n
}

// joinMarked marks also the space between words that are marked, which reads as one change.
func joinMarked(spans []span) []span {
	var joined []span
	for i, s := range spans {
		between := !s.Marked && i > 0 && i < len(spans)-1 && strings.TrimSpace(s.Text) == ""
		if n := len(joined); n > 0 && (between || joined[n-1].Marked == s.Marked) {
			joined[n-1].Text += s.Text
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// markWords divides two lines into what they share and what they do not.
func markWords(before, after string) (was, is []span) {
	a, b := words(before), words(after)
	start := 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < min(len(a), len(b))-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	inA, inB := common(a[start:len(a)-end], b[start:len(b)-end])
	shared := func(list []string, middle []bool) []span {
		var spans []span
		for i, w := range list {
			marked := i >= start && i < len(list)-end && !middle[i-start]
			if n := len(spans); n > 0 && spans[n-1].Marked == marked {
				spans[n-1].Text += w
			} else {
				spans = append(spans, span{w, marked})
			}
		}
		return joinMarked(spans)
	}
	return shared(a, inA), shared(b, inB)
}

// common says which elements of two lists belong to their longest common subsequence; none where they are too long
// for that to be worth it.
func common(a, b []string) (inA, inB []bool) {
	inA, inB = make([]bool, len(a)), make([]bool, len(b))
	if len(a) > maxWords || len(b) > maxWords {
		return inA, inB
	}
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			inA[i], inB[j] = true, true
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return inA, inB
}

// words divides a line into words and what is between them.
func words(s string) []string {
	var list []string
	start, kind := 0, -1
	for i, r := range s {
		k := 0
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			k = i + 2 // each by itself: there are no spaces to go by
		case unicode.In(r, unicode.L, unicode.M, unicode.N):
			k = 1
		}
		if k != kind && i > start {
			list = append(list, s[start:i])
			start = i
		}
		kind = k
	}
	if start < len(s) {
		list = append(list, s[start:])
	}
	return list
}

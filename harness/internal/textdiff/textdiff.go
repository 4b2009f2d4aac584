// Package textdiff compares two texts line by line, and two lines word by word.
package textdiff

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// Kind says in which of two texts a line stands.
type Kind byte

// The kinds of lines, as a unified diff marks them.
const (
	Both    Kind = ' '
	Removed Kind = '-'
	Added   Kind = '+'
)

// A Line is one line of a difference.
type Line struct {
	Kind Kind
	// Text is the line as it stands in the text before, if Removed, and in the text after, otherwise.
	Text string
	// Paired says that the line replaces, or is replaced by, the line Other.
	Paired bool
	Other  string
}

// A Hunk is a group of changed lines with up to three lines of context on either side.
type Hunk struct {
	Before, After Range
	Lines         []Line
}

// A Range is where a hunk stands in one of the two texts.
type Range struct {
	Start int // index of its first line
	Count int
}

// String returns the range as the head of a hunk in a unified diff does: the first line counted from 1, and the number
// of lines.
func (r Range) String() string {
	first := r.Start
	if r.Count > 0 {
		first++
	}
	return fmt.Sprintf("%d,%d", first, r.Count)
}

// Head returns the line that stands above a hunk in a unified diff: "@@ -1,3 +1,4 @@".
func (h Hunk) Head() string { return fmt.Sprintf("@@ -%s +%s @@", h.Before, h.After) }

const context = 3

// Lines returns the hunks in which two lists of lines differ. Lines are compared by their keys; a nil key compares them
// as they are.
func Lines(before, after []string, key func(string) string) []Hunk {
	a, b := before, after
	if key != nil {
		a, b = keys(before, key), keys(after, key)
	}
	var hunks []Hunk
	last := 0 // the line of before after the last change
	var h *Hunk
	both := func(until int) { // lines of context, up to a line of before
		for ; last < until; last++ {
			h.Lines = append(h.Lines, Line{Kind: Both, Text: after[h.After.Start+h.After.Count]})
			h.Before.Count++
			h.After.Count++
		}
	}
	for _, c := range changes(a, b) {
		if h == nil || c.Start > last+2*context {
			if h != nil {
				both(last + context)
			}
			lead := min(context, c.Start-last)
			last = c.Start - lead
			hunks = append(hunks, Hunk{Before: Range{Start: last}, After: Range{Start: c.ReplStart - lead}})
			h = &hunks[len(hunks)-1]
		}
		both(c.Start)
		removed, added := before[c.Start:c.End], after[c.ReplStart:c.ReplEnd]
		h.Lines = append(h.Lines, replaced(Removed, removed, added)...)
		h.Lines = append(h.Lines, replaced(Added, added, removed)...)
		h.Before.Count += len(removed)
		h.After.Count += len(added)
		last = c.End
	}
	if h != nil {
		both(min(last+context, len(before)))
	}
	return hunks
}

// Split returns the lines of a text, without their ends. An empty text has none.
func Split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

func keys(lines []string, key func(string) string) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = key(line)
	}
	return all
}

// replaced returns lines with their counterparts, which they have where there are as many of them.
func replaced(kind Kind, lines, others []string) []Line {
	var all []Line
	for i, text := range lines {
		line := Line{Kind: kind, Text: text}
		if len(lines) == len(others) {
			line.Paired, line.Other = true, others[i]
		}
		all = append(all, line)
	}
	return all
}

// changes returns the stretches in which two lists differ. The search for a common subsequence gives up after some
// hundred changes and returns the rest as one: such a stretch is searched again.
func changes(a, b []string) []lcs.Diff {
	same := 0 // elements at the beginning
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	end := 0 // equal elements at the end
	for end < min(len(a), len(b))-same && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	a, b = a[same:len(a)-end], b[same:len(b)-end]
	var all []lcs.Diff
	add := func(d lcs.Diff, offsetA, offsetB int) {
		all = append(all, lcs.Diff{Start: d.Start + offsetA, End: d.End + offsetA, ReplStart: d.ReplStart + offsetB, ReplEnd: d.ReplEnd + offsetB})
	}
	for _, d := range lcs.DiffLines(a, b) {
		if d.End-d.Start == len(a) && d.ReplEnd-d.ReplStart == len(b) {
			add(d, same, same)
			continue
		}
		for _, inner := range changes(a[d.Start:d.End], b[d.ReplStart:d.ReplEnd]) {
			add(inner, same+d.Start, same+d.ReplStart)
		}
	}
	return all
}

// A Span is a piece of a line. Marked says that the other line does not have it.
type Span struct {
	Text   string
	Marked bool
}

// Words divides two lines into the words that they share and those that they do not. White space between two marked
// words is marked as well, so that they read as one change.
func Words(before, after string) (was, is []Span) {
	a, b := words(before), words(after)
	markedA, markedB := make([]bool, len(a)), make([]bool, len(b))
	for _, c := range changes(a, b) {
		for i := c.Start; i < c.End; i++ {
			markedA[i] = true
		}
		for i := c.ReplStart; i < c.ReplEnd; i++ {
			markedB[i] = true
		}
	}
	return spans(a, markedA), spans(b, markedB)
}

func spans(words []string, marked []bool) []Span {
	var all []Span
	for i, w := range words {
		mark := marked[i] || i > 0 && i < len(words)-1 && marked[i-1] && marked[i+1] && strings.TrimSpace(w) == ""
		if n := len(all); n > 0 && all[n-1].Marked == mark {
			all[n-1].Text += w
		} else {
			all = append(all, Span{w, mark})
		}
	}
	return all
}

// words divides a line into words and what stands between them.
func words(s string) []string {
	var list []string
	start, kind := 0, -1
	for i, r := range s {
		k := 0
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			k = i + 2 // each character by itself: these scripts put no spaces between words
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

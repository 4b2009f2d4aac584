package report

import (
	"fmt"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/textdiff"
)

// A diffLine is a line of a difference between two texts.
type diffLine struct {
	// Kind is "-" for a line of the text before, "+" for one of the text after, " " for one of both, "@@" for the head of
	// a hunk.
	Kind  string
	Spans []textdiff.Span
	// Place says where a hunk starts; empty for other lines.
	Place string
}

const (
	maxDiffLines = 400  // shown of one difference
	maxDiffLine  = 2000 // bytes shown of one line
)

// diffOf returns the difference between two texts, line by line, with three lines of context around each change; nothing
// if they are equal. The words that differ between lines that replace each other are marked. cut says that the difference
// is not shown in full.
func diffOf(before, after string) (lines []diffLine, cut bool) {
	shown := func(line string) string {
		line = strings.ToValidUTF8(line, "\uFFFD")
		if len(line) > maxDiffLine {
			line, cut = strings.ToValidUTF8(line[:maxDiffLine], "")+"…", true
		}
		return line
	}
	for _, h := range textdiff.Lines(textdiff.Split(before), textdiff.Split(after), nil) {
		head := strings.TrimPrefix(h.Head(), "@@")
		lines = append(lines, diffLine{Kind: "@@", Spans: []textdiff.Span{{Text: head}}, Place: fmt.Sprintf("line %d", h.After.Start+1)})
		for _, l := range h.Lines {
			line := diffLine{Kind: string(rune(l.Kind)), Spans: []textdiff.Span{{Text: shown(l.Text)}}}
			if l.Paired {
				line.Spans, _ = textdiff.Words(shown(l.Text), shown(l.Other))
			}
			lines = append(lines, line)
			if len(lines) > maxDiffLines {
				return lines[:maxDiffLines], true
			}
		}
	}
	return lines, cut
}

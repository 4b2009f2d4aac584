package textdiff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/textdiff"
)

func show(hunks []textdiff.Hunk) string {
	var b strings.Builder
	for _, h := range hunks {
		b.WriteString(h.Head() + "\n")
		for _, l := range h.Lines {
			fmt.Fprintf(&b, "%c%s\n", l.Kind, l.Text)
		}
	}
	return b.String()
}

func numbered(n int, change func(i int) bool) []string {
	var lines []string
	for i := range n {
		line := fmt.Sprintf("line %d", i)
		if change(i) {
			line = "new " + line
		}
		lines = append(lines, line)
	}
	return lines
}

func never(int) bool { return false }

func TestLines_GroupsChanges(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, after, want string }{
		"equal":           {"a b", "a b", ""},
		"empty":           {"", "", ""},
		"all new":         {"", "a", "@@ -0,0 +1,1 @@\n+a\n"},
		"all gone":        {"a b", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"},
		"one line":        {"a b c", "a x c", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		"context":         {"1 2 3 4 5 6 7 8 9", "1 2 3 4 x 6 7 8 9", "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
		"near changes":    {"a 1 2 3 4 5 6 b", "x 1 2 3 4 5 6 y", "@@ -1,8 +1,8 @@\n-a\n+x\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+y\n"},
		"distant changes": {"a 1 2 3 4 5 6 7 b", "x 1 2 3 4 5 6 7", "@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n@@ -6,4 +6,3 @@\n 5\n 6\n 7\n-b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, show(textdiff.Lines(strings.Fields(test.before), strings.Fields(test.after), nil)))
		})
	}
}

func TestLines_ComparesByKeyAndShowsTheText(t *testing.T) {
	t.Parallel()
	hunks := textdiff.Lines([]string{"  a", "b"}, []string{"a", "c"}, strings.TrimSpace)
	require.Equal(t, "@@ -1,2 +1,2 @@\n a\n-b\n+c\n", show(hunks))
	require.Equal(t, textdiff.Line{Kind: textdiff.Added, Text: "c", Paired: true, Other: "b"}, hunks[0].Lines[2])
	require.False(t, textdiff.Lines([]string{"a"}, []string{"b", "c"}, nil)[0].Lines[0].Paired)
}

func TestLines_FindsManyChangesEachByItself(t *testing.T) {
	t.Parallel()
	hunks := textdiff.Lines(numbered(2000, never), numbered(2000, func(i int) bool { return i%4 == 0 }), nil)
	removed := 0
	for _, h := range hunks {
		for _, l := range h.Lines {
			if l.Kind == textdiff.Removed {
				removed++
				require.Equal(t, "new "+l.Text, l.Other)
			}
		}
	}
	require.Equal(t, 500, removed)
}

func TestLines_ComparesLargeTexts(t *testing.T) {
	t.Parallel()
	hunks := textdiff.Lines(numbered(20_000, never), numbered(20_000, func(int) bool { return true }), nil)
	require.Len(t, hunks, 1)
	require.Equal(t, "@@ -1,20000 +1,20000 @@", hunks[0].Head())
}

func TestWords_MarksWhatDiffers(t *testing.T) {
	t.Parallel()
	mark := func(spans []textdiff.Span) string {
		var b strings.Builder
		for _, s := range spans {
			if s.Marked {
				b.WriteString("[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		return b.String()
	}
	for _, test := range []struct{ before, after, was, is string }{
		{"open the request", "view the request", "[open] the request", "[view] the request"},
		{"a b c d e", "a x c y e", "a [b] c [d] e", "a [x] c [y] e"},
		{"a b c d", "a x y d", "a [b c] d", "a [x y] d"},
		{"a  b", "a b", "a[  ]b", "a[ ]b"},
		{"to you", "to all of you", "to you", "to [all of ]you"},
		{"Hello Kim,", "Hello Kim!", "Hello Kim[,]", "Hello Kim[!]"},
		{"油圧の点検", "油圧と点検", "油圧[の]点検", "油圧[と]点検"},
		{"", "a", "", "[a]"},
	} {
		was, is := textdiff.Words(test.before, test.after)
		require.Equal(t, test.was, mark(was))
		require.Equal(t, test.is, mark(is))
	}
}

package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// show prints a difference, with [ ] around what is marked.
func show(lines []diffLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Kind)
		for _, s := range l.Spans {
			if s.Marked {
				b.WriteString("[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestDiffOf_MarksWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, after, want string }{
		"equal":                     {"a\nb", "a\nb\n", ""},
		"both empty":                {"", "", ""},
		"a word":                    {"Hello Kim,\nopen the request\n", "Hello Kim,\nview the request\n", "@@ -1,2 +1,2 @@\n Hello Kim,\n-[open] the request\n+[view] the request\n"},
		"two words of one line":     {"a b c d e\n", "a x c y e\n", "@@ -1,1 +1,1 @@\n-a [b] c [d] e\n+a [x] c [y] e\n"},
		"words side by side":        {"a b c d\n", "a x y d\n", "@@ -1,1 +1,1 @@\n-a [b c] d\n+a [x y] d\n"},
		"a space":                   {"a  b\n", "a b\n", "@@ -1,1 +1,1 @@\n-a[  ]b\n+a[ ]b\n"},
		"a word more":               {"to you\n", "to all of you\n", "@@ -1,1 +1,1 @@\n-to you\n+to [all of ]you\n"},
		"punctuation":               {"Hello Kim,\n", "Hello Kim!\n", "@@ -1,1 +1,1 @@\n-Hello Kim[,]\n+Hello Kim[!]\n"},
		"no spaces between words":   {"油圧の点検\n", "油圧と点検\n", "@@ -1,1 +1,1 @@\n-油圧[の]点検\n+油圧[と]点検\n"},
		"lines that are not paired": {"a\n", "b\nc\n", "@@ -1,1 +1,2 @@\n-a\n+b\n+c\n"},
		"all new":                   {"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
		"not UTF-8":                 {"a\xff\n", "b\n", "@@ -1,1 +1,1 @@\n-[a\uFFFD]\n+[b]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines, cut := diffOf(test.before, test.after)
			require.False(t, cut)
			require.Equal(t, test.want, show(lines))
			if len(lines) > 0 {
				require.Equal(t, "line 1", lines[0].Place)
			}
		})
	}
}

func TestDiffOf_IsLimited(t *testing.T) {
	t.Parallel()
	lines, cut := diffOf("", strings.Repeat("a line\n", 10_000))
	require.True(t, cut)
	require.Len(t, lines, maxDiffLines)

	lines, cut = diffOf("é"+strings.Repeat("é ", 50_000), strings.Repeat("é ", 60_000))
	require.True(t, cut)
	require.Less(t, len(show(lines)), 5*maxDiffLine)
	require.True(t, strings.HasSuffix(strings.TrimRight(show(lines), "]\n"), "…"))
}

func TestMilliseconds_Format(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0 ms", -1: "0 ms", 0.09: "90 µs", 0.00123: "1.23 µs", 1: "1 ms", 12.34: "12.3 ms", 812.3: "812 ms", 1043: "1.04 s", 100000: "100 s"} {
		require.Equal(t, want, milliseconds(v))
	}
}

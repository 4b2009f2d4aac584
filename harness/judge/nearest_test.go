package judge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestLacks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<tr><td>Nothing of interest</td></tr>\n", 2000)
	tests := map[string]struct{ body, piece, want string }{
		"another number": {
			"Thank you.\nIt costs 12 euros, and is on its way.\n", "costs 13 euros", `
its text lacks "costs 13 euros"; the most similar passage, in line 2, is (- expected, + email):
  - costs 13 euros
  + costs 12 euros`,
		},
		"a word missing": {
			"Assigned to Kim on Monday", "Assigned to Kim Park on Monday", `
its text lacks "Assigned to Kim Park on Monday"; the most similar passage, in line 1, is (- expected, + email):
  - Assigned to Kim Park on Monday
  + Assigned to Kim on Monday`,
		},
		"escaped": {
			long + `<td class="subject">Pump &amp; valve</td>` + long, `>Pump & valve</td>`, `
its text lacks ">Pump & valve</td>"; the most similar passage, in line 2001, is (- expected, + email):
  - >Pump & valve</td>
  + >Pump &amp; valve</td>`,
		},
		"what cannot be seen": {
			"Hello\u00a0Kim!", "Hello Kim!", `
its text lacks "Hello Kim!"; the most similar passage, in line 1, is (- expected, + email):
  - Hello·Kim!
  + Hello⍽Kim!`,
		},
		"several lines": {
			"Dear Kim,\n\nthe pump leaks.\nPlease see to it.\n", "the pump leaks\nPlease see to it", `
its text lacks "the pump leaks\nPlease see to it"; the most similar passage, in line 3, is (- expected, + email):
  - the pump leaks
  + the pump leaks.
    Please see to it`,
		},
		"other line ends": {"one\r\ntwo", "one\ntwo", `
its text lacks "one\ntwo": its line breaks are different`},
		"nothing near": {"Thank you for your order.\nIt is on its way.", "invoice 4711", `
its text lacks "invoice 4711", and nothing in it is similar; it reads:
  | Thank you for your order.
  | It is on its way.`},
		"too short to be near": {"Thank you", "7", `
its text lacks "7", and nothing in it is similar; it reads:
  | Thank you`},
		"no text":    {" \r\n", "Thank you", `it has no text, want some with "Thank you"`},
		"not a word": {"日本語のメール", "日本語のノート", "\nits text lacks \"日本語のノート\"; the most similar passage, in line 1, is (- expected, + email):\n  - 日本語のノート\n  + 日本語のメール"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), lacks("text", test.body, test.piece)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNearestPassage_OfLongText(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("all work and no play makes kim a dull technician. ", 10_000)
	passage, _ := nearestPassage(body+"the needle is here; "+body, "the needle was here")
	require.Equal(t, "the needle is here", passage)
	passage, _ = nearestPassage(body, strings.Repeat("0123456789", 1000))
	require.Empty(t, passage)
}

package text

import (
	"encoding/json"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClip_CountsRunes(t *testing.T) {
	t.Parallel()
	require.Equal(t, "日本…", Clip("日本語", 2))
	require.Equal(t, "日本語", Clip("日本語", 3))
	require.Equal(t, "…", Clip("a", 0))
	require.Empty(t, Clip("", 0))
}

func TestOneLine_CollapsesWhiteSpace(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b c", OneLine(" a\n\tb  c\r\n"))
}

func TestCount_ChoosesTheNoun(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0 runs", Count(0, "run", "runs"))
	require.Equal(t, "1 run", Count(1, "run", "runs"))
	require.Equal(t, "2 runs", Count(2, "run", "runs"))
}

func TestList_CountsTheRest(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a, b", List([]string{"a", "b"}, 2))
	require.Equal(t, "a, b and 2 more", List([]string{"a", "b", "c", "d"}, 2))
}

func TestAddresses_LeavesOutNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a@b.test, c@d.test", Addresses([]*mail.Address{{Name: "A", Address: "a@b.test"}, {Address: "c@d.test"}}))
}

func TestElapsed_RoundsByLength(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		1234 * time.Nanosecond:                 "1µs",
		1234567 * time.Nanosecond:              "1ms",
		12345 * time.Millisecond:               "12.3s",
		61*time.Second + 500*time.Millisecond:  "1m2s",
		9*time.Second + 999400*time.Nanosecond: "9.001s",
	} {
		require.Equal(t, want, Elapsed(d).String())
	}
}

func TestNearest_FindsMistypedNames(t *testing.T) {
	t.Parallel()
	names := []string{"to", "copies", "headers", "noOtherMail"}
	for word, want := range map[string]string{
		"copy": "copies", "Headers": "headers", "header": "headers", "noOtherMails": "noOtherMail", "ot": "", "body": "", "": "", "zzzzzzzzzzzz": "",
	} {
		require.Equal(t, want, Nearest(word, names), word)
	}
}

func TestJSON_CanStandInAnyJSON(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for data, same := range map[string]bool{
		`{"a": 1}`: true, "null": true, `"text"`: true, "1e999": true, deep(9000): true,
		"{not json": false, "1 2": false, "1],[2": false, "\xff": false, "ok\x00": false, deep(9999): false, deep(20000): false,
	} {
		got := JSON([]byte(data))
		inner := any(got)
		for range 50 {
			inner = map[string]any{"in": inner}
		}
		whole, err := json.Marshal(inner)
		require.NoError(t, err, Clip(data, 20))
		require.NoError(t, json.Unmarshal(whole, new(map[string]json.RawMessage)), Clip(data, 20))
		if same {
			require.Equal(t, data, string(got))
			continue
		}
		var quoted string
		require.NoError(t, json.Unmarshal(got, &quoted))
		require.Equal(t, strings.ToValidUTF8(data, "\ufffd"), quoted)
	}
	require.Nil(t, JSON(nil))
}

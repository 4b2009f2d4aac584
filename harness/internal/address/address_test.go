package address

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSame_IgnoresCaseAndSpace(t *testing.T) {
	t.Parallel()
	require.True(t, Same("Ann@Example.com", " ann@example.COM"))
	require.False(t, Same("ann@example.com", "anne@example.com"))
	require.True(t, In("ANN@example.com", []string{"kim@plant.test", "ann@example.com"}))
	require.False(t, In("ann@example.com", nil))
}

func TestSame_IgnoresQuotes(t *testing.T) {
	t.Parallel()
	require.True(t, Same(`"a>b"@plant.test`, "a>b@plant.test"))
	require.True(t, Same(`"Kim\" Park"@plant.test`, `kim" park@plant.test`))
	require.True(t, Same(`"a@b"@plant.test`, "a@b@plant.test"))
	require.False(t, Same(`"a"b@plant.test`, "ab@plant.test"))
	require.False(t, Same(`"`, ""))
}

func TestDecode_ReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", `"a>b"@plant.test`, "kim@plant.test"} {
		require.Regexp(t, `^x[0-9a-f]*@encoded-path\.invalid$`, Encode(path))
		require.Equal(t, path, Decode(Encode(path)))
		require.Equal(t, path, Decode(path))
	}
	require.Equal(t, "xyz@encoded-path.invalid", Decode("xyz@encoded-path.invalid"))
}

func TestSame_KnowsPunycode(t *testing.T) {
	t.Parallel()
	require.True(t, Same("Kim@MÜNCHEN.test", "kim@xn--mnchen-3ya.test"))
	require.False(t, Same("kim@münchen.test", "kim@munchen.test"))
	require.True(t, Same("kim@under_score.test", "kim@UNDER_SCORE.test"))
	require.Equal(t, "kim", Key("Kim"))
	require.True(t, Same("jos\u00e9@plant.test", "jose\u0301@plant.test"))
}

func TestAlone(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"kim@plant.test", `"a>b"@plant.test`, `"Park, Kim"@plant.test`, "a>b@plant.test", "postmaster", "", " kim@plant.test ",
		`"Kim Lee"@plant.test`, `"a:b"@plant.test`, "kim@[IPv6:::1]", "jürgen@grün.test"} {
		require.True(t, Alone(a), a)
	}
	for _, a := range []string{"Kim <kim@plant.test>", "<kim@plant.test>", "kim@plant.test, lee@plant.test", "kim@plant.test; lee@plant.test",
		"mailto:kim@plant.test", "kim@", "@plant.test", "kim lee@plant.test", "kim\u200b@plant.test", "kim@plant.test\nlee", "kim@plant .test"} {
		require.False(t, Alone(a), a)
	}
}

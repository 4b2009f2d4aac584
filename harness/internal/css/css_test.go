package css

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeclarations_AreCanonical(t *testing.T) {
	t.Parallel()
	for style, want := range map[string][]string{
		"":                             nil,
		" ; ;":                         nil,
		"COLOR:RED;margin : 0   auto ": {"color: red", "margin: 0 auto"},
		"color:red!important":          {"color: red !important"},
		"color: red ! IMPORTANT":       {"color: red !important"},
		"font-family:'Arial',SERIF":    {`font-family: "Arial", serif`},
		"background:URL( 'A.png' )":    {"background: url(A.png)"},
		`background:url("a b.png")`:    {`background: url("a b.png")`},
		`content:'"'`:                  {`content: '"'`},
		"background:url(data:image/png;base64,AA);top:0": {"background: url(data:image/png;base64,AA)", "top: 0"},
		"width:calc( (1PX + 2px) * 3 )":                  {"width: calc((1px + 2px) * 3)"},
		"color:/* a;b */red":                             {"color: red"},
		"--Big: A  b":                                    {"--Big: A  b"},
		"nonsense":                                       {"nonsense"},
		`content:"a;b\"c"`:                               {`content: "a;b\"c"`},
	} {
		var got []string
		for _, d := range Declarations(style) {
			got = append(got, d.String())
		}
		require.Equal(t, want, got, style)
	}
}

func TestLines_HaveOneDeclarationEach(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		`@import "a.css";`, "td, th {", "  color: red;", "}", "@media (max-width: 600px) {", "  .col {", "    width: 100%;", "  }", "}", "rest",
	}, Lines("@import 'a.css';/* x */ td, th{color:RED}@media (max-width:600px){.col{width:100%;}} rest"))
}

func TestLines_AreTheSameInAnySpelling(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"td, th { font-family: \"Open Sans\" }", "td,th{font-family:'Open Sans'}", "td ,\n th{font-family : 'Open Sans' ;}"},
		{"td > a + b ~ i {}", "td>a+b~i{}", "td >a  +b~ i {}"},
		{"@media screen and (max-width: 600px) {}", "@media screen and (max-width:600px){}", "@media  screen and ( max-width :600px ) {}"},
		{"a[href='x'] {}", `a[href="x"]{}`},
		{"<!-- a { top: 0 } -->", "a{top:0}"},
		{"@import url('x.css');", "@import url(x.css);"},
	} {
		for _, spelling := range same {
			require.Equal(t, Lines(same[0]), Lines(spelling), spelling)
		}
	}
	for _, other := range [][2]string{{"td :hover{}", "td:hover{}"}, {"td a{}", "tda{}"}, {".A{}", ".a{}"}, {"td > a{}", "td a{}"}} {
		require.NotEqual(t, Lines(other[0]), Lines(other[1]), "%s", other)
	}
}

func TestRules_AreThoseWithoutACondition(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Rule{
		{Selectors: []string{".a", "td > b"}, Declarations: []Declaration{{"display", "none"}, {"top", "0"}}},
		{Selectors: []string{"@media screen"}},
		{Selectors: []string{".c"}, Declarations: []Declaration{{"left", "0"}}},
	}, Rules(".a,td>b{display:none;top:0}@media (max-width:600px){.b{display:none}}@media screen{.c{left:0}} @font-face{src:url(x)} }"))
}

func TestLoads_FindsURLsAndImports(t *testing.T) {
	t.Parallel()
	for sheet, want := range map[string][]string{
		`@import "x.css"; a{background:URL( 'https://cdn.test/b.png' )}`:  {"x.css", "https://cdn.test/b.png"},
		`@IMPORT/**/url(y.css) screen;`:                                   {"y.css"},
		`background:url(//c.test/d), url("e f.png")`:                      {"//c.test/d", "e f.png"},
		`background:url(a b.png)`:                                         {"a b.png"},
		`content:"url(a.png)"; /* url(b.png) */ color:red`:                nil,
		`@font-face{font-family:"x"}`:                                     nil,
		`@namespace svg url(http://www.w3.org/2000/svg); a{b:url(c.png)}`: {"c.png"},
	} {
		require.Equal(t, want, Loads(sheet), sheet)
	}
}

func TestHostileSheets_AreReadInTime(t *testing.T) {
	t.Parallel()
	for _, sheet := range []string{strings.Repeat("url(", 50_000), strings.Repeat("(", 200_000), "\x00\xff\\", `"\`, "@", "/*",
		`a:"`, `a{b:'x`, `a:url(`, `a:url("`, `a['`, `a:'\'`} {
		Declarations(sheet)
		Lines(sheet)
		Loads(sheet)
		Rules(sheet)
	}
}

package golden

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonicalHTML_IsAnOutline(t *testing.T) {
	t.Parallel()
	got := canonicalHTML(`<!DOCTYPE html><html lang=en><head><title> Press&nbsp;4
	 leaks </title><style>td{color:RED;margin:0 auto}@media (max-width:600px){.col{width:100%}}</style></head>
	<body><!-- dropped --><!--[if mso]><table><tr><td><![endif]-->
	<table width=600 role="presentation"><tr><td style="PADDING:0;color:#FFF">Dear <b>Kim</b>, the <i>press</i> leaks.<br>
	Please <a href="/x?a=1&b=2">look</a>!</td></tr><tr><td> </td></tr></table>
	<pre>
a
  b</pre><img src=logo.png alt="Logo"/></body></html>`)
	require.Equal(t, `<!DOCTYPE html>
<html lang="en">
  <head>
    <title>
      Press&nbsp;4 leaks
    </title>
    <style>
      td {
        color: red;
        margin: 0 auto;
      }
      @media (max-width: 600px) {
        .col {
          width: 100%;
        }
      }
    </style>
  </head>
  <body>
    <!--[if mso]><table><tr><td><![endif]-->
    <table role="presentation" width="600">
      <tbody>
        <tr>
          <td style="color: #fff; padding: 0">
            Dear
            <b>Kim</b>, the
            <i>press</i>
            leaks.<br>
            Please
            <a href="/x?a=1&amp;b=2">look</a>!
          </td>
        </tr>
        <tr>
          <td></td>
        </tr>
      </tbody>
    </table>
    <pre>a
  b</pre>
    <img alt="Logo" src="logo.png">
  </body>
</html>
`, got)
}

func TestCanonicalHTML_DiffersWhereAReaderSeesIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		a, b  string
		alike bool
	}{
		{"attribute order", `<p id=a class=b>x</p>`, `<p class='b' id="a">x</p>`, true},
		{"class spacing", `<p class=" a  b ">x</p>`, `<p class="a b">x</p>`, true},
		{"attribute value", `<p id=a>x</p>`, `<p id=b>x</p>`, false},
		{"attribute case", `<P ID=a>x</P>`, `<p id=a>x</p>`, true},
		{"declaration order", `<p style="color:red;margin:0">x`, `<p style="margin:0; color: RED;">x</p>`, true},
		{"declaration value", `<p style="color:red">x`, `<p style="color:blue">x`, false},
		{"longhand after shorthand", `<p style="margin:0;margin-top:1px">x`, `<p style="margin-top:1px;margin:0">x`, false},
		{"repeated property", `<p style="width:1px;width:2px">x`, `<p style="width:2px;width:1px">x`, false},
		{"overlapping borders", `<p style="border-top:0;border-color:red">x`, `<p style="border-color:red;border-top:0">x`, false},
		{"font resets line height", `<p style="font:1em x;line-height:2">x`, `<p style="line-height:2;font:1em x">x`, false},
		{"important", `<p style="color:red!important">x`, `<p style="color: red ! IMPORTANT">x`, true},
		{"case in a URL", `<p style="background:url(A.png)">x`, `<p style="background:url(a.png)">x`, false},
		{"case in a string", `<p style="font-family:'Arial'">x`, `<p style="font-family:'ARIAL'">x`, false},
		{"semicolon in a data URL", `<p style="background:url(data:image/png;base64,AA)">x`, `<p style="background:url(data:image/png;base64,AB)">x`, false},
		{"comment in a style", `<p style="color:/* dark */red">x`, `<p style="color:red">x`, true},
		{"empty style", `<p style="">x`, `<p>x`, true},
		{"entities", `<p>&eacute;&#233;&amp;&quot;</p>`, `<p>éé&#38;"</p>`, true},
		{"no-break space is not a space", `<p>a&nbsp;b</p>`, `<p>a b</p>`, false},
		{"white space between blocks", "<div>\n  <p>a</p>\n</div>", `<div><p>a</p></div>`, true},
		{"white space in text", "<p>a \n b</p>", `<p>a b</p>`, true},
		{"white space at the ends of a block", "<p> a </p>", `<p>a</p>`, true},
		{"white space around a break", "<p>a <br> b</p>", `<p>a<br>b</p>`, true},
		{"white space between words and tags", `<p>a <b>b</b></p>`, `<p>a<b>b</b></p>`, false},
		{"white space after a tag", `<p><b>a</b> b</p>`, `<p><b>a</b>b</p>`, false},
		{"white space on either side of an end tag", `<p><b>a </b>b</p>`, `<p><b>a</b> b</p>`, true},
		{"white space twice", `<p>a <b> b</b></p>`, `<p>a <b>b</b></p>`, true},
		{"white space between images", `<p><img src=a> <img src=b></p>`, `<p><img src=a><img src=b></p>`, false},
		{"white space in pre", `<pre>a  b</pre>`, `<pre>a b</pre>`, false},
		{"first line of pre", "<pre>\na</pre>", `<pre>a</pre>`, true},
		{"white space in a styled cell", `<table><td style="white-space:pre-line">a` + "\n" + `b`, `<table><td style="white-space: PRE-LINE">a b`, false},
		{"empty inline element", `<p>a<span></span>b</p>`, `<p>ab</p>`, false},
		{"comments", `<p>a<!-- x --></p>`, `<p>a</p>`, true},
		{"conditional comments", `<p>a</p><!--[if mso]>x<![endif]-->`, `<p>a</p>`, false},
		{"content of conditional comments", `<p>a</p><!--[if mso]>x<![endif]-->`, `<p>a</p><!--[if mso]>y<![endif]-->`, false},
		{"white space in conditional comments", "<!--[if mso]><p>\n <b><![endif]-->", `<!--[if mso]><p> <b><![endif]-->`, true},
		{"self-closing tags", `<p>a<br/><img src="x" /></p>`, `<p>a<br><img src=x></p>`, true},
		{"implied tags", `<table><tr><td>a</table>`, `<table><tbody><tr><td>a</td></tr></tbody></table>`, true},
		{"order of elements", `<p>a</p><p>b</p>`, `<p>b</p><p>a</p>`, false},
		{"nesting", `<div><p>a</p></div>`, `<div></div><p>a</p>`, false},
		{"name of an element", `<p><b>a</b></p>`, `<p><strong>a</strong></p>`, false},
		{"style sheet spacing", "<style>a{color:red}</style>", "<style>\n a { color: RED; }\n</style>", true},
		{"style sheet order", "<style>a{color:red}b{top:0}</style>", "<style>b{top:0}a{color:red}</style>", false},
		{"style sheet selector", "<style>a{color:red}</style>", "<style>b{color:red}</style>", false},
		{"script", "<script>a  b</script>", "<script>a b</script>", false},
		{"title", "<title>a\n b</title>", "<title> a b</title>", true},
		{"doctype", "<!DOCTYPE html><p>a", "<p>a", false},
		{"doctype case", "<!doctype HTML><p>a", "<!DOCTYPE html><p>a", true},
		{"noscript shows", "<noscript><p>a  b</noscript>", "<noscript><p>a b</p></noscript>", true},
		{"line endings", "<pre>a\r\nb</pre>", "<pre>a\nb</pre>", true},
		{"byte order mark", "\uFEFF<p>a", "<p>a", true},
		{"no HTML at all", " \r\n", "", true},
		{"direction", `<p dir=rtl>a`, `<p dir=ltr>a`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.alike {
				require.Equal(t, canonicalHTML(test.a), canonicalHTML(test.b))
			} else {
				require.NotEqual(t, canonicalHTML(test.a), canonicalHTML(test.b))
			}
		})
	}
}

func TestCanonicalHTML_KeepsUnstableDocumentsAsWritten(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"plaintext":   "<p>a\r\n<plaintext>b  \n",
		"deep":        strings.Repeat("<div>", 600) + "x\n",
		"deep tables": strings.Repeat("<table><tr><td>", 300) + "x\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := canonicalHTML(doc)
			require.True(t, strings.HasPrefix(form, asWritten), form)
			require.Equal(t, form, canonicalHTML(form))
			require.NotEqual(t, form, canonicalHTML(strings.TrimSuffix(doc, "\n")+"!"))
		})
	}
}

func FuzzCanonicalHTML(f *testing.F) {
	for _, seed := range []string{
		`<p style="margin:0;color:url('x')">Dear <b> Kim </b>,<br>`,
		`<!--[if mso]><v:rect href="a&amp;b"><![endif]--><!--[if !mso]><!--><p>x<!--<![endif]-->`,
		`<table><a>1<tr><td>2<p><a>3</table>`,
		`<svg><style>a<b></style><title> x </title><path d=""/></svg>`,
		"<pre>\n\n x</pre><textarea>\n y</textarea>",
		`<style>@media(x){a{b:c;d:"}"}}/* x */</style>`,
		`<noscript><p>a</noscript><plaintext>`,
		`<select><option>a<option>b</select>`,
		`<p white-space style="white-space:pre">a <b> c`,
		`<a><p><a><div></a>`,
		"<a =x \"='&#13;&#x85;'>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		form := canonicalHTML(doc)
		require.Equal(t, form, canonicalHTML(form))
	})
}

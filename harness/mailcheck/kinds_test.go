package mailcheck_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// found runs one check.
func found(check harness.Check, m *harness.Message) []string {
	return texts(mailcheck.Run(m, []harness.Check{check}, mailcheck.Options{}))
}

// html returns an email with this HTML, and with "shown" as its text.
func html(source string) *harness.Message { return &harness.Message{HTML: source, Text: "shown"} }

func TestText_IgnoresWhatDoesNotShow(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"rule of a class":          `<style>.preheader { display: none !important; }</style><span class="preheader">preview</span>shown`,
		"rule of an element":       `<style>td.pre>span{visibility:hidden}</style><table><td class=pre><span>preview</span><td>shown</table>`,
		"rule of an id":            `<style type="text/css"><!-- #pre, .other {mso-hide:all} --></style><div id=pre>preview</div>shown`,
		"rule for screens":         `<style>@media screen{.p{display:none}}</style><div class=p>preview</div>shown`,
		"rule over the style":      `<style>.p{display:none!important}</style><div class=p style="display:block">preview</div>shown`,
		"more specific rule":       `<style>div.p{display:none} .p{display:block}</style><div class=p>preview</div>shown`,
		"max-height":               `<div style="max-height:0;overflow:hidden">preview</div>shown`,
		"max-height with a unit":   `<div style="max-height: 0px">preview</div>shown`,
		"height":                   `<div style="height:0;overflow:hidden">preview</div>shown`,
		"width":                    `<div style="width:0px;overflow:hidden">preview</div>shown`,
		"font size":                `<div style="font-size:0;line-height:0">preview</div>shown`,
		"font size of one":         `<div style="font-size:1px;color:#fff">preview <b>preview</b></div>shown`,
		"font":                     `<div style="font:0/0 a">preview</div>shown`,
		"opacity":                  `<div style="opacity:0.0">preview</div>shown`,
		"visibility":               `<div style="visibility:hidden">preview</div>shown`,
		"transparent":              `<div style="color:transparent">preview</div>shown`,
		"mso-hide":                 `<div style="mso-hide:all">preview</div>shown`,
		"hidden":                   `<div hidden>preview</div>shown`,
		"off the screen":           `<div style="position:absolute;left:-9999px">preview</div>shown`,
		"indented off the screen":  `<div style="text-indent:-9999px">preview</div>shown`,
		"margin off the screen":    `<div style="margin:0 0 0 -5000px">preview</div>shown`,
		"clipped":                  `<div style="position:absolute;clip:rect(0,0,0,0)">preview</div>shown`,
		"padded preview":           `<div style="display:none">preview &#847;&zwnj;&nbsp;&#8199;&shy;</div>shown`,
		"gap of a layout":          `<div style="font-size:0"><div style="font-size:16px">shown</div></div>`,
		"visible again":            `<div style="visibility:hidden">preview<span style="visibility:visible">shown</span></div>`,
		"for Outlook alone":        `<!--[if mso]><p>Outlook</p><![endif]-->shown`,
		"title":                    `<head><title>Title</title></head>shown`,
		"emoji with its variation": "shown ❤\uFE0F",
		"symbols":                  "shown ™ ® © ✓",
		"raised mark":              `shown<sup>TM</sup> <sup>1</sup>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, found(harness.CheckText, html(source)))
			require.NotEmpty(t, found(harness.CheckText, &harness.Message{HTML: source, Text: "other"}), "what shows is compared")
		})
	}
}

func TestText_ComparesWhatShows(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"hidden on phones":     `<style>@media (max-width:600px){.p{display:none}}</style><p class=p>seen`,
		"rule undone":          `<style>.p{display:none} .p{display:block}</style><p class=p>seen`,
		"style over the rule":  `<style>.p{display:none}</style><p class=p style="display:block">seen`,
		"rule of another":      `<style>.p .q{display:none}</style><p class=q>seen`,
		"small":                `<p style="font-size:9px">seen`,
		"sized in a gap":       `<div style="font-size:0"><p style="font-size:12px">seen`,
		"faint":                `<p style="opacity:.5">seen`,
		"no height, no clip":   `<p style="height:0">seen`,
		"moved a little":       `<p style="margin:-10px">seen`,
		"for all but Outlook":  `<!--[if !mso]><!--><p>seen</p><!--<![endif]-->`,
		"in a noscript":        `<noscript>seen</noscript>`,
		"paid, and not unpaid": `<p>seen`,
	} {
		m := &harness.Message{HTML: source, Text: "unseen, seenless, nothing"}
		require.Len(t, found(harness.CheckText, m), 1, name)
	}
}

func TestText_KnowsOneWordInSeveralForms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ html, text string }{
		"buttons, apart in the text":       {`<a style="display:inline-block">Home</a><a>Shop</a>`, "Home Shop"},
		"buttons, joined in the text":      {`<a style="display:inline-block">Home</a><a>Shop</a>`, "HomeShop"},
		"blocks of a class":                {`<style>.n{display:block}</style><span class=n>Home</span><span class=n>Shop</span>`, "Home\nShop"},
		"inline with space between":        {`<a style="padding:0 9px">Home</a><a>Shop</a>`, "Home | Shop"},
		"one word in two elements":         {`<b>H</b>ome`, "Home"},
		"trademark":                        {"Acme™ <b>Pro</b>®", "Acme (TM) Pro"},
		"trademark in the text":            {"Acme (TM)", "Acme™"},
		"trademark raised":                 {"Acme<sup>TM</sup>", "Acme"},
		"trademark raised, sign in text":   {"Acme<sup>TM</sup>", "Acme™"},
		"square metres":                    {"10 m<sup>2</sup>", "10 m²"},
		"digits grouped in the HTML":       {"1,234.50 and 1&nbsp;000", "1234.50 and 1000"},
		"digits grouped in the text":       {"1234567.50", "1.234.567,50"},
		"digits grouped in another manner": {"1,234,567", "1 234 567"},
		"cells that are no group":          {"<table><td>5<td>100</table>", "5 100"},
		"a long word in two lines":         {"abcdefghijkl", "abcdef\nghijkl"},
		"ligature":                         {"oﬃce", "office"},
	} {
		require.Empty(t, found(harness.CheckText, &harness.Message{HTML: test.html, Text: test.text}), name)
	}
	for name, test := range map[string]struct{ html, text string }{
		"another number":   {"1,234", "1,235"},
		"a part of a word": {"paid", "unpaid"},
		"one digit":        {"7 items", "17 items"},
		"a power":          {"m<sup>2</sup> of floor", "floor"},
	} {
		require.NotEmpty(t, found(harness.CheckText, &harness.Message{HTML: test.html, Text: test.text}), name)
	}
}

func TestLinks_FindsDeadOnes(t *testing.T) {
	t.Parallel()
	for href, why := range map[string]string{
		"https://https://shop.test/a":             "has its scheme twice",
		"http://https//shop.test":                 "has its scheme twice",
		"htps://shop.test/":                       `has the scheme "htps": is it https?`,
		"https://undefined/orders/7":              `has "undefined" in the place of a value`,
		"https://shop.test/undefined/7":           `has "undefined" in the place of a value`,
		"https://shop.test/?token=undefined&a=b":  `has "undefined" in the place of a value`,
		"https://shop.test/?id=null":              `has "null" in the place of a value`,
		"https://shop.test/NaN":                   `has "NaN" in the place of a value`,
		"https://shop.test/[object Object]":       `has "[object Object]" in the place of a value`,
		"https://shop.test/%5Bobject%20Object%5D": `has "[object Object]" in the place of a value`,
		"https://shop.test/{{token}}":             `has "{{token}}" in the place of a value`,
		"https://shop.test/%7B%7Btoken%7D%7D":     `has "{{token}}" in the place of a value`,
		"https://shop.test/${id}":                 `has "${id}" in the place of a value`,
		"https://shop.test/{id}":                  `has "{id}" in the place of a value`,
		"https://shop.test/?d=[object+Object]":    `has "[object Object]" in the place of a value`,
		"mailto:kim@undefined":                    `has "undefined" in the place of a value`,
		"https://undefined.shop.test/login":       `has "undefined" in the place of a value`,
		"https://shop.test/bills/undefined.pdf?a": `has "undefined" in the place of a value`,
		"*|UNSUB|*":                `has "*|UNSUB|*" in the place of a value`,
		"#ZgotmplZ":                `has "ZgotmplZ" in the place of a value`,
		"mailto:undefined":         `has "undefined" in the place of a value`,
		"mailto:bob":               `names "bob", which is no address`,
		"mailto:kim@shop.test,bob": `names "bob", which is no address`,
		"shop.test:8080/a":         "is not absolute: an email has no address that it could be relative to",
		"localhost:3000/a":         `has the scheme "localhost", which mail clients do not open`,
		"data:text/html,x":         `has the scheme "data", which mail clients do not open`,
		"file:///c:/a.html":        `has the scheme "file", which mail clients do not open`,
		"#":                        "leads nowhere",
	} {
		require.Equal(t, []string{"links: the link \"" + href + "\" " + why}, found(harness.CheckLinks, html(`<a href="`+href+`">shown</a>`)))
	}
	for name, source := range map[string]string{
		"nothing to click on":     `<a href="https://shop.test/"></a>`,
		"a blank to click on":     `<a href="https://shop.test/"> &nbsp; <span></span></a>`,
		"characters of no width":  `<a href="https://shop.test/">&#8203;&zwnj;<span>&#847;</span></a>`,
		"in Outlook's button":     `<!--[if mso]><v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="/cart"><center>Cart</center></v:roundrect><![endif]-->`,
		"in Outlook's link":       `<!--[if (gte mso 9)|(IE)]><table><tr><td><a href="{{url}}">Cart</a></td></tr></table><![endif]-->`,
		"of a map":                `<map><area href="/cart" alt="Cart"></map>`,
		"with blanks in its host": `<a href="https://shop .test/">shown</a>`,
	} {
		require.Len(t, found(harness.CheckLinks, html(source)), 1, name)
	}
}

func TestLinks_AcceptsThoseThatOpen(t *testing.T) {
	t.Parallel()
	for _, href := range []string{
		"https://shop.test/a\n\t  b", " https://shop.test/a\r\n", "HTTPS://Shop.Test", "https://shop.test/100%", "https://shop.test/a b",
		"webcal://shop.test/a.ics", "whatsapp://send?text=a", "facetime:kim@shop.test", "myapp://orders/7", "sms:+49123?body=a", "sms:?body=a",
		"tel:+49 123", "mailto:kim@shop.test,lee@shop.test?subject=a", "mailto:?subject=a", "mailto:kim%2Ba%40shop.test",
		"#a%20b", "#a b", "#top", "https://undefined.test/", "https://shop.test/null.gif", "https://shop.test/undefined.min.js", "https://shop.test/?q=undefined+x", "https://shop.test/nullable",
		"https://x.sharepoint.com/:w:/r/a",
		"https://[::1]:8080/a", "http://localhost:3000/a", "https://bücher.test/ä",
	} {
		require.Empty(t, found(harness.CheckLinks, html(`<p id="a b"></p><a href="`+href+`">shown</a>`)), href)
	}
	for name, source := range map[string]string{
		"about the word":          `<a href="https://docs.test/Global_Objects/undefined">What undefined is</a>`,
		"of a person":             `<a href="https://shop.test/people/null">Kim Null</a>`,
		"an image without a text": `<a href="https://shop.test/"><img src="cid:a"></a>`,
		"a label":                 `<a href="https://shop.test/" aria-label="Shop"></a>`,
		"a background":            `<a href="https://shop.test/" style="display:block;height:40px;background:url(cid:a)"></a>`,
		"a background of a class": `<style>.b{background-image:url(x)}</style><a class=b href="https://shop.test/"></a>`,
		"a place":                 `<a name="here"></a><a id="there" href="https://shop.test/"></a>`,
		"hidden":                  `<div style="display:none"><a href="https://shop.test/"></a></div>`,
		"left over by an editor":  `<a href="https://shop.test/">shown</a><a href="https://shop.test/"> </a>`,
		"open in Outlook":         `<!--[if mso]><a href="https://shop.test/"><![endif]-->shown<!--[if mso]></a><![endif]-->`,
		"Outlook's own button":    `<!--[if mso]><v:rect href="https://shop.test/"><v:fill type="tile" src="https://shop.test/a.png"/></v:rect><![endif]-->`,
		"a plain comment":         `<!-- <a href="/old">shown</a> -->`,
	} {
		require.Empty(t, found(harness.CheckLinks, html(source)), name)
	}
}

func TestImages_FindsThoseThatCannotBeShown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ html, want string }{
		"no src":          {`<img alt="a">`, `<img> "a" names no picture: its src is empty`},
		"empty src":       {`<img alt="a" src=" ">`, `<img> "a" names no picture: its src is empty`},
		"no such part":    {`<img src="cid:other@shop.test">`, `<img src> shows "cid:other@shop.test", a part that the email does not have`},
		"of a background": {`<p style="background:url('cid:other')">`, `<p style> shows "cid:other", a part that the email does not have`},
		"of a table":      {`<table background="cid:other">`, `<table background> shows "cid:other", a part that the email does not have`},
		"for Outlook":     {`<!--[if mso]><v:fill src="cid:other"/><![endif]-->`, `<v:fill src> shows "cid:other", a part that the email does not have`},
		"relative":        {`<img src="/logo.png">`, `<img src> shows "/logo.png", which is not absolute: an email has no address that it could be relative to`},
		"on a disk":       {`<img src="file:///C:/logo.png">`, `<img src> shows "file:///C:/logo.png", which is on the sender's machine`},
		"without a value": {`<img src="https://undefined/logo.png">`, `<img src> shows "https://undefined/logo.png", which has "undefined" in the place of a value`},
		"a file of none":  {`<img src="https://shop.test/people/undefined.png?s=80">`, `<img src> shows "https://shop.test/people/undefined.png?s=80", which has "undefined" in the place of a value`},
		"of a style":      {`<p style="background:url(paper.png)">`, `<p style> shows "paper.png", which is not absolute: an email has no address that it could be relative to`},
		"a placeholder":   {`<img src="{{logo}}">`, `<img src> shows "{{logo}}", which has "{{logo}}" in the place of a value`},
	} {
		require.Equal(t, []string{"images: " + test.want}, found(harness.CheckImages, html(test.html)), name)
	}
}

func TestImages_KnowsPartsByEverySpelling(t *testing.T) {
	t.Parallel()
	for link, id := range map[string]string{
		"cid:logo@shop.test":       "logo@shop.test",
		"CID:logo":                 "logo",
		"cid:Logo":                 "logo",
		"cid:logo+1@shop.test":     "logo+1@shop.test",
		"cid:logo%2B1@shop.test":   "logo+1@shop.test",
		"cid:logo%40shop.test":     "logo@shop.test",
		"cid:logo%20a":             "logo a",
		"cid:logo a":               "logo a",
		"cid:100%":                 "100%",
		"cid:a%2Bb":                "a%2Bb",
		" cid:logo ":               "logo",
		"https://cdn.test/a.png":   "",
		"data:image/png;base64,AA": "",
	} {
		m := html(`<img src="` + link + `">`)
		m.Attachments = []harness.Part{{ContentID: id}}
		require.Empty(t, found(harness.CheckImages, m), link)
	}
}

func TestAlt_IgnoresDecoration(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`<img src=a role=presentation>`, `<img src=a role=none>`, `<img src=a aria-hidden=true>`, `<img src=a aria-label=Logo>`,
		`<img src=a width=1 height=1>`, `<img src=a width=0 height=0>`, `<img src=a style="width:1px;height:1px">`,
		`<img src=a style="display:none">`, `<div hidden><img src=a></div>`, `<map><area></map>`, `<img src=a alt="">`,
	} {
		require.Empty(t, found(harness.CheckAlt, html(source)), source)
	}
	for _, source := range []string{
		`<img src=a>`, `<img src=a width=1 height=40>`, `<img src=a width=100% height=50>`, `<input type=image src=a>`,
		`<a href="https://shop.test/"><img src=a role=presentation></a>`, `<a href="https://shop.test/"><img src=a alt=" "></a>`,
	} {
		require.Len(t, found(harness.CheckAlt, html(source)), 1, source)
	}
}

func TestPlaceholders_FindsWhatWasNotFilledIn(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"Hello {{name}},":             "{{name}}",
		"Hello {{ user.first_name }}": "{{ user.first_name }}",
		"Hello {{{name}}}":            "{{{name}}}",
		"{% if x %}a{% endif %}":      "{% if x %}",
		"Hello <%= name %>!":          "<%= name %>",
		"Order ${order.id}":           "${order.id}",
		"Order #{id}":                 "#{id}",
		"Dear *|FNAME|*":              "*|FNAME|*",
		"Dear %%first_name%%":         "%%first_name%%",
		"Dear %recipient.name%":       "%recipient.name%",
		"Dear %FIRST_NAME%":           "%FIRST_NAME%",
		"Dear {first_name},":          "{first_name}",
		"Cart: [object Object]":       "[object Object]",
		"Total: <no value>":           "<no value>",
		"Total: %!s(MISSING)":         "%!s(MISSING)",
		"Total: %!d(string=x)":        "%!d(string=x)",
		"Hello %%=v(@name)=%%,":       "%%=v(@name)=%%",
		"Hello {!Contact.FirstName},": "{!Contact.FirstName}",
		"See [[var:link]]":            "[[var:link]]",
		"Hello [[name]],":             "[[name]]",
		"Dear [First Name],":          "[First Name]",
		"Hello %name%!":               "%name%",
		"Hi %s,":                      "%s",
		"Hi (null),":                  "(null)",
		"Dear { name },":              "{ name }",
		"Dear {$name}":                "{$name}",
		"Dear «name»,":                "«name»",
		"Translation missing: en.a.b": "Translation missing: en.a.b",
		"Hello undefined,":            "undefined",
		"Hello undefined undefined":   "undefined",
		"Order undefined has shipped": "undefined",
		"Order #undefined":            "undefined",
		"undefined":                   "undefined",
		"Total: NaN EUR":              "NaN",
		"$NaN":                        "NaN",
		"NaN%":                        "NaN",
		"null":                        "null",
		"Hello null,":                 "null",
		"Dear None,":                  "None",
		"Company: null":               "null",
		"null null":                   "null",
		"On Invalid Date at noon":     "Invalid Date",
		"Invalid Date":                "Invalid Date",
		"Ends on Invalid DateTime.":   "Invalid DateTime",
		"It ends on Invalid date.":    "Invalid date",
	} {
		escaped := strings.ReplaceAll(line, "<", "&lt;")
		for where, m := range map[string]*harness.Message{
			"the subject":               {Subject: line},
			"the text":                  {Text: "Before\n  " + line + "\nAfter"},
			"the HTML":                  {HTML: "<p>Before</p><p>" + escaped + "</p>"},
			"the alt text of <img>":     {HTML: `<img alt="` + escaped + `">`},
			"the name of an attachment": {Attachments: []harness.Part{{Name: line}}},
		} {
			what := "placeholders: " + where + ` has "` + want + `" in the place of a value`
			if line != want {
				what += `: "` + line + `"`
			}
			require.Equal(t, []string{what}, found(harness.CheckPlaceholders, m), "%s: %s", where, line)
		}
	}
	require.Len(t, found(harness.CheckPlaceholders, html(`<p>Hello <b>undefined</b>, your total is <i>NaN</i></p>`)), 1)
	require.Len(t, found(harness.CheckPlaceholders, html(`<div style="display:none">Hi {{name}}</div>`)), 1, "mail clients show a preview")
}

func TestPlaceholders_FindsGreetingsWithoutAName(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"Hi ,", "Dear  , your order", "Good morning ,", "Welcome back ,"} {
		require.Equal(t, []string{`placeholders: the text greets without a name: "` + line + `"`}, found(harness.CheckPlaceholders, &harness.Message{Text: line}))
	}
	require.Equal(t, []string{`placeholders: the HTML greets without a name: "Hi ,"`}, found(harness.CheckPlaceholders, html(`<p>Hi <b></b>,</p>`)))
}

func TestPlaceholders_IgnoresProse(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", "{}", "{{", "Use { and }", "{a}", "f(x) = {x}", "a {b: 1} c", "50% off, 20% more", "100 %", "a % b % c", "5 * 3 | 4 * 2", "<b>", "a < b > c",
		"Undefined behaviour", "This is undefined behavior in C", "an undefined variable", "The result is undefined.", "undefined reference to x",
		"/src/a.c:19: undefined reference to `f'", `The word "undefined" means`, "“null” and ‘NaN’", "null and void", "null Euro", "Attachments: None",
		"None", "Balance: nil", "None of the above", "nil by mouth", "Nan Goldin", "annulled", "/users/{id}/orders", "NULL", "#hashtag $5 @kim",
		"Invalid date", "Invalid date: use 2026-11-02", "Error: Invalid date", "Invalid Date Format", `It says "Invalid Date"`, "an invalid date",
		"Invalid Date of Birth", "Invalid Date Entry", "Bonjour !", "Good news , everyone", "Bonjour , à demain", "> Hi , where is it?", "Hi", "Hi, Kim", "Hello there , Kim", "Dear all,",
		"[unsubscribe]", "[object]", "See [[Home]]", "Hello [world] of [[wikis]]", "Hi 100%, and more", "Dear Kim Null,", "Hi Null!", "%d %s", "a@{b", "C:\\{dir}",
	} {
		m := &harness.Message{Subject: line, Text: line, HTML: "<p>" + strings.ReplaceAll(line, "<", "&lt;") + "</p>"}
		require.Empty(t, found(harness.CheckPlaceholders, m), line)
	}
	for _, source := range []string{
		`<code>{{name}}</code>`, `<p>Hi <code>kim-dev</code>, your build failed</p>`, `<pre>Hello ${name}</pre>`, `<style>a{b:c}</style>`, `<title>{{title}}</title>`, `<script>{{x}}</script>`,
		`<!-- {{x}} -->`, `<p>Write <code>undefined</code></p>`,
	} {
		require.Empty(t, found(harness.CheckPlaceholders, html(source)), source)
	}
	quoted := &harness.Message{HTML: "<p>Write <code>{{name}}</code></p>", Text: "Write {{name}}"}
	require.Empty(t, found(harness.CheckPlaceholders, quoted), "the text part says what the HTML marks as code")
}

// source is an email as it is sent, with these lines at the end of its header, and this body.
func source(header, body string) []byte {
	return []byte(strings.ReplaceAll("From: a@shop.test\nTo: b@shop.test\nSubject: s\n"+header+"\n"+body, "\n", "\r\n"))
}

const dated = "Date: Mon, 02 Nov 2026 10:00:00 +0100\nMessage-ID: <1@shop.test>\n"

func TestFormat_FindsWhatIsMalformed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		raw  []byte
		want []string // parts of the findings
	}{
		"nothing":       {source(dated, "Hello\n"), nil},
		"998 bytes":     {source(dated, strings.Repeat("x", 998)+"\n"), nil},
		"a line":        {source(dated, "a\n"+strings.Repeat("x", 999)+"\n"), []string{"line 8 of its source has 999 bytes"}},
		"two lines":     {source(dated, strings.Repeat(strings.Repeat("x", 5000)+"\n", 2)), []string{"has 5000 bytes: mail servers break or refuse lines over 998; encode the part as quoted-printable or base64 (2 lines are so long)"}},
		"a header line": {source(dated+"X-A: "+strings.Repeat("x", 1000)+"\n", "a"), []string{"line 6 of its source has 1005 bytes"}},
		"no date":       {source("Message-ID: <1@shop.test>\n", "a"), []string{"it has no Date header"}},
		"no id":         {source("Date: Mon, 02 Nov 2026 10:00:00 +0100\n", "a"), []string{"it has no Message-ID header"}},
		"a bare id":     {source("Date: Mon, 02 Nov 2026 10:00:00 +0100\nMessage-ID: 1@shop.test\n", "a"), []string{`header Message-ID is malformed: "1@shop.test" is not of the form <name@host>`}},
		"an id of none": {source("Date: Mon, 02 Nov 2026 10:00:00 +0100\nMessage-ID: <undefined>\n", "a"), []string{"header Message-ID is malformed"}},
		"two subjects":  {source(dated+"Subject: again\n", "a"), []string{"header Subject stands 2 times"}},
		"charset":       {source(dated+"Content-Type: text/plain; charset=utf-8\n", "Gr\xfc\xdfe"), []string{"bytes that are not utf-8"}},
		"lost before":   {source(dated+"Content-Type: text/plain; charset=utf-8\n", "Gr\uFFFD\uFFFDe"), []string{`the text has the character U+FFFD, which stands for what could not be decoded, after "Gr"`}},
		"base64 cut": {source(dated+"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n", "SGVsbG8gS2ltL\n"),
			[]string{"base64 that was cut off"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := found(harness.CheckFormat, inbox.Decode(test.raw))
			require.Len(t, got, len(test.want), "%q", got)
			for i, want := range test.want {
				require.Contains(t, got[i], want)
			}
		})
	}
	redacted := &harness.Message{Problems: []string{harness.SourceLeftOut}}
	require.Empty(t, found(harness.CheckFormat, redacted), "the harness left the source out, not the sender")
}

func TestSize_CountsWhatIsSent(t *testing.T) {
	t.Parallel()
	const alternative = "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=bb\n"
	email := func(head, body string) *harness.Message {
		return inbox.Decode(source(dated+alternative, "--bb\nContent-Type: text/plain\n\na\n--bb\nContent-Type: text/html; "+head+"\n\n"+body+"\n--bb--\n"))
	}
	lines := func(n int) string { return strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 98)+"\n", n), "\n") } // 100 bytes each as sent
	require.Empty(t, found(harness.CheckSize, email("charset=utf-8", lines(1044))))
	require.Equal(t, []string{"size: the HTML has 104498 bytes: Gmail clips an email at 104448 (102 KB) and hides the rest"},
		found(harness.CheckSize, email("charset=utf-8", lines(1045))), "line ends have two bytes")
	require.Empty(t, found(harness.CheckSize, email("charset=iso-8859-1", strings.ReplaceAll(lines(1040), "x", "\xe4"))), "a letter has one byte in this charset")
	require.Empty(t, found(harness.CheckSize, email("charset=utf-8\nContent-Transfer-Encoding: quoted-printable", strings.ReplaceAll(lines(1040), "x", "=41"))),
		"the encoding of the transport does not count")
	require.NotEmpty(t, found(harness.CheckSize, &harness.Message{HTML: strings.Repeat("x\n", 35_000)}), "without a source, line ends count as two bytes")
}

func TestExternal_IsMadeOnlyByName(t *testing.T) {
	t.Parallel()
	const advice = ": attach it and refer to it by cid:, or leave this check out"
	for source, want := range map[string][]string{
		`<img alt="" src="https://cdn.test/a.png" srcset="data:,x 1x, https://b.test/b.png 2x,https://c.test/c.png">`: {
			`external: <img src> loads "https://cdn.test/a.png"` + advice,
			`external: <img srcset> loads "https://b.test/b.png"` + advice,
			`external: <img srcset> loads "https://c.test/c.png"` + advice,
		},
		`<style>@import "https://a.test/x.css"; a{background:URL( 'https://cdn.test/b.png' )}</style><p style="background:url(https://c.test/d)">` +
			`<link rel=stylesheet href=https://e.test/e.css>`: {
			`external: <style sheet> loads "https://a.test/x.css"` + advice,
			`external: <style sheet> loads "https://cdn.test/b.png"` + advice,
			`external: <p style> loads "https://c.test/d"` + advice,
			`external: <link href> loads "https://e.test/e.css"` + advice,
		},
		`<link rel=canonical href=https://a.test><link rel=preconnect href=https://a.test><link rel=icon href=https://a.test/i.png>` +
			`<style>/* url(https://a.test/a.png) */ @namespace svg url(http://www.w3.org/2000/svg);</style><img src="cid:a">`: nil,
	} {
		m := html(source)
		m.Inlines = []harness.Part{{ContentID: "a"}}
		require.Equal(t, want, found(harness.CheckExternal, m))
		for _, f := range found(harness.CheckAll, m) {
			require.NotContains(t, f, "external")
		}
	}
}

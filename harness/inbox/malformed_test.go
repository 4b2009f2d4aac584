package inbox_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// requireProblem fails unless a problem holds the text; without a text, if there is a problem.
func requireProblem(t *testing.T, m *harness.Message, problem string) {
	t.Helper()
	if problem == "" {
		require.Empty(t, m.Problems)
	} else {
		require.Contains(t, strings.Join(m.Problems, "\n"), problem)
	}
}

func TestDecode_AddressLists(t *testing.T) {
	t.Parallel()
	one := harness.Addresses{{Address: "b@c.test"}}
	for name, tc := range map[string]struct {
		to, problem string
		want        harness.Addresses
	}{
		"an encoded word in quotes":           {`"=?utf-8?Q?J=C3=BCrgen?=" <b@c.test>`, "", harness.Addresses{{Name: "Jürgen", Address: "b@c.test"}}},
		"a blank in an encoded word":          {`=?UTF-8?Q?Zo=C3=AB X?= <b@c.test>`, "", harness.Addresses{{Name: "Zoë X", Address: "b@c.test"}}},
		"a comma in an encoded word":          {`=?utf-8?Q?Doe, Jane?= <b@c.test>, d@e.test`, "not a list of addresses", harness.Addresses{{Name: "Doe, Jane", Address: "b@c.test"}, {Address: "d@e.test"}}},
		"a word that decodes to another word": {`=?utf-8?Q?=3D=3Futf-8=3FQ=3Fa=3F=3D?= <b@c.test>`, "", harness.Addresses{{Name: "=?utf-8?Q?a?=", Address: "b@c.test"}}},
		"an address as name":                  {`b@c.test <b@c.test>, d@e.test`, "not a list of addresses", harness.Addresses{{Name: "b@c.test", Address: "b@c.test"}, {Address: "d@e.test"}}},
		"another address as name":             {`x@y.test <b@c.test>`, "not a list of addresses", harness.Addresses{{Name: "x@y.test", Address: "b@c.test"}}},
		"an entry without @":                  {`b@c.test, root, d@e.test`, `"root"`, harness.Addresses{{Address: "b@c.test"}, {Address: "d@e.test"}}},
		"a name with an unquoted comma":       {`O'Neil, Pat <b@c.test>`, `"O'Neil"`, harness.Addresses{{Name: "Pat", Address: "b@c.test"}}},
		"a dot at the end":                    {`b@c.test., d@e.test`, "b@c.test.", harness.Addresses{{Address: "b@c.test."}, {Address: "d@e.test"}}},
		"a route":                             {`<@x.test,@y.test:b@c.test>`, "not a list of addresses", one},
		"8-bit bytes in a name":               {"J\xfcrgen <b@c.test>, d@e.test", "not a list of addresses", harness.Addresses{{Name: "J\uFFFDrgen", Address: "b@c.test"}, {Address: "d@e.test"}}},
		"an unknown charset":                  {`=?x-none?Q?Jo?= <b@c.test>`, `header To is in the charset "x-none"`, harness.Addresses{{Name: "Jo", Address: "b@c.test"}}},
		"no commas":                           {`B <b@c.test> D <d@e.test>`, "expected comma", harness.Addresses{{Name: "B", Address: "b@c.test"}, {Name: "D", Address: "d@e.test"}}},
		"semicolons":                          {`b@c.test; d@e.test`, "", harness.Addresses{{Address: "b@c.test"}, {Address: "d@e.test"}}},
		"groups":                              {`A: b@c.test; D: d@e.test;`, "", harness.Addresses{{Address: "b@c.test"}, {Address: "d@e.test"}}},
		"a group without an end":              {`A: b@c.test`, "does not end with a semicolon", one},
		"a group that is only a name":         {`undisclosed-recipients:`, "does not end with a semicolon", nil},
		"a question mark in an encoded word":  {`=?utf-8?Q?Who?_Me?= <b@c.test>`, "", harness.Addresses{{Name: "Who? Me", Address: "b@c.test"}}},
		"an empty group":                      {`undisclosed-recipients:;`, "", nil},
		"an unclosed quote":                   {`"B <b@c.test>, d@e.test`, "not a list of addresses", harness.Addresses{{Name: `"B`, Address: "b@c.test"}, {Address: "d@e.test"}}},
		"an unclosed bracket":                 {`B <b@c.test, d@e.test`, "not a list of addresses", harness.Addresses{{Name: "B", Address: "b@c.test"}, {Address: "d@e.test"}}},
		"a bracket too many":                  {`b@c.test>, d@e.test`, "not a list of addresses", harness.Addresses{{Address: "b@c.test"}, {Address: "d@e.test"}}},
		"an empty address":                    {`B <>, d@e.test`, "not a list of addresses", harness.Addresses{{Address: "d@e.test"}}},
		"a comment":                           {`b@c.test (B (the one)), d@e.test`, "", harness.Addresses{{Name: "B (the one)", Address: "b@c.test"}, {Address: "d@e.test"}}},
		"comments and blanks in an address":   {`Pete(A nice \) chap) <pete(his account)@c .test(his host)>`, "not a list", harness.Addresses{{Name: "Pete", Address: "pete@c.test"}}},
		"comments":                            {`(one) Pete(A nice \) chap) <pete(his account)@c.test(his host)>, (none)`, "", harness.Addresses{{Name: "Pete", Address: "pete@c.test"}}},
		"an IPv6 address":                     {`b@[IPv6:2001:db8::1]`, "", harness.Addresses{{Address: "b@[IPv6:2001:db8::1]"}}},
		"an address of no kind":               {`b@[x:y]`, "not a list", harness.Addresses{{Address: "b@[x:y]"}}},
		"a quoted local part":                 {`"b d"@c.test`, "", harness.Addresses{{Address: "b d@c.test"}}},
		"a colon in a name":                   {`"Re: B" <b@c.test>`, "", harness.Addresses{{Name: "Re: B", Address: "b@c.test"}}},
		"commas alone":                        {`,b@c.test,,`, "", one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(crlf("From: a@b.test", "To: "+tc.to, "", ""))
			require.Empty(t, cmp.Diff(tc.want, m.To))
			requireProblem(t, m, tc.problem)
		})
	}
}

func TestDecode_FileNames(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]string{
		"filename=\r\n\t\"=?iso-8859-1?Q?Re=E7u.pdf?=\"; size=6; creation-date=\"Fri, 14 Mar 2014 08:48:19 GMT\"": "Reçu.pdf",
		"filename=\r\n\t\"=?iso-8859-1?Q?Re=E7u.pdf?=\"":                                                          "Reçu.pdf",
		"filename=\r\n\t\"report.pdf\"":                                                                           "report.pdf",
		"filename =\"a.pdf\"":                                                                                     "a.pdf",
		"filename=a b.pdf":                                                                                        "a b.pdf",
		"filename=a (1).pdf; size=3":                                                                              "a (1).pdf",
		"filename=\"a;b.pdf\"":                                                                                    "a;b.pdf",
		"filename=\"a\\\"b.pdf\"":                                                                                 "a\"b.pdf",
		"filename=\"C:\\TEMP\\x.png\"":                                                                            "C:\\TEMP\\x.png",
		"filename=\"a.pdf\" size=3":                                                                               "a.pdf",
		"filename=\"a.pdf":                                                                                        "a.pdf",
		"filename==?utf-8?Q?=C3=A9.pdf?=":                                                                         "é.pdf",
		"filename=\"=?utf-8?Q?a?=\r\n =?utf-8?Q?b.pdf?=\"":                                                        "ab.pdf",
		"filename*=utf-8''%C3%A9.pdf":                                                                             "é.pdf",
		"filename*=iso-8859-1''%E9.pdf":                                                                           "é.pdf",
		"filename=\"e.pdf\"; filename*=utf-8''%C3%A9.pdf":                                                         "é.pdf",
		"filename*1=b.pdf; filename*0=a":                                                                          "ab.pdf",
		"filename*0*=utf-8''%C3; filename*1*=%A9.pdf":                                                             "é.pdf",
		"filename*0*=utf-8''a%; filename*1*=20b.pdf":                                                              "a b.pdf",
		"filename*0*=utf-8''a%20; filename*1=\"%20b.pdf\"":                                                        "a %20b.pdf",
		"name=a.pdf": "a.pdf",
	} {
		t.Run(params, func(t *testing.T) {
			t.Parallel()
			for _, header := range []string{
				"Content-Type: application/pdf\r\nContent-Disposition: attachment; " + params,
				"Content-Disposition: attachment; " + params,
				"Content-Type: application/pdf; " + strings.ReplaceAll(params, "filename", "name"),
			} {
				m := inbox.Decode(crlf("From: a@b.test", "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "hello",
					"--b", header, "Content-Transfer-Encoding: base64", "", b64("%PDF-\xff"), "--b--"))
				require.Len(t, m.Attachments, 1, header)
				require.Equal(t, want, m.Attachments[0].Name, header)
				require.Equal(t, "%PDF-\xff", string(m.Attachments[0].Data), header)
				require.Equal(t, "hello", m.Text)
			}
		})
	}
}

func TestDecode_BodiesWithAFileName(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines      []string
		text, html string
		files      int
	}{
		"html in an alternative": {lines: []string{"Content-Type: multipart/alternative; boundary=b", "", "--b", "", "hello",
			"--b", "Content-Type: text/html", "Content-Disposition: inline; filename=body.html", "", "<p>hello</p>", "--b--"}, text: "hello", html: "<p>hello</p>"},
		"html alone":          {lines: []string{"Content-Type: text/html; name=body.html", "", "<p>hello</p>"}, html: "<p>hello</p>"},
		"text alone":          {lines: []string{"Content-Disposition: inline; filename=body.txt", "Content-Type: text/plain", "", "hello"}, text: "hello"},
		"the first part":      {lines: []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: text/plain; name=body.txt", "", "hello", "--b--"}, text: "hello"},
		"a later part":        {lines: []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "hello", "--b", "Content-Type: text/plain; name=log.txt", "", "log", "--b--"}, text: "hello", files: 1},
		"an attachment":       {lines: []string{"Content-Type: text/html", "Content-Disposition: attachment; filename=body.html", "", "<p>hello</p>"}, files: 1},
		"a type that is none": {lines: []string{"Content-Type: ; name=a.jpg", "Content-Disposition: attachment", "", "x"}, files: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(crlf(append([]string{"From: a@b.test"}, tc.lines...)...))
			require.Equal(t, tc.text, m.Text)
			require.Equal(t, tc.html, m.HTML)
			require.Len(t, m.Files(), tc.files)
		})
	}
}

func TestDecode_Parts(t *testing.T) {
	t.Parallel()
	mixed := func(boundary string, lines ...string) []byte {
		return crlf(append([]string{"From: a@b.test", "Content-Type: multipart/mixed; boundary=" + boundary, ""}, lines...)...)
	}
	for name, tc := range map[string]struct {
		raw           []byte
		text, problem string
	}{
		"a boundary in the middle of a line":  {mixed("bb", "--bb", "", "before --bb after", "next line", "--bb--"), "before --bb after\nnext line", ""},
		"a boundary that begins another":      {mixed("b", "--b", "", "--bb", "--b--"), "--bb", ""},
		"blanks after a boundary":             {mixed("b", "--b ", "", "one", "--b\t", "", "two", "--b-- "), "one\ntwo", ""},
		"text after a boundary":               {mixed("b", "--b x", "", "one", "--b--"), "one", ""},
		"a part without a header":             {mixed("b", "--b", "", "one", "--b", "", "two", "--b--"), "one\ntwo", ""},
		"a part without an empty line":        {mixed("b", "--b", "one", "--b--"), "one", ""},
		"a header without an empty line":      {mixed("b", "--b", "Content-Type: text/plain", "one", "--b--"), "one", "no empty line"},
		"a part that is a header":             {mixed("b", "--b", "Content-Type: text/plain", "--b", "", "one", "--b--"), "one", ""},
		"an unquoted boundary":                {mixed("----=_Part_1", "------=_Part_1", "", "one", "------=_Part_1--"), "one", ""},
		"an unquoted boundary in parentheses": {mixed("=_Part_(1) (c)", "--=_Part_(1)", "", "one", "--=_Part_(1)--"), "one", ""},
		"a boundary that ends in a blank":     {mixed(`"b c "`, "--b c ", "", "one", "--b c --"), "one", ""},
		"a boundary with a charset":           {crlf("From: a@b.test", "Content-Type: multipart/mixed; boundary*=ansi-x3.4-1968''bb", "", "--bb", "", "one", "--bb--"), "one", ""},
		"a long boundary":                     {mixed(strings.Repeat("b", 7000), "--"+strings.Repeat("b", 7000), "", "one", "--"+strings.Repeat("b", 7000)+"--"), "one", ""},
		"parts after the end":                 {mixed("b", "--b", "", "one", "--b--", "--b", "", "two", "--b--"), "one\ntwo", "goes on after its end"},
		"an inner multipart that is not closed": {mixed("b", "--b", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "one",
			"--b", "", "two", "--b--"), "one\ntwo", "a multipart/mixed is not closed"},
		"an inner multipart with the same boundary": {mixed("b", "--b", "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", "--b--", "--b--"), "one", ""},
		"an alternative whose text comes last": {mixed("b", "--b", "Content-Type: multipart/alternative; boundary=c", "", "--c", "Content-Type: text/html", "", "<p>one",
			"--c", "", "one", "--c--", "--b--"), "one", "a multipart/alternative has its text/plain part after the HTML"},
		"an alternative whose text comes after more than HTML": {crlf("From: a@b.test", "Content-Type: multipart/alternative; boundary=c", "", "--c",
			"Content-Type: multipart/related; boundary=d", "", "--d", "Content-Type: text/html", "", "<p>one", "--d--", "--c", "", "one", "--c--"), "one",
			"after the HTML"},
		"an alternative with two texts": {crlf("From: a@b.test", "Content-Type: multipart/alternative; boundary=c", "", "--c", "", "one", "--c", "", "two", "--c--"),
			"two", "a multipart/alternative has more than one text/plain part"},
		"text after an alternative": {mixed("b", "--b", "Content-Type: multipart/alternative; boundary=c", "", "--c", "", "one", "--c", "Content-Type: text/html", "",
			"<p>one", "--c--", "--b", "", "two", "--b--"), "one\ntwo", ""},
		"a log that names multiparts": {mixed("b", "--b", "", strings.Repeat("Content-Type: multipart/mixed\r\n", 200)+"end", "--b--"),
			strings.Repeat("Content-Type: multipart/mixed\n", 200) + "end", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(tc.raw)
			require.Equal(t, tc.text, m.Text)
			requireProblem(t, m, tc.problem)
		})
	}
}

func TestDecode_NestsDeeply(t *testing.T) {
	t.Parallel()
	var head, tail strings.Builder
	for i := range 105 {
		fmt.Fprintf(&head, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		fmt.Fprintf(&tail, "\r\n--b%d--", 104-i)
	}
	m := inbox.Decode([]byte("From: a@b.test\r\n" + head.String() + "\r\nhello" + tail.String()))
	require.Empty(t, m.Problems)
	require.Equal(t, "hello", m.Text)
	// Two to the power of 35 passes would not end.
	m = inbox.Decode([]byte("From: a@b.test\r\n" + head.String() + "\r\nhello"))
	require.Equal(t, "hello", m.Text)
	requireProblem(t, m, "not closed")
}

func TestDecode_DigestsHoldMessages(t *testing.T) {
	t.Parallel()
	m := inbox.Decode(crlf("From: a@b.test", "Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: one", "", "hello", "--b--"))
	require.Empty(t, m.Problems)
	require.Empty(t, cmp.Diff([]harness.Part{{ContentType: "message/rfc822", Data: []byte("Subject: one\r\n\r\nhello")}}, m.Attachments))
}

func TestDecode_ContentIDsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"<logo+1@b.test>": "logo+1@b.test", "<logo%40b.test>": "logo%40b.test", "logo@b.test": "logo@b.test", "<logo@b.test> (c)": "logo@b.test",
	} {
		m := inbox.Decode(crlf("From: a@b.test", "Message-ID: "+header, "Content-Type: multipart/related; boundary=b", "",
			"--b", "Content-Type: image/png", "Content-ID: "+header, "", "png", "--b--"))
		require.Len(t, m.Inlines, 1)
		require.Equal(t, want, m.Inlines[0].ContentID)
		require.Equal(t, want, m.MessageID)
	}
}

func TestDecode_FirstLines(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ first, from, problem string }{
		"a header that begins with a blank": {" From: a@b.test\r\n", "a@b.test", "begins with a blank"},
		"a line that is no header":          {"oops\r\nFrom: a@b.test\r\n", "a@b.test", `"oops"`},
		"a line of a mailbox":               {"From nobody Mon\r\nFrom: a@b.test\r\n", "a@b.test", ""},
		"empty lines":                       {"\r\n\r\nFrom: a@b.test\r\n", "a@b.test", ""},
		"a byte order mark":                 {"\uFEFFFrom: a@b.test\r\n", "a@b.test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode([]byte(tc.first + "Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8="))
			requireProblem(t, m, tc.problem)
			require.Equal(t, "Hello", m.Text)
			require.Len(t, m.From, 1)
			require.Equal(t, tc.from, m.From[0].Address)
		})
	}
	m := inbox.Decode([]byte(strings.ReplaceAll("From: a@b.test\n\none\ntwo", "\n", "\r")))
	require.Equal(t, "one\ntwo", m.Text, "line ends of old Macs")
}

func TestDecode_LinesThatAreNoHeaders(t *testing.T) {
	t.Parallel()
	m := inbox.Decode(crlf("From: a@b.test", "Subject: t", "oops", "X-A: b", "", "hello"))
	require.Equal(t, "t", m.Subject)
	require.Equal(t, "b", m.Header("X-A"))
	requireProblem(t, m, `a line that is no header: "oops"`)
	m = inbox.Decode(crlf("From: a@b.test", "Subject: t", "hello there", "", "more"))
	require.Equal(t, "t", m.Subject)
	require.Equal(t, "hello there\n\nmore", m.Text, "nothing but the empty line was forgotten")
	requireProblem(t, m, "no empty line between header and body")
}

func TestDecode_Dates(t *testing.T) {
	t.Parallel()
	const exact = ""
	for date, tc := range map[string]struct {
		hour    int // of 3 November 2026 in UTC
		problem string
	}{
		"Tue, 03 Nov 2026 10:00:00 +0100":       {9, exact},
		"3 Nov 26 10:00 +0100":                  {9, exact},
		"Tue, 03 Nov 2026 10:00:00 EST":         {15, exact},
		"Tue, 03 Nov 2026 10:00:00 PDT":         {17, exact},
		"Tue, 03 Nov 2026 10:00:00 GMT":         {10, exact},
		"Tue, 03 Nov 2026 10:00:00 +0100 (CET)": {9, exact},
		"Tue, 03 Nov 2026 10:00:00 (CET) +0100": {9, "not a date"},
		"Tue, 03 Nov 2026 10:00:00":             {10, "not a date"},
		"Tue, 03 Nov 2026 10:00:00 CEST":        {10, "not a date"},
		"Tue, 03 Nov 2026 10:00:00 -600":        {16, "not a date"},
		"Tue, 03 November 2026 10:00:00 +0100":  {9, "not a date"},
		"Tue Nov  3 10:00:00 2026":              {10, "not a date"},
		"Tue,3 Nov 2026 10:00:00 +0100":         {9, exact},
		"Tue, 3 Nov 2026 10:0:0 +0100":          {9, "not a date"},
		"Tue Nov  3 10:00:00 UTC 2026":          {10, "not a date"},
		"Tuesday, November 3, 2026 10:00:00 AM": {10, "not a date"},
		"Nov 3, 2026 10:00:00 AM":               {10, "not a date"},
		"2026-11-03T10:00:00+01:00":             {9, "not a date"},
		"Tue, 03 Nov 2026 09:59:60 +0100":       {9, exact}, // a leap second
	} {
		t.Run(date, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(crlf("From: a@b.test", "Date: "+date, "", ""))
			require.Equal(t, time.Date(2026, 11, 3, tc.hour, 0, 0, 0, time.UTC).String(), m.Date.UTC().String())
			requireProblem(t, m, tc.problem)
		})
	}
}

func TestDecode_TransferEncodings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ encoding, body, want, problem string }{
		"base64 in pieces":        {"base64", "YQ==Yg==", "ab", ""},
		"base64 and a footer":     {"base64", "aGVsbG8=\r\n-- \r\nmailing list", "hello", "goes on after the end"},
		"base64 without padding":  {"base64", "QUJDREVGR0h", "ABCDEFGH", "cut off"},
		"base64 with odd letters": {"base64", "aGVs!bG8=", "hello", "not base64"},
		"a comment":               {"base64 (c)", "YQ==", "a", ""},
		"a comment before it":     {"(c) base64", "YQ==", "a", ""},
		"a semicolon":             {"Quoted-Printable;", "=41", "A", ""},
		"blanks at a line's end":  {"quoted-printable", "a= \r\nb \r\nc", "ab\r\nc", ""},
		"uuencode":                {"x-uuencode", "begin 644 a", "begin 644 a", `"x-uuencode"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(crlf("From: a@b.test", "Content-Type: application/x; name=x", "Content-Transfer-Encoding: "+tc.encoding, "", tc.body))
			require.Len(t, m.Attachments, 1)
			require.Equal(t, tc.want, string(m.Attachments[0].Data))
			requireProblem(t, m, tc.problem)
		})
	}
}

func TestDecode_Charsets(t *testing.T) {
	t.Parallel()
	for label, tc := range map[string]struct{ bytes, want, problem string }{
		"cp932":       {"\x93\xfa", "日", ""},
		"eucjp":       {"\xc6\xfc", "日", ""},
		"cp949":       {"\xc7\xd1", "한", ""},
		"ms949":       {"\xc7\xd1", "한", ""},
		"ks_c_5601":   {"\xc7\xd1", "한", ""},
		"cp936":       {"\xd6\xd0", "中", ""},
		"euc-cn":      {"\xd6\xd0", "中", ""},
		"hz-gb-2312":  {"~{VP~}", "中", ""},
		"cp437":       {"\x81", "ü", ""},
		"iso-8859-1":  {"\x93\x80", "“€", ""},
		"latin-1":     {"\xe9", "é", ""},
		"utf-7":       {"+APw- +-", "ü +", ""},
		"utf-16":      {"\xff\xfea\x00", "a", ""},
		"utf-32":      {"\xff\xfe\x00\x00a\x00\x00\x00", "a", ""},
		"x-none":      {"Hello", "Hello", `is in the charset "x-none", which is unknown`},
		"us-ascii":    {"é", "é", "holds bytes that are not us-ascii"},
		"iso-2022-jp": {"件", "\uFFFD\uFFFD\uFFFD", "holds bytes that are not iso-2022-jp"},
		"shift_jis":   {"Grüße 件名", "Grﾃｼﾃ歹 莉ｶ蜷\uFFFD", "its bytes are UTF-8"},
		"gb2312":      {"Grüße 件名", "Gr眉脽e 浠跺悕", "its bytes are UTF-8"},
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(crlf("From: a@b.test", "Content-Type: text/plain; charset="+label, "Content-Transfer-Encoding: base64", "",
				base64.StdEncoding.EncodeToString([]byte(tc.bytes))))
			require.Equal(t, tc.want, m.Text)
			requireProblem(t, m, tc.problem)
			m = inbox.Decode(crlf("From: a@b.test", "Subject: =?"+label+"?B?"+b64(tc.bytes)+"?=", "", ""))
			require.Equal(t, tc.want, m.Subject)
			requireProblem(t, m, tc.problem)
		})
	}
	m := inbox.Decode(crlf("From: a@b.test", "Subject: =?utf-8?B?5Lu2*?=", "", ""))
	require.Equal(t, "件", m.Subject)
	requireProblem(t, m, "header Subject has an encoded word that is not base64")
}

func TestDecode_FilesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ charset, bytes, text string }{
		"a byte order mark": {"utf-8", "\xef\xbb\xbfa;b\r\n", "a;b\n"},
		"Windows-1252":      {"windows-1252", "\x80 5\r\n", "€ 5\n"},
	} {
		m := inbox.Decode([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/csv; charset=" + c.charset +
			"\r\nContent-Disposition: attachment; filename=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte(c.bytes)) + "\r\n--b--\r\n"))
		require.Len(t, m.Attachments, 1, name)
		require.Equal(t, c.bytes, string(m.Attachments[0].Data), name)
		require.Equal(t, c.text, m.Attachments[0].Text, name)
	}
}

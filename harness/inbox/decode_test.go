package inbox_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// crlf makes a message of lines.
func crlf(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n")) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestDecode_Bodies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		raw        []byte
		text, html string
		problem    string // in one of Problems; "" means that there are none
	}{
		"plain": {
			raw:  crlf("From: a@b.test", "", "one", "two"),
			text: "one\ntwo",
		},
		"7bit that says so": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit", "", "one"),
			text: "one",
		},
		"quoted-printable, soft line breaks": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: Quoted-Printable", "", "caf=C3=A9 =", "au lait =3D good"),
			text: "café au lait = good",
		},
		"quoted-printable, broken escapes are kept": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", "50=% off =ZZ end"),
			text: "50=% off =ZZ end",
		},
		"base64 in lines": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", b64("Grüße aus ")+"", b64("Köln")),
			text: "Grüße aus Köln",
		},
		"base64 cut short": {
			raw:     crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", "SGVsbG8gd29ybG!"),
			text:    "Hello worl",
			problem: "base64",
		},
		"8bit UTF-8": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: 8bit", "", "зубр 🦬"),
			text: "зубр 🦬",
		},
		"8bit UTF-8 without a label": {
			raw:  crlf("From: a@b.test", "", "зубр 🦬"),
			text: "зубр 🦬",
		},
		"ISO-8859-1": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=ISO-8859-1", "Content-Transfer-Encoding: 8bit", "", "caf\xe9"),
			text: "café",
		},
		"ISO-8859-1 in quoted-printable": {
			raw:  crlf("From: a@b.test", `Content-Type: text/plain; charset="iso-8859-1"`, "Content-Transfer-Encoding: quoted-printable", "", "caf=E9"),
			text: "café",
		},
		"Windows-1252 without a label": {
			raw:     crlf("From: a@b.test", "", "caf\xe9 \x96 \x80"),
			text:    "café – €",
			problem: "a text/plain part holds bytes that are not UTF-8",
		},
		"Shift_JIS": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=Shift_JIS", "Content-Transfer-Encoding: base64", "", b64("\x93\xfa\x96\x7b\x8c\xea")),
			text: "日本語",
		},
		"ISO-2022-JP": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=iso-2022-jp", "", "\x1b$BF|K\\8l\x1b(B"),
			text: "日本語",
		},
		"KOI8-R": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=koi8-r", "Content-Transfer-Encoding: 8bit", "", "\xda\xd5\xc2\xd2"),
			text: "зубр",
		},
		"GB18030": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=gb18030", "Content-Transfer-Encoding: base64", "", b64("\xd6\xd0\xce\xc4")),
			text: "中文",
		},
		"Big5": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=big5", "Content-Transfer-Encoding: base64", "", b64("\xa4\xa4\xa4\xe5")),
			text: "中文",
		},
		"UTF-16": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-16le", "Content-Transfer-Encoding: base64", "", b64("h\x00i\x00")),
			text: "hi",
		},
		"UTF-7": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-7", "", "caf+AOk-"),
			text: "café",
		},
		"byte order mark": {
			raw:  crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", "\xef\xbb\xbfhi"),
			text: "hi",
		},
		"an unknown charset": {
			raw:     crlf("From: a@b.test", "Content-Type: text/plain; charset=klingon", "Content-Transfer-Encoding: 8bit", "", "caf\xe9"),
			text:    "caf\uFFFD",
			problem: `"klingon"`,
		},
		"a lie about the charset": {
			raw:     crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", "caf\xe9"),
			text:    "caf\uFFFD",
			problem: "a text/plain part holds bytes that are not utf-8",
		},
		"an unknown encoding": {
			raw:     crlf("From: a@b.test", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: rot13", "", "uryyb"),
			text:    "uryyb",
			problem: `"rot13"`,
		},
		"HTML alone has no text": {
			raw:  crlf("From: a@b.test", "Content-Type: text/html; charset=utf-8", "", "<p>hi</p>"),
			html: "<p>hi</p>",
		},
		"HTML that says its charset itself": {
			raw:  crlf("From: a@b.test", "Content-Type: text/html", "Content-Transfer-Encoding: 8bit", "", `<meta charset="koi8-r">`+"\xda\xd5\xc2\xd2"),
			html: `<meta charset="koi8-r">зубр`,
		},
		"alternative": {
			raw: crlf("From: a@b.test", "Content-Type: multipart/alternative; boundary=b", "", "preamble", "--b", "Content-Type: text/plain", "",
				"words", "--b", "Content-Type: text/html", "", "<b>words</b>", "--b--", "epilogue"),
			text: "words", html: "<b>words</b>",
		},
		"the last of two alternatives": {
			raw: crlf("From: a@b.test", "Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: text/html", "", "one", "--a",
				"Content-Type: multipart/alternative; boundary=b", "", "--b", "Content-Type: text/html", "", "two",
				"--b", "Content-Type: text/html", "", "three", "--b--", "--a--"),
			html:    "one\nthree",
			problem: "more than one text/html part",
		},
		"several texts are joined": {
			raw: crlf("From: a@b.test", "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: text/plain", "", "one",
				"--b", "", "two", "--b--"),
			text: "one\ntwo",
		},
		"boundary never closed": {
			raw: crlf("From: a@b.test", "Content-Type: multipart/alternative; boundary=b", "", "--b", "Content-Type: text/plain", "",
				"words", "--b", "Content-Type: text/html", "", "<b>wor"),
			text: "words", html: "<b>wor",
			problem: "not closed",
		},
		"multipart without a boundary": {
			raw:     crlf("From: a@b.test", "Content-Type: multipart/mixed", "", "--b", "", "words", "--b--"),
			text:    "--b\n\nwords\n--b--",
			problem: "a multipart/mixed has no parts",
		},
		"multipart without parts": {
			raw:     crlf("From: a@b.test", "Content-Type: multipart/mixed; boundary=b", "", "nothing"),
			problem: "multipart/mixed has no parts",
		},
		"a content type that is none": {
			raw:     crlf("From: a@b.test", "Content-Type: text/plain; cha rset=utf-8", "", "words"),
			text:    "words",
			problem: "Content-Type",
		},
		"no header at all":         {raw: []byte("just words"), text: "just words", problem: "no From header"},
		"nothing":                  {raw: nil, problem: "no From header"},
		"bare line feeds":          {raw: []byte("From: a@b.test\nSubject: s\n\none\ntwo"), text: "one\ntwo"},
		"a line that is no header": {raw: crlf("From: a@b.test", "oops", "Subject: s", "", "one"), text: "one", problem: `a line that is no header: "oops"`},
		"multiparts that are nested too deeply": {
			raw:     []byte("From: a@b.test\r\n" + strings.Repeat("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", 5000)),
			problem: "nested deeper than 200",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(tc.raw)
			if tc.problem == "" {
				require.Empty(t, m.Problems)
			} else {
				require.Contains(t, strings.Join(m.Problems, "\n"), tc.problem)
			}
			require.Equal(t, tc.text, m.Text)
			require.Equal(t, tc.html, m.HTML)
			require.Equal(t, tc.raw, m.Raw)
		})
	}
}

func TestDecode_Headers(t *testing.T) {
	t.Parallel()
	m := inbox.Decode(crlf(
		"Received: from one",
		"Received: from two",
		`From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <jm@plant.test>`,
		`To: "Kim, the \"best\"" <kim@plant.test>, lee@plant.test,`,
		"\tTeam: ann@plant.test, =?koi8-r?B?2tXC0g==?= <z@plant.test>;",
		"Cc: =?iso-8859-1?Q?Ren=E9?= <r@plant.test>",
		"Reply-To: desk@plant.test",
		"Subject: =?utf-8?B?"+b64("Пумпа ")+"?=",
		" =?utf-8?B?"+b64("стоит")+"?= in hall 4",
		"Date: Tue, 03 Nov 2026 10:00:00 +0100 (CET)",
		"Message-ID: <1@plant.test>",
		"X-Long: a",
		"  b",
		"",
		"hi"))
	require.Empty(t, m.Problems)
	require.Equal(t, "Пумпа стоит in hall 4", m.Subject)
	require.Empty(t, cmp.Diff(harness.Addresses{{Name: "Jürgen Müller", Address: "jm@plant.test"}}, m.From))
	require.Empty(t, cmp.Diff(harness.Addresses{
		{Name: `Kim, the "best"`, Address: "kim@plant.test"}, {Address: "lee@plant.test"},
		{Address: "ann@plant.test"}, {Name: "зубр", Address: "z@plant.test"},
	}, m.To))
	require.Empty(t, cmp.Diff(harness.Addresses{{Name: "René", Address: "r@plant.test"}}, m.Cc))
	require.Empty(t, cmp.Diff(harness.Addresses{{Address: "desk@plant.test"}}, m.ReplyTo))
	require.True(t, m.Date.Equal(time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)))
	require.Equal(t, "1@plant.test", m.MessageID)
	require.Equal(t, []string{"from one", "from two"}, m.HeaderValues("received"))
	require.Equal(t, "from one", m.Header("RECEIVED"))
	require.Equal(t, "a  b", m.Header("X-Long"))
	require.Empty(t, m.Header("X-None"))

	var names []string
	for _, h := range m.Headers {
		names = append(names, h.Name)
	}
	require.Equal(t, []string{"Received", "Received", "From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "X-Long"}, names)
	require.Equal(t, "a\r\n  b", m.Headers[9].Raw)
}

func TestDecode_Subjects(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ raw, want string }{
		"plain":                          {"Pump", "Pump"},
		"a word between plain ones":      {"a =?utf-8?q?=C3=A9?= b", "a é b"},
		"blanks between words vanish":    {"=?utf-8?q?a?=  =?utf-8?q?b?=", "ab"},
		"blanks before plain text stay":  {"=?utf-8?q?a?= b", "a b"},
		"underscore is a blank":          {"=?utf-8?q?a_b?=", "a b"},
		"a character cut in two":         {"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"},
		"a character cut in two, base64": {"=?UTF-8?B?" + b64("caf\xc3") + "?= =?utf-8?b?" + b64("\xa9") + "?=", "café"},
		"two charsets":                   {"=?iso-8859-1?q?=E9?= =?koi8-r?q?=DA?=", "éз"},
		"Shift_JIS":                      {"=?Shift_JIS?B?" + b64("\x93\xfa\x96\x7b") + "?=", "日本"},
		"ISO-2022-JP":                    {"=?ISO-2022-JP?B?" + b64("\x1b$BF|K\\\x1b(B") + "?=", "日本"},
		"with a language":                {"=?us-ascii*en?q?hi?=", "hi"},
		"base64 without padding":         {"=?utf-8?b?aGk?=", "hi"},
		"blanks inside a word":           {"=?utf-8?q?a b?=", "a b"},
		"no blanks around":               {"a=?utf-8?q?=C3=A9?=b", "aéb"},
		"with an equals sign":            {"=?utf-8?q?a=3Db?=", "a=b"},
		"an unknown charset":             {"=?klingon?q?a?=", "a"},
		"no word after all":              {"=?what", "=?what"},
		"question marks in a word":       {"=?utf-8?q?Are_you_there??= =?utf-8?q?_a?b?=", "Are you there? a?b"},
		"a word without an end":          {"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"},
		"raw UTF-8 (RFC 6532)":           {"зубр", "зубр"},
		"raw bytes":                      {"caf\xe9", "caf\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inbox.Decode(crlf("From: a@b.test", "Subject: "+tc.raw, "", ""))
			require.Equal(t, tc.want, m.Subject)
		})
	}
}

func TestDecode_ReportsMalformedHeaders(t *testing.T) {
	t.Parallel()
	m := inbox.Decode(crlf(
		"From: nobody at all",
		"To: a@b.test c@d.test",
		"Cc:",
		"Subject: one",
		"Subject: two",
		"Date: yesterday",
		"X-Raw: caf\xe9",
		"X-Tag: =?utf-8?Q?a=0D=0ABcc:_b@c.test?=",
		"", ""))
	require.Empty(t, cmp.Diff([]string{
		"header X-Raw holds bytes that are not UTF-8",
		`header X-Tag holds the control character '\r'`,
		"header Subject stands 2 times",
		`header From is not a list of addresses: no angle-addr: "nobody at all"`,
		`header To is not a list of addresses: expected comma: "a@b.test c@d.test"`,
		"header Cc is empty",
		`header Date is not a date: "yesterday"`,
	}, m.Problems))
	require.Equal(t, "one", m.Subject)
	require.Equal(t, []string{"one", "two"}, m.HeaderValues("Subject"))
	require.Empty(t, cmp.Diff(harness.Addresses{{Address: "a@b.test"}, {Address: "c@d.test"}}, m.To), "what can be read is read")
	require.True(t, m.Date.IsZero())
}

func TestDecode_ReportsWordsThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for subject, problem := range map[string]string{
		"=?utf-8?q?without an end":                       "header Subject has an encoded word that cannot be decoded: =?utf-8?q?",
		"=?utf-8?x?an unknown encoding?=":                "header Subject has an encoded word that cannot be decoded: =?utf-8?x?",
		"=?utf-8?q?a?= =?utf-8?b?YQ==":                   "header Subject has an encoded word that cannot be decoded: =?utf-8?b?",
		"=?utf-8?b?!?=":                                  "not base64",
		"=?what? =?utf-8?q?=3D=3Fa=3Fq=3Fb=3F=3D?= a=?b": "",
	} {
		requireProblem(t, inbox.Decode(crlf("From: a@b.test", "Subject: "+subject, "", "")), problem)
	}
}

func TestDecode_Attachments(t *testing.T) {
	t.Parallel()
	m := inbox.Decode(crlf(
		"From: a@b.test",
		"MIME-Version: 1.0",
		`Content-Type: multipart/mixed; boundary="outer"`,
		"",
		"--outer",
		`Content-Type: multipart/related; boundary="related"`,
		"",
		"--related",
		`Content-Type: multipart/alternative; boundary="alt"`,
		"",
		"--alt",
		"Content-Type: text/plain; charset=utf-8",
		"",
		"see picture",
		"--alt",
		"Content-Type: text/html; charset=utf-8",
		"",
		`<img src="cid:logo@plant.test">`,
		"--alt--",
		"--related",
		"Content-Type: image/png",
		"Content-Transfer-Encoding: base64",
		"Content-ID: <logo@plant.test>",
		"Content-Disposition: inline; filename=logo.png",
		"",
		b64("\x89PNG"),
		"--related",
		"Content-Type: image/gif",
		"Content-Transfer-Encoding: base64",
		"Content-ID: <dot@plant.test>",
		"",
		b64("GIF"),
		"--related--",
		"--outer",
		"Content-Type: application/pdf",
		"Content-Transfer-Encoding: base64",
		"Content-Disposition: attachment;",
		" filename*0*=utf-8''Pr%C3%BCf;",
		" filename*1*=bericht%20;",
		" filename*2=2026.pdf",
		"",
		b64("%PDF"),
		"--outer",
		"Content-Type: text/csv; charset=iso-8859-1",
		"Content-Transfer-Encoding: quoted-printable",
		"Content-Disposition: attachment; filename*=iso-8859-1'de'Ger%E4t.csv",
		"",
		"Ger=E4t",
		"--outer",
		"Content-Type: text/plain; name=\"=?utf-8?q?n=C3=B6te.txt?=\"",
		"Content-Disposition: attachment",
		"",
		"a note, not the body",
		"--outer",
		"Content-Type: message/rfc822",
		"",
		"From: c@d.test",
		"Subject: inner",
		"",
		"inner text",
		"--outer--",
		""))
	require.Empty(t, m.Problems)
	require.Equal(t, "see picture", m.Text)
	require.Equal(t, `<img src="cid:logo@plant.test">`, m.HTML)
	require.Empty(t, cmp.Diff([]harness.Part{
		{Name: "logo.png", ContentType: "image/png", ContentID: "logo@plant.test", Disposition: "inline", Data: []byte("\x89PNG")},
		{ContentType: "image/gif", ContentID: "dot@plant.test", Data: []byte("GIF")},
	}, m.Inlines))
	require.Empty(t, cmp.Diff([]harness.Part{
		{Name: "Prüfbericht 2026.pdf", ContentType: "application/pdf", Disposition: "attachment", Data: []byte("%PDF")},
		{Name: "Gerät.csv", ContentType: "text/csv", Disposition: "attachment", Data: []byte("Ger\xe4t"), Text: "Gerät"},
		{Name: "nöte.txt", ContentType: "text/plain", Disposition: "attachment", Data: []byte("a note, not the body"), Text: "a note, not the body"},
		{ContentType: "message/rfc822", Data: []byte("From: c@d.test\r\nSubject: inner\r\n\r\ninner text")},
	}, m.Attachments))
	require.Equal(t, append(slices.Clone(m.Inlines), m.Attachments...), m.Files())
	for i, p := range m.Files() {
		require.Equal(t, i < len(m.Inlines), p.Inline(), "%s %s", p.Name, p.ContentType)
	}
}

// FuzzDecode holds for any bytes at all what the documentation says: no panic, texts in UTF-8, the raw form untouched.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/messages/*.eml")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := string(raw)
		m := inbox.Decode(raw)
		if string(m.Raw) != before {
			t.Error("the raw message was changed")
		}
		for _, s := range append([]string{m.Subject, m.Text, m.HTML, m.MessageID}, m.Problems...) {
			if !utf8.ValidString(s) {
				t.Errorf("%q is not UTF-8", s)
			}
		}
		for _, list := range []harness.Addresses{m.From, m.To, m.Cc, m.ReplyTo} {
			for _, a := range list {
				if !utf8.ValidString(a.Name + a.Address) {
					t.Errorf("%q is not UTF-8", a)
				}
			}
		}
		for _, p := range m.Files() {
			if !utf8.ValidString(p.Name) {
				t.Errorf("file name %q is not UTF-8", p.Name)
			}
		}
	})
}

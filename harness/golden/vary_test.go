package golden_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// sent decodes an email with these lines at the end of its header, and this body.
func sent(header, body string) *harness.Message {
	return inbox.Decode([]byte(strings.ReplaceAll("To: kim@plant.test\nSubject: s\nDate: Mon, 02 Nov 2026 10:00:00 +0100\n"+header+"\n"+body, "\n", "\r\n")))
}

// page is an email in HTML.
func page(source string) *harness.Message {
	return sent("From: a@shop.test\nContent-Type: text/html\n", source)
}

func from(header string) *harness.Message { return sent("From: "+header+"\n", "x") }

func TestCompare_IgnoresWhatLibrariesVary(t *testing.T) {
	t.Parallel()
	alternative := func(boundary, bare string) *harness.Message {
		return sent("From: a@shop.test\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="+boundary+"\n", "--"+bare+"\n\nx\n--"+bare+"--\n")
	}
	head := func(header string) *harness.Message { return sent("From: a@shop.test\n"+header+"\n", "x") }
	for name, same := range map[string][]*harness.Message{
		"boundary":               {alternative(`"----=_Part_1"`, "----=_Part_1"), alternative("----=_Part_2.3", "----=_Part_2.3"), alternative("b3", "b3")},
		"case of a domain":       {from("Kim <Kim@Plant.Test>"), from("Kim <Kim@plant.test>"), from("Kim\n\t<Kim@PLANT.TEST>")},
		"quotes around a name":   {from(`"Kim Lee" <kim@plant.test>`), from("Kim Lee <kim@plant.test>"), from(`"Kim"` + " Lee\n <kim@plant.test>")},
		"encoding of a name":     {from("=?utf-8?Q?J=C3=BCrgen?= <j@plant.test>"), from("=?iso-8859-1?B?SvxyZ2Vu?= <j@plant.test>")},
		"fold of a subject":      {sent("From: a@shop.test\nSubject: a b\n", "x"), sent("From: a@shop.test\nSubject: a\n\tb\n", "x")},
		"fold of references":     {head("References: <1@a> <2@a>\n <3@a>"), head("References: <1@a>\n\t<2@a> <3@a>"), head("References: <1@a> \n\t <2@a> <3@a>")},
		"quotes around a sender": {head(`Sender: "Desk" <desk@plant.test>`), head("Sender: Desk\n\t<desk@Plant.test>")},
		"made-up Content-IDs": {
			related("5f1e2d3c4b5a6_1a2b3c4d5e@host.mail"), related("0aD3c4e5-6f70-4a1b-9c2d-3e4f50617283"), related("169912345678.42.1234567890123456@host"),
		},
		"fold of another header": {head("List-Id: Plant\n\t<a.plant.test>"), head("List-Id: Plant <a.plant.test>")},
		"white space in a sheet": {
			page("<style>td, th { color: red }\n@media (max-width: 600px) { td > a { top: 0 } }</style>x"),
			page("<style>td,th{color:red;}@media (max-width:600px){td>a{top:0}}</style>x"),
		},
		"quotes in styles": {
			page(`<style>td{font-family:'Open Sans',serif}</style><p style="font-family:'Open Sans';background:url('a.png')">x`),
			page(`<style>td{font-family:"Open Sans",serif}</style><p style='font-family:"Open Sans";background:url(a.png)'>x`),
		},
		"end of a conditional comment": {
			page("<!--[if mso]><table><tr><td><![endif]-->x"), page("<!--[if mso]><table><tr><td>\n  <![endif]-->x"),
		},
		"an element that is never closed": {
			page("<body><p><font color=red>x</p><p>y</p></body>"), page("<body><p><font color=red>x</p>\n<p>y</p>\n</body>\n"),
		},
	} {
		set := open(t, store(t, same[0], "a"), golden.Options{})
		for i, m := range same {
			require.NoError(t, set.Compare("a", m), "%s: %d", name, i)
		}
	}
}

func TestCompare_SeesWhatReadersAndMailProgramsSee(t *testing.T) {
	t.Parallel()
	calendar := func(params string) *harness.Message {
		return sent("From: a@shop.test\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=bb\n",
			"--bb\n\nx\n--bb\nContent-Type: text/calendar"+params+"\n\nBEGIN:VCALENDAR\n--bb--\n")
	}
	text := func(charset, body string) *harness.Message {
		return sent("From: a@shop.test\nContent-Type: text/plain; charset="+charset+"\n", body)
	}
	for name, test := range map[string]struct {
		golden, email *harness.Message
		want          string
	}{
		"no method":       {calendar("; method=REQUEST"), calendar(""), "- Attachment: (text/calendar; method=REQUEST, 15 bytes, "},
		"another method":  {calendar("; method=REQUEST"), calendar("; method=PUBLISH"), "+ Attachment: (text/calendar; method=PUBLISH, 15 bytes, "},
		"damaged text":    {text("utf-8", "Grüße"), text("utf-8", "Gr\xfc\xdfe"), "+ Problem: "},
		"a repeated head": {text("utf-8", "x"), sent("From: a@shop.test\nSubject: t\nContent-Type: text/plain; charset=utf-8\n", "x"), "+ Problem: header Subject stands 2 times"},
		"another user":    {from("Kim@plant.test"), from("kim@plant.test"), "- From: Kim@plant.test"},
		"a blank line":    {page("<b>a</b> <b>b</b>"), page("<b>a</b><b>b</b>"), "html"},
		"an empty place":  {page(`<p>x</p><a name="here"></a><p>y`), page(`<p>x</p><p>y`), `- `},
	} {
		err := open(t, store(t, test.golden, "a"), golden.Options{}).Compare("a", test.email)
		require.ErrorContains(t, err, test.want, name)
		require.NoError(t, open(t, store(t, test.golden, "a"), golden.Options{}).Compare("a", test.golden), name)
	}
	require.NoError(t, open(t, store(t, calendar("; method=REQUEST"), "a"), golden.Options{}).Compare("a", calendar(`; METHOD="request"`)))
}

// related is an email that shows a picture by its Content-ID.
func related(id string) *harness.Message {
	return sent("From: a@shop.test\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=bb\n",
		"--bb\nContent-Type: text/html\n\n<img src=\"cid:"+strings.ReplaceAll(id, "@", "%40")+"\" alt=x>\n--bb\nContent-Type: image/png\nContent-ID: <"+id+">\n\nPNG\n--bb--\n")
}

func TestCompare_KeepsContentIDsThatAreNames(t *testing.T) {
	t.Parallel()
	set := open(t, store(t, related("logo@shop.test"), "a"), golden.Options{})
	require.ErrorContains(t, set.Compare("a", related("banner@shop.test")), "+ Inline: <banner@shop.test>")
	broken := related("0123456789@a")
	broken.HTML = strings.Replace(broken.HTML, "0123456789", "9876543210", 1)
	require.ErrorContains(t, open(t, store(t, related("0123456789@a"), "a"), golden.Options{}).Compare("a", broken), "html", "a link to another part")
}

// invoice is an email with files that differ at every send.
func invoice(stamp string) *harness.Message {
	return &harness.Message{Attachments: []harness.Part{
		{Name: "invite.ics", ContentType: "application/ics", Data: []byte("BEGIN:VEVENT\r\nDTSTAMP:" + stamp + "\r\nUID:" + stamp + "@shop.test\r\n")},
		{Name: "invoice-" + stamp + ".pdf", ContentType: "application/pdf", Data: []byte("%PDF-1.7\n\xe2\xe3\xcf\xd3\n/CreationDate (D:" + stamp + ")")},
	}}
}

func TestCompare_AcceptsFilesThatChange(t *testing.T) {
	t.Parallel()
	compare := func(options, stamp string) error {
		dir := t.TempDir()
		if options != "" {
			write(t, options, dir, "golden.json")
		}
		require.NoError(t, open(t, dir, golden.Options{Update: true}).Compare("a", invoice("20261102T100000Z")))
		set, err := golden.Open(dir, golden.Options{})
		require.NoError(t, err)
		require.Empty(t, set.Unused()[1:], "the options are no golden")
		return set.Compare("a", invoice(stamp))
	}
	const later = "20261103T113000Z"
	require.ErrorContains(t, compare("", later), "in attachments")
	require.NoError(t, compare(`{"replace": [{"pattern": "\\d{8}T\\d{6}Z", "new": "{{now}}"}]}`, later), "in text and in bytes, whatever the type")
	require.NoError(t, compare(`{"changingFiles": ["*.ICS", "application/pdf"], "replace": [{"pattern": "invoice-\\w+", "new": "invoice"}]}`, later))
	require.ErrorContains(t, compare(`{"changingFiles": ["*.ics"], "replace": [{"pattern": "invoice-\\w+", "new": "invoice"}]}`, later), "+ Attachment: invoice.pdf (application/pdf, ")

	invite := sent("From: a@shop.test\nMIME-Version: 1.0\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\n", "UID:1")
	dir := t.TempDir()
	require.NoError(t, open(t, dir, golden.Options{ChangingFiles: []string{"text/calendar"}, Update: true}).Compare("a", invite))
	require.Contains(t, read(t, dir, "a", "email.txt"), "Attachment: (text/calendar; method=REQUEST)\n")

	dir = store(t, invoice("1"), "a")
	require.NoError(t, open(t, dir, golden.Options{Update: true, ChangingFiles: []string{"*"}}).Compare("a", invoice("1")))
	require.Contains(t, read(t, dir, "a", "email.txt"), "Attachment: invite.ics (application/ics)\n", "what is not compared is not stored")
	gone := invoice("1")
	gone.Attachments = gone.Attachments[1:]
	require.ErrorContains(t, open(t, dir, golden.Options{ChangingFiles: []string{"*"}}).Compare("a", gone), "- Attachment: invite.ics (application/ics)")
}

func TestOpen_RejectsOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		`{"replacements": []}`:         `golden.json: unknown field "replacements"`,
		`{"replace": [{"new": "x"}]}`:  `the replacement by "x" has no value to replace`,
		`{"replace": [{"pattern":"("`:  "golden.json: ",
		`{"changingFiles": ["[.pdf"]}`: `the changing files "[.pdf" are no pattern`,
	} {
		dir := t.TempDir()
		write(t, options, dir, "golden.json")
		_, err := golden.Open(dir, golden.Options{})
		require.ErrorContains(t, err, "open goldens in "+dir+": ", options)
		require.ErrorContains(t, err, want, options)
	}
}

package golden_test

import (
	"fmt"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
)

func TestMismatchError_ShowsEachPart(t *testing.T) {
	t.Parallel()
	base := harness.Message{
		Subject: "Press 4 leaks",
		From:    []*mail.Address{{Address: "maintenance@plant.test"}},
		To:      []*mail.Address{{Name: "Kim", Address: "kim@plant.test"}},
		Headers: []harness.Header{{Name: "Date", Value: "Mon, 02 Nov 2026 10:00:00 +0100"}, {Name: "Auto-Submitted", Value: "auto-generated"}},
		Text:    "Dear Kim,\n\nPress 4 leaks.\n\n  Since Monday.\n",
		HTML:    `<p>Dear Kim,</p><table><tr><td style="color:red">Press 4 leaks.</td></tr></table><p><a href="https://plant.test/1">Open</a></p>`,
		Attachments: []harness.Part{
			{Name: "a.txt", ContentType: "text/plain", Data: []byte("a")},
		},
	}
	digest := map[string]string{
		"a": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
		"b": "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
	}
	tests := map[string]struct {
		change func(*harness.Message)
		parts  string
		want   string
	}{
		"subject": {
			func(e *harness.Message) { e.Subject = "Press 5 leaks" },
			"subject", `
subject
    - Subject: Press 4 leaks
    + Subject: Press 5 leaks
`,
		},
		"subject in white space": {
			func(e *harness.Message) { e.Subject = "Press  4\u00A0leaks" },
			"subject", `
subject
    - Subject:·Press·4·leaks
    + Subject:·Press··4⍽leaks
`,
		},
		"subject in what has no width": {
			func(e *harness.Message) { e.Subject = "Press \u200B4 leaks" },
			"subject", `
subject
    - Subject:·Press·4·leaks
    + Subject:·Press·\u200b4·leaks
`,
		},
		"no subject": {
			func(e *harness.Message) { e.Subject = "" },
			"subject", `
subject
    - Subject: Press 4 leaks
    + Subject:
`,
		},
		"addresses": {
			func(e *harness.Message) {
				e.To[0].Address = "lee@plant.test"
				e.Cc = []*mail.Address{{Address: "boss@plant.test"}}
			},
			"addresses", `
addresses
      From: maintenance@plant.test
    - To: Kim <kim@plant.test>
    + To: Kim <lee@plant.test>
    + Cc: boss@plant.test
`,
		},
		"headers": {
			func(e *harness.Message) { e.Headers = e.Headers[:1] },
			"headers", `
headers
      Date: {{date}}
    - Auto-Submitted: auto-generated
`,
		},
		"malformed date": {
			func(e *harness.Message) { e.Headers[0].Value = "today" },
			"headers", `
headers
    - Date: {{date}}
    + Date: today
      Auto-Submitted: auto-generated
`,
		},
		"attachment changed": {
			func(e *harness.Message) { e.Attachments[0].Data = []byte("b") },
			"attachments", `
attachments
    - Attachment: a.txt (text/plain, 1 byte, sha256 ` + digest["a"] + `)
    + Attachment: a.txt (text/plain, 1 byte, sha256 ` + digest["b"] + `)
`,
		},
		"attachment missing": {
			func(e *harness.Message) { e.Attachments = nil },
			"attachments", `
attachments
    - Attachment: a.txt (text/plain, 1 byte, sha256 ` + digest["a"] + `)
`,
		},
		"attachment inline": {
			func(e *harness.Message) { e.Attachments[0].ContentID = "id@x" },
			"attachments", `
attachments
    - Attachment: a.txt (text/plain, 1 byte, sha256 ` + digest["a"] + `)
    + Inline: a.txt <id@x> (text/plain, 1 byte, sha256 ` + digest["a"] + `)
`,
		},
		"text": {
			func(e *harness.Message) { e.Text = strings.Replace(e.Text, "4 leaks", "5\x1b[2J drips", 1) },
			"text", `
text
    @@ -1,5 +1,5 @@
      Dear Kim,

    - Press 4 leaks.
    + Press 5\u001b[2J drips.

        Since Monday.
`,
		},
		"text in white space": {
			func(e *harness.Message) { e.Text = strings.Replace(e.Text, "  Since", "\tSince", 1) },
			"text", `
text
    @@ -2,4 +2,4 @@

      Press 4 leaks.

    - ··Since·Monday.
    + →Since·Monday.
`,
		},
		"no text": {
			func(e *harness.Message) { e.Text = "" },
			"text", `
text: the email has none, the golden has one of 5 lines
    @@ -1,5 +0,0 @@
    - Dear Kim,
    -
    - Press 4 leaks.
    -
    -   Since Monday.
`,
		},
		"html": {
			func(e *harness.Message) { e.HTML = strings.Replace(e.HTML, "red", "blue", 1) },
			"html", `
html
    @@ -7,7 +7,7 @@
          <table>
            <tbody>
              <tr>
    -           <td style="color: red">
    +           <td style="color: blue">
                  Press 4 leaks.
                </td>
              </tr>
`,
		},
		"html in nesting": {
			func(e *harness.Message) {
				e.HTML = strings.Replace(strings.Replace(e.HTML, "<table>", "<div><table>", 1), "</table>", "</table></div>", 1)
			},
			"html", `
html
    @@ -4,6 +4,7 @@
          <p>
            Dear Kim,
          </p>
    +     <div>
            <table>
              <tbody>
                <tr>
    @@ -13,6 +14,7 @@
                </tr>
              </tbody>
            </table>
    +     </div>
          <p>
            <a href="https://plant.test/1">Open</a>
          </p>
`,
		},
		"no html": {
			func(e *harness.Message) { e.HTML = "" },
			"html", `
html: the email has none, the golden has one of 20 lines
    @@ -1,20 +0,0 @@
    - <html>
    -   <head></head>
    -   <body>
    -     <p>
    -       Dear Kim,
    -     </p>
    -     <table>
    -       <tbody>
    -         <tr>
    -           <td style="color: red">
    -             Press 4 leaks.
    -           </td>
    -         </tr>
    -       </tbody>
    -     </table>
    -     <p>
    -       <a href="https://plant.test/1">Open</a>
    -     </p>
    -   </body>
    - </html>
`,
		},
		"several parts": {
			func(e *harness.Message) {
				e.Subject, e.Text, e.HTML = "S", "T", "<p>"+strings.Repeat("long ", 100)+"</p>"
				e.Headers = nil
			},
			"subject, headers, text and html", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := store(t, &base, "a")
			changed := base
			changed.To = []*mail.Address{{Name: base.To[0].Name, Address: base.To[0].Address}}
			changed.Headers = append([]harness.Header(nil), base.Headers...)
			changed.Attachments = append([]harness.Part(nil), base.Attachments...)
			test.change(&changed)
			err := open(t, dir, golden.Options{}).Compare("a", &changed)
			var mismatch *golden.MismatchError
			require.ErrorAs(t, err, &mismatch)
			first, rest, _ := strings.Cut(err.Error(), "\n")
			require.Equal(t, `the email differs from golden "a" in `+test.parts, first)
			if test.want != "" {
				require.Equal(t, fmt.Sprintf("%s\n- golden (%s)   + email\nIf the email is right, rewrite the golden by running the test again with HARNESS_UPDATE=1.",
					test.want, filepath.Join(dir, "a")), rest)
			}
			require.Equal(t, "a", mismatch.Name)
			require.Equal(t, filepath.Join(dir, "a"), mismatch.Dir)
			require.NotEqual(t, mismatch.Want, mismatch.Got)
		})
	}
	t.Run("composed in another way", func(t *testing.T) {
		t.Parallel()
		dir := store(t, &harness.Message{Subject: "Andr\u00e9 calls"}, "a")
		require.Equal(t, "- Subject:·Andr\u00e9·calls\n+ Subject:·Andre\\u0301·calls\n", diffOf(t, dir, "a", &harness.Message{Subject: "Andre\u0301 calls"}))
	})
	t.Run("golden without a body", func(t *testing.T) {
		t.Parallel()
		dir := store(t, &harness.Message{Subject: "s"}, "a")
		err := open(t, dir, golden.Options{}).Compare("a", &harness.Message{Subject: "s", Text: "new"})
		require.ErrorContains(t, err, "\ntext: the golden has none, the email has one of 1 line\n    @@ -0,0 +1,1 @@\n    + new\n")
	})
}

func TestMismatchError_IsLimited(t *testing.T) {
	t.Parallel()
	var before, after strings.Builder
	for i := range 100 {
		fmt.Fprintf(&before, "line %d\n", i)
		fmt.Fprintf(&after, "row %d\n", i)
	}
	dir := store(t, &harness.Message{Text: before.String()}, "many")
	diff := diffOf(t, dir, "many", &harness.Message{Text: after.String()})
	lines := strings.Split(strings.TrimSuffix(diff, "\n"), "\n")
	require.Len(t, lines, 41)
	require.Equal(t, "… and 161 more changed lines", lines[40])

	long := strings.Repeat("word ", 2000)
	dir = store(t, &harness.Message{Text: long + "end" + long}, "long")
	diff = diffOf(t, dir, "long", &harness.Message{Text: long + "END" + long})
	require.Equal(t, "@@ -1,1 +1,1 @@\n- …"+strings.Repeat("word ", 10)+"end"+long[:107]+"… (20002 characters)\n+ …"+
		strings.Repeat("word ", 10)+"END"+long[:107]+"… (20002 characters)\n", diff)
}

func diffOf(t *testing.T, dir, name string, e *harness.Message) string {
	t.Helper()
	var mismatch *golden.MismatchError
	require.ErrorAs(t, open(t, dir, golden.Options{}).Compare(name, e), &mismatch)
	require.Len(t, mismatch.Parts, 1)
	return mismatch.Parts[0].Diff
}

func TestCompare_NeitherStoresNorShowsSecrets(t *testing.T) {
	t.Parallel()
	secrets := []string{"c2VjcmV0MQ", "abcdef123456", "AMZ0SIG", "deadbeef", "0p3nS3s4me", "F00F00"}
	e := &harness.Message{
		Subject: "Bearer abcdef123456",
		Headers: []harness.Header{{Name: "List-Unsubscribe", Value: "<https://plant.test/u?id=1&unsubscribe_token=0p3nS3s4me>"}},
		Text:    "https://plant.test/r/1?sig=c2VjcmV0MQ&x=1 signkey-test-deadbeef",
		HTML: `<style>a{background:url(/x?token=F00F00)}</style><a href="https://plant.test/r?x=1&amp;X-Amz-Signature=AMZ0SIG#top">a</a>` +
			`<!--[if mso]><a href="?a=1&amp;sig=c2VjcmV0MQ"><![endif]--><noscript><img src="/x?api_key=F00F00"></noscript>`,
	}
	dir := store(t, e, "a")
	e.Subject += " changed"
	e.Headers[0].Value += " changed"
	e.Text += " changed"
	e.HTML = strings.ReplaceAll(e.HTML, "a>", "b>")
	err := open(t, dir, golden.Options{}).Compare("a", e)
	require.Error(t, err)
	stored := read(t, dir, "a", "email.txt") + read(t, dir, "a", "body.txt") + read(t, dir, "a", "body.html")
	for _, secret := range secrets {
		require.NotContains(t, stored, secret)
		require.NotContains(t, err.Error(), secret)
	}
	require.Contains(t, stored, "?sig={{secret}}&x=1")
	require.Contains(t, stored, "X-Amz-Signature={{secret}}#top")
}

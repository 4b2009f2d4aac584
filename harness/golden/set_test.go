package golden_test

import (
	"fmt"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// notification returns an email as an app sends it, with much that is new in each: ids, date, boundary, port, signature.
func notification() *harness.Message {
	return &harness.Message{
		Subject: "Corrective: Press 4 leaks",
		From:    []*mail.Address{{Name: "Plant, maintenance", Address: "maintenance@plant.test"}},
		To:      []*mail.Address{{Name: "Kim Åberg", Address: "kim+ab12@plant.test"}},
		Headers: []harness.Header{
			{Name: "Received", Value: "from localhost by mailhog"},
			{Name: "Date", Value: "Mon, 02 Nov 2026 10:00:00 +0100"},
			{Name: "Message-Id", Value: "<66f0c0ffee.1@plant.test>"},
			{Name: "Auto-Submitted", Value: "auto-generated"},
			{Name: "Content-Type", Value: `multipart/alternative; boundary="b1"`},
			{Name: "X-Inngest-Run-Id", Value: "01JBM0000000000000000000AB"},
		},
		Text: "Dear Kim,\r\nPress 4 leaks. \r\n\r\n  http://127.0.0.1:40123/requests/66f0c0ffee?sig=c2VjcmV0\r\n\r\n",
		HTML: `<!DOCTYPE html><html><body>` + "\r\n" + `<p style="color:#333">Dear <b>Kim</b>, press&nbsp;4 leaks.</p>` + "\r\n" +
			`<a href="http://127.0.0.1:40123/requests/66f0c0ffee?a=1&amp;sig=c2VjcmV0">Open</a> kim&#43;ab12@plant.test 01JBM0000000000000000000AB` +
			`<!--[if mso]><v:rect href="http://127.0.0.1:40123/"><![endif]--></body></html>`,
		Inlines: []harness.Part{{Name: "logo.png", ContentType: "image/png", ContentID: "logo@plant.test", Data: []byte("PNG")}},
		Attachments: []harness.Part{
			{Name: "manual.pdf", ContentType: "application/pdf; name=manual.pdf", Data: []byte("%PDF")},
			{Name: "visit.ics", ContentType: "text/calendar; charset=UTF-8", Data: []byte("UID:66f0c0ffee\r\n")},
		},
	}
}

var replacements = []golden.Replacement{
	{Old: "66f0c0ffee", New: "{{request-id}}"},
	{Old: "http://127.0.0.1:40123", New: "{{app-url}}"},
	{Pattern: regexp.MustCompile(`\+[a-z0-9]+@`), New: "@"},
}

func open(t *testing.T, dir string, o golden.Options) *golden.Set {
	t.Helper()
	set, err := golden.Open(dir, o)
	require.NoError(t, err)
	return set
}

// store makes goldens of the email in a new directory.
func store(t *testing.T, e *harness.Message, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	set := open(t, dir, golden.Options{Update: true})
	for _, name := range names {
		require.NoError(t, set.Compare(name, e))
	}
	return dir
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return string(data)
}

func write(t *testing.T, content string, elements ...string) {
	t.Helper()
	path := filepath.Join(elements...)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func TestCompare_UpdateStoresReadableFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	set := open(t, dir, golden.Options{Update: true, Replace: replacements})
	require.NoError(t, set.Compare("requests/corrective", notification()))

	golden := filepath.Join(dir, "requests", "corrective")
	entries, err := os.ReadDir(golden)
	require.NoError(t, err)
	require.Len(t, entries, 3, "no temporary file stays behind")
	require.Equal(t, `Subject: Corrective: Press 4 leaks
From: "Plant, maintenance" <maintenance@plant.test>
To: Kim Åberg <kim@plant.test>
Date: {{date}}
Message-ID: <{{message-id}}>
Auto-Submitted: auto-generated
Content-Type: multipart/alternative
X-Inngest-Run-Id: {{run-id}}
Inline: logo.png <logo@plant.test> (image/png, 3 bytes, sha256 796120837694d3f3f29259cfeb25091698c2a0aa87873658d840b4993ee889b3)
Attachment: manual.pdf (application/pdf, 4 bytes, sha256 315d429b7714cedb6ad04ac31240145257692630457f3c88253c5beceac76027)
Attachment: visit.ics (text/calendar; charset=utf-8, 20 bytes, sha256 801a5f1e2b3e327b19bcb7c07277c4cfd24444643abc3733777a5c2115a5c7bb)
`, read(t, golden, "email.txt"))
	require.Equal(t, "Dear Kim,\nPress 4 leaks.\n\n  {{app-url}}/requests/{{request-id}}?sig={{secret}}\n", read(t, golden, "body.txt"))
	require.Equal(t, `<!DOCTYPE html><html><body>
<p style="color:#333">Dear <b>Kim</b>, press&nbsp;4 leaks.</p>
<a href="{{app-url}}/requests/{{request-id}}?a=1&amp;sig={{secret}}">Open</a> kim@plant.test {{run-id}}<!--[if mso]><v:rect href="{{app-url}}/"><![endif]--></body></html>
`, read(t, golden, "body.html"))
}

func TestCompare_IgnoresWhatVaries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, open(t, dir, golden.Options{Update: true, Replace: replacements}).Compare("corrective", notification()))

	other := notification()
	other.To[0].Address = "kim+zz99@plant.test"
	for i := range other.Headers {
		other.Headers[i].Value = map[string]string{
			"Received":         "from elsewhere",
			"Date":             "3 Nov 2026 11:30:00 +0000",
			"Message-Id":       "<77@plant.test>",
			"Auto-Submitted":   "auto-generated",
			"Content-Type":     `Multipart/Alternative; boundary="b2"`,
			"X-Inngest-Run-Id": "01JBM0000000000000000000CD",
		}[other.Headers[i].Name]
	}
	vary := strings.NewReplacer("66f0c0ffee", "77", "40123", "40999", "c2VjcmV0", "b3RoZXI", "ab12", "zz99",
		"0000AB", "0000CD", "color:#333", "COLOR: #333;", "\r\n", "\n")
	other.Text, other.HTML = vary.Replace(other.Text), vary.Replace(other.HTML)
	other.Attachments[1].Data = []byte("UID:77\r\n")

	set := open(t, dir, golden.Options{Replace: []golden.Replacement{replacements[2]}})
	require.NoError(t, set.Compare("corrective", other,
		golden.Replacement{Old: "77", New: "{{request-id}}"},
		golden.Replacement{Old: "http://127.0.0.1:40999", New: "{{app-url}}"}))
	require.Error(t, set.Compare("corrective", other), "replacements of one call do not reach the next")
}

// A template that was not filled in looks like a golden.
func TestCompare_SeesTheNamesOfReplacementsInAnEmail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	order := golden.Replacement{Old: "A7", New: "{{order}}"}
	require.NoError(t, open(t, dir, golden.Options{Update: true}).Compare("order", &harness.Message{Subject: "Order A7", Text: "Your order A7"}, order))
	err := open(t, dir, golden.Options{}).Compare("order", &harness.Message{Subject: "Order {{order}}", Text: "Your order {{order}}"}, order)
	require.ErrorContains(t, err, "+ Your order {{order}} (as it stands in the email)")
}

func TestCompare_IncludesInlinePictures(t *testing.T) {
	t.Parallel()
	email := func(parts ...string) *harness.Message {
		head := "From: shop@shop.test\r\nTo: kim@plant.test\r\nSubject: Your order\r\nMIME-Version: 1.0\r\n" +
			"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:logo\">\r\n"
		for _, p := range parts {
			head += "--b\r\n" + p + "\r\n"
		}
		return inbox.Decode([]byte(head + "--b--\r\n"))
	}
	const (
		logo   = "Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline; filename=logo.png\r\n\r\nPNG"
		other  = "Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline; filename=logo.png\r\n\r\nGNP"
		aside  = "Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: attachment; filename=logo.png\r\n\r\nPNG"
		lonely = "Content-Type: image/png\r\nContent-Disposition: inline; filename=dot.png\r\n\r\nDOT"
	)
	set := open(t, store(t, email(logo, lonely), "order"), golden.Options{})
	require.NoError(t, set.Compare("order", email(logo, lonely)))
	for name, test := range map[string]struct {
		email *harness.Message
		want  string
	}{
		"swapped":             {email(other, lonely), "+ Inline: logo.png <logo> (image/png, 3 bytes, sha256 "},
		"gone":                {email(lonely), "- Inline: logo.png <logo> (image/png, 3 bytes, sha256 "},
		"nameless one gone":   {email(logo), "- Inline: dot.png (image/png, 3 bytes, sha256 "},
		"shown beside it now": {email(aside, lonely), "+ Attachment: logo.png <logo> (image/png, 3 bytes, sha256 "},
	} {
		require.ErrorContains(t, set.Compare("order", test.email), test.want, name)
	}
}

func TestCompare_AcceptsFilesOfAnyEditor(t *testing.T) {
	t.Parallel()
	dir := store(t, notification(), "a")
	for _, file := range []string{"email.txt", "body.txt", "body.html"} {
		write(t, "\uFEFF"+strings.ReplaceAll(read(t, dir, "a", file), "\n", "\r\n")+"\r\n", dir, "a", file)
	}
	require.NoError(t, open(t, dir, golden.Options{}).Compare("a", notification()))

	before := read(t, dir, "a", "body.html")
	require.NoError(t, open(t, dir, golden.Options{Update: true}).Compare("a", notification()))
	require.Equal(t, before, read(t, dir, "a", "body.html"), "an update leaves alone what says the same")
}

func TestCompare_UpdateRewritesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	dir := store(t, notification(), "a")
	html := read(t, dir, "a", "body.html")
	reordered := strings.Replace(html, "<html>", "<HTML>", 1)
	write(t, reordered, dir, "a", "body.html")

	e := notification()
	e.Subject = "Changed"
	e.Text = ""
	require.NoError(t, open(t, dir, golden.Options{Update: true}).Compare("a", e))
	require.Equal(t, reordered, read(t, dir, "a", "body.html"))
	require.Contains(t, read(t, dir, "a", "email.txt"), "Subject: Changed\n")
	require.NoFileExists(t, filepath.Join(dir, "a", "body.txt"))
	require.NoError(t, open(t, dir, golden.Options{}).Compare("a", e))
}

func TestCompare_UpdateRejectsTwoEmailsForOneGolden(t *testing.T) {
	t.Parallel()
	set := open(t, t.TempDir(), golden.Options{Update: true})
	require.NoError(t, set.Compare("a", &harness.Message{Subject: "one"}))
	require.NoError(t, set.Compare("a", &harness.Message{Subject: "one"}))
	err := set.Compare("a", &harness.Message{Subject: "two"})
	require.ErrorContains(t, err, "two emails were compared with one golden while it was rewritten, give one of them another name: the email differs from golden \"a\" in subject")
	require.ErrorAs(t, err, new(*golden.MismatchError))
}

func TestCompare_ReportsAMissingGolden(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"no such golden":    store(t, notification(), "other"),
		"no such directory": filepath.Join(t.TempDir(), "none"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := open(t, dir, golden.Options{}).Compare("requests/new", notification())
			require.EqualError(t, err, fmt.Sprintf(`there is no golden "requests/new" (%s): make it from this email `+
				`by running the test again with HARNESS_UPDATE=1, then look at the files`, filepath.Join(dir, "requests", "new")))
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorAs(t, err, new(*golden.MissingError))
			require.NoDirExists(t, filepath.Join(dir, "requests"), "a comparison makes nothing")
		})
	}
}

func TestCompare_ReportsMalformedGoldens(t *testing.T) {
	t.Parallel()
	const mend = ": restore it, or have it rewritten by running the test again with HARNESS_UPDATE=1"
	for name, test := range map[string]struct {
		files map[string]string
		want  string // with DIR for the directory of the set
	}{
		"no summary": {
			map[string]string{"a/body.html": "<p>x"},
			`golden "a": DIR/a/email.txt is missing or empty, though there is a body` + mend,
		},
		"not text": {
			map[string]string{"a/email.txt": "Subject: \xff"},
			`golden "a": DIR/a/email.txt is not UTF-8 text` + mend,
		},
		"not a summary": {
			map[string]string{"a/email.txt": "Subject: x\n\x1b[31mwhat\n"},
			`golden "a": DIR/a/email.txt:2 is not of the form "Name: value" but "\x1b[31mwhat"` + mend,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, content := range test.files {
				write(t, content, dir, file)
			}
			err := open(t, dir, golden.Options{}).Compare("a", notification())
			require.EqualError(t, err, strings.ReplaceAll(test.want, "DIR/a/", filepath.Join(dir, "a")+string(filepath.Separator)))

			require.NoError(t, open(t, dir, golden.Options{Update: true}).Compare("a", notification()), "an update mends it")
			require.NoError(t, open(t, dir, golden.Options{}).Compare("a", notification()))
		})
	}
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, "x", dir, "a")
		want := fmt.Sprintf(`golden "a": %s is a file; a golden is a directory that holds email.txt`, filepath.Join(dir, "a"))
		require.EqualError(t, open(t, dir, golden.Options{}).Compare("a", notification()), want)
		require.EqualError(t, open(t, dir, golden.Options{Update: true}).Compare("a", notification()), want)
	})
}

func TestOpen_Errors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, "x", file)
	_, err := golden.Open(file, golden.Options{})
	require.EqualError(t, err, "open goldens in "+file+": it is a file; goldens live in a directory")

	_, err = golden.Open("d", golden.Options{Replace: []golden.Replacement{{New: "{{run}}"}}})
	require.EqualError(t, err, `open goldens in d: the replacement by "{{run}}" has no value to replace: was it known yet when the comparison was made?`)

	err = open(t, t.TempDir(), golden.Options{}).Compare("a", notification(),
		golden.Replacement{Old: "x", Pattern: regexp.MustCompile("x"), New: "y"})
	require.EqualError(t, err, `golden "a": the replacement by "y" has both Old and Pattern: set one of them`)
}

func TestCompare_ChecksNames(t *testing.T) {
	t.Parallel()
	const rule = "; a name is made of letters, digits, '-', '_' and '.', and '/' between directories"
	dir := t.TempDir()
	set := open(t, filepath.Join(dir, "set"), golden.Options{Update: true})
	for name, problem := range map[string]string{
		"/etc":                          "part of its name is empty",
		"a//b":                          "part of its name is empty",
		"a/":                            "part of its name is empty",
		"..":                            "part of its name starts or ends with a dot",
		"a/../../b":                     "part of its name starts or ends with a dot",
		"./a":                           "part of its name starts or ends with a dot",
		"a.":                            "part of its name starts or ends with a dot",
		`a\b`:                           `its name holds '\\'`,
		"C:":                            "its name holds ':'",
		"a b":                           "its name holds ' '",
		"é":                             "its name holds 'é'",
		"a/NUL.txt":                     `"NUL.txt" is a device on Windows`,
		"Body.html":                     `"Body.html" is the name of a file in goldens`,
		"email.txt/":                    `"email.txt" is the name of a file in goldens`,
		"a/" + strings.Repeat("x", 101): "part of its name is longer than 100 characters",
	} {
		err := set.Compare(name, notification())
		require.EqualError(t, err, fmt.Sprintf("golden %q: %s%s", name, problem, rule))
		_, err = set.Load(name)
		require.Error(t, err)
	}
	require.EqualError(t, set.Compare("", notification()), "a golden needs a name")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)

	require.NoError(t, set.Compare("TestA/b_1.x-y", notification()))
	require.EqualError(t, set.Compare("testa/b_1.x-y", notification()),
		`golden "testa/b_1.x-y": there is "TestA/b_1.x-y" too, which is the same file where case does not count: give one of them another name`)
}

func TestCompare_FollowsNoLinkOutOfTheSet(t *testing.T) {
	t.Parallel()
	outside := store(t, notification(), "a")
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Logf("this system makes no symbolic links: %v", err)
		return
	}
	before := read(t, outside, "a", "email.txt")
	err := open(t, dir, golden.Options{Update: true}).Compare("link/a", &harness.Message{Subject: "x"})
	require.ErrorContains(t, err, `golden "link/a": `)
	require.Equal(t, before, read(t, outside, "a", "email.txt"))
}

func TestUnused_ListsWhatNoTestAskedFor(t *testing.T) {
	t.Parallel()
	dir := store(t, notification(), "a", "b", "b/nested", "deep/er/c")
	write(t, "<p>x", dir, "half", "body.html")

	set := open(t, dir, golden.Options{})
	require.Equal(t, []string{"a", "b", "b/nested", "deep/er/c", "half"}, set.Unused())
	require.NoError(t, set.Compare("a", notification()))
	require.Error(t, set.Compare("b/nested", &harness.Message{Subject: "differs"}), "asked for, though it differs")
	_, err := set.Load("b")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "deep/er/c", "half"}, set.Unused())
}

func TestSet_ConcurrentUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, update := range []bool{true, false} {
		set := open(t, dir, golden.Options{Update: update, Replace: replacements})
		var wg sync.WaitGroup
		errs := make([]error, 40)
		for i := range errs {
			wg.Go(func() {
				errs[i] = set.Compare(fmt.Sprintf("email-%d", i%5), notification())
				set.Unused()
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Empty(t, set.Unused())
	}
}

func TestLoad_ReturnsTheFiles(t *testing.T) {
	t.Parallel()
	dir := store(t, &harness.Message{Subject: "s", Text: "t", HTML: "<p>h"}, "a")
	files, err := open(t, dir, golden.Options{}).Load("a")
	require.NoError(t, err)
	require.Equal(t, golden.Files{Email: "Subject: s\n", Text: "t\n", HTML: "<p>h\n"}, files)
}

func TestCompare_ComparesChosenHeaders(t *testing.T) {
	t.Parallel()
	e := &harness.Message{
		Subject: "s",
		ReplyTo: []*mail.Address{{Address: "desk@plant.test"}},
		Headers: []harness.Header{
			{Name: "X-Two", Value: "b"},
			{Name: "x-one", Value: "a"},
			{Name: "X-Two", Value: "c"},
			{Name: "subject", Value: "s"},
			{Name: "Date", Value: "yesterday"},
			{Name: "References", Value: "<1@x> <2@x>"},
			{Name: "X-Run", Value: "01JBM0000000000000000000AB"},
			{Name: "Content-Type", Value: "text/plain; charset=UTF-8; format=flowed"},
		},
	}
	for name, test := range map[string]struct {
		options golden.Options
		want    string
	}{
		"chosen": {
			golden.Options{Headers: []string{"X-One", "X-Two", "X-None", "Subject", "Date", "X-Run", "x-one"}, RunHeader: "x-run"},
			"X-One: a\nX-Two: b\nX-Two: c\nDate: yesterday\nX-Run: {{run-id}}\n",
		},
		"none": {golden.Options{Headers: []string{}}, ""},
		"default": {
			golden.Options{},
			"Date: yesterday\nReferences: <{{message-id}}> <{{message-id}}>\nContent-Type: text/plain; charset=utf-8; format=flowed\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Update = true
			set := open(t, t.TempDir(), test.options)
			require.NoError(t, set.Compare("a", e))
			files, err := set.Load("a")
			require.NoError(t, err)
			require.Equal(t, "Subject: s\nReply-To: desk@plant.test\n"+test.want, files.Email)
		})
	}
}

func TestCompare_KeepsHostileTextOnItsLine(t *testing.T) {
	t.Parallel()
	dir := store(t, &harness.Message{
		Subject: " a\r\nBcc: x@y\\n\u202Eevil\xff\x1b[2J ",
		To:      []*mail.Address{{Name: "Kim \"the\" <x@y>\n", Address: "kim@plant.test"}},
		Text:    "bad \xff byte",
	}, "a")
	require.Equal(t, `Subject: \u0020a\r\nBcc: x@y\\n\u202eevil\xff\u001b[2J\u0020
To: "Kim \\"the\\" <x@y>\n" <kim@plant.test>
`, read(t, dir, "a", "email.txt"))
	require.Equal(t, "bad \uFFFD byte\n", read(t, dir, "a", "body.txt"))
}

//go:build unix

package inbox_test

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

const hostileSize = 10 << 20

// stuff repeats s up to the size of a hostile message.
func stuff(s string) string { return strings.Repeat(s, hostileSize/len(s)) }

// numbered repeats a format with the numbers from 0 on.
func numbered(format string) string {
	var b strings.Builder
	for i := 0; b.Len() < hostileSize; i++ {
		b.WriteString(strings.ReplaceAll(format, "N", fmt.Sprint(i)))
	}
	return b.String()
}

// hostile are messages of 10 MB that could take quadratic or exponential time.
var hostile = map[string]func() string{
	"nested multiparts":            func() string { return numbered("Content-Type: multipart/mixed; boundary=bN\n\n--bN\n") },
	"multiparts with one boundary": func() string { return stuff("Content-Type: multipart/mixed; boundary=b\n\n--b\n") },
	"nested and closed": func() string {
		return numbered("Content-Type: multipart/mixed; boundary=bN\n\n--bN\n\n--bN--\n")
	},
	"parts":                    func() string { return "Content-Type: multipart/mixed; boundary=b\n\n" + stuff("--b\n\n") },
	"multipart with two parts": func() string { return "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + stuff("--b-\n") },
	"lines with two hyphens":   func() string { return "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + stuff("--\n") },
	"a multipart that goes on": func() string { return "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + stuff("--b--\n--b\n") },
	"a long boundary":          func() string { return "Content-Type: multipart/mixed; boundary=" + stuff("b") + "\n\n--b\n" },
	"long delimiters": func() string {
		return "Content-Type: multipart/mixed; boundary=b\n\n" + stuff("--"+strings.Repeat("b ", 5000)+"\n")
	},
	"parts without a header": func() string { return "Content-Type: multipart/mixed; boundary=b\n\n" + stuff("--b\nx\n") },
	"parts of lines without colons": func() string {
		return "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + stuff("x\n") + "X: y\n\nz\n--b--"
	},
	"headers":                   func() string { return stuff("A: b\n") },
	"one header folded":         func() string { return "Subject: a" + stuff("\n b") },
	"lines that are no headers": func() string { return stuff("x\n") + "Subject: x\n\n" },
	"pairs of such lines":       func() string { return stuff("x\nA: b\n") },
	"empty lines":               func() string { return stuff("\n") },
	"carriage returns":          func() string { return stuff("\r") },
	"blanks":                    func() string { return "Subject:" + stuff(" ") },
	"addresses":                 func() string { return "To: " + stuff("a@b.test, ") },
	"addresses without commas":  func() string { return "To: " + stuff("a@b.test ") },
	"addresses in brackets":     func() string { return "To: " + stuff("<a@b.test> ") },
	"names without addresses":   func() string { return "To: " + stuff("a, ") },
	"one name":                  func() string { return "To: " + stuff("a ") + "<a@b.test>" },
	"commas":                    func() string { return "To: " + stuff(",") },
	"colons":                    func() string { return "To: a@b" + stuff(":") },
	"dots":                      func() string { return "To: a@b" + stuff(" .") },
	"at signs":                  func() string { return "To: " + stuff("@ ") },
	"groups":                    func() string { return "To: " + stuff("a:;") },
	"quotation marks":           func() string { return "To: " + stuff(`"`) },
	"quotes that are escaped":   func() string { return `To: "` + stuff(`\"`) },
	"an unclosed quote and commas": func() string {
		return `To: ` + stuff(`"\",`)
	},
	"parentheses":             func() string { return "To: " + stuff("(") },
	"one comment":             func() string { return "To: (" + stuff("a") + ") a@b.test" },
	"comments":                func() string { return "To: " + stuff("(a)") + " a@b.test" },
	"brackets":                func() string { return "To: " + stuff("<") },
	"brackets with quotes":    func() string { return "To: " + stuff(`<"`) },
	"encoded words":           func() string { return "Subject: " + stuff("=?utf-8?q?a?= ") },
	"encoded words in names":  func() string { return "To: " + stuff("=?utf-8?q?a?= ") + "<a@b.test>" },
	"unclosed words":          func() string { return "Subject: " + stuff("=?a?q?b ") },
	"words without an end":    func() string { return "Subject: " + stuff("=?") },
	"charsets without a name": func() string { return "Subject: " + stuff("=?x?q?a?= =?y?q?a?= ") },
	"base64 in pieces":        func() string { return "Content-Transfer-Encoding: base64\n\n" + stuff("YQ==") },
	"padding":                 func() string { return "Content-Transfer-Encoding: base64\n\n" + stuff("=") },
	"base64 of nothing":       func() string { return "Content-Transfer-Encoding: base64\n\n" + stuff("!") },
	"quoted-printable":        func() string { return "Content-Transfer-Encoding: quoted-printable\n\n" + stuff("=3D") },
	"soft line breaks":        func() string { return "Content-Transfer-Encoding: quoted-printable\n\n" + stuff("=\n") },
	"trailing blanks":         func() string { return "Content-Transfer-Encoding: quoted-printable\n\n" + stuff(" ") },
	"parameters":              func() string { return "Content-Type: text/plain" + stuff(";a=b") },
	"numbered parameters":     func() string { return "Content-Type: text/plain" + numbered(";a*N=b") },
	"numbered and encoded":    func() string { return "Content-Type: text/plain" + numbered(";a*N*=%20") },
	"quoted parameters":       func() string { return "Content-Type: text/plain" + stuff(`;a="`) },
	"parameters in comments":  func() string { return "Content-Type: text/plain;" + stuff("(") },
	"semicolons":              func() string { return "Content-Type: text/plain" + stuff(";") },
	"a date":                  func() string { return "Date: " + stuff("(") },
	"UTF-7":                   func() string { return "Content-Type: text/plain; charset=utf-7\n\n" + stuff("+AGE-") },
	"plus signs in UTF-7":     func() string { return "Content-Type: text/plain; charset=utf-7\n\n" + stuff("+") },
	"ISO-2022-JP":             func() string { return "Content-Type: text/plain; charset=iso-2022-jp\n\n" + stuff("\x1b$B") },
	"bytes of no charset":     func() string { return "\n" + stuff("\xff") },
	"HTML":                    func() string { return "Content-Type: text/html\n\n" + stuff("<b><meta charset=x>\xff") },
	"texts that are joined": func() string {
		return "Content-Type: multipart/mixed; boundary=b\n\n" + stuff("--b\n\n"+strings.Repeat("x", 10<<10)+"\n")
	},
}

// TestDecode_TakesTimeThatGrowsWithSizeOnly bounds what is allocated and, by a wide margin, the processor's time, neither
// of which depends on how busy the machine is. Each message takes less than a second.
func TestDecode_TakesTimeThatGrowsWithSizeOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("it decodes 600 MB")
	}
	for name, message := range hostile {
		t.Run(name, func(t *testing.T) {
			raw := []byte("From: a@b.test\n" + message())
			allocated, used := spent()
			m := inbox.Decode(raw)
			allocatedNow, usedNow := spent()
			require.Less(t, usedNow-used, 10*time.Second, "time of the processor")
			require.Less(t, allocatedNow-allocated, uint64(100*hostileSize), "bytes allocated")
			require.LessOrEqual(t, len(m.Problems), 101)
			t.Logf("%v, %d MB", usedNow-used, (allocatedNow-allocated)>>20)
		})
	}
}

// spent returns what this process has allocated, and the time that processors have worked for it.
func spent() (allocated uint64, used time.Duration) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return memory.TotalAlloc, time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

package golden

import (
	"crypto/sha256"
	"fmt"
	"mime"
	"net/mail"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Files is an email as it is stored: the text of each of a golden's files. A file that is not there is empty.
type Files struct {
	Email string // email.txt
	Text  string // body.txt
	HTML  string // body.html, as sent but for the replacements
}

// DefaultHeaders returns the headers that are compared when Options.Headers is nil: those that a reader, a mail client
// or a mailing robot acts on. The slice is the caller's.
func DefaultHeaders() []string {
	return []string{
		"Sender", "Bcc", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "Precedence", "Importance",
		"X-Priority", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Content-Type", harness.DefaultRunHeader,
	}
}

// render returns the files that an email would be stored as.
func render(m *harness.Message, o Options, replace replacer) Files {
	var summary strings.Builder
	line := func(key, value string) {
		summary.WriteString(strings.TrimRight(key+": "+oneLine(value), " ") + "\n")
	}
	line("Subject", replace.text(folds.ReplaceAllLiteralString(m.Subject, " ")))
	for _, field := range []struct {
		key       string
		addresses []*mail.Address
	}{{"From", m.From}, {"To", m.To}, {"Cc", m.Cc}, {"Reply-To", m.ReplyTo}} {
		for _, address := range field.addresses {
			line(field.key, replace.text(formatAddress(address)))
		}
	}
	for _, name := range o.Headers {
		for _, value := range m.HeaderValues(name) {
			line(name, replace.text(stableValue(name, value)))
		}
	}
	for _, part := range m.Files() {
		line(describePart(part, o.ChangingFiles, replace))
	}
	for _, problem := range m.Problems {
		if problem != harness.SourceLeftOut {
			line("Problem", replace.text(problem))
		}
	}
	return Files{
		Email: summary.String(),
		Text:  canonicalText(replace.text(strings.ToValidUTF8(m.Text, "\uFFFD"))),
		HTML:  endLine(replace.html(plainLines(strings.ToValidUTF8(m.HTML, "\uFFFD")))),
	}
}

// folds is white space as it may stand where a line of a header was folded: mail libraries fold with blanks or with tabs.
var folds = regexp.MustCompile(`[ ]*\t[ \t]*`)

// stableValue takes from a header's value what is new in every email, and writes it in one way. A value that is not well
// formed stays as it is, so that the comparison shows it.
func stableValue(name, value string) string {
	value = folds.ReplaceAllLiteralString(value, " ")
	switch strings.ToLower(name) {
	case "date":
		if _, err := mail.ParseDate(value); err == nil {
			return "{{date}}"
		}
	case "message-id", "in-reply-to", "references":
		return messageID.ReplaceAllLiteralString(value, "<{{message-id}}>")
	case "content-type":
		return stableContentType(value)
	case "sender", "bcc", "return-path", "resent-from", "resent-sender", "resent-to", "disposition-notification-to":
		if list, err := mail.ParseAddressList(value); err == nil {
			var all []string
			for _, address := range list {
				all = append(all, formatAddress(address))
			}
			return strings.Join(all, ", ")
		}
	}
	return value
}

var messageID = regexp.MustCompile(`<[^<>@\s]+@[^<>@\s]+>`)

// stableContentType drops the boundary, which is random, and the name, which stands elsewhere too, and writes the rest in
// one way.
func stableContentType(value string) string {
	kind, params, err := mime.ParseMediaType(value)
	if err != nil {
		// Many libraries leave a boundary without the quotes that its characters need.
		value = bareBoundary.ReplaceAllLiteralString(value, "")
		if kind, params, err = mime.ParseMediaType(value); err != nil {
			return value
		}
	}
	delete(params, "boundary")
	delete(params, "name")
	if charset, ok := params["charset"]; ok {
		params["charset"] = strings.ToLower(charset)
	}
	return mime.FormatMediaType(kind, params)
}

var bareBoundary = regexp.MustCompile(`(?i);\s*boundary\s*=\s*(?:"[^"]*"|[^;\s]*)`)

// formatAddress writes an address decoded, with its domain in lower case; mail.Address.String would encode a name that is
// not ASCII.
func formatAddress(a *mail.Address) string {
	name, address := folds.ReplaceAllLiteralString(a.Name, " "), a.Address
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		address = address[:at] + strings.ToLower(address[at:])
	}
	if name == "" {
		return address
	}
	if strings.ContainsAny(name, `"(),:;<>@[\]`) {
		name = `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
	}
	return name + " <" + address + ">"
}

// describePart returns the line of an email.txt for a part that is no body.
func describePart(p harness.Part, changing []string, replace replacer) (key, value string) {
	key, value = "Attachment", replace.text(p.Name)
	if p.Inline() {
		key = "Inline"
	}
	kind := stableContentType(p.ContentType)
	mediaType, _, _ := strings.Cut(kind, ";")
	changes := slices.ContainsFunc(changing, func(pattern string) bool {
		return matchPart(pattern, p.Name) || matchPart(pattern, mediaType)
	})
	if p.CalendarMethod != "" { // what a calendar does with it
		kind += "; method=" + strings.ToUpper(p.CalendarMethod)
	}
	details := kind
	if !changes {
		data := replace.text(string(p.Data)) // a file may hold the same ids and dates as the bodies do, whatever its type
		details += fmt.Sprintf(", %s, sha256 %x", text.Count(len(data), "byte", "bytes"), sha256.Sum256([]byte(data)))
	}
	if p.ContentID != "" {
		value += " <" + replace.text(p.ContentID) + ">"
	}
	return key, strings.TrimPrefix(value+" ("+details+")", " ")
}

// matchPart reports whether a pattern of ChangingFiles matches a file name or a media type.
func matchPart(pattern, name string) bool {
	matched, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
	return matched && err == nil
}

// oneLine writes s so that it stays on its line and shows what it is made of: control characters, line separators and
// direction overrides as escapes, spaces at either end too.
func oneLine(s string) string {
	var b strings.Builder
	for i, r := range s {
		edge := i == 0 || i+utf8.RuneLen(r) == len(s)
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case misleading(r) || edge && unicode.IsSpace(r):
			b.WriteString(escapeRune(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// misleading reports whether r makes text look other than it is, or acts on a terminal.
func misleading(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFEFF' || unicode.Is(unicode.Bidi_Control, r)
}

func escapeRune(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r > 0xFFFF:
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// plainLines ends every line with a line feed alone and drops a byte order mark, which editors and version control
// systems add and remove as they please.
func plainLines(s string) string {
	s = strings.TrimPrefix(s, "\uFEFF")
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// canonicalText is the form in which text bodies are stored and compared: without the white space that does not show, at
// the ends of lines and of the text.
func canonicalText(s string) string {
	lines := strings.Split(plainLines(s), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return endLine(strings.TrimRight(strings.Join(lines, "\n"), "\n"))
}

// endLine ends a text that is not empty with one line feed.
func endLine(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return strings.TrimRight(s, "\n") + "\n"
}

// otherHeaders returns the names in headers, each once, except those that are compared in any case.
func otherHeaders(headers []string) []string {
	seen := []string{"subject", "from", "to", "cc", "reply-to"}
	var others []string
	for _, name := range headers {
		if folded := strings.ToLower(name); !slices.Contains(seen, folded) {
			seen = append(seen, folded)
			others = append(others, name)
		}
	}
	return others
}

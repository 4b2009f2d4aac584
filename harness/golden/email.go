package golden

import (
	"crypto/sha256"
	"fmt"
	"mime"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// Email is what is compared: a decoded email. Fields left empty say that the email has no such part.
type Email struct {
	Subject string
	From    []mail.Address
	To      []mail.Address
	Cc      []mail.Address
	ReplyTo []mail.Address
	// Headers are the email's other headers, decoded, in their order. Options.Headers chooses which of them count.
	Headers     []Header
	Text        string
	HTML        string
	Attachments []Attachment
}

// Header is one header field. Names are compared without regard to case.
type Header struct {
	Name, Value string
}

// Attachment is one attached or inline part.
type Attachment struct {
	Name        string
	ContentType string // with or without parameters
	ContentID   string // by which HTML names it, without angle brackets; mostly empty
	Inline      bool   // the text shows it or refers to it
	Data        []byte
}

// Of returns what is compared of a message from an inbox.
func Of(m *harness.Message) Email {
	e := Email{
		Subject: m.Subject, Text: m.Text, HTML: m.HTML,
		From: deref(m.From), To: deref(m.To), Cc: deref(m.Cc), ReplyTo: deref(m.ReplyTo),
	}
	for _, h := range m.Headers {
		e.Headers = append(e.Headers, Header{Name: h.Name, Value: h.Value})
	}
	for _, p := range m.Files() {
		e.Attachments = append(e.Attachments, Attachment{
			Name: p.Name, ContentType: p.ContentType, ContentID: p.ContentID, Inline: p.Inline(), Data: p.Data,
		})
	}
	return e
}

func deref(list []*mail.Address) []mail.Address {
	var all []mail.Address
	for _, a := range list {
		all = append(all, *a)
	}
	return all
}

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
		"X-Priority", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Content-Type", inbox.DefaultRunHeader,
	}
}

// render returns the files that e would be stored as.
func render(e Email, headers []string, replace replacer) Files {
	var summary strings.Builder
	line := func(key, value string) {
		summary.WriteString(strings.TrimRight(key+": "+oneLine(value), " ") + "\n")
	}
	line("Subject", replace.text(e.Subject))
	for _, field := range []struct {
		key       string
		addresses []mail.Address
	}{{"From", e.From}, {"To", e.To}, {"Cc", e.Cc}, {"Reply-To", e.ReplyTo}} {
		for _, address := range field.addresses {
			line(field.key, replace.text(formatAddress(address)))
		}
	}
	for _, name := range headers {
		for _, header := range e.Headers {
			if strings.EqualFold(header.Name, name) {
				line(name, replace.text(stableValue(name, header.Value)))
			}
		}
	}
	for _, attachment := range e.Attachments {
		line(describeAttachment(attachment, replace))
	}
	return Files{
		Email: summary.String(),
		Text:  canonicalText(replace.text(strings.ToValidUTF8(e.Text, "\uFFFD"))),
		HTML:  endLine(replace.html(plainLines(strings.ToValidUTF8(e.HTML, "\uFFFD")))),
	}
}

// stableValue takes from a header's value what is new in every email. A value that is not well formed stays as it is,
// so that the comparison shows it.
func stableValue(name, value string) string {
	switch strings.ToLower(name) {
	case "date":
		if _, err := mail.ParseDate(value); err == nil {
			return "{{date}}"
		}
	case "message-id", "in-reply-to", "references":
		return messageID.ReplaceAllLiteralString(value, "<{{message-id}}>")
	case "content-type":
		return stableContentType(value)
	}
	return value
}

var messageID = regexp.MustCompile(`<[^<>@\s]+@[^<>@\s]+>`)

// stableContentType drops the boundary, which is random, and the name, which stands elsewhere too, and writes the rest in
// one way.
func stableContentType(value string) string {
	kind, params, err := mime.ParseMediaType(value)
	if err != nil {
		return value
	}
	delete(params, "boundary")
	delete(params, "name")
	if charset, ok := params["charset"]; ok {
		params["charset"] = strings.ToLower(charset)
	}
	return mime.FormatMediaType(kind, params)
}

// formatAddress writes an address decoded; mail.Address.String would encode a name that is not ASCII.
func formatAddress(a mail.Address) string {
	name := a.Name
	if name == "" {
		return a.Address
	}
	if strings.ContainsAny(name, `"(),:;<>@[\]`) {
		name = `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
	}
	return name + " <" + a.Address + ">"
}

func describeAttachment(a Attachment, replace replacer) (key, value string) {
	kind := stableContentType(a.ContentType)
	data := a.Data
	// A text part (a calendar entry, say) may hold the same ids as the bodies do.
	if strings.HasPrefix(kind, "text/") && utf8.Valid(data) {
		data = []byte(replace.text(string(data)))
	}
	key, value = "Attachment", a.Name
	if a.Inline {
		key = "Inline"
	}
	if a.ContentID != "" {
		value = strings.TrimSpace(a.Name + " <" + a.ContentID + ">")
	}
	return key, fmt.Sprintf("%s, %s, sha256 %x)", replace.text(value+" ("+kind), count(len(data), "byte"), sha256.Sum256(data))
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

// canonicalText is the form in which text bodies are stored and compared: without the white space that nobody sees, at
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

// otherHeaders returns the names in headers that do not stand in fields of Email already, each once.
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

package inbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// maxProblems is how many problems of a message are listed.
const maxProblems = 100

// Decode decodes one message. It accepts any bytes: Problems lists what is malformed, and the rest is decoded. Its time
// grows with the size of the message only. ID, Received and Envelope stay empty, since they are not part of a message.
func Decode(raw []byte) *harness.Message {
	m := decoder{&harness.Message{Raw: raw}}
	source := strings.TrimPrefix(string(raw), "\uFEFF")
	if !strings.Contains(source, "\n") {
		source = strings.ReplaceAll(source, "\r", "\n")
	}
	var body int
	for strings.HasPrefix(source, "\n") || strings.HasPrefix(source, "\r\n") {
		source = strings.TrimPrefix(strings.TrimPrefix(source, "\r"), "\n")
	}
	m.Headers, body = parseHeaders(source, func(string) bool { return false }, m.problem)
	m.readHeaders()
	m.walk(source, m.Headers, body)
	return m.Message
}

// A decoder fills a message.
type decoder struct{ *harness.Message }

// problem adds a sentence to Problems, unless it stands there.
func (m decoder) problem(format string, args ...any) {
	if len(m.Problems) > maxProblems {
		return
	}
	// Texts from the message may be in the sentence, and those can be anything.
	sentence := strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD")
	switch {
	case slices.Contains(m.Problems, sentence):
	case len(m.Problems) == maxProblems:
		m.Problems = append(m.Problems, "there are more problems than these")
	default:
		m.Problems = append(m.Problems, sentence)
	}
}

// readHeaders fills the fields that stand in the header.
func (m decoder) readHeaders() {
	// RFC 5322, 3.6, allows each of these once.
	for _, name := range []string{"From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "Content-Type",
		"Content-Transfer-Encoding", "MIME-Version"} {
		if n := len(m.HeaderValues(name)); n > 1 {
			m.problem("header %s stands %d times", name, n)
		}
	}
	m.From = addresses(m.Headers, "From", m.problem)
	m.To = addresses(m.Headers, "To", m.problem)
	m.Cc = addresses(m.Headers, "Cc", m.problem)
	m.ReplyTo = addresses(m.Headers, "Reply-To", m.problem)
	if m.Header("From") == "" {
		m.problem("there is no From header")
	}
	m.Subject = m.Header("Subject")
	m.MessageID = withoutAngles(m.Header("Message-ID"))
	if date := m.Header("Date"); date != "" {
		var ok bool
		if m.Date, ok = parseDate(text.Clip(date, 200)); !ok {
			m.problem("header Date is not a date: %q", text.Clip(date, 60))
		}
	}
}

// withoutAngles returns the id in a header such as Message-ID.
func withoutAngles(id string) string {
	if _, inner, found := strings.Cut(id, "<"); found {
		id, _, _ = strings.Cut(inner, ">")
	}
	return strings.TrimSpace(strings.ToValidUTF8(id, "\uFFFD"))
}

// plain returns a body as a person sees it: valid UTF-8 in lines that end in \n.
func plain(b []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\uFFFD"), "\r\n", "\n")
}

// join puts the bodies of one kind together.
func join(bodies []string) string {
	return strings.Join(slices.DeleteFunc(bodies, func(body string) bool { return body == "" }), "\n")
}

package mailcheck

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// maxLine is how many bytes a line may have, without its end (RFC 5322, 2.1.1). Mail servers break longer ones or refuse
// them.
const maxLine = 998

// format lists what is malformed in an email.
func format(m *harness.Message) []string {
	var found []string
	for _, p := range m.Problems {
		if p != harness.SourceLeftOut {
			found = append(found, p)
		}
	}
	for _, part := range []struct{ name, text string }{{"subject", m.Subject}, {"text", m.Text}, {"HTML", m.HTML}} {
		if before, _, lost := strings.Cut(part.text, "\uFFFD"); lost && len(found) == 0 {
			r := []rune(before)
			found = append(found, fmt.Sprintf("the %s has the character U+FFFD, which stands for what could not be decoded, after %s",
				part.name, quote(string(r[max(0, len(r)-20):]))))
		}
	}
	number, long := 0, 0
	for line := range bytes.Lines(m.Raw) {
		number++
		if n := len(bytes.TrimRight(line, "\r\n")); n > maxLine {
			if long++; long == 1 {
				found = append(found, fmt.Sprintf("line %d of its source has %d bytes: mail servers break or refuse lines over %d; "+
					"encode the part as quoted-printable or base64", number, n, maxLine))
			}
		}
	}
	if long > 1 {
		found[len(found)-1] += fmt.Sprintf(" (%d lines are so long)", long)
	}
	if len(m.Headers) > 0 {
		for _, name := range []string{"Date", "Message-ID"} {
			if m.Header(name) == "" {
				found = append(found, "it has no "+name+" header: spam filters count that against it")
			}
		}
		if id := m.Header("Message-ID"); id != "" && !messageID.MatchString(id) {
			found = append(found, fmt.Sprintf("header Message-ID is malformed: %s is not of the form <name@host>", quote(id)))
		}
	}
	return found
}

var messageID = regexp.MustCompile(`<[^<>\s]+@[^<>\s]+>`)

func size(m *harness.Message) []string {
	n := 0
	sent, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err == nil {
		n, err = sentHTML(textproto.MIMEHeader(sent.Header), sent.Body, 0)
	}
	if err != nil || n == 0 {
		n = len(m.HTML) + strings.Count(m.HTML, "\n") // lines end in two bytes
	}
	if n < ClipSize {
		return nil
	}
	return []string{fmt.Sprintf("the HTML has %d bytes: Gmail clips an email at %d (102 KB) and hides the rest", n, ClipSize)}
}

// sentHTML returns the size of the HTML in a part as it was sent: in its charset and with its line ends.
func sentHTML(header textproto.MIMEHeader, body io.Reader, depth int) (int, error) {
	kind, params, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < 10 {
		total := 0
		for parts := multipart.NewReader(body, params["boundary"]); ; {
			part, err := parts.NextRawPart()
			if err == io.EOF {
				return total, nil
			}
			if err != nil {
				return 0, err
			}
			n, err := sentHTML(part.Header, part, depth+1)
			if err != nil {
				return 0, err
			}
			total += n
		}
	}
	disposition, _, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
	if kind != "text/html" || disposition == "attachment" {
		return 0, nil
	}
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	n, err := io.Copy(io.Discard, body)
	return int(n), err
}

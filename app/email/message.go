package email

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// Message is an email to be sent. Render makes one. Writing and sending do not change it, so several goroutines may do
// both at once.
type Message struct {
	From, To  mail.Address
	Subject   string            // decoded, on one line
	MessageID string            // with angle brackets
	Date      time.Time         // when it was made
	Headers   map[string]string // the other headers, by name
	Text      string            // the plain text part
	HTML      string            // the HTML part, a complete document
}

// WriteTo writes the message as RFC 5322 text with CRLF line ends. Two calls write the same text except for the boundary
// between the parts, which is random so that no text can contain it.
//
// It returns an error if w does, or if an address or a header is not valid in a message.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	msg, err := m.build()
	if err != nil {
		return 0, err
	}
	n, err := msg.WriteTo(w)
	if err != nil {
		return n, fmt.Errorf("write email %s: %w", m.MessageID, err)
	}
	return n, nil
}

func (m *Message) build() (*gomail.Msg, error) {
	from, to, err := m.addresses()
	if err != nil {
		return nil, err
	}
	if !messageIDForm.MatchString(m.MessageID) {
		return nil, fmt.Errorf("%q is not a Message-ID: it needs the form <left@right>", m.MessageID)
	}
	if strings.ContainsAny(m.Subject, "\r\n") {
		return nil, errors.New("the subject has a line break")
	}

	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&from)
	msg.ToMailAddress(&to)
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(strings.Trim(m.MessageID, "<>"))
	msg.SetDateWithValue(m.Date)
	for name, value := range m.Headers {
		if !headerNameForm.MatchString(name) || strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("header %q: a name has letters, digits and dashes, a value no line break", name)
		}
		msg.SetGenHeader(gomail.Header(name), value)
	}
	text, html := wireText(m.Text), wireText(m.HTML)
	msg.SetBodyString(gomail.TypeTextPlain, text, gomail.WithPartEncoding(shortestEncoding(text)))
	msg.AddAlternativeString(gomail.TypeTextHTML, html, gomail.WithPartEncoding(shortestEncoding(html)))
	return msg, nil
}

// addresses returns the sender and the recipient as they appear in the message and on its envelope.
func (m *Message) addresses() (from, to mail.Address, err error) {
	if from, err = wireAddress(m.From); err != nil {
		return from, to, fmt.Errorf("sender: %w", err)
	}
	if to, err = wireAddress(m.To); err != nil {
		return from, to, fmt.Errorf("recipient: %w", err)
	}
	return from, to, nil
}

var (
	messageIDForm  = regexp.MustCompile(`^<[^<>@\s[:^ascii:][:cntrl:]]+@[^<>@\s[:^ascii:][:cntrl:]]+>$`)
	headerNameForm = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	atomForm       = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// wireText converts line ends to CRLF, which RFC 2045, 6.8 requires in base64 too.
func wireText(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// shortestEncoding returns quoted-printable, which is readable, for mostly ASCII text, and base64 otherwise:
// quoted-printable writes three bytes for every byte of, for example, Japanese.
func shortestEncoding(s string) gomail.Encoding {
	encoded := 0
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == '=' {
			encoded++
		}
	}
	if len(s)+2*encoded > len(s)*4/3 {
		return gomail.EncodingB64
	}
	return gomail.EncodingQP
}

// wireAddress validates an address. It accepts only a single mailbox that parses to itself without quotes, because
// `"kim@a.test, eve@b.test"` is one mailbox of b.test. It converts an internationalized domain to ASCII.
func wireAddress(a mail.Address) (mail.Address, error) {
	if a.Address == "" {
		return mail.Address{}, errors.New("there is no email address")
	}
	at := strings.LastIndexByte(a.Address, '@')
	if at < 0 {
		return mail.Address{}, fmt.Errorf("%q is not an email address: it has no @", a.Address)
	}
	local, domain := a.Address[:at], a.Address[at+1:]
	if !isASCII(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return mail.Address{}, fmt.Errorf("%q is not an email address: its domain has no ASCII form: %w", a.Address, err)
		}
		domain = ascii
	}
	// net/mail encodes a backslash next to non-ASCII letters in a way that no parser accepts.
	name := strings.ReplaceAll(headerText(a.Name, displayNameLimit), `\`, "/")
	wire := mail.Address{Name: name, Address: local + "@" + domain}
	if len(wire.Address) > 254 {
		return mail.Address{}, fmt.Errorf("an email address of %d bytes: at most 254 are allowed", len(wire.Address))
	}
	parsed, err := mail.ParseAddress(wire.Address)
	if err != nil {
		return mail.Address{}, fmt.Errorf("%q is not an email address: %w", a.Address, err)
	}
	if parsed.Address != wire.Address || parsed.Name != "" {
		return mail.Address{}, fmt.Errorf("%q is not an email address: it reads as %q", a.Address, parsed.Address)
	}
	return wire, nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// MessageID returns the Message-ID, with angle brackets, of a request's notification. It is always the same for a request
// and domain, so that mail programs recognize copies. A request id that is not allowed in a Message-ID is replaced by its
// hash, a domain that is not allowed by "invalid".
func MessageID(requestID, domain string) string {
	left := requestID
	if len(left) > 64 || !atomForm.MatchString(left) {
		sum := sha256.Sum256([]byte(requestID))
		left = hex.EncodeToString(sum[:16])
	}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	if len(domain) > 253 || !atomForm.MatchString(domain) {
		domain = "invalid"
	}
	return "<maintenance-request." + left + "@" + domain + ">"
}

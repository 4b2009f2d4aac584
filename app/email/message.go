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

// Message is an email ready to be sent. Render makes one; it is not changed by writing or sending
// it, and may be written and sent from several goroutines at once.
type Message struct {
	From, To  mail.Address
	Subject   string            // as a person reads it: decoded, on one line
	MessageID string            // with angle brackets
	Date      time.Time         // when it was made
	Headers   map[string]string // the other headers, by name
	Text      string            // the plain text part
	HTML      string            // the HTML part, a whole document
}

// WriteTo writes the message as RFC 5322 text with CRLF line ends. What it writes varies in nothing
// but the boundary between the parts, which is random so that no text can contain it.
//
// It fails when w does, or when an address or header is not one that can stand in a message.
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

// addresses returns the sender and the recipient as they stand in the message and on its envelope.
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

// wireText gives text its line ends in mail (RFC 2045, 6.8: also where base64 hides them).
func wireText(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// shortestEncoding keeps text readable in the source where it is mostly ASCII, and short where it is
// not: quoted-printable triples every byte of, say, Japanese.
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

// wireAddress is the one gate for addresses: what passes is a single mailbox that reads back the
// same without quotes, since `kim@a.test, eve@b.test` in quotes is a mailbox of b.test. An
// internationalised domain is written in its ASCII form.
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
	// net/mail writes a backslash beside letters outside ASCII in a way that no parser reads.
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
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// MessageID returns the Message-ID, with angle brackets, of the notification of one request: always
// the same for the same request and domain, so that copies of one notification can be recognised as such.
// A request id that cannot stand in a Message-ID is replaced by its hash; a domain that cannot, by "invalid".
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

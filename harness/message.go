package harness

import (
	"encoding/json"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Message is one decoded email, with its source. Package inbox decodes them. Messages that a trace or a client hands
// out are shared: do not modify them.
type Message struct {
	// ID is the mail catcher's id of the message; empty for one that was not read from a mail catcher.
	ID string `json:"id,omitempty"`
	// Received is when the mail catcher accepted the message, by its clock.
	Received time.Time `json:"received,omitzero"`
	// Envelope holds the sender and recipients of the SMTP dialogue, which decide where the message is delivered.
	Envelope Envelope `json:"envelope"`

	// Subject and the addresses are those of the headers, decoded. A header that occurs more than once is a Problem:
	// Subject is then the first, and the address lists have all addresses.
	Subject string    `json:"subject"`
	From    Addresses `json:"from"`
	To      Addresses `json:"to,omitempty"`
	Cc      Addresses `json:"cc,omitempty"`
	ReplyTo Addresses `json:"replyTo,omitempty"`
	// Date is the Date header; zero when there is none or it cannot be read.
	Date time.Time `json:"date,omitzero"`
	// MessageID is the Message-ID header without its angle brackets.
	MessageID string `json:"messageId,omitempty"`
	// Headers are all headers, in order, repeated ones repeated.
	Headers []Header `json:"headers"`

	// Text and HTML are the bodies in UTF-8, with lines ending in \n. One that the message does not have is empty;
	// several of one kind are joined by a newline.
	Text string `json:"text"`
	HTML string `json:"html"`
	// Inlines are the parts that a body refers to or shows ([Part.Inline]), Attachments all other parts, both in the
	// order of the message. Files returns both.
	Attachments []Part `json:"attachments,omitempty"`
	Inlines     []Part `json:"inlines,omitempty"`

	// Raw is the message as it came over SMTP, without the final dot.
	Raw []byte `json:"raw,omitempty"`
	// Problems lists what is malformed, one sentence each. Everything that could be decoded was decoded.
	Problems []string `json:"problems,omitempty"`
}

// Addresses are addresses of a header. In JSON each is an object with the fields name and address.
type Addresses []*mail.Address

type addressJSON struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
}

// MarshalJSON implements [json.Marshaler].
func (a Addresses) MarshalJSON() ([]byte, error) {
	all := make([]addressJSON, len(a))
	for i, one := range a {
		all[i] = addressJSON(*one)
	}
	return json.Marshal(all)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Addresses) UnmarshalJSON(data []byte) error {
	var all []addressJSON
	err := json.Unmarshal(data, &all)
	*a = make(Addresses, len(all))
	for i, one := range all {
		(*a)[i] = (*mail.Address)(&one)
	}
	return err
}

// SourceLeftOut is the one of a message's Problems that is not its sender's: the message was redacted, and its Raw is
// empty.
const SourceLeftOut = "it contains a secret: its source is left out"

// An Envelope is the sender and the recipients of an SMTP dialogue.
type Envelope struct {
	From string   `json:"from"`
	To   []string `json:"to"`
	// Helo is the argument of the client's HELO or EHLO.
	Helo string `json:"helo,omitempty"`
}

// MarshalJSON writes the list of recipients as [] if it has none, also where it is nil.
func (e Envelope) MarshalJSON() ([]byte, error) {
	type plain Envelope // without methods
	e.To = list(e.To)
	return json.Marshal(plain(e))
}

// A Header is one header field of a message.
type Header struct {
	// Name is as written.
	Name string `json:"name"`
	// Value is unfolded and decoded (RFC 2047).
	Value string `json:"value"`
	// Raw is the value as in the message, folded and encoded, without the final line break.
	Raw string `json:"raw,omitempty"`
}

// A Part is an attachment or an inline part. In JSON it also has the field size, the number of bytes in data.
type Part struct {
	// Name is the file name, decoded (RFC 2231 or 2047); empty when there is none.
	Name string `json:"name"`
	// ContentType is the media type without parameters, as in "image/png".
	ContentType string `json:"type"`
	// CalendarMethod is the parameter method of the type text/calendar, such as "REQUEST".
	CalendarMethod string `json:"calendarMethod,omitempty"`
	// ContentID is without its angle brackets, as a "cid:" link in HTML names it.
	ContentID string `json:"contentId,omitempty"`
	// Disposition is "attachment", "inline" or empty.
	Disposition string `json:"disposition,omitempty"`
	// Data are the bytes of the file: the transfer encoding is undone, and a text is in the charset of its sender.
	Data []byte `json:"data"`
	// Text is the content of a text, in UTF-8 and in lines that end in \n; empty for other types.
	Text string `json:"text,omitempty"`
}

// MarshalJSON adds the field size, the number of bytes of Data.
func (p Part) MarshalJSON() ([]byte, error) {
	type plain Part // without methods
	p.Data = list(p.Data)
	return json.Marshal(struct {
		plain
		Size int `json:"size"`
	}{plain(p), len(p.Data)})
}

// Header returns the decoded value of the first header with this name, or "". Case is ignored.
func (m *Message) Header(name string) string {
	for i := range m.Headers {
		if strings.EqualFold(m.Headers[i].Name, name) {
			return m.Headers[i].Value
		}
	}
	return ""
}

// Files returns all parts other than the bodies: the inline ones, then the attachments. The slice is the caller's.
func (m *Message) Files() []Part {
	return slices.Concat(m.Inlines, m.Attachments)
}

// PartByCID returns the part that a cid: URL shows, nil if the message has none. The URL may be percent-encoded or, as
// many mailers write it, the Content-ID as it stands (RFC 2392).
func (m *Message) PartByCID(cid string) *Part {
	if len(cid) < 4 || !strings.EqualFold(cid[:4], "cid:") {
		return nil
	}
	id := cid[4:]
	decoded, err := url.PathUnescape(id)
	if err != nil {
		decoded = id
	}
	for _, parts := range [][]Part{m.Inlines, m.Attachments} {
		for i := range parts {
			has := parts[i].ContentID
			if has != "" && (strings.EqualFold(has, id) || strings.EqualFold(has, decoded)) {
				return &parts[i]
			}
		}
	}
	return nil
}

// Inline reports whether a body refers to the part or shows it: its disposition is "inline", or it has none and a
// Content-ID.
func (p *Part) Inline() bool {
	return p.Disposition == "inline" || p.Disposition == "" && p.ContentID != ""
}

// HeaderValues returns the decoded values of all headers with this name, in order. Case is ignored.
func (m *Message) HeaderValues(name string) []string {
	var values []string
	for i := range m.Headers {
		if strings.EqualFold(m.Headers[i].Name, name) {
			values = append(values, m.Headers[i].Value)
		}
	}
	return values
}

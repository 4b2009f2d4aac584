package inbox

import (
	"net/mail"
	"slices"
	"strings"
	"time"
)

// A Message is one email as a person would see it, with its raw form beside it. Messages that a [Client] hands out are
// shared: do not modify them.
type Message struct {
	// ID is MailHog's name for the message; empty for one that [Decode] made.
	ID string
	// Received is when MailHog took the message, by MailHog's clock.
	Received time.Time
	// Envelope is what the SMTP dialogue said, which is what decides who gets the message.
	Envelope Envelope

	// Subject and the addresses are those of the headers, decoded. A header that stands more than once is a Problem:
	// Subject is then the first, the address lists have all of them.
	Subject               string
	From, To, Cc, ReplyTo []*mail.Address
	// Date is the Date header; zero when there is none or it cannot be read.
	Date time.Time
	// MessageID is the Message-ID header without its angle brackets.
	MessageID string
	// Headers are all headers, in order, repeated ones repeated.
	Headers []Header

	// Text and HTML are the bodies in UTF-8, with lines ending in \n. One that the message does not have is empty;
	// several of one kind are joined by a newline.
	Text, HTML string
	// Attachments and Inlines are the other parts, each in one of the two, in order: Inlines those that the text refers
	// to or shows ([Part.Inline]), Attachments those that are offered beside it. Files returns both.
	Attachments, Inlines []Part

	// Raw is the message as it came over SMTP, without the final dot.
	Raw []byte
	// Problems says what is malformed, one sentence each. What could be decoded was decoded all the same.
	Problems []string
}

// An Envelope is the sender and the recipients of an SMTP dialogue.
type Envelope struct {
	From string
	To   []string
	// Helo is the name the sending program gave itself.
	Helo string
}

// A Header is one line of a message's header, or several where it was folded.
type Header struct {
	// Name is as written.
	Name string
	// Value is unfolded and decoded (RFC 2047).
	Value string
	// Raw is the value as it stands in the message, folded and encoded, without the line's end.
	Raw string
}

// A Part is an attachment or an inline part.
type Part struct {
	// Name is the file name, decoded (RFC 2231 or 2047); empty when there is none.
	Name string
	// ContentType is the media type without parameters, as in "image/png".
	ContentType string
	// ContentID is without its angle brackets, as a "cid:" link in HTML names it.
	ContentID string
	// Disposition is "attachment", "inline" or empty.
	Disposition string
	// Data is decoded; text parts are in UTF-8.
	Data []byte
}

// Header returns the decoded value of the first header with this name, in any case, or "".
func (m *Message) Header(name string) string {
	for i := range m.Headers {
		if strings.EqualFold(m.Headers[i].Name, name) {
			return m.Headers[i].Value
		}
	}
	return ""
}

// Files returns all parts that are no bodies: the inline ones, then the attachments. The slice is the caller's.
func (m *Message) Files() []Part {
	return slices.Concat(m.Inlines, m.Attachments)
}

// Inline says whether the text refers to the part or shows it: its disposition is "inline", or it states none and has a
// Content-ID.
func (p *Part) Inline() bool {
	return p.Disposition == "inline" || p.Disposition == "" && p.ContentID != ""
}

// HeaderValues returns the decoded values of all headers with this name, in order.
func (m *Message) HeaderValues(name string) []string {
	var values []string
	for i := range m.Headers {
		if strings.EqualFold(m.Headers[i].Name, name) {
			values = append(values, m.Headers[i].Value)
		}
	}
	return values
}

package inbox

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"
	"github.com/jhillyerd/enmime/v2/mediatype"
	"golang.org/x/net/html/charset"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// maxMultiparts is how many multiparts a message may hold. Each costs a pass over all that is inside it, so that a
// message of nothing else would take hours.
const maxMultiparts = 100

// Decode decodes one message. It accepts any bytes: Problems lists what is malformed, and the rest is decoded. ID,
// Received and Envelope stay empty, since they are not part of a message.
func Decode(raw []byte) *harness.Message {
	m := decoder{&harness.Message{Raw: raw}}
	m.Headers, m.Problems = parseHeaders(string(raw))
	m.readHeaders()
	m.readBody()
	return m.Message
}

// A decoder fills a message.
type decoder struct{ *harness.Message }

// problem adds a sentence to Problems.
func (m decoder) problem(format string, args ...any) {
	// Texts from the message may be in the sentence, and those can be anything.
	m.Problems = append(m.Problems, strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD"))
}

// readHeaders fills the fields that stand in the header.
func (m decoder) readHeaders() {
	// RFC 5322, 3.6, allows each of these once.
	for _, name := range []string{"From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "Content-Type", "MIME-Version"} {
		if n := len(m.HeaderValues(name)); n > 1 {
			m.problem("header %s stands %d times", name, n)
		}
	}
	for _, list := range []struct {
		name string
		to   *[]*mail.Address
	}{{"From", &m.From}, {"To", &m.To}, {"Cc", &m.Cc}, {"Reply-To", &m.ReplyTo}} {
		found, problems := addresses(m.Headers, list.name)
		*list.to = found
		m.Problems = append(m.Problems, problems...)
	}
	if m.Header("From") == "" {
		m.problem("there is no From header")
	}
	m.Subject = m.Header("Subject")
	m.MessageID = strings.TrimSuffix(strings.TrimPrefix(m.Header("Message-ID"), "<"), ">")
	if date := m.Header("Date"); date != "" {
		var err error
		if m.Date, err = mail.ParseDate(date); err != nil {
			m.problem("header Date is not a date: %q", text.Clip(date, 60))
		}
	}
}

// readBody decodes the MIME parts and sorts them into texts and attachments.
func (m decoder) readBody() {
	root, err := parseParts(m.Raw)
	if err != nil {
		m.problem("the body cannot be decoded: %v", err)
		m.Text = plain(bodyOf(m.Raw))
		return
	}
	root.DepthMatchAll(func(p *enmime.Part) bool {
		if p.FirstChild == nil {
			m.addPart(p)
		}
		return false
	})
	root.DepthMatchAll(func(p *enmime.Part) bool {
		for _, e := range p.Errors {
			switch {
			case e.Name == enmime.ErrorMissingContentType: // allowed, and means text (RFC 2046, 5.1)
			case e.Name == enmime.ErrorMalformedHeader && p == root && !strings.HasPrefix(e.Detail, "Content-Type"):
				// parseHeaders has found it, and has better words.
			default:
				m.problem("%s: %s", strings.ToLower(e.Name), text.Clip(e.Detail, 200))
			}
		}
		return false
	})
}

// addPart puts one leaf of the MIME tree where it belongs: the bodies are the text parts that are not offered as files.
func (m decoder) addPart(p *enmime.Part) {
	if strings.HasPrefix(p.ContentType, "multipart/") {
		m.problem("a %s has no parts", p.ContentType)
		if p.Boundary != "" || len(p.Content) == 0 {
			return
		}
		p.ContentType = "" // without a boundary it cannot be taken apart; what is in it can be read
	}
	if p.ContentType == "" {
		p.ContentType = "text/plain"
	}
	part := harness.Part{
		Name:        p.FileName,
		ContentType: p.ContentType,
		ContentID:   p.ContentID,
		Disposition: p.Disposition,
		Data:        p.Content,
	}
	if part.Name == "" {
		part.Name = foreignFileName(p)
	}
	if name := strings.ToValidUTF8(part.Name, "\uFFFD"); name != part.Name {
		m.problem("file name %q holds bytes that are not UTF-8", name)
		part.Name = name
	}
	if p.ContentType == "text/calendar" {
		part.CalendarMethod = typeParam(p, "method")
	}
	if strings.HasPrefix(p.ContentType, "text/") {
		utf8Text, ok := validText(p)
		if !ok {
			m.problem("a %s part holds bytes that are not %s", p.ContentType, cmp.Or(declaredCharset(p), "UTF-8"))
		}
		part.Data = utf8Text
	}
	isFile := p.Disposition == "attachment" || part.Name != ""
	switch {
	case p.ContentType == "text/plain" && !isFile:
		m.Text = join(m.Text, plain(part.Data))
	case p.ContentType == "text/html" && !isFile:
		m.HTML = join(m.HTML, plain(part.Data))
	case part.Inline():
		m.Inlines = append(m.Inlines, part)
	default:
		m.Attachments = append(m.Attachments, part)
	}
}

// parseParts parses the MIME parts. A panic of the parser becomes an error.
func parseParts(raw []byte) (root *enmime.Part, err error) {
	if n := countMultiparts(raw); n > maxMultiparts {
		return nil, fmt.Errorf("it holds %d multiparts, and no mail program makes more than %d", n, maxMultiparts)
	}
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("the MIME parser gave up: %v", r)
		}
	}()
	return enmime.NewParser(
		// Of a damaged part, keep what comes before the damage.
		enmime.SetReadPartErrorPolicy(func(*enmime.Part, error) bool { return true }),
		enmime.SkipMalformedParts(true),
		enmime.MultipartWOBoundaryAsSinglePart(true),
		// Mail programs show a text in the charset that it declares.
		enmime.DisableCharacterDetection(true),
		enmime.SetCustomParseMediaType(parseMediaType),
		enmime.MaxStoredPartErrors(20),
	).ReadParts(bytes.NewReader(raw))
}

// countMultiparts counts the lines that declare a multipart.
func countMultiparts(raw []byte) int {
	n := 0
	for line := range bytes.Lines(raw) {
		if i := bytes.IndexByte(line, '/'); i >= 9 && bytes.EqualFold(line[i-9:i], []byte("multipart")) {
			n++
		}
	}
	return n
}

// parseMediaType parses a media type as enmime does, except that text without a charset, or in ASCII, is UTF-8: most
// unlabelled 8-bit text is. validText handles the rest.
func parseMediaType(value string) (string, map[string]string, []string, error) {
	mtype, params, invalid, err := mediatype.Parse(value)
	if err != nil {
		mtype, _, _ = strings.Cut(value, ";")
		mtype, params, invalid = strings.ToLower(strings.TrimSpace(mtype)), nil, []string{text.Clip(value, 60)}
	}
	if strings.HasPrefix(mtype, "text/") && isASCII(params["charset"]) {
		if params == nil {
			params = map[string]string{}
		}
		params["charset"] = "utf-8"
	}
	return mtype, params, invalid, nil
}

func isASCII(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "us-ascii") || strings.EqualFold(charset, "ascii")
}

// declaredCharset is the charset that a part states, "" when it states none or ASCII.
func declaredCharset(p *enmime.Part) string {
	if charset := typeParam(p, "charset"); !isASCII(charset) {
		return charset
	}
	return ""
}

// typeParam returns a parameter of a part's type as it is written.
func typeParam(p *enmime.Part, name string) string {
	_, params, _, _ := mediatype.Parse(p.Header.Get("Content-Type"))
	return params[name]
}

// validText returns the text of a part in UTF-8, and whether it was in the charset that it declares. For text that
// declares none it looks at byte order marks and <meta charset>, as browsers do, and else assumes Windows-1252.
func validText(p *enmime.Part) (utf8Text []byte, ok bool) {
	if utf8.Valid(p.Content) {
		return bytes.TrimPrefix(p.Content, []byte("\uFEFF")), true
	}
	if declaredCharset(p) == "" {
		enc, name, _ := charset.DetermineEncoding(p.Content, p.ContentType)
		if name != "utf-8" {
			if decoded, err := enc.NewDecoder().Bytes(p.Content); err == nil {
				return decoded, name != "windows-1252"
			}
		}
	}
	return bytes.ToValidUTF8(p.Content, []byte("\uFFFD")), false
}

// foreignFileName reads a file name in an RFC 2231 charset other than UTF-8 and ASCII, the only ones that package mime
// knows.
func foreignFileName(p *enmime.Part) string {
	for header, param := range map[string]string{"Content-Disposition": "filename", "Content-Type": "name"} {
		value := p.Header.Get(header)
		label := foreignCharset(value, param)
		if label == "" {
			continue
		}
		// With the label UTF-8, package mime joins the pieces and decodes the percent signs; the bytes are still in the
		// other charset.
		_, params, err := mime.ParseMediaType(strings.Replace(value, label+"'", "utf-8'", 1))
		if err != nil {
			continue
		}
		if name, err := toUTF8(label, []byte(params[param])); err == nil {
			return string(name)
		}
	}
	return ""
}

// foreignCharset returns the charset in param*=charset'language'value or param*0*=charset'language'value.
func foreignCharset(value, param string) string {
	for field := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(field), "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != param+"*" && name != param+"*0*" {
			continue
		}
		if label, _, found := strings.Cut(strings.TrimSpace(v), "'"); found {
			return label
		}
	}
	return ""
}

// bodyOf returns what follows the header, undecoded.
func bodyOf(raw []byte) []byte {
	for line := range bytes.Lines(raw) {
		raw = raw[len(line):]
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	return raw
}

// plain returns a body as a person sees it: valid UTF-8 in lines that end in \n.
func plain(b []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\uFFFD"), "\r\n", "\n")
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

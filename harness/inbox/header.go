package inbox

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// maxHeader is how much of one header block is decoded. Mail servers accept a tenth of it.
const maxHeader = 1 << 20

// A report adds a sentence to the problems of a message.
type report func(format string, args ...any)

// parseHeaders reads the header block at the start of raw, up to an empty line or one for which stop is true, and returns
// where the body begins. Lines that are no headers are problems. If further headers follow them they are left out;
// otherwise the body begins with them.
func parseHeaders(raw string, stop func(line string) bool, problem report) (headers []harness.Header, body int) {
	headers = []harness.Header{} // a list in JSON, also without elements
	const beforeHeader, inHeader, skipped = -1, 0, 1
	state, next := beforeHeader, 0 // next is where the next header begins, as far as it was looked for
	start, end := 0, 0             // of the value that is being read
	add := func() {
		if state != inHeader {
			return
		}
		if end > maxHeader {
			problem("the header is longer than %d bytes: the rest of it is not decoded", maxHeader)
			start, end = min(start, maxHeader), maxHeader
		}
		headers[len(headers)-1].Raw = strings.TrimRight(raw[start:end], "\r\n")
	}
	for body < len(raw) {
		line := firstLine(raw[body:])
		content := strings.TrimRight(line, "\r\n")
		if content == "" {
			body += len(line)
			break
		}
		if stop(content) {
			break
		}
		folded := content[0] == ' ' || content[0] == '\t'
		name, value, found := headerLine(content)
		if !found && state == beforeHeader && folded {
			if name, value, found = headerLine(strings.TrimLeft(content, " \t")); found {
				problem("the header begins with a blank: %q", text.Clip(content, 60))
			}
		}
		switch {
		case body > maxHeader:
			end = body + 1
			add()
			state = skipped
		case found:
			add()
			headers = append(headers, harness.Header{Name: name})
			state, start, end = inHeader, body+len(content)-len(value), body+len(line)
		case folded && state == inHeader:
			end = body + len(line)
		case folded && state == skipped:
		default:
			if next <= body {
				next = body + nextHeader(raw[body:], stop)
			}
			if next == body || strings.HasPrefix(content, "--") { // no header follows, or a part does
				if len(headers) > 0 {
					problem("there is no empty line between header and body: %q", text.Clip(content, 60))
				}
				add()
				return decodeHeaders(headers, problem), body
			}
			if !strings.HasPrefix(content, "From ") || body > 0 { // which begins a message in a mailbox file
				problem("the header has a line that is no header: %q", text.Clip(content, 60))
			}
			add()
			state = skipped
		}
		body += len(line)
	}
	add()
	return decodeHeaders(headers, problem), body
}

// nextHeader returns where in s the next header begins before the end of the header block; 0 if there is none.
func nextHeader(s string, stop func(line string) bool) (at int) {
	for line := range strings.Lines(s[:min(len(s), maxHeader)]) {
		content := strings.TrimRight(line, "\r\n")
		if content == "" || stop(content) {
			break
		}
		if _, _, found := headerLine(content); found {
			return at
		}
		at += len(line)
	}
	return 0
}

// headerLine splits the first line of a header.
func headerLine(line string) (name, value string, ok bool) {
	name, value, found := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t") // blanks before the colon were once allowed
	return name, strings.TrimLeft(value, " \t"), found && validName(name)
}

func firstLine(s string) string {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return s[:i+1]
	}
	return s
}

func decodeHeaders(headers []harness.Header, problem report) []harness.Header {
	for i := range headers {
		h := &headers[i]
		value, why := decodeWords(strings.TrimSpace(unfold(h.Raw)))
		h.Value = strings.ToValidUTF8(value, "\uFFFD")
		if h.Value != value {
			why = "holds bytes that are not UTF-8"
		}
		if i := strings.IndexFunc(h.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 && why == "" {
			why = fmt.Sprintf("holds the control character %q", h.Value[i])
		}
		if why != "" {
			problem("header %s %s", text.Clip(h.Name, 40), why)
		}
	}
	return headers
}

// validName reports whether a name is valid for a header (RFC 5322, 2.2).
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// unfold joins the lines of a header: each line end goes, the blank that follows it stays (RFC 5322, 2.2.3).
func unfold(s string) string {
	return lineEnds.Replace(s)
}

var lineEnds = strings.NewReplacer("\r", "", "\n", "")

// An encodedWord is RFC 2047's, by its place in a text, with its charset (and RFC 2231's language), encoding and text.
type encodedWord struct {
	start, end              int
	charset, encoding, text string
}

// encodedWords finds the encoded words in s. Blanks and question marks in their text are not allowed, but sent. broken is
// the beginning of one that has no end, or an unknown encoding; "" if there is none.
func encodedWords(s string) (words []encodedWord, broken string) {
	for at := 0; ; {
		next := strings.Index(s[at:], "=?")
		if next < 0 {
			return words, broken
		}
		start := at + next
		at = start + 2
		end := strings.IndexAny(s[at:], "? \t")
		if end < 1 || !strings.HasPrefix(s[at+end:], "?") || len(s) < at+end+3 || s[at+end+2] != '?' {
			continue
		}
		charset, _, _ := strings.Cut(s[at:at+end], "*")
		w := encodedWord{start: start, charset: charset, encoding: s[at+end+1 : at+end+2]}
		body := s[at+end+3:]
		if other := strings.Index(body, "=?"); other >= 0 {
			body = body[:min(other+3, len(body))] // the text may end in an equals sign
		}
		var closed bool
		if w.text, _, closed = strings.Cut(body, "?="); !closed || charset == "" || !strings.Contains("bBqQ", w.encoding) {
			broken = s[start : at+end+3]
			continue
		}
		w.end = at + end + 3 + len(w.text) + 2
		words, at = append(words, w), w.end
	}
}

// decodeWords decodes the encoded words in s, and says what is wrong with them. Neighbours with one charset are joined
// before they are decoded, because many senders break a line in the middle of a character.
func decodeWords(s string) (decoded, problem string) {
	words, broken := encodedWords(s)
	if broken != "" {
		problem = "has an encoded word that cannot be decoded: " + text.Clip(broken, 60)
	}
	if words == nil {
		return s, problem
	}
	var out strings.Builder
	end := 0
	for i := 0; i < len(words); {
		w := words[i]
		if between := s[end:w.start]; i == 0 || strings.Trim(between, " \t") != "" {
			out.WriteString(between)
		}
		charset := w.charset
		var word []byte
		for first := i; i < len(words); i++ {
			w = words[i]
			if i > first && (strings.Trim(s[end:w.start], " \t") != "" || !strings.EqualFold(w.charset, charset)) {
				break
			}
			decoded, ok := wordBytes(w.encoding, w.text)
			if !ok {
				problem = "has an encoded word that is not base64: " + text.Clip(s[w.start:w.end], 60)
			}
			word = append(word, decoded...)
			end = w.end
		}
		decoded, why := toUTF8(charset, word)
		if why != "" {
			problem = why
		}
		out.Write(decoded)
	}
	out.WriteString(s[end:])
	return out.String(), problem
}

// wordBytes decodes the text of one encoded word, and reports whether that is possible to its end.
func wordBytes(encoding, text string) (decoded []byte, ok bool) {
	if strings.EqualFold(encoding, "B") {
		// Padding is left out by some senders, and added twice by others.
		text = strings.ReplaceAll(text, " ", "")
		decoded, problem := decodeBase64(text + strings.Repeat("=", (4-len(text)%4)%4))
		return decoded, problem == ""
	}
	return unescape(strings.ReplaceAll(text, "_", " "), '='), true
}

// unescape replaces an escape character and two hexadecimal digits by the byte that they are. Others stay.
func unescape(s string, escape byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == escape && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

// header returns the value of the first header with a name, unfolded and not decoded.
func header(headers []harness.Header, name string) string {
	i := slices.IndexFunc(headers, func(h harness.Header) bool { return strings.EqualFold(h.Name, name) })
	if i < 0 {
		return ""
	}
	return strings.TrimSpace(unfold(headers[i].Raw))
}

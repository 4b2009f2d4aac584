package inbox

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// parseHeaders reads the header block at the start of raw. A line that is no header is a problem, and is taken as part
// of the header before it, as mail programs do.
func parseHeaders(raw string) (headers []harness.Header, problems []string) {
	for line := range strings.Lines(raw) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		name, value, found := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t") // blanks before the colon were once allowed
		folded := line[0] == ' ' || line[0] == '\t'
		if found && !folded && validName(name) {
			headers = append(headers, harness.Header{Name: name, Raw: strings.TrimLeft(value, " \t")})
			continue
		}
		if !folded {
			problems = append(problems, fmt.Sprintf("the header has a line that is no header: %q", text.Clip(line, 60)))
		}
		if n := len(headers); n > 0 {
			headers[n-1].Raw += "\r\n" + line
		}
	}
	for i := range headers {
		h := &headers[i]
		h.Value = decodeWords(strings.TrimSpace(unfold(h.Raw)))
		if !utf8.ValidString(h.Value) {
			h.Value = strings.ToValidUTF8(h.Value, "\uFFFD")
			problems = append(problems, fmt.Sprintf("header %s holds bytes that are not UTF-8", text.Clip(h.Name, 40)))
		}
	}
	return headers, problems
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

// encodedWord is RFC 2047's, with its charset (and RFC 2231's language), encoding and text. Blanks in the text are not
// allowed, but sent.
var encodedWord = regexp.MustCompile(`=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=`)

// decodeWords decodes the encoded words in s. Neighbours with one charset are joined before they are decoded: many
// senders break a line in the middle of a character, which mime.WordDecoder takes for two damaged ones. A malformed
// encoded word stays as it is; if one has an unknown charset, all of s does.
func decodeWords(s string) string {
	words := encodedWord.FindAllStringSubmatchIndex(s, -1)
	if words == nil {
		return s
	}
	var out strings.Builder
	end := 0
	for i := 0; i < len(words); {
		w := words[i]
		if between := s[end:w[0]]; i == 0 || strings.Trim(between, " \t") != "" {
			out.WriteString(between)
		}
		charset := s[w[2]:w[3]]
		var text []byte
		for first := i; i < len(words); i++ {
			w = words[i]
			if i > first && (strings.Trim(s[end:w[0]], " \t") != "" || !strings.EqualFold(s[w[2]:w[3]], charset)) {
				break
			}
			text = append(text, wordBytes(s[w[4]:w[5]], s[w[6]:w[7]])...)
			end = w[1]
		}
		decoded, err := toUTF8(charset, text)
		if err != nil {
			return s
		}
		out.Write(decoded)
	}
	out.WriteString(s[end:])
	return out.String()
}

// wordBytes decodes the text of one encoded word up to the first error.
func wordBytes(encoding, text string) []byte {
	if strings.EqualFold(encoding, "B") {
		// Padding is left out by some senders, and added twice by others.
		text = strings.TrimRight(strings.ReplaceAll(text, " ", ""), "=")
		decoded, _ := base64.RawStdEncoding.DecodeString(text)
		return decoded
	}
	text = strings.ReplaceAll(text, "_", " ")
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '=' && i+2 < len(text) {
			if b, err := hex.DecodeString(text[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return out
}

// toUTF8 decodes text in a charset, by any name that browsers or the IANA have for it.
func toUTF8(charset string, text []byte) ([]byte, error) {
	enc, err := htmlindex.Get(charset)
	if err != nil {
		if enc, err = ianaindex.MIME.Encoding(charset); err != nil || enc == nil {
			return nil, fmt.Errorf("unknown charset %q", charset)
		}
	}
	if enc == unicode.UTF8 {
		return text, nil // the decoder would replace invalid bytes, which the caller reports
	}
	return enc.NewDecoder().Bytes(text)
}

func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	text, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	text, err = toUTF8(charset, text)
	return bytes.NewReader(text), err
}

// addresses reads all headers with this name as one list of addresses.
func addresses(headers []harness.Header, name string) (list []*mail.Address, problems []string) {
	for _, h := range headers {
		if !strings.EqualFold(h.Name, name) {
			continue
		}
		value := unfold(h.Raw)
		if strings.TrimSpace(value) == "" {
			problems = append(problems, fmt.Sprintf("header %s is empty", name))
			continue
		}
		parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: charsetReader}}
		found, err := parser.ParseList(value)
		if err != nil {
			problems = append(problems, fmt.Sprintf("header %s is not a list of addresses: %s: %q",
				name, strings.TrimPrefix(err.Error(), "mail: "), text.Clip(value, 60)))
			// enmime takes more than the standard allows: a list without commas, encoded words inside quotes.
			found, _ = enmime.ParseAddressList(value)
		}
		for _, a := range found {
			a.Name = strings.ToValidUTF8(a.Name, "\uFFFD")
			a.Address = strings.ToValidUTF8(a.Address, "\uFFFD")
			list = append(list, a)
		}
	}
	return list, problems
}

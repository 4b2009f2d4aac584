package inbox

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

const (
	// maxDepth is how deep multiparts are taken apart. One that is deeper is a part.
	maxDepth = 200
	// maxParts is how many parts of a message are decoded.
	maxParts = 1000
)

// A part is a part of a message: the message itself, or one that begins with a delimiter of a multipart.
type part struct {
	headers     []harness.Header
	contentType string // "" if none is stated
	params      map[string]string
	// isBody says that it stands where mail programs look for the text of an email.
	isBody bool
	body   int // where it begins
}

// A multipart is one that is being read.
type multipart struct {
	*part
	boundary string
	parts    int
	closed   bool
	html     bool // HTML was in it
	// beforeTexts and beforeHTML are how many bodies there were before it.
	beforeTexts, beforeHTML int
}

// A partReader takes a message apart, in one pass over its lines.
type partReader struct {
	decoder
	raw  string
	open []*multipart // outermost first
	// at are the multiparts with a boundary, by their index in open.
	at          map[string][]int
	leaf        *part // the part that is being read, if it is no multipart
	read        int   // number of parts
	texts, html []string
}

// walk decodes all parts of raw.
func (m decoder) walk(raw string, headers []harness.Header, body int) {
	w := partReader{decoder: m, raw: raw, at: map[string][]int{}}
	w.begin(headers, body)
	w.parts(body)
	w.Text, w.HTML = join(w.texts), join(w.html)
}

// parts decodes the parts that begin after the one that begins at a place.
func (w *partReader) parts(at int) {
	raw := w.raw
	for at < len(raw) {
		line := firstLine(raw[at:])
		next := at + len(line)
		if i, end := w.delimiter(strings.TrimRight(line, "\r\n")); i >= 0 {
			w.endLeaf(at)
			w.closeFrom(i + 1)
			mp := w.open[i]
			if mp.closed {
				w.problem("a %s goes on after its end", mp.contentType)
			}
			if mp.closed = end; !end {
				if w.read == maxParts {
					w.problem("there are more than %d parts: the rest is not decoded", maxParts)
					return
				}
				headers, size := parseHeaders(raw[next:], func(line string) bool { i, _ := w.delimiter(line); return i >= 0 }, w.problem)
				next += size
				w.begin(headers, next)
			}
		}
		if at = next; !strings.HasPrefix(raw[at:], "--") { // on to a line that can be a delimiter
			skip := strings.Index(raw[at:], "\n--")
			if skip < 0 {
				break
			}
			at += skip + 1
		}
	}
	w.endLeaf(len(raw))
	w.closeFrom(0)
}

// begin starts a part.
func (w *partReader) begin(headers []harness.Header, body int) {
	w.read++
	p := &part{headers: headers, body: body, isBody: true}
	if n := len(w.open); n > 0 {
		parent := w.open[n-1]
		parent.parts++
		p.isBody = parent.isBody && (parent.parts == 1 || parent.contentType == "multipart/alternative")
		if parent.contentType == "multipart/digest" {
			p.contentType = "message/rfc822"
		}
	}
	if value := header(headers, "Content-Type"); value != "" {
		var ok bool
		if p.contentType, p.params, ok = parseParams(value); !ok || !isMediaType(p.contentType) {
			w.problem("header Content-Type is malformed: %q", text.Clip(value, 60))
		}
		if !isMediaType(p.contentType) {
			p.contentType = ""
		}
	}
	boundary := strings.TrimRight(p.params["boundary"], " \t")
	switch {
	case !strings.HasPrefix(p.contentType, "multipart/") || boundary == "":
		w.leaf = p
	case len(w.open) == maxDepth:
		w.problem("multiparts are nested deeper than %d: the deepest is not taken apart", maxDepth)
		w.leaf = p
	default:
		w.at[boundary] = append(w.at[boundary], len(w.open))
		w.open = append(w.open, &multipart{part: p, boundary: boundary, beforeTexts: len(w.texts), beforeHTML: len(w.html)})
	}
}

func isMediaType(s string) bool {
	kind, sub, _ := strings.Cut(s, "/")
	return kind != "" && sub != "" && validName(s)
}

// delimiter returns the index of the multipart that a line delimits, and whether it ends it; -1 for other lines. After a
// boundary and a blank anything may follow.
func (w *partReader) delimiter(line string) (i int, end bool) {
	line, found := strings.CutPrefix(line, "--")
	if !found || len(w.open) == 0 {
		return -1, false
	}
	line = strings.TrimRight(line, " \t")
	first, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	for _, name := range []string{line, first} {
		if at := w.at[name]; at != nil {
			return w.innermost(at), false
		}
		name, found := strings.CutSuffix(name, "--")
		if name = strings.TrimRight(name, " \t"); found && w.at[name] != nil {
			return w.innermost(w.at[name]), true
		}
	}
	return -1, false
}

// innermost chooses among multiparts with the same boundary: one that has ended only if all have.
func (w *partReader) innermost(at []int) int {
	for i := len(at) - 1; i >= 0; i-- {
		if !w.open[at[i]].closed {
			return at[i]
		}
	}
	return at[len(at)-1]
}

// closeFrom closes the multiparts from index i on.
func (w *partReader) closeFrom(i int) {
	for ; len(w.open) > i; w.open = w.open[:len(w.open)-1] {
		mp := w.open[len(w.open)-1]
		switch {
		case mp.parts == 0:
			w.problem("a %s has no parts", mp.contentType)
		case !mp.closed:
			w.problem("a %s is not closed", mp.contentType)
		}
		if at := w.at[mp.boundary]; len(at) > 1 {
			w.at[mp.boundary] = at[:len(at)-1]
		} else {
			delete(w.at, mp.boundary)
		}
	}
}

// endLeaf decodes the part that is being read, and puts it where it belongs: the bodies are the text parts that are not
// offered as files. end is where the delimiter after it begins, to which the line end before it belongs.
func (w *partReader) endLeaf(end int) {
	p := w.leaf
	if w.leaf = nil; p == nil {
		return
	}
	source := w.raw[min(p.body, end):end]
	if end < len(w.raw) {
		source = strings.TrimSuffix(strings.TrimSuffix(source, "\n"), "\r")
	}
	value := header(p.headers, "Content-Disposition")
	disposition, params, ok := parseParams(value)
	if !ok {
		w.problem("header Content-Disposition is malformed: %q", text.Clip(value, 60))
	}
	part := harness.Part{
		ContentType: p.contentType,
		ContentID:   withoutAngles(header(p.headers, "Content-ID")),
		Disposition: disposition,
	}
	for _, name := range []string{params["filename"], p.params["name"], params["name"], p.params["filename"]} {
		if part.Name == "" {
			part.Name = strings.ToValidUTF8(name, "\uFFFD")
			if part.Name != name {
				w.problem("file name %q holds bytes that are not UTF-8", part.Name)
			}
		}
	}
	attached := disposition != "" && disposition != "inline"
	if strings.HasPrefix(part.ContentType, "multipart/") {
		w.problem("a %s has no parts", part.ContentType)
		part.ContentType = "" // without a boundary it cannot be taken apart; what is in it can be read
	}
	if part.ContentType == "" {
		part.ContentType = "text/plain"
		if attached || part.Name != "" {
			part.ContentType = "application/octet-stream" // whose bytes stay as they are
		}
	}
	encoding, _, _ := parseParams(header(p.headers, "Content-Transfer-Encoding"))
	var problem string
	if part.Data, problem = decodeTransfer(encoding, source); problem != "" {
		w.problem("a %s part %s", part.ContentType, problem)
	}
	if part.ContentType == "text/calendar" {
		part.CalendarMethod = p.params["method"]
	}
	if strings.HasPrefix(part.ContentType, "text/") {
		decoded, problem := toUTF8(p.params["charset"], part.Data)
		if problem != "" {
			w.problem("a %s part %s", part.ContentType, problem)
		}
		part.Text = plain(decoded)
	}
	isBody := !attached && (part.Name == "" || p.isBody)
	var alternative *multipart // of which mail programs show the last part that they can
	if n := len(w.open); n > 0 && w.open[n-1].contentType == "multipart/alternative" {
		alternative = w.open[n-1]
	}
	switch {
	case part.ContentType == "text/plain" && isBody:
		if alternative != nil {
			if alternative.html {
				w.problem("a multipart/alternative has its text/plain part after the HTML: mail programs show the last part that they can")
			}
			w.texts = w.lastOf(w.texts, alternative.beforeTexts, part.ContentType)
		}
		w.texts = append(w.texts, part.Text)
	case part.ContentType == "text/html" && isBody:
		if alternative != nil {
			w.html = w.lastOf(w.html, alternative.beforeHTML, part.ContentType)
		}
		w.html = append(w.html, part.Text)
		for _, mp := range w.open {
			mp.html = true
		}
	case part.Inline():
		w.Inlines = append(w.Inlines, part)
	default:
		w.Attachments = append(w.Attachments, part)
	}
}

// lastOf drops the bodies that an alternative has had so far, in favour of one that follows.
func (w *partReader) lastOf(bodies []string, before int, contentType string) []string {
	if len(bodies) > before {
		w.problem("a multipart/alternative has more than one %s part: mail programs show the last part that they can", contentType)
	}
	return bodies[:before]
}

// decodeTransfer undoes a Content-Transfer-Encoding, as far as it can be, and says what is wrong with it.
func decodeTransfer(encoding, source string) (data []byte, problem string) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return []byte(source), ""
	case "base64":
		return decodeBase64(source)
	case "quoted-printable":
		return decodeQuoted(source), ""
	}
	return []byte(source), fmt.Sprintf("has the unknown transfer encoding %q", text.Clip(encoding, 40))
}

// decodeBase64 decodes base64. Characters of no meaning are left out, as RFC 2045, 6.8, has it. It goes on after padding
// if all that follows is base64: some senders encode in pieces.
func decodeBase64(source string) (data []byte, problem string) {
	clean := make([]byte, 0, len(source))
	strange := false
	for i := range len(source) {
		switch c := source[i]; {
		case 'A' <= c&^0x20 && c&^0x20 <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
			clean = append(clean, c)
		case c > ' ' || c == 0:
			strange = true
		}
	}
	if strange {
		problem = "has characters that are not base64"
	}
	for len(clean) > 0 {
		piece, rest, _ := bytes.Cut(clean, []byte("="))
		padded := bytes.TrimLeft(rest, "=")
		if over := len(piece) % 4; over == 1 || over > 0 && len(clean)-len(piece)-len(padded) < 4-over {
			problem = "has base64 that was cut off"
		}
		if len(piece)%4 == 1 {
			piece = piece[:len(piece)-1] // six bits are no byte
		}
		data, _ = base64.RawStdEncoding.AppendDecode(data, piece)
		if clean = padded; strange && len(clean) > 0 {
			problem = "goes on after the end of its base64"
			break
		}
	}
	return data, problem
}

// decodeQuoted decodes quoted-printable. Escapes that are none stay; blanks at the end of a line go (RFC 2045, 6.7).
func decodeQuoted(source string) []byte {
	var out strings.Builder
	out.Grow(len(source))
	for line := range strings.Lines(source) {
		content := strings.TrimRight(line, "\r\n")
		end := line[len(content):]
		content = strings.TrimRight(content, " \t")
		if soft, found := strings.CutSuffix(content, "="); found {
			content, end = soft, ""
		}
		out.WriteString(content)
		out.WriteString(end)
	}
	return unescape(out.String(), '=')
}

package tap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// This file reads the SMTP dialogue (RFC 5321).

// A reply is what the server answers to one command, as it stood on the wire.
type reply struct {
	code int // 0 where the line has none
	raw  []byte
}

func (r reply) positive() bool { return r.code >= 200 && r.code < 300 }

// lines returns the reply's lines without their ends.
func (r reply) lines() []string {
	return strings.Split(strings.TrimRight(strings.ReplaceAll(string(r.raw), "\r\n", "\n"), "\n"), "\n")
}

// maxReply bounds a reply, in bytes.
const maxReply = 1 << 20

// readReply reads all lines of a reply. What has no reply code passes as a line of its own.
func readReply(r *bufio.Reader) (reply, error) {
	var out reply
	for len(out.raw) < maxReply {
		line, err := r.ReadSlice('\n')
		out.raw = append(out.raw, line...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return out, err
		}
		last := bytes.TrimRight(lastLine(out.raw), "\r\n")
		code, more := replyCode(last)
		out.code = code
		if !more {
			return out, nil
		}
	}
	return out, errors.New("the mail server's reply does not end")
}

func lastLine(raw []byte) []byte {
	return raw[bytes.LastIndexByte(raw[:len(raw)-1], '\n')+1:]
}

func replyCode(line []byte) (code int, more bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	code, err := strconv.Atoi(string(line[:3]))
	if err != nil || code < 100 || code > 999 {
		return 0, false
	}
	return code, len(line) > 3 && line[3] == '-'
}

// offerSTARTTLS adds the extension to an EHLO reply that lacks it.
func offerSTARTTLS(r reply) reply {
	lines := r.lines()
	for _, l := range lines {
		if strings.EqualFold(strings.TrimSpace(l[min(4, len(l)):]), "STARTTLS") {
			return r
		}
	}
	first := lines[0]
	if len(first) < 4 {
		return r
	}
	rest := append([]string{first[:3] + "-" + first[4:], first[:3] + "-STARTTLS"}, lines[1:]...)
	if len(lines) == 1 {
		rest[1] = first[:3] + " STARTTLS"
	}
	return reply{r.code, []byte(strings.Join(rest, "\r\n") + "\r\n")}
}

// verbs are the commands whose lines may be recorded. Any other line may hold a password that was sent too early.
var verbs = map[string]Point{
	"EHLO": AtEHLO, "HELO": AtEHLO, "STARTTLS": AtSTARTTLS, "AUTH": AtAUTH, "MAIL": AtMAIL, "RCPT": AtRCPT,
	"DATA": AtDATA, "QUIT": AtQUIT, "RSET": "", "NOOP": "", "VRFY": "", "EXPN": "", "HELP": "", "BDAT": "",
}

// verb returns the command that a line gives, in capitals.
func verb(line []byte) string {
	word, _, _ := strings.Cut(strings.TrimRight(string(line[:min(len(line), 32)]), "\r\n"), " ")
	return strings.ToUpper(word)
}

// recordable is a command line as it may be kept.
func redactCommand(line []byte) string {
	text := strings.TrimRight(string(line), "\r\n")
	v := verb(line)
	if _, known := verbs[v]; !known {
		return fmt.Sprintf("(%d bytes that are no command)", len(line))
	}
	if v == "AUTH" {
		words := strings.Fields(text)
		if len(words) > 2 {
			return strings.Join(words[:2], " ") + " ***"
		}
	}
	return text
}

// path returns the address of a MAIL FROM or RCPT TO command, without source route and parameters.
func path(line []byte) string {
	_, rest, ok := strings.Cut(string(line), ":")
	if !ok {
		return ""
	}
	rest = strings.TrimSpace(rest)
	if strings.HasPrefix(rest, "<") {
		rest = rest[1:]
		if end := closingBracket(rest); end >= 0 {
			rest = rest[:end]
		}
		if strings.HasPrefix(rest, "@") {
			_, rest, _ = strings.Cut(rest, ":")
		}
		return rest
	}
	rest, _, _ = strings.Cut(rest, " ")
	return rest
}

// closingBracket finds the bracket that ends a path; one in a quoted local part does not.
func closingBracket(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// A dotFinder finds the line with a single dot that ends a message, in a stream that comes in pieces.
type dotFinder struct{ state byte }

// States of a dotFinder. A message begins as if after a line end.
const (
	lineStart = iota
	midLine
	afterCR
	afterDot
	afterDotCR
)

// terminator is what ends a message. Its first byte is at the start of a line.
const terminator = ".\r\n"

// next looks at the next piece of the stream, and returns how many of its bytes it has used: all of them, or when the
// message has ended those up to and including the terminator.
func (f *dotFinder) next(piece []byte) (used int, ended bool) {
	for i := 0; i < len(piece); {
		b := piece[i]
		switch f.state {
		case midLine:
			n := bytes.IndexByte(piece[i:], '\r')
			if n < 0 {
				return len(piece), false
			}
			i += n
			f.state = afterCR
		case afterCR:
			f.state = midLine
			switch b {
			case '\n':
				f.state = lineStart
			case '\r':
				f.state = afterCR
			}
		case lineStart:
			f.state = midLine
			switch b {
			case '.':
				f.state = afterDot
			case '\r':
				f.state = afterCR
			}
		case afterDot:
			f.state = midLine
			if b == '\r' {
				f.state = afterDotCR
			}
		case afterDotCR:
			f.state = midLine
			switch b {
			case '\n':
				return i + 1, true
			case '\r':
				f.state = afterCR
			}
		}
		i++
	}
	return len(piece), false
}

// held is how many bytes at the end of what was seen so far may be the beginning of the terminator.
func (f *dotFinder) held() int {
	switch f.state {
	case afterDot:
		return 1
	case afterDotCR:
		return 2
	}
	return 0
}

// maxHeader bounds how much of a message is kept to read its header.
const maxHeader = 256 << 10

// A headerReader collects the header of a message that passes by.
type headerReader struct {
	buf  []byte
	over bool
}

// Write keeps what belongs to the header. It takes all there is, and never fails.
func (h *headerReader) Write(text []byte) (int, error) {
	if h.over {
		return len(text), nil
	}
	searched := max(0, len(h.buf)-3)
	h.buf = append(h.buf, text[:min(len(text), maxHeader-len(h.buf))]...)
	if end := bytes.Index(h.buf[searched:], []byte("\r\n\r\n")); end >= 0 {
		h.buf = h.buf[:searched+end+4]
		h.over = true
	} else if len(h.buf) == maxHeader {
		h.over = true
	}
	return len(text), nil
}

// into records what the header says. A malformed header yields what comes before the malformed line.
func (h *headerReader) into(m *harness.MailTransaction, runHeader string) {
	header, _ := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(h.buf), strings.NewReader("\r\n\r\n")))).ReadMIMEHeader()
	m.MessageID = strings.Trim(strings.TrimSpace(header.Get("Message-Id")), "<>")
	m.RunID = strings.TrimSpace(header.Get(runHeader))
}

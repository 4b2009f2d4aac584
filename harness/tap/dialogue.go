package tap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A reply is the server's answer to one SMTP command (RFC 5321), as it was sent.
type reply struct {
	code int // 0 if it has none
	raw  []byte
}

func (r reply) positive() bool { return r.code >= 200 && r.code < 300 }

// text returns the first line without its code.
func (r reply) text() string { return strings.TrimLeft(r.lines()[0], "0123456789- ") }

// lines returns the reply's lines without their ends.
func (r reply) lines() []string {
	return strings.Split(strings.TrimRight(strings.ReplaceAll(string(r.raw), "\r\n", "\n"), "\n"), "\n")
}

// maxReply bounds a reply, in bytes.
const maxReply = 1 << 20

// readReply reads all lines of a reply. A line without a reply code is a reply of its own.
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

// verbs are the commands whose lines may be recorded, and their points. Any other line may hold a password that was sent
// too early.
var verbs = map[string]Point{
	"EHLO": AtEHLO, "HELO": AtEHLO, "STARTTLS": AtSTARTTLS, "AUTH": AtAUTH, "MAIL": AtMAIL, "RCPT": AtRCPT,
	"DATA": AtDATA, "QUIT": AtQUIT, "RSET": "", "NOOP": "", "VRFY": "", "EXPN": "", "HELP": "", "BDAT": "",
}

// verb returns the command of a line, in capitals.
func verb(line []byte) string {
	word, _, _ := strings.Cut(strings.TrimRight(string(line[:min(len(line), 32)]), "\r\n"), " ")
	return strings.ToUpper(word)
}

// redactCommand returns a command line as it may be recorded.
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

// closingBracket returns the index of the bracket that ends a path, -1 if there is none. One in a quoted local part does
// not end it.
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

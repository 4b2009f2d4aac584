package inbox

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"regexp"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// addresses reads all headers with this name as one list of addresses. An entry that is none is a problem, and the others
// are in the list.
func addresses(headers []harness.Header, name string, problem report) (list []*mail.Address) {
	for _, h := range headers {
		if !strings.EqualFold(h.Name, name) {
			continue
		}
		value := unfold(h.Raw)
		if strings.TrimSpace(value) == "" {
			problem("header %s is empty", name)
			continue
		}
		entries, open := splitList(value)
		if open {
			problem("header %s has a group that does not end with a semicolon: %q", name, text.Clip(value, 60))
		}
		for _, entry := range entries {
			found, left := entryAddresses(entry)
			list = append(list, found...)
			source := entry.source
			if strings.ContainsAny(source, "([") {
				source = ipv6Literal.ReplaceAllString(withoutComments(entry.tokens, " "), "[127.0.0.1]")
			}
			if strings.TrimSpace(source) == "" {
				continue // a comment is no entry
			}
			if _, err := strictList(source); err != nil {
				problem("header %s is not a list of addresses: %s: %q", name, strings.TrimPrefix(err.Error(), "mail: "), text.Clip(entry.source, 60))
			} else if left != "" || len(found) == 0 {
				problem("header %s has an entry that is no address: %q", name, text.Clip(entry.source, 60))
			}
		}
	}
	return list
}

// strict accepts what the standard allows, in any charset.
var strict = mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}}

// ipv6Literal is an address of a host (RFC 5321, 4.1.3) that strict does not know.
var ipv6Literal = regexp.MustCompile(`\[IPv6:[0-9A-Fa-f:.]+\]`)

// withoutComments joins tokens again, with other text in the place of comments. They may stand between any two tokens, and
// strict does not know them all.
func withoutComments(all []token, instead string) string {
	var bare strings.Builder
	for _, t := range all {
		switch t.kind {
		case '(':
			bare.WriteString(instead)
		case '<':
			bare.WriteString("<" + withoutComments(tokens(t.text[1:len(t.text)-1]), "") + ">")
		default:
			bare.WriteString(t.text)
		}
	}
	return bare.String()
}

// maxEntry is the longest text that strict reads: it takes quadratic time for comments.
const maxEntry = 1000

var errTooLong = fmt.Errorf("an entry is longer than %d bytes", maxEntry)

func strictList(s string) ([]*mail.Address, error) {
	if len(s) > maxEntry {
		return nil, errTooLong
	}
	return strict.ParseList(s)
}

// A token is what a list of addresses consists of.
type token struct {
	kind byte // '"' a quoted string, '(' a comment, '<' an address, ' ' blanks, 'w' an encoded word, 'a' other text, else itself
	text string
}

// A listEntry is one element of a list of addresses.
type listEntry struct {
	source string
	tokens []token
}

// tokens splits a list of addresses. What is opened and never closed is ordinary text.
func tokens(s string) (all []token) {
	words, _ := encodedWords(s)
	opens := map[byte]bool{'"': true, '(': true, '<': true} // false once nothing of the kind is closed
	for i := 0; i < len(s); {
		for len(words) > 0 && words[0].start < i {
			words = words[1:]
		}
		kind, n := s[i], 1
		switch {
		case len(words) > 0 && words[0].start == i:
			kind, n = 'w', words[0].end-i
		case kind == ' ' || kind == '\t':
			kind = ' '
			n = len(s[i:]) - len(strings.TrimLeft(s[i:], " \t"))
		case opens[kind]:
			if n = closing(s[i:]); n <= 0 {
				opens[kind] = n == 0
				kind, n = 'a', 1
			}
		case strings.IndexByte(`,;:`, kind) < 0:
			kind = 'a'
			for i+n < len(s) && strings.IndexByte(",;: \t\"(<", s[i+n]) < 0 && (len(words) == 0 || words[0].start > i+n) {
				n++
			}
		}
		all = append(all, token{kind, s[i : i+n]})
		i += n
	}
	return all
}

// closing returns where the quoted string, the comment or the address in angle brackets at the start of s ends; 0 if it
// does not, and -1 if nothing of its kind is closed in all of s.
func closing(s string) int {
	switch s[0] {
	case '"':
		return cmp.Or(quotedEnd(s), -1)
	case '(':
		return cmp.Or(commentEnd(s), -1)
	}
	for n := 1; n < len(s); n++ {
		switch s[n] {
		case '>':
			return n + 1
		case '<':
			return 0
		case '"':
			n += max(quotedEnd(s[n:])-1, 0)
		}
	}
	return -1
}

// splitList splits a list at its commas. The names of groups go; a semicolon separates as well. open reports whether a
// group has no end.
func splitList(s string) (entries []listEntry, open bool) {
	all := tokens(s)
	first, start, at := 0, 0, 0 // of the entry: its first token, and where it begins
	group, address := false, false
	for i, t := range append(all, token{kind: ';'}) {
		switch separator := t.kind == ',' || t.kind == ';'; {
		case separator || t.kind == ':' && !group && !address:
			if source := strings.TrimSpace(s[start:at]); separator && source != "" {
				entries = append(entries, listEntry{source, all[first:i]})
			}
			open = group && i == len(all)
			group = t.kind == ':' || group && t.kind == ','
			first, start, address = i+1, at+len(t.text), false
		default:
			address = address || t.kind == '<' || t.kind == 'a' && strings.Contains(t.text, "@")
		}
		at += len(t.text)
	}
	return entries, open
}

// A word is what stands between blanks: as it is written, and without the quotation marks.
type word struct{ raw, plain []byte }

// words joins tokens to words. Comments go. In an address, blanks beside dots and the @ go, as was once allowed.
func words(tokens []token, address bool) (list []word) {
	blank := true
	for _, t := range tokens {
		if t.kind == ' ' || t.kind == '(' {
			blank = true
			continue
		}
		if n := len(list); n > 0 && address && (strings.Contains(".@", t.text[:1]) || bytes.HasSuffix(list[n-1].raw, []byte(".")) || bytes.HasSuffix(list[n-1].raw, []byte("@"))) {
			blank = false
		}
		if blank {
			list = append(list, word{})
		}
		blank = false
		w := &list[len(list)-1]
		w.raw = append(w.raw, t.text...)
		if t.kind == '"' {
			t.text = unquote(t.text)
		}
		w.plain = append(w.plain, t.text...)
	}
	return list
}

// entryAddresses returns the addresses of one entry: mostly one, more where commas were forgotten. left is text that
// belongs to none.
func entryAddresses(e listEntry) (list []*mail.Address, left string) {
	var name [][]byte
	add := func(address string) {
		if a := newAddress(string(bytes.Join(name, []byte(" "))), address); a.Address != "" {
			list, name = append(list, a), nil
		}
	}
	first := 0
	for i, t := range e.tokens {
		if t.kind == '<' {
			for _, w := range words(e.tokens[first:i], false) {
				name = append(name, w.plain)
			}
			add(t.text[1 : len(t.text)-1])
			first = i + 1
		}
	}
	for _, w := range words(e.tokens[first:], first == 0) {
		if first == 0 && bytes.Contains(w.raw, []byte("@")) {
			add(string(w.raw))
		} else {
			name = append(name, w.plain)
		}
	}
	if len(list) == 1 && list[0].Name == "" {
		for _, t := range e.tokens {
			if t.kind == '(' {
				list[0].Name = newAddress(t.text[1:len(t.text)-1], "").Name
			}
		}
	}
	return list, string(bytes.Join(name, []byte(" ")))
}

// newAddress decodes a name, and cleans an address of what the standard once allowed in it: comments, blanks and a route.
func newAddress(name, address string) *mail.Address {
	name, _ = decodeWords(strings.TrimSpace(name))
	if found, err := strictList("<" + address + ">"); err == nil && len(found) == 1 {
		address = found[0].Address
	} else {
		for _, w := range words(tokens(address), true) {
			address = string(w.raw)
		}
		address = strings.Trim(address, "<>")
		if route, direct, found := strings.Cut(address, ":"); found && strings.HasPrefix(route, "@") {
			address = direct
		}
	}
	return &mail.Address{Name: strings.ToValidUTF8(name, "\uFFFD"), Address: strings.ToValidUTF8(address, "\uFFFD")}
}

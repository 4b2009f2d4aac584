package inbox

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parseParams splits a Content-Type or Content-Disposition into its value, in lower case, and its parameters, with names
// in lower case and values decoded (RFC 2231 and 2047). It accepts what senders make of them, such as values with blanks
// or equals signs and without quotes; ok reports whether each parameter could be read.
func parseParams(s string) (value string, params map[string]string, ok bool) {
	for strings.HasPrefix(s, "(") {
		s = strings.TrimLeft(s[cmp.Or(commentEnd(s), len(s)):], " \t")
	}
	end := strings.IndexAny(s, ";, \t(")
	if end < 0 {
		end = len(s)
	}
	if strings.Contains(s[:end], "=") {
		end = 0 // a parameter without a value before it
	}
	value, s, ok = strings.Trim(strings.ToLower(s[:end]), `"`), s[end:], true
	type piece struct {
		number         int
		text           string
		encoded, whole bool
	}
	pieces := map[string][]piece{}
	for {
		s = strings.TrimLeft(s, "; \t\r\n,")
		if strings.HasPrefix(s, "(") {
			s = s[cmp.Or(commentEnd(s), len(s)):]
			continue
		}
		if s == "" {
			break
		}
		stop := strings.IndexAny(s, "=;")
		if stop < 0 || s[stop] == ';' {
			if ok = false; stop < 0 {
				break
			}
			s = s[stop:]
			continue
		}
		name := strings.ToLower(strings.TrimSpace(s[:stop]))
		ok = ok && !strings.ContainsAny(name, " \t")
		var v string
		v, s = paramValue(strings.TrimLeft(s[stop+1:], " \t"), commentStart(name))
		base, number, numbered := strings.Cut(name, "*")
		p := piece{text: v, whole: !numbered, encoded: strings.HasSuffix(number, "*") || numbered && number == ""}
		if n := strings.TrimSuffix(number, "*"); n != "" {
			var err error
			p.number, err = strconv.Atoi(n)
			ok = ok && err == nil
		}
		pieces[base] = append(pieces[base], p)
	}
	params = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(pieces)) {
		list := pieces[name]
		// The form with an asterisk is the better one where both are given.
		if i := slices.IndexFunc(list, func(p piece) bool { return !p.whole }); i < 0 {
			params[name], _ = decodeWords(list[0].text)
			continue
		}
		list = slices.DeleteFunc(list, func(p piece) bool { return p.whole })
		slices.SortStableFunc(list, func(a, b piece) int { return cmp.Compare(a.number, b.number) })
		charset, escaped, joined := "", []byte(nil), []byte(nil)
		for i, p := range list {
			if i == 0 && p.encoded {
				if label, rest, found := strings.Cut(p.text, "'"); found {
					if _, rest, found = strings.Cut(rest, "'"); found {
						charset, p.text = label, rest
					}
				}
			}
			if p.encoded {
				escaped = append(escaped, p.text...) // an escape may be cut in two
				continue
			}
			joined = append(append(joined, unescape(string(escaped), '%')...), p.text...)
			escaped = nil
		}
		joined = append(joined, unescape(string(escaped), '%')...)
		decoded, problem := toUTF8(charset, joined)
		ok = ok && problem == ""
		params[name], _ = decodeWords(string(decoded))
	}
	return value, params, ok
}

// commentStart returns where a comment begins behind the value of a parameter that is not in quotes; "" if parentheses are
// part of the value, as in file names and boundaries.
func commentStart(name string) string {
	switch base, _, _ := strings.Cut(name, "*"); base {
	case "filename", "file", "name":
		return ""
	case "boundary":
		return " ("
	}
	return "("
}

// paramValue reads one value from the start of s. What follows comment is none of it.
func paramValue(s, comment string) (value, rest string) {
	if strings.HasPrefix(s, `"`) {
		if n := quotedEnd(s); n > 0 {
			between, _, _ := strings.Cut(s[n:], ";")
			if strings.Contains(between, "=") { // the semicolon was forgotten
				between = ""
			}
			return unquote(s[:n]), s[n+len(between):]
		}
		s = s[1:] // never closed
	}
	value = s
	if end := strings.IndexByte(s, ';'); end >= 0 {
		value, rest = s[:end], s[end:]
	}
	if comment != "" {
		value, _, _ = strings.Cut(value, comment)
	}
	return strings.TrimSpace(value), rest
}

// quotedEnd returns where the quoted string at the start of s ends; 0 if it does not.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// commentEnd returns where the comment at the start of s ends; 0 if it does not.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// unquote returns what stands in a quoted string. Backslashes that escape nothing stay, as in a path of Windows.
func unquote(s string) string {
	return unescaper.Replace(s[1 : len(s)-1])
}

var unescaper = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

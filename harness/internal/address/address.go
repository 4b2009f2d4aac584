// Package address decides when two email addresses are the same. It is the only place that does.
package address

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Key returns a text that is equal for equal addresses. The whole address is compared without regard to case: the
// local part may depend on case by RFC 5321, but no mail provider in use treats two spellings as two mailboxes. Quotes
// around the local part, and backslashes in them, make no difference, nor in which form Unicode writes a character, nor
// whether a domain is in Punycode.
func Key(a string) string {
	a = strings.TrimSpace(a)
	if at := strings.LastIndex(a, `"@`); at > 0 && a[0] == '"' {
		var local strings.Builder
		for i := 1; i < at; i++ {
			if a[i] == '\\' && i+1 < at {
				i++
			}
			local.WriteByte(a[i])
		}
		a = local.String() + a[at+1:]
	}
	a = strings.ToLower(norm.NFC.String(a))
	at := strings.LastIndexByte(a, '@')
	if domain, err := idna.Lookup.ToASCII(a[at+1:]); at >= 0 && err == nil {
		return a[:at+1] + domain
	}
	return a
}

// Alone reports whether a text can be one address: without a name, brackets or a scheme around it, and without characters
// that no address has.
func Alone(a string) bool {
	a = strings.TrimSpace(a)
	unquoted := a[strings.LastIndex(a, `"@`)+1:]
	at := strings.LastIndexByte(unquoted, '@')
	never := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
	switch {
	case strings.HasPrefix(a, "@"), strings.HasSuffix(a, "@"), strings.HasSuffix(a, ">"):
		return false
	case strings.ContainsAny(unquoted, ",;"), strings.ContainsFunc(unquoted, never):
		return false
	}
	return !strings.Contains(unquoted[:max(at, 0)], ":") // such as mailto:
}

// Same reports whether two addresses are the same.
func Same(a, b string) bool { return Key(a) == Key(b) }

// In reports whether an address is in a list.
func In(a string, list []string) bool {
	return slices.ContainsFunc(list, func(b string) bool { return Same(a, b) })
}

// encodedDomain is the domain of encoded paths. No mail server has a name in it (RFC 2606).
const encodedDomain = "@encoded-path.invalid"

// Encode returns an address that stands for a path of an SMTP command. MailHog takes it, and not every path: it refuses the
// empty one, and reads a quoted one up to the first >.
func Encode(path string) string { return "x" + hex.EncodeToString([]byte(path)) + encodedDomain }

// Decode returns the path for which an address stands: itself, unless it is an encoded one.
func Decode(a string) string {
	if local, ok := strings.CutSuffix(a, encodedDomain); ok {
		if path, err := hex.DecodeString(strings.TrimPrefix(local, "x")); err == nil {
			return string(path)
		}
	}
	return a
}

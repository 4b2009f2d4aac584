package secret

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mask replaces a secret.
const Mask = "***"

// A Set is the secrets of one program. It never changes, and is safe for concurrent use. The nil Set knows no values; it
// masks only credentials that are recognised by their form.
type Set struct {
	values []string // the longest first, since one may be part of another
	// words are values so short that an ordinary word may contain them: only whole words are masked.
	words []string
}

const (
	// shortest is the least length of a value. Shorter ones occur everywhere.
	shortest = 4
	// sure is the length from which a value does not occur within other words by chance.
	sure = 8
)

// secretName matches the names of variables that hold secrets: by their last word, such as PGPASSWORD, authToken or
// NPM_AUTH, which something like _OLD or _2 may follow.
var secretName = regexp.MustCompile(`(?i)((^|_)((API|ACCESS|PRIVATE|SIGNING)?KEYS?|PASS|PINS?|PATS?|AUTH|CREDS?|JWTS?|OTP|SALT|PEPPER|COOKIE|(PIN|PASS|ACCESS|AUTH)_?CODES?)` +
	`|(^|.)(TOKENS?|PASSWORDS?|PASSWD|PASSPHRASE|SECRETS?|CREDENTIALS?)|._PWD|(^|_)DSN)` +
	`(_(FALLBACK|OLD|PREVIOUS|NEXT|NEW|PRIMARY|SECONDARY|PEM|B64|BASE64|HEX|V?[0-9]+))?$`)

// userinfo matches what stands before the host in a URI: a user, and a password or none.
var userinfo = regexp.MustCompile(`://([^\s/@:"'<>]*)(?::([^\s/@"'<>]+))?@`)

// isDSN matches the names of those that hold the address of a service with its credentials.
var isDSN = regexp.MustCompile(`(?i)(^|_)DSN(_|$)`)

// setting matches values that choose something, as in SMTP_AUTH=plain.
var setting = regexp.MustCompile(`(?i)^(true|false|none|null|yes|no|on|off|basic|plain|login|bearer|digest|cram-md5|ntlm|oauth2?|xoauth2|optional|required|enabled|disabled|auto|default)$`)

// assignment matches a credential in a list of settings, as in a connection string.
var assignment = regexp.MustCompile(`(?i)\b(?:password|passwd|pwd|pass|secret|token|account ?key|shared ?access ?key)\s*=\s*['"]?([^;&,\s'"]+)`)

// Values returns the secrets among variables of the form "KEY=value". The values in public are not secret, whatever the name.
func Values(env []string, public ...string) []string {
	found := map[string]bool{}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		for _, m := range userinfo.FindAllStringSubmatch(value, -1) {
			part := m[2] // the password; a key stands in the place of a user, without one
			if part == "" && (isDSN.MatchString(name) || credentials.MatchString(value)) {
				part = m[1]
			}
			found[part] = true
			if plain, err := url.PathUnescape(part); err == nil {
				found[plain] = true
			}
		}
		for _, m := range assignment.FindAllStringSubmatch(value, -1) {
			found[m[1]] = true
		}
		if secretName.MatchString(name) && !(isDSN.MatchString(name) && strings.Contains(value, "://")) {
			found[value] = true
			for line := range strings.Lines(value) { // logs come line by line
				if line = strings.TrimSpace(line); len(line) >= longLine && !strings.HasPrefix(line, "-----") {
					found[line] = true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(found)), func(value string) bool {
		return utf8.RuneCountInString(value) < shortest || slices.Contains(public, value) || setting.MatchString(value)
	})
}

// longLine is the length from which a line of a secret is one itself.
const longLine = 16

// New returns the set of some secrets.
func New(secrets []string) *Set {
	s := &Set{}
	for _, value := range secrets {
		if value == "" {
			continue // it is everywhere
		}
		for _, form := range forms(value) {
			if utf8.RuneCountInString(form) < sure {
				s.words = append(s.words, form)
			} else {
				s.values = append(s.values, form)
			}
		}
	}
	for _, list := range []*[]string{&s.values, &s.words} {
		slices.SortFunc(*list, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
		*list = slices.Compact(*list)
	}
	return s
}

// forms returns the ways in which a value may be written.
func forms(value string) []string {
	all := []string{value, url.QueryEscape(value), url.PathEscape(value), base64.StdEncoding.EncodeToString([]byte(value))}
	if quoted, err := json.Marshal(value); err == nil {
		all = append(all, string(quoted[1:len(quoted)-1]))
	}
	var plain strings.Builder
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if e.Encode(value) == nil {
		all = append(all, strings.Trim(strings.TrimSpace(plain.String()), `"`))
	}
	return all
}

// credentials are a URI's user and password, or a key in the place of a user.
var credentials = regexp.MustCompile(`(\b[A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/@:"'<>]*:[^\s/@"'<>]+|[A-Za-z0-9_-]{20,})@`)

// Text returns a text with its secrets masked. The text may have several lines; [Set.Lines] is for one that comes line by
// line.
func (s *Set) Text(text string) string {
	text = s.maskValues(text)
	if !strings.Contains(text, "\n") || !mayBeLogin(text) {
		return dialogue(text)
	}
	redact := lines()
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(redact(line))
	}
	return b.String()
}

// Lines returns a function that masks the secrets of the lines of a text, called with one line after the other. It is for
// one goroutine.
func (s *Set) Lines() func(line string) string {
	redact := lines()
	return func(line string) string { return redact(s.maskValues(line)) }
}

func (s *Set) maskValues(text string) string {
	if mayBeCredentials(text) {
		text = credentials.ReplaceAllString(text, "${1}"+Mask+"@")
	}
	if s == nil {
		return text
	}
	for _, v := range s.values {
		text = strings.ReplaceAll(text, v, Mask)
	}
	for _, w := range s.words {
		text = replaceWord(text, w)
	}
	return text
}

// mayBeCredentials reports whether a text needs the slower regular expression: whether an @ follows a :// before what ends a
// user and password.
func mayBeCredentials(text string) bool {
	for {
		_, after, found := strings.Cut(text, "://")
		if !found {
			return false
		}
		if end := strings.IndexAny(after, "@/\"'<> \t\r\n\f"); end >= 0 && after[end] == '@' {
			return true
		}
		text = after
	}
}

// replaceWord masks a word where no letter or digit stands before or behind it.
func replaceWord(text, word string) string {
	if !strings.Contains(text, word) {
		return text
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, word)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		next, _ := utf8.DecodeRuneInString(after)
		if letter(last) || letter(next) {
			b.WriteString(word)
		} else {
			b.WriteString(Mask)
		}
		text = after
	}
}

func letter(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

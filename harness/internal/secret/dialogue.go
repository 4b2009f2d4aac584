package secret

import (
	"regexp"
	"slices"
	"strings"
)

// mechanisms matches the SASL mechanisms, by which a login is recognised.
const mechanisms = `(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|EXTERNAL|NTLM|SCRAM-SHA-[0-9A-Z-]+)`

var (
	// login is the command, as a client sends it and as servers log it: AUTH PLAIN blob; args 'PLAIN blob'; Got PLAIN
	// authentication: blob.
	login = regexp.MustCompile(`(?i)(\bAUTH[ =]` + mechanisms + `\s+|args '` + mechanisms + `\s+|\b` + mechanisms + ` authentication: )([A-Za-z0-9+/=]{2,})`)
	// loginBegins is the command without credentials; they follow in lines of their own.
	loginBegins = regexp.MustCompile(`(?i)\bAUTH[ =]` + mechanisms + `\b`)
	// offered is the line with which a server offers mechanisms.
	offered = regexp.MustCompile(`\b250[- ]AUTH`)
	// loginEnds is the server's reply to the credentials.
	loginEnds = regexp.MustCompile(`\b(235|454|5[0-9][0-9])[ -]`)
	// loginGoesOn is such a line, bare or after an arrow or a name; loginLogged is one as servers log it.
	loginGoesOn = regexp.MustCompile(`^((?:(?:C|client|app)\s*[:>]|[<>]+)?\s*)[A-Za-z0-9+/]{4,}={0,2}(\s*)$`)
	loginLogged = regexp.MustCompile(`(bytes: '|line: |command '|response: '|args ')[A-Za-z0-9+/]{4,}={0,2}`)
)

// longestLogin is the number of lines after loginBegins that may hold credentials. A server may log one line several
// times.
const longestLogin = 30

// dialogue masks the credentials in one line of an SMTP dialogue.
func dialogue(line string) string {
	if !mayBeLogin(line) {
		return line
	}
	return login.ReplaceAllStringFunc(line, func(found string) string {
		part := login.FindStringSubmatch(found)
		if slices.Contains([]string{"PLAIN", "LOGIN", "CRAM", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "NTLM", "SCRAM"}, part[2]) {
			return found // a list of mechanisms, not credentials
		}
		return part[1] + Mask
	})
}

// mayBeLogin reports whether a text needs the slower regular expressions.
func mayBeLogin(text string) bool {
	return strings.Contains(text, "AUTH") || strings.Contains(text, "auth") || strings.Contains(text, "Auth")
}

// lines returns a function that masks the credentials of a dialogue, line by line.
func lines() func(string) string {
	left := 0 // how many more lines may belong to a login
	return func(line string) string {
		if left == 0 && !mayBeLogin(line) {
			return line
		}
		begins := loginBegins.MatchString(line) && !offered.MatchString(line)
		if left > 0 && !begins {
			left--
			line = dialogue(line) // first: it recognises words that the next two mask
			line = loginGoesOn.ReplaceAllString(line, "${1}"+Mask+"${2}")
			line = loginLogged.ReplaceAllString(line, "${1}"+Mask)
		}
		switch {
		case begins:
			left = longestLogin
		case loginEnds.MatchString(line):
			left = 0
		}
		return dialogue(line)
	}
}

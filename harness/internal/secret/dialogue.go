package secret

import (
	"regexp"
	"slices"
	"strings"
)

// mechanisms are those of SASL, by which a line speaks of logging in.
const mechanisms = `(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|EXTERNAL|NTLM|SCRAM-SHA-[0-9A-Z-]+)`

var (
	// login is the command, as a client sends it and as servers log it: AUTH PLAIN blob; args 'PLAIN blob'; Got PLAIN
	// authentication: blob.
	login = regexp.MustCompile(`(?i)(\bAUTH[ =]` + mechanisms + `\s+|args '` + mechanisms + `\s+|\b` + mechanisms + ` authentication: )([A-Za-z0-9+/=]{2,})`)
	// loginBegins is the command without credentials, which follow in lines of their own.
	loginBegins = regexp.MustCompile(`(?i)\bAUTH[ =]` + mechanisms + `\b`)
	// offered is a server's line that says how one can log in.
	offered = regexp.MustCompile(`\b250[- ]AUTH`)
	// loginEnds is the server's answer to them.
	loginEnds = regexp.MustCompile(`\b(235|454|5[0-9][0-9])[ -]`)
	// loginGoesOn is such a line, bare or behind an arrow or a name; loginLogged is one as servers log it.
	loginGoesOn = regexp.MustCompile(`^((?:(?:C|client|app)\s*[:>]|[<>]+)?\s*)[A-Za-z0-9+/]{4,}={0,2}(\s*)$`)
	loginLogged = regexp.MustCompile(`(bytes: '|line: |command '|response: '|args ')[A-Za-z0-9+/]{4,}={0,2}`)
)

// longestLogin is how many lines a dialogue may take to log in, as far as it is followed: a server may log one line of
// it several times.
const longestLogin = 30

// dialogue leaves credentials out of one line of an SMTP dialogue.
func dialogue(line string) string {
	if !speaksOfLogin(line) {
		return line
	}
	return login.ReplaceAllStringFunc(line, func(found string) string {
		part := login.FindStringSubmatch(found)
		if slices.Contains([]string{"PLAIN", "LOGIN", "CRAM", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "NTLM", "SCRAM"}, part[2]) {
			return found // a server tells what it knows
		}
		return part[1] + Mask
	})
}

func speaksOfLogin(text string) bool {
	return strings.Contains(text, "AUTH") || strings.Contains(text, "auth") || strings.Contains(text, "Auth")
}

// lines leaves credentials out of a dialogue, line by line.
func lines() func(string) string {
	left := 0 // how many more lines may belong to a login
	return func(line string) string {
		if left == 0 && !speaksOfLogin(line) {
			return line
		}
		begins := loginBegins.MatchString(line) && !offered.MatchString(line)
		if left > 0 && !begins {
			left--
			line = dialogue(line) // first, since it goes by words that what follows masks
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

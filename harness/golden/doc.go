// Package golden compares an email with files kept beside the tests, as a person would compare two emails: by decoded
// subject, addresses, text, HTML and attachments rather than by bytes on the wire.
//
// A golden is a directory of files that open without any tool:
//
//	corrective/
//	    email.txt    subject, addresses, headers, and one line for each attachment and each problem
//	    body.html    the HTML alternative; opens in a browser
//	    body.txt     the text alternative
//
// Open a directory of goldens once for a set of tests, then Compare each email by name:
//
//	set, err := golden.Open("testdata/golden", golden.Options{Update: update})
//	…
//	err = set.Compare("corrective", email,
//		golden.Replacement{Old: request.ID, New: "{{request-id}}"},
//		golden.Replacement{Old: app.URL, New: "{{app-url}}"})
//
// An email that differs gives a *MismatchError, whose text is a diff of each part that differs; a golden that does not exist
// gives a *MissingError, and is never made unless Options.Update asks for it. Unused lists the goldens that no test asked for.
//
// # What may vary
//
// Before it is compared or stored, an email loses what differs from run to run. The Date, the Message-ID and the run id
// become {{date}}, {{message-id}} and {{run-id}}, Content-IDs that a mail library has made up {{content-id-1}} and so on,
// multipart boundaries go, and the caller's Replacements are applied, to attached files too. Of [Options.ChangingFiles] the bytes are not compared.
// Secrets in links (parameters such as sig and token), bearer tokens and signing keys become {{secret}}: they are neither
// stored nor shown.
//
// What mail libraries write in several ways is written in one: where a header is folded, quotes around the name of a
// sender, the case of a domain.
//
// HTML is compared by what it says: the order of attributes and of style declarations, white space that does not show, in
// style sheets too, quotes, the spelling of entities and comments do not count; conditional comments, which mail clients
// read, do. Whether white space shows is decided from the kind of element and its style attribute (display is not looked
// at, nor are style sheets). The parser is golang.org/x/net/html, and so the rules are those of the HTML standard.
//
// What only a mail program sees is compared as well: the method of a calendar entry, and what is malformed (a line
// "Problem: …").
package golden

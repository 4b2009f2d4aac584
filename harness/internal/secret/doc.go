// Package secret keeps out of what people read what a program's environment says is secret: the values of variables
// whose names end in KEY, TOKEN, PASS, PASSWORD, SECRET and the like, and passwords in URIs.
//
//	secrets := secret.Of(append(os.Environ(), "SMTP_PASSWORD=correct horse"))
//	secrets.Text("login as kim, correct horse")      // login as kim, ***
//	secrets.Text("AUTH PLAIN AGtpbQBjb3JyZWN0")      // AUTH PLAIN ***
//	verdict = secret.Redact(secrets, verdict)        // a copy, where there is something to leave out
//
// A value is found as it is, and as it stands in JSON, in a URL and in base64. Credentials in URIs and in SMTP dialogues
// (RFC 4954) are left out whether or not a variable has them. What a program reads from elsewhere, a file say, is not
// known here.
package secret

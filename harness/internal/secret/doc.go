// Package secret masks secrets in texts: the values of environment variables whose names end in KEY, TOKEN, PASS,
// PASSWORD, SECRET and the like, and passwords in URIs.
//
//	secrets := secret.Of(append(os.Environ(), "SMTP_PASSWORD=correct horse"))
//	secrets.Text("login as kim, correct horse")      // login as kim, ***
//	secrets.Text("AUTH PLAIN AGtpbQBjb3JyZWN0")      // AUTH PLAIN ***
//	verdict = secret.Redact(secrets, verdict)        // a copy if it contains secrets
//
// A value is found in its plain form, and in its forms in JSON, in a URL and in base64. Credentials in URIs and in SMTP
// dialogues (RFC 4954) are masked whether or not a variable has them. Secrets that a program reads from elsewhere, for
// example from a file, are not known.
package secret

// Package mailcheck looks for the defects of an email that are certain to be defects, whatever the email is about.
//
//	for _, f := range mailcheck.Run(message, []harness.Check{harness.CheckAll}, mailcheck.Options{}) {
//		fmt.Println(f) // text: the text part lacks "overdue" of the HTML, which says "This is overdue"
//	}
//
// The checks are few, and each can be left out: a check that is sometimes wrong is soon ignored together with those
// that are right. So each is lenient where a mail client may be: hidden preview text, styles that it does not know, links
// of unknown schemes. External is the one whose findings may be intended, so it is made only where it is named.
//
// Text compares the words of the two alternatives (RFC 2046, section 5.1.4: they say the same), Links, Images and Alt look
// at the HTML alone, Placeholders at all that a person reads, Size knows the 102 KB after which Gmail clips an email,
// Format looks at the source, and Resolve asks the app for the pages that the email links to.
//
// All of them look at the email as package inbox decoded it. Only Resolve sends requests.
package mailcheck

package harness

import (
	"fmt"
	"slices"
	"strings"
)

// A Check is a kind of defect that an email must not have. Package mailcheck implements them.
type Check string

// The checks of an email. To add one: name it here and in [Checks], and implement it in package mailcheck.
const (
	// CheckText requires a text part with every word that the HTML shows. Layout, case, punctuation and order do not
	// count; the text may have more words, such as the address behind a button.
	CheckText Check = "text"
	// CheckLinks requires links that work from anywhere: absolute ones, complete, with something to click on, or links to a
	// place in the same email. Links in conditional comments, which Outlook shows, count too.
	CheckLinks Check = "links"
	// CheckResolve requires that every page of the app to which the email links exists. Links to other hosts are not
	// followed.
	CheckResolve Check = "resolve"
	// CheckImages requires that every image names a picture that a mail client can find: absolute, or by cid: a part
	// that the email has.
	CheckImages Check = "images"
	// CheckAlt requires an alt attribute on every image that is not marked as decoration, with text in it where the
	// image is all there is in a link.
	CheckAlt Check = "alt"
	// CheckPlaceholders requires that every placeholder of a template has been replaced by a value: no {{name}}, no
	// "Hello undefined", no [object Object]. What stands in code or pre may say so.
	CheckPlaceholders Check = "placeholders"
	// CheckSize requires HTML below the size at which Gmail clips an email.
	CheckSize Check = "size"
	// CheckFormat requires a well-formed email: nothing in it is malformed ([Message.Problems]), no line exceeds 998 bytes
	// (RFC 5322, 2.1.1), nothing has been lost to a wrong charset, and it has a Date and a Message-ID.
	CheckFormat Check = "format"
	// CheckExternal forbids content that is loaded from other hosts. To load it is a choice and not a defect, so
	// [CheckAll] does not include it.
	CheckExternal Check = "external"

	// CheckAll stands in a list of checks for all of them but [CheckExternal].
	CheckAll Check = "all"
)

// CheckInfo describes a check in one line.
type CheckInfo struct {
	Check Check
	// Requires is what an email must be to pass.
	Requires string
	// ByName: what it finds may be intended, so it is made only where it is named.
	ByName bool
}

// Checks lists all checks, in the order in which their findings are reported. Help texts, pages and documents print this
// list. The slice is the caller's.
func Checks() []CheckInfo {
	return []CheckInfo{
		{Check: CheckText, Requires: "a text part has every word that the HTML shows"},
		{Check: CheckLinks, Requires: "every link is absolute, complete and can be clicked, or leads to a place in the email"},
		{Check: CheckResolve, Requires: "every page of the app that a link names exists"},
		{Check: CheckImages, Requires: "every image names a picture, and one by cid: is in the email"},
		{Check: CheckAlt, Requires: "every image has an alt text"},
		{Check: CheckPlaceholders, Requires: "every placeholder has its value: no {{name}}, no undefined"},
		{Check: CheckSize, Requires: "the HTML is below the size at which Gmail clips an email"},
		{Check: CheckFormat, Requires: "it is well-formed, with a Date, a Message-ID and no line over 998 bytes"},
		{Check: CheckExternal, Requires: "nothing is loaded from other hosts", ByName: true},
	}
}

// ValidateChecks returns an error unless every check of a list exists.
func ValidateChecks(checks []Check) error {
	var known, byName []string
	for _, c := range Checks() {
		known = append(known, string(c.Check))
		if c.ByName {
			byName = append(byName, string(c.Check))
		}
	}
	for _, c := range checks {
		if c != CheckAll && !slices.Contains(known, string(c)) {
			return fmt.Errorf("there is no check %q: it is one of %s, or %s for all of them but %s",
				c, strings.Join(known, ", "), CheckAll, strings.Join(byName, ", "))
		}
	}
	return nil
}

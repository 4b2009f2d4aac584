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
	// CheckLinks requires links that work from anywhere: absolute ones with a scheme that mail programs open (https,
	// http, mailto, tel, sms), or links to a place in the same email.
	CheckLinks Check = "links"
	// CheckResolve requires that every page of the app to which the email links exists. Links to other hosts are not
	// followed.
	CheckResolve Check = "resolve"
	// CheckAlt requires an alt attribute on every image, with text in it where the image is all there is in a link.
	CheckAlt Check = "alt"
	// CheckSize requires HTML below the size at which Gmail clips an email.
	CheckSize Check = "size"
	// CheckExternal forbids content that is loaded from other hosts, and images by cid: that the email does not contain.
	CheckExternal Check = "external"

	// CheckAll stands for all of them in a list of checks.
	CheckAll Check = "all"
)

// CheckInfo describes a check in one line.
type CheckInfo struct {
	Check Check
	// Requires is what an email must be to pass.
	Requires string
}

// Checks lists all checks, in the order in which their findings are reported. Help texts, pages and documents print this
// list. The slice is the caller's.
func Checks() []CheckInfo {
	return []CheckInfo{
		{CheckText, "a text part has every word that the HTML shows"},
		{CheckLinks, "every link is absolute, or leads to a place in the email"},
		{CheckResolve, "every page of the app that a link names exists"},
		{CheckAlt, "every image has an alt text"},
		{CheckSize, "the HTML is below the size at which Gmail clips an email"},
		{CheckExternal, "nothing is loaded from other hosts, and cid: images are in the email"},
	}
}

// ValidateChecks returns an error unless every check of a list exists.
func ValidateChecks(checks []Check) error {
	var known []string
	for _, c := range Checks() {
		known = append(known, string(c.Check))
	}
	for _, c := range checks {
		if c != CheckAll && !slices.Contains(known, string(c)) {
			return fmt.Errorf("there is no check %q: it is one of %s, or %s for all of them", c, strings.Join(known, ", "), CheckAll)
		}
	}
	return nil
}

package mailcheck

import (
	"fmt"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// ClipSize is the number of bytes of HTML from which Gmail clips an email and hides the rest behind a link.
const ClipSize = 102 << 10

// A Finding is one defect.
type Finding struct {
	Check harness.Check `json:"check"`
	Text  string        `json:"text"`
}

// String is the check and what it found.
func (f Finding) String() string { return string(f.Check) + ": " + f.Text }

// Options configures [Run]. The zero value is ready to use.
type Options struct {
	// Resolve returns an error that says why there is no page at an absolute http or https URL, and nil where there is
	// one or where it is not to be asked for. Nil: Resolve finds nothing. A [Resolver] has one.
	Resolve func(url string) error
}

// maxFindings is how many findings of one check are listed; the last then says how many more there are.
const maxFindings = 5

// checks has the function that makes each check. There is one for each of [harness.Checks].
var checks = map[harness.Check]func(email) []string{
	harness.CheckText:         func(e email) []string { return text(e.message, e.page) },
	harness.CheckLinks:        func(e email) []string { return links(e.page) },
	harness.CheckResolve:      func(e email) []string { return resolve(e.page, e.resolve) },
	harness.CheckImages:       func(e email) []string { return images(e.message, e.page) },
	harness.CheckAlt:          func(e email) []string { return alt(e.page) },
	harness.CheckPlaceholders: func(e email) []string { return placeholders(e.message, e.page) },
	harness.CheckSize:         func(e email) []string { return size(e.message) },
	harness.CheckFormat:       func(e email) []string { return format(e.message) },
	harness.CheckExternal:     func(e email) []string { return external(e.page) },
}

// email is what a check looks at.
type email struct {
	message *harness.Message
	page    *page
	resolve func(url string) error
}

// Run makes the checks that are asked for and returns what they found, in the order of [harness.Checks]; nothing if the
// email passes. Text, Placeholders and Format can find something in an email without HTML too.
func Run(m *harness.Message, asked []harness.Check, o Options) []Finding {
	e := email{m, parse(m.HTML), o.Resolve}
	var found []Finding
	for _, info := range harness.Checks() {
		if !slices.Contains(asked, info.Check) && (info.ByName || !slices.Contains(asked, harness.CheckAll)) {
			continue
		}
		var texts []string
		told := map[string]bool{}
		for _, t := range checks[info.Check](e) {
			if !told[t] {
				told[t] = true
				texts = append(texts, t)
			}
		}
		if more := len(texts) - maxFindings; more > 0 {
			texts = append(texts[:maxFindings:maxFindings], fmt.Sprintf("… and %d more", more))
		}
		for _, t := range texts {
			found = append(found, Finding{info.Check, t})
		}
	}
	return found
}

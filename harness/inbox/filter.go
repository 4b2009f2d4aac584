package inbox

import (
	"cmp"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Filter selects messages: those that meet all its fields. The zero value selects every message.
type Filter struct {
	// To is a recipient in the envelope, whatever the message's headers say. The whole address is compared, without regard
	// to case.
	To string
	// From is an address in the From header, compared like To.
	From string
	// Subject is the whole decoded subject.
	Subject string
	// RunID is the value of the header that names the Inngest run (Options.RunHeader).
	RunID string
	// Header holds decoded values by name. A message matches when one of its headers with the name has the value.
	Header map[string]string
	// Match is any further condition. It is called with messages that meet the others, and must not modify them.
	Match func(*harness.Message) bool
}

// String says what is looked for, as in `to kim@plant.test with subject "Pump"`.
func (f Filter) String() string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("to %s", f.To)
	add("from %s", f.From)
	add("with subject %q", f.Subject)
	add("of run %s", f.RunID)
	for _, name := range slices.Sorted(maps.Keys(f.Header)) {
		parts = append(parts, fmt.Sprintf("with %s: %q", name, f.Header[name]))
	}
	if f.Match != nil {
		parts = append(parts, "that meets a further condition")
	}
	return strings.Join(parts, " ")
}

// key is the narrowest list in the index that holds all matching messages.
func (f Filter) key() string {
	switch {
	case f.RunID != "":
		return keyRun(f.RunID)
	case f.To != "":
		return keyTo(f.To)
	default:
		return ""
	}
}

// Matches reports whether a message is looked for. runHeader names the header that holds the id of a run.
func (f Filter) Matches(m *harness.Message, runHeader string) bool {
	misses, _ := f.compare(m, runHeader)
	return len(misses) == 0
}

// compare says in what m differs from what is looked for, as in "it went to lee@plant.test". score is higher the more of
// the filter m meets: its run and its recipient say most about what a message is.
func (f Filter) compare(m *harness.Message, runHeader string) (misses []string, score int) {
	check := func(met bool, weight int, format string, args ...any) {
		if met {
			score += weight
		} else {
			misses = append(misses, fmt.Sprintf(format, args...))
		}
	}
	if f.To != "" {
		check(address.In(f.To, m.Envelope.To), 6, "it went to %s", recipients(m))
	}
	if f.From != "" {
		from := slices.ContainsFunc(m.From, func(a *mail.Address) bool { return address.Same(a.Address, f.From) })
		check(from, 1, "it is from %s", cmp.Or(text.Addresses(m.From), "no address"))
	}
	if f.Subject != "" {
		check(m.Subject == f.Subject, 3, "its subject is %q", m.Subject)
	}
	if f.RunID != "" {
		if run := m.Header(runHeader); run == "" {
			check(false, 0, "it has no %s", runHeader)
		} else {
			check(run == f.RunID, 8, "it is of run %s", run)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Header)) {
		if values := m.HeaderValues(name); len(values) == 0 {
			check(false, 0, "it has no %s", name)
		} else {
			check(slices.Contains(values, f.Header[name]), 2, "its %s is %q", name, strings.Join(values, ", "))
		}
	}
	if len(misses) == 0 && f.Match != nil {
		check(f.Match(m), 0, "it does not meet the further condition")
	}
	return misses, score
}

func recipients(m *harness.Message) string {
	return cmp.Or(strings.Join(m.Envelope.To, ", "), "no recipient")
}

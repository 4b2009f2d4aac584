package inbox

import (
	"fmt"
	"maps"
	"net/mail"
	"slices"

	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Filter says which messages are meant: those for which all its fields hold. The zero value means every message.
type Filter struct {
	// To is a recipient in the envelope: whoever the message was delivered to, whatever its headers say. The whole
	// address is compared; its domain ignores case.
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
	for _, name := range sortedKeys(f.Header) {
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
func (f Filter) Matches(m *harness.Message, runHeader string) bool { return f.match(m, runHeader) }

func (f Filter) match(m *harness.Message, runHeader string) bool {
	return len(f.misses(m, runHeader)) == 0
}

// misses lists in what m is not what is looked for, as in "to lee@plant.test".
func (f Filter) misses(m *harness.Message, runHeader string) []string {
	var misses []string
	if f.To != "" && !slices.ContainsFunc(m.Envelope.To, sameAddress(f.To)) {
		misses = append(misses, "it went to "+orNobody(m.Envelope.To))
	}
	if f.From != "" && !slices.ContainsFunc(bare(m.From), sameAddress(f.From)) {
		misses = append(misses, "it is from "+orNobody(bare(m.From)))
	}
	if f.Subject != "" && m.Subject != f.Subject {
		misses = append(misses, fmt.Sprintf("its subject is %q", m.Subject))
	}
	if f.RunID != "" {
		if run := m.Header(runHeader); run == "" {
			misses = append(misses, "it has no "+runHeader)
		} else if run != f.RunID {
			misses = append(misses, "it is of run "+run)
		}
	}
	for _, name := range sortedKeys(f.Header) {
		switch values := m.HeaderValues(name); {
		case len(values) == 0:
			misses = append(misses, "it has no "+name)
		case !slices.Contains(values, f.Header[name]):
			misses = append(misses, fmt.Sprintf("its %s is %q", name, strings.Join(values, ", ")))
		}
	}
	if len(misses) == 0 && f.Match != nil && !f.Match(m) {
		misses = append(misses, "it does not meet the further condition")
	}
	return misses
}

func sameAddress(a string) func(string) bool {
	a = normalAddress(a)
	return func(b string) bool { return normalAddress(b) == a }
}

func bare(list []*mail.Address) []string {
	var addresses []string
	for _, a := range list {
		addresses = append(addresses, a.Address)
	}
	return addresses
}

func orNobody(addresses []string) string {
	if len(addresses) == 0 {
		return "nobody"
	}
	return strings.Join(addresses, ", ")
}

func sortedKeys(m map[string]string) []string {
	return slices.Sorted(maps.Keys(m))
}

// Package address decides when two email addresses are the same. It is the only place that does.
package address

import (
	"slices"
	"strings"
)

// Key returns a text that is equal for equal addresses. The whole address is compared without regard to case: the
// local part may depend on case by RFC 5321, but no mail provider in use treats two spellings as two mailboxes.
func Key(a string) string { return strings.ToLower(strings.TrimSpace(a)) }

// Same reports whether two addresses are the same.
func Same(a, b string) bool { return Key(a) == Key(b) }

// In reports whether an address is in a list.
func In(a string, list []string) bool {
	return slices.ContainsFunc(list, func(b string) bool { return Same(a, b) })
}

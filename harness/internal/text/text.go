// Package text has the few ways in which the harness shortens, counts and joins what it prints.
package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Clip cuts s to at most n runes and puts an ellipsis where it was cut.
func Clip(s string, n int) string {
	count := 0
	for i := range s {
		if count == n {
			return s[:i] + "…"
		}
		count++
	}
	return s
}

// Safe writes as escapes what acts on a terminal or changes the direction of text. Line feeds and tabs stay.
func Safe(s string) string {
	if strings.IndexFunc(s, dangerous) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if dangerous(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func dangerous(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// OneLine joins the lines of s and collapses its white space.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Count writes a number with its noun: "1 email", "2 emails".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// List joins up to n items with commas and counts the rest.
func List(items []string, n int) string {
	if rest := len(items) - n; rest > 0 {
		return strings.Join(items[:n], ", ") + fmt.Sprintf(" and %d more", rest)
	}
	return strings.Join(items, ", ")
}

// Addresses lists the addresses of a header, without names.
func Addresses(list []*mail.Address) string {
	all := make([]string, len(list))
	for i, a := range list {
		all[i] = a.Address
	}
	return strings.Join(all, ", ")
}

// Elapsed rounds a duration to what a person reads: microseconds below a millisecond, milliseconds below ten seconds,
// tenths of a second below a minute, else whole seconds.
func Elapsed(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < 10*time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	default:
		return d.Round(time.Second)
	}
}

// Nearest returns the name that a mistyped word most probably stands for; "" where more than half of the letters of each
// name are others. Case is ignored.
func Nearest(word string, names []string) string {
	nearest, least := "", len(word)+1
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d < least && 2*d <= max(len(word), len(name)) {
			nearest, least = name, d
		}
	}
	return nearest
}

// distance is the number of bytes to add, remove or replace that make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// levels is how much deeper a piece of data stands in what is written about it: a trace, a verdict, a record, a report.
const levels = 100

var opened, closed = bytes.Repeat([]byte("["), levels), bytes.Repeat([]byte("]"), levels)

// JSON returns data that an app has written in a form that any JSON can contain: data itself, or, where it is no JSON or is
// nested deeper than encoding/json reads, its text as a JSON string. Of no data it returns nil.
func JSON(data []byte) json.RawMessage {
	if len(data) == 0 || json.Valid(data) && json.Valid(slices.Concat(opened, data, closed)) {
		return data
	}
	quoted, _ := json.Marshal(string(data)) // a string always encodes
	return quoted
}

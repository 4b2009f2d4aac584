package inbox

import (
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateForm is a date as senders write it: RFC 5322's, and others that can mean only one thing.
var dateForm = regexp.MustCompile(`^\s*(?:[A-Za-z]+[\s,]+)?(\d{1,2})[\s-]+([A-Za-z]{3})[a-z]*[\s.-]+(\d{2,4})[\s,]+` +
	`(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:\.\d+)?)?\s*(?:(?:GMT|UTC)?([+-]?\d{1,2}:?\d{2})|([A-Za-z]+))?`)

// otherForms are dates of other standards.
var otherForms = []string{time.ANSIC, "Mon Jan _2 15:04:05 -0700 2006", time.RubyDate, time.UnixDate, time.RFC3339,
	"2006-01-02 15:04:05 -0700", "Jan 2, 2006 15:04:05 PM", "Jan 2, 2006 3:04:05 PM", "Monday, January 2, 2006 3:04:05 PM"}

var dateComment = regexp.MustCompile(`\([^()]*\)`)

// zones are the names of time zones that RFC 5322, 4.3, gives a meaning, by their offsets in hours. [mail.ParseDate] takes
// them for UTC.
var zones = map[string]int{
	"UT": 0, "UTC": 0, "GMT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}

// parseDate reads a Date header. ok is false if it is not as RFC 5322 has it; then the date is what it can mean, or zero.
// A time without a zone, or with one that has no meaning, is in UTC.
func parseDate(s string) (date time.Time, ok bool) {
	// The parser wants a blank that RFC 5322 does not, and knows no leap second.
	date, err := mail.ParseDate(strings.Replace(strings.Replace(s, ",", ", ", 1), ":60", ":59", 1))
	ok = err == nil
	part := dateForm.FindStringSubmatch(dateComment.ReplaceAllString(s, " "))
	if part == nil {
		for _, form := range otherForms {
			if date, err := time.Parse(form, s); err == nil {
				return date, false
			}
		}
		return date, ok
	}
	month, err := time.Parse("Jan", part[2])
	if err != nil {
		return date, ok
	}
	number := func(i int) int { n, _ := strconv.Atoi(part[i]); return n }
	year := number(3)
	if year < 50 {
		year += 2000
	} else if year < 1000 {
		year += 1900
	}
	hours, known := zones[strings.ToUpper(part[8])]
	offset := hours * 60
	if n, err := strconv.Atoi(strings.ReplaceAll(part[7], ":", "")); err == nil {
		offset, known = n/100*60+n%100, true
	}
	ok = ok && known
	if number(1) > 31 || number(4) > 23 || number(5) > 59 || number(6) > 60 {
		return date, false
	}
	location := time.FixedZone("", offset*60)
	return time.Date(year, month.Month(), number(1), number(4), number(5), number(6), 0, location), ok
}

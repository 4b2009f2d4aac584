package main

import (
	"fmt"
	"strings"
	"time"
)

// missing ends the note of a figure that is not what is wanted.
const missing = ", and it is NOT"

// wanted notes on a figure what its median is to stay under.
func wanted(f figure, most time.Duration) figure {
	f.Note = fmt.Sprintf("wanted: under %.0f ms", ms(most))
	if f.Median >= ms(most) {
		f.Note += missing
	}
	return f
}

// missed returns an error that names the figures that are not what is wanted.
func missed(all []figure) error {
	var names []string
	for _, f := range all {
		if strings.Contains(f.Note, missing) {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("not what is wanted: %s; with other work on this machine, measure again when it is idle", strings.Join(names, "; "))
}

// Package jsontime writes durations in JSON as texts such as "1.5s", so that every duration of the harness reads the
// same.
package jsontime

import (
	"fmt"
	"time"

	"github.com/xhit/go-str2duration/v2"
)

// Duration is a [time.Duration] that JSON holds as a text, in the form of [time.Duration.String].
type Duration time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// JSONKind says what stands in JSON for a duration.
func (Duration) JSONKind() string { return `a duration such as "1.5s" or "3d"` }

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads what [time.ParseDuration] reads,
// and days and weeks, but no negative duration.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := str2duration.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not %s", text, d.JSONKind())
	}
	if parsed < 0 {
		return fmt.Errorf("the duration %q is negative", text)
	}
	*d = Duration(parsed)
	return nil
}

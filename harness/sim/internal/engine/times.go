package engine

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// tooLong returns the failure of a run that waits longer than the server allows.
func tooLong(message string) *Error { return newError("TimeoutTooLong", message) }

// sleepTime returns how long a Sleep lasts.
func sleepTime(c *clock.Clock, o *sdk.Op) (time.Duration, error) {
	var opts struct {
		Duration string `json:"duration"`
	}
	if err := o.Options(&opts); err != nil {
		return 0, err
	}
	text := cmp.Or(opts.Duration, o.Name)
	if text == "" {
		return 0, nil
	}
	d, err := str2duration.ParseDuration(text)
	if err != nil {
		at, dateErr := parseDate(text)
		if dateErr != nil {
			return 0, fmt.Errorf("sleep of step %s: %w", o.StepID(), err)
		}
		d = max(c.FromWall(at).Sub(c.Now()).Round(time.Second), 0)
	}
	if d > longestWait {
		return 0, tooLong(fmt.Sprintf("The sleep %q ends more than one year in the future; sleeps may last at most one year.", text))
	}
	return d, nil
}

// deadline returns when a timeout given as a duration or as a date is up.
func deadline(c *clock.Clock, text string) (time.Time, error) {
	if d, err := str2duration.ParseDuration(text); err == nil {
		return c.Now().Add(d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a duration nor a date: %w", text, err)
	}
	return c.FromWall(at), nil
}

func parseDate(text string) (at time.Time, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z07:00", time.RFC1123, http.TimeFormat, time.DateTime, time.DateOnly} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, err
}

// The soonest and the furthest that an app may put off a retry by Retry-After.
const (
	soonestRetry  = time.Second
	furthestRetry = 24 * time.Hour
)

// retryTime reads a Retry-After header, in seconds or as a date; the zero Time if it cannot be read.
func retryTime(c *clock.Clock, text string) time.Time {
	now := c.Now()
	var at time.Time
	if secs, err := strconv.Atoi(text); err == nil && secs > 0 {
		at = now.Add(time.Duration(secs) * time.Second)
	} else {
		date, err := parseDate(text)
		if err != nil {
			return time.Time{}
		}
		at = c.FromWall(date)
	}
	return now.Add(min(max(at.Sub(now), soonestRetry), furthestRetry))
}

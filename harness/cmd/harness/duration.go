package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"github.com/xhit/go-str2duration/v2"
)

// duration is a flag that holds a duration, or a number of seconds as the Inngest server's own flags do.
type duration time.Duration

// durationFlag adds a flag that holds a duration.
func durationFlag(f *pflag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	*d = value
	f.Var((*duration)(d), name, usage)
}

// parseDuration reads 1.5s, 90m, 3d, 1w2d, and 10, which is seconds.
func parseDuration(text string) (time.Duration, error) {
	unit := ""
	if _, err := strconv.Atoi(text); err == nil {
		unit = "s"
	}
	d, err := str2duration.ParseDuration(text + unit)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration, as in 1.5s, 90m, 3d or 1w", text)
	}
	return d, nil
}

// Set implements pflag.Value.
func (d *duration) Set(text string) error {
	parsed, err := parseDuration(text)
	*d = duration(parsed)
	return err
}

// String implements pflag.Value. A default of 0 is not shown.
func (d *duration) String() string {
	if *d == 0 {
		return "0"
	}
	return time.Duration(*d).String()
}

// Type implements pflag.Value.
func (*duration) Type() string { return "duration" }

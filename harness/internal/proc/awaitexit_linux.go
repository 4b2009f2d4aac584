package proc

import (
	"context"
	"time"
)

// AwaitExit returns nil when the process with this id has ended, which may be before the call, and the error of ctx when that
// ends earlier.
func AwaitExit(ctx context.Context, pid int) error {
	began, err := StartTime(pid)
	return pollExit(ctx, func() bool {
		var now time.Time
		if err == nil {
			now, err = StartTime(pid)
		}
		return err == nil && now.Sub(began).Abs() < time.Second // the clock may be set
	})
}

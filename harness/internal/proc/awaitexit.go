package proc

import (
	"context"
	"time"
)

// exitPoll is how often to look whether a process that is no child has ended.
const exitPoll = 50 * time.Millisecond

// pollExit waits until a process is not alive any more.
func pollExit(ctx context.Context, alive func() bool) error {
	ticker := time.NewTicker(exitPoll)
	defer ticker.Stop()
	for alive() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// Package poll waits for conditions that nothing announces.
package poll

import (
	"context"
	"fmt"
	"time"
)

// Until calls condition at once and then once per interval until it returns nil. When ctx ends first, the error wraps
// both the last error of condition and the cause of ctx, and says how long it waited.
func Until(ctx context.Context, interval time.Duration, condition func(context.Context) error) error {
	began := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (after %v: %w)", err, time.Since(began).Round(time.Millisecond), context.Cause(ctx))
		}
	}
}

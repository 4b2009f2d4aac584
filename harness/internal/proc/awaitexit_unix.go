//go:build unix && !linux

package proc

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// AwaitExit returns nil when the process with this id has ended, which may be before the call, and the error of ctx when that
// ends earlier.
func AwaitExit(ctx context.Context, pid int) error {
	parent := os.Getppid() == pid
	return pollExit(ctx, func() bool {
		// A parent that has ended and is not reaped still has its id.
		return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && (!parent || os.Getppid() == pid)
	})
}

package proc

import (
	"context"

	"golang.org/x/sys/windows"
)

// AwaitExit returns nil when the process with this id has ended, which may be before the call, and the error of ctx when that
// ends earlier.
func AwaitExit(ctx context.Context, pid int) error {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return nil // there is none
	}
	defer windows.CloseHandle(h)
	return pollExit(ctx, func() bool {
		event, err := windows.WaitForSingleObject(h, 0)
		return err == nil && event == uint32(windows.WAIT_TIMEOUT)
	})
}

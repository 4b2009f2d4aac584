package proc

import (
	"fmt"
	"time"

	"golang.org/x/sys/windows"
)

// StartTime returns when the process with this id started: a number that a later process with the same id does not
// share. The error says that there is no such process.
func StartTime(pid int) (time.Time, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return time.Time{}, fmt.Errorf("open process %d: %w", pid, err)
	}
	defer windows.CloseHandle(h)
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return time.Time{}, fmt.Errorf("times of process %d: %w", pid, err)
	}
	return time.Unix(0, created.Nanoseconds()).UTC(), nil
}

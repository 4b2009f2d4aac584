//go:build unix && !linux

package proc

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// StartTime returns when the process with this id started, to the second: a number that a later process with the same
// id hardly shares. The error says that there is no such process.
func StartTime(pid int) (time.Time, error) {
	cmd := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid))
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("ask ps for process %d: %w", pid, err)
	}
	return time.Parse(time.ANSIC, strings.TrimSpace(string(out)))
}

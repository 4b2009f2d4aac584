//go:build unix

package proc

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// watchdogScript kills the child's group when this process dies. It reads the id of the group, then "release" when the child has
// ended; the end of the pipe without that word means that this process died. $1 is the mark of processes that left the group.
//
// It looks for those several times, since a process that is just being started is not seen.
const watchdogScript = `
trap '' INT TERM HUP
group=
while read -r word; do
	case $word in
	release) exit 0 ;;
	*) group=$word ;;
	esac
done
if [ -n "$group" ]; then kill -s KILL -- "-$group"; fi
for round in 1 2 3 4 5 6 7 8 9 10; do
	found=
	for file in $(grep -lsF -e "$1" /proc/[0-9]*/environ); do
		pid=${file#/proc/}
		if kill -s KILL "${pid%/environ}"; then found=yes; fi
	done
	if [ -z "$found" ]; then break; fi
done
`

// A watchdog guards one child. It has its own session, so that Ctrl-C does not reach it.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startWatchdog(id string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "watchdog", mark+"="+id)
	cmd.Dir = "/" // so that it keeps no folder in use
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for its watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil { // it closes the pipe
		return nil, fmt.Errorf("start its watchdog, the shell that ends it should this process be killed: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// guard passes the group on. Without a watchdog, if that has died, the child is not guarded.
func (w *watchdog) guard(pgid int) { fmt.Fprintln(w.pipe, pgid) }

// release ends the watchdog without killing anything.
func (w *watchdog) release() {
	io.WriteString(w.pipe, "release\n")
	w.pipe.Close()
	_ = w.cmd.Wait()
}

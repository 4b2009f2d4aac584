//go:build unix

package proc

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// watchdogScript ends what we started when we are gone. It reads the id of the group to guard, then "release" when
// there is nothing left to do; the end of the pipe without that word means that we died. $1 is the mark to look for.
//
// One round of looking is not enough: a process that is just being started is not seen, and its parent is not stopped.
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

// A watchdog guards one child. It has a session of its own, so that no Ctrl-C reaches it.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startWatchdog(id string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "watchdog", mark+"="+id)
	cmd.Dir = "/" // holds no folder of ours
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Not StdinPipe: the watchdog is to see the end of the pipe when this process ends, and not before.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for its watchdog: %w", err)
	}
	defer read.Close()
	cmd.Stdin = read
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start its watchdog, the shell that ends it should this process be killed: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: write}, nil
}

// guard names the group. Should the watchdog be gone the child is unguarded, but no worse off than without one.
func (w *watchdog) guard(pgid int) { fmt.Fprintln(w.pipe, pgid) }

// release ends the watchdog: there is nothing left to guard.
func (w *watchdog) release() {
	io.WriteString(w.pipe, "release\n")
	w.pipe.Close()
	_ = w.cmd.Wait()
}

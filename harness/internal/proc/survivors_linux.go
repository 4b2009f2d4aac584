package proc

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"strconv"
	"syscall"
)

// groupAlive reports whether a group has a process that still runs. Zombies, which stay in a container whose first process
// does not reap them, are in the group but do not count.
func groupAlive(pgid int) bool {
	if syscall.Kill(-pgid, 0) != nil {
		return false
	}
	for pid := range processes() {
		fields, err := statFields(pid) // the error: it has ended
		if err == nil && fields[2] == strconv.Itoa(pgid) && fields[0] != "Z" && fields[0] != "X" {
			return true
		}
	}
	return false
}

// killMarked kills the processes that inherited the mark and left the group. It repeats until it finds none, since a process
// that is just being started is not seen.
func killMarked(id string) {
	const rounds = 10
	for range rounds {
		found := false
		for pid := range processes() {
			// The error: it has ended, or belongs to another user.
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err == nil && bytes.Contains(env, []byte(mark+"="+id)) && syscall.Kill(pid, syscall.SIGKILL) == nil {
				found = true
			}
		}
		if !found {
			return
		}
	}
}

// processes yields the ids of all processes.
func processes() iter.Seq[int] {
	return func(yield func(int) bool) {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return // not mounted
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && !yield(pid) {
				return
			}
		}
	}
}

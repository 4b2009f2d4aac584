package port

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder names the process that listens on a port, or returns "" without the permission to look into that process.
func holder(port int) string {
	for pid, at := range listeners() {
		if at != port {
			continue
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%s (process %d)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// listening is the code of the LISTEN state in /proc/net/tcp.
const listening = "0A"

// listeners yields the processes that listen on TCP ports, each with such a port, as far as this user may look into them.
func listeners() iter.Seq2[int, int] {
	return func(yield func(pid, port int) bool) {
		sockets := map[string]int{} // ports by what a file descriptor links to
		for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			data, err := os.ReadFile(table)
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(data)) {
				f := strings.Fields(line)
				if len(f) <= 9 || f[3] != listening {
					continue
				}
				if port, err := strconv.ParseInt(f[1][strings.LastIndex(f[1], ":")+1:], 16, 32); err == nil {
					sockets["socket:["+f[9]+"]"] = int(port)
				}
			}
		}
		fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is valid
		for _, fd := range fds {
			link, err := os.Readlink(fd)
			port, ok := sockets[link]
			if err != nil || !ok {
				continue
			}
			pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
			if err == nil && !yield(pid, port) {
				return
			}
		}
	}
}

package port

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// OfGroup returns the TCP ports on which the processes of a group listen, as far as this user may look into them.
func OfGroup(pgid int) (ports []int) {
	sockets := map[string]int{} // ports by inode
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
				sockets[f[9]] = int(port)
			}
		}
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		behind := strings.Fields(string(data[strings.LastIndex(string(data), ")")+1:])) // the name: state, ppid, pgrp
		if err != nil || len(behind) < 3 || behind[2] != strconv.Itoa(pgid) {
			continue
		}
		links, _ := filepath.Glob(filepath.Join(filepath.Dir(stat), "fd", "*"))
		for _, link := range links {
			var inode string
			if to, err := os.Readlink(link); err == nil {
				inode, _ = strings.CutPrefix(to, "socket:")
			}
			if port, ok := sockets[strings.Trim(inode, "[]")]; ok && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(ports)
	return ports
}

package port

import (
	"slices"
	"syscall"
)

// OfGroup returns the TCP ports on which the processes of a group listen, as far as this user may look into them.
func OfGroup(pgid int) (ports []int) {
	for pid, port := range listeners() {
		if group, err := syscall.Getpgid(pid); err == nil && group == pgid && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

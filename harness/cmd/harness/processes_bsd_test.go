//go:build unix && !linux

package main

import (
	"os/exec"
	"strconv"
	"strings"
)

// startedBelow returns the processes that have dir in their arguments or environment.
func startedBelow(dir string) []process {
	out, err := exec.Command("ps", "-axwwE", "-o", "pid=,command=").Output()
	if err != nil {
		return []process{{0, "ps: " + err.Error()}}
	}
	var found []process
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.Contains(line, dir) {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err == nil {
			found = append(found, process{pid, fields[1]})
		}
	}
	return found
}

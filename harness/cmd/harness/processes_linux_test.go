package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// startedBelow returns the processes that were started for what is below dir: that have it in their environment or
// work there.
func startedBelow(dir string) []process {
	var found []process
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, proc := range all {
		environ, _ := os.ReadFile(filepath.Join(proc, "environ")) // of a process that has just ended there is none
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		cmdline, _ := os.ReadFile(filepath.Join(proc, "cmdline")) // empty for one that is dead but not reaped
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || len(cmdline) == 0 || pid == os.Getpid() {
			continue
		}
		if bytes.Contains(environ, []byte(dir)) || strings.HasPrefix(cwd, dir) {
			program, _, _ := strings.Cut(string(cmdline), "\x00")
			found = append(found, process{pid, program})
		}
	}
	return found
}

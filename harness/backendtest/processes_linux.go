package backendtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// CrashProcess is the [Caps].Crash of a backend whose servers are processes of this one, each in a directory of its name.
func CrashProcess(tb testing.TB, dir string, s harness.Service) {
	for _, p := range children(tb) {
		if p.dir == filepath.Join(dir, string(s)) {
			require.NoError(tb, syscall.Kill(p.pid, syscall.SIGKILL))
			return
		}
	}
	require.Fail(tb, "no such process", "%s in %s", s, dir)
}

// LeftProcesses is the [Caps].Leftovers of a backend whose servers are processes of this one.
func LeftProcesses(tb testing.TB) []string {
	all := []string{}
	for _, p := range children(tb) {
		all = append(all, fmt.Sprintf("process %d: %s", p.pid, p.command))
	}
	slices.Sort(all)
	return all
}

type child struct {
	pid          int
	dir, command string
}

// children are the processes that this one has started.
func children(tb testing.TB) []child {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(tb, err)
	var all []child
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		proc := filepath.Dir(file)
		pid, err := strconv.Atoi(filepath.Base(proc))
		require.NoError(tb, err)
		dir, _ := os.Readlink(filepath.Join(proc, "cwd"))
		command, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		all = append(all, child{pid, dir, strings.ReplaceAll(string(command), "\x00", " ")})
	}
	return all
}

package local_test

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
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

func TestMain(m *testing.M) { backendtest.Main(m) }

func TestBackend(t *testing.T) {
	backendtest.Run(t, func(testing.TB) harness.Backend { return local.New(local.Options{}) }, backendtest.Caps{
		Broken: func(tb testing.TB) harness.Backend {
			// It cannot be set for this backend alone; none is started beside it.
			tb.Setenv("INNGEST_BIN", brokenInngest(tb))
			return local.New(local.Options{})
		},
		Strike: func(tb testing.TB, dir string, s harness.Service) {
			for _, p := range children(tb) {
				if p.dir == filepath.Join(dir, string(s)) {
					require.NoError(tb, syscall.Kill(p.pid, syscall.SIGKILL))
					return
				}
			}
			require.Fail(tb, "no such process", "%s in %s", s, dir)
		},
		Leftovers: func(tb testing.TB) []string {
			all := []string{}
			for _, p := range children(tb) {
				all = append(all, fmt.Sprintf("process %d: %s", p.pid, p.command))
			}
			slices.Sort(all)
			return all
		},
	})
}

// brokenInngest is a program that knows its version and nothing else.
func brokenInngest(tb testing.TB) string {
	path := filepath.Join(tb.TempDir(), "inngest")
	script := "#!/bin/sh\ncase \"$1\" in version) echo v1.43.0-0123456;; *) echo 'cannot start' >&2; exit 3;; esac\n"
	require.NoError(tb, os.WriteFile(path, []byte(script), 0o755))
	return path
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

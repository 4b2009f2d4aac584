package proc_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

func TestProcess_LeavesNoDescendants(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(child) error{
		"stop":                  func(c child) error { return c.Stop(t.Context(), time.Millisecond) },
		"kill":                  func(c child) error { return c.Stop(t.Context(), 0) },
		"the child alone dies":  func(c child) error { return syscall.Kill(c.PID(), syscall.SIGKILL) },
		"the child is paused":   func(c child) error { return errors.Join(c.Pause(), c.Stop(t.Context(), time.Millisecond)) },
		"its group is murdered": func(c child) error { return syscall.Kill(-c.PID(), syscall.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := run(t, "family", proc.Spec{})
			pids := c.pids(t, familySize)
			c.line(t, "family ")
			for _, pid := range pids {
				require.True(t, alive(pid))
			}
			require.NoError(t, end(c))
			c.await(t)
			requireGone(t, append(pids, c.PID())...)
		})
	}
	t.Run("the child exits", func(t *testing.T) {
		t.Parallel()
		c := run(t, "runaway", proc.Spec{})
		pids := c.pids(t, 2)
		c.await(t)
		require.ErrorContains(t, c.Err(), "runaway exited with status 3")
		requireGone(t, pids...)
	})
}

// The supervisor cannot clean up when it is killed, or just exits.
func TestWatchdog_KillsAllWhenTheSupervisorDies(t *testing.T) {
	t.Parallel()
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		c := run(t, "supervisor", proc.Spec{})
		var pids []int
		// A child that is not ready yet might die because its output has no reader.
		for ready := 0; ready < familySize || len(pids) < familySize+1; {
			line := c.line(t, "")
			if line == "ready" {
				ready++
				continue
			}
			var pid int
			_, err := fmt.Sscan(line[strings.IndexByte(line, ' '):], &pid)
			require.NoError(t, err)
			pids = append(pids, pid)
		}
		// We supervise it in turn, but know nothing of the family, whose groups and marks are not ours: only its own
		// watchdog can help.
		require.NoError(t, syscall.Kill(-c.PID(), syscall.SIGKILL))
		requireGone(t, pids...)
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{role + "=quitter"}
		out, err := cmd.Output()
		require.NoError(t, err)
		found := regexp.MustCompile(`(?m)^(?:child|family) (\d+)$`).FindAllSubmatch(out, -1)
		require.Len(t, found, familySize+1, "%s", out)
		for _, f := range found {
			pid, err := strconv.Atoi(string(f[1]))
			require.NoError(t, err)
			requireGone(t, pid)
		}
	})
}

// A zombie keeps its group until it is reaped, which in many containers never happens.
func TestStop_DoesNotWaitForZombies(t *testing.T) {
	t.Parallel()
	c := run(t, "haunted", proc.Spec{})
	pids := c.pids(t, 2) // the one that does not reap, and the dead one
	t.Cleanup(func() { _ = syscall.Kill(pids[0], syscall.SIGKILL) })
	requireGone(t, pids[1])
	require.NoError(t, syscall.Kill(pids[1], 0), "dead, and still there")

	began := time.Now()
	require.NoError(t, c.Stop(t.Context(), patience))
	require.Less(t, time.Since(began), patience/2)
}

// Not even what escapes keeps Done waiting by holding the child's output open.
func TestProcess_EndsDespiteAnEscapedDescendant(t *testing.T) {
	t.Parallel()
	c := run(t, "escape", proc.Spec{})
	pid := c.pids(t, 1)[0]
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	c.await(t)
	require.ErrorContains(t, c.Err(), "escape exited with status 4")
	require.True(t, alive(pid), "it gets away: it shares neither group, nor environment")
}

func TestProcess_FullDisk(t *testing.T) {
	t.Parallel()
	c := run(t, "write", proc.Spec{Args: []string{"10000", "100"}, LogFile: "/dev/full"})
	c.await(t)
	var exit *proc.ExitError
	require.ErrorAs(t, c.Err(), &exit)
	require.Zero(t, exit.Code, "the child could write all it wanted")
	require.ErrorIs(t, exit.LogErr, syscall.ENOSPC)
	require.Contains(t, exit.Tail[len(exit.Tail)-1], "9999:")
	require.Contains(t, exit.Error(), "whole log: /dev/full (incomplete: no space left on device)")
}

func TestStart_Low(t *testing.T) {
	t.Parallel()
	priority := func(pid int) int {
		raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid) // 20 less the nice value
		require.NoError(t, err)
		return 20 - raw
	}
	low, same := run(t, "ignore", proc.Spec{Low: true}), run(t, "ignore", proc.Spec{})
	require.Equal(t, 19, priority(low.PID()))
	require.Equal(t, priority(os.Getpid()), priority(same.PID()))
}

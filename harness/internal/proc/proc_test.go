//go:build unix

package proc_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// patience is for what happens at once, on a machine that has other things to do.
const patience = 30 * time.Second

// child is a process of the tests, and what it has printed.
type child struct {
	*proc.Process
	lines chan string
}

// run starts the test binary in a role, in an environment of nothing but that.
func run(t *testing.T, play string, s proc.Spec) child {
	t.Helper()
	lines := make(chan string, 10_000)
	s.Path, s.Env = os.Args[0], append(s.Env, role+"="+play)
	if s.Name == "" {
		s.Name = play
	}
	s.OnLine = func(line string) {
		select {
		case lines <- line:
		default: // a child that ticks is not listened to for long
		}
	}
	p, err := proc.Start(t.Context(), s)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Stop(context.Background(), 0) })
	return child{Process: p, lines: lines}
}

// line waits for a line that begins with prefix, and returns what follows.
func (c child) line(t *testing.T, prefix string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line := <-c.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-deadline:
			require.FailNow(t, "no such line", "%q; the child printed %q", prefix, c.Tail())
		}
	}
}

func (c child) await(t *testing.T) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		require.FailNow(t, "the child does not end")
	}
}

// pids collects the ids of n descendants that announce themselves.
func (c child) pids(t *testing.T, n int) []int {
	t.Helper()
	var pids []int
	for range n {
		var pid int
		_, err := fmt.Sscan(c.line(t, "child "), &pid)
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

func requireGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return !alive(pid) }, patience, time.Millisecond, "process %d is left behind", pid)
	}
}

// state returns the state of a process as ps names it: "T" when it is stopped.
func state(t *testing.T, pid int) string {
	t.Helper()
	out, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) && !exists("/proc/self") {
		out, err = exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	}
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(out), ") ")
	return strings.TrimSpace(cmp.Or(after, string(out)))[:1]
}

// alive reports whether a process runs. A zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !exists("/proc/self")
	}
	return !strings.Contains(string(stat), ") Z ")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestExit(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	c := run(t, "exit", proc.Spec{Name: "inngest", Args: []string{"1", "one", "two"}, LogFile: log})
	require.NoError(t, errIfRunning(c))
	c.await(t)

	var exit *proc.ExitError
	require.ErrorAs(t, c.Err(), &exit)
	require.Equal(t, "inngest", exit.Name)
	require.Equal(t, 1, exit.Code)
	require.Empty(t, exit.Signal)
	require.Positive(t, exit.After)
	require.Equal(t, []string{"one", "two"}, exit.Tail)
	require.Equal(t, []string{"one", "two"}, c.Tail())
	require.Equal(t, log, exit.LogFile)
	require.Equal(t, log, c.LogFile())
	require.NoError(t, exit.LogErr)
	require.Regexp(t, `^inngest exited with status 1 after \d+(ms|\.?\d*s); its last lines:\n  one\n  two\nwhole log: `+log+`$`, exit.Error())

	require.NoError(t, c.Stop(t.Context(), time.Minute), "it has ended already")
	require.ErrorAs(t, c.Err(), &exit, "and not because of the stop")
}

// errIfRunning returns Err while the child may still run, in which case it has to be nil.
func errIfRunning(c child) error {
	err := c.Err()
	select {
	case <-c.Done():
		return nil
	default:
		return err
	}
}

func TestExitError_Text(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprint("line ", i))
	}
	for _, c := range []struct {
		err  proc.ExitError
		want string
	}{
		{proc.ExitError{Name: "app", After: 80 * time.Millisecond}, "app exited with status 0 after 80ms; it wrote nothing"},
		{proc.ExitError{Name: "app", Code: 2, After: 12345 * time.Millisecond, LogFile: "app.log"}, "app exited with status 2 after 12.3s; it wrote nothing\nwhole log: app.log"},
		{proc.ExitError{Name: "app", Code: -1, Signal: "killed", After: time.Minute, Tail: []string{"a"}}, "app was ended by a signal (killed) after 1m0s; its last lines:\n  a"},
		{proc.ExitError{Name: "app", Code: 1, LogFile: "app.log", LogErr: syscall.ENOSPC}, "app exited with status 1 after 0s; it wrote nothing\nwhole log: app.log (incomplete: no space left on device)"},
		{proc.ExitError{Name: "app", Code: 1, Tail: many}, "app exited with status 1 after 0s; its last lines:\n  " + strings.Join(many[10:], "\n  ")},
	} {
		require.Equal(t, c.want, c.err.Error())
	}
}

func TestExit_BySignal(t *testing.T) {
	t.Parallel()
	c := run(t, "obey", proc.Spec{})
	c.line(t, "ready")
	require.NoError(t, syscall.Kill(c.PID(), syscall.SIGKILL))
	c.await(t)
	var exit *proc.ExitError
	require.ErrorAs(t, c.Err(), &exit)
	require.Equal(t, "killed", exit.Signal)
	require.Equal(t, -1, exit.Code)
}

func TestStart_PassesOnlyTheGivenEnvironment(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	c := run(t, "env", proc.Spec{Dir: dir, Env: []string{"A=1", "HARNESS_PROC=another's"}})
	c.await(t)
	require.Len(t, c.Tail(), 4)
	require.Equal(t, []string{"DIR=" + dir, "A=1", role + "=env"}, c.Tail()[:3])
	require.Regexp(t, `^HARNESS_PROC=\w{20,}$`, c.Tail()[3])
}

func TestStart_Fails(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		spec proc.Spec
		want string
	}{
		{"no program", t.Context(), proc.Spec{Name: "inngest", Path: "/none/inngest"}, "start inngest: fork/exec /none/inngest: no such file or directory"},
		{"no program in PATH", t.Context(), proc.Spec{Name: "app", Path: "no-such-program-at-all"}, `start app: exec: "no-such-program-at-all": executable file not found in $PATH`},
		{"no folder", t.Context(), proc.Spec{Name: "app", Path: os.Args[0], Dir: "/none"}, "start app: its working directory: stat /none: no such file or directory"},
		{"no folder for the log", t.Context(), proc.Spec{Name: "app", Path: os.Args[0], LogFile: "/none/log"}, "start app: open its log file: open /none/log: no such file or directory"},
		{"called off", over, proc.Spec{Name: "app", Path: os.Args[0]}, "start app: context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := proc.Start(c.ctx, c.spec)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("one that ends when asked", func(t *testing.T) {
		t.Parallel()
		c := run(t, "obey", proc.Spec{})
		c.line(t, "ready")
		require.NoError(t, c.Stop(t.Context(), patience))
		require.Equal(t, []string{"ready", "bye"}, c.Tail())
		require.NoError(t, c.Err(), "a stop that was asked for is no error")
		require.NoError(t, c.Stop(t.Context(), patience), "again")
		require.NoError(t, c.Stop(context.Background(), 0))
		requireGone(t, c.PID())
	})
	t.Run("one that ignores it", func(t *testing.T) {
		t.Parallel()
		c := run(t, "ignore", proc.Spec{})
		c.line(t, "ready")
		require.NoError(t, c.Stop(t.Context(), 10*time.Millisecond))
		require.NoError(t, c.Err())
		requireGone(t, c.PID())
	})
	t.Run("with no patience left", func(t *testing.T) {
		t.Parallel()
		c := run(t, "ignore", proc.Spec{})
		c.line(t, "ready")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, c.Stop(ctx, time.Hour))
		requireGone(t, c.PID())
	})
	t.Run("interrupts once, however many ask", func(t *testing.T) {
		t.Parallel()
		c := run(t, "touchy", proc.Spec{})
		c.line(t, "ready")
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := c.Stop(t.Context(), time.Hour); err != nil {
					t.Error(err)
				}
			})
		}
		c.line(t, "interrupted once")
		require.NoError(t, c.Stop(t.Context(), 200*time.Millisecond))
		wg.Wait()
		require.Equal(t, []string{"ready", "interrupted once"}, c.Tail())
	})
	t.Run("the shortest grace counts", func(t *testing.T) {
		t.Parallel()
		c := run(t, "ignore", proc.Spec{})
		c.line(t, "ready")
		patient := make(chan error, 1)
		go func() { patient <- c.Stop(context.Background(), time.Hour) }()
		require.NoError(t, c.Stop(t.Context(), time.Millisecond))
		require.NoError(t, <-patient)
	})
	t.Run("a wrapper that ends first", func(t *testing.T) {
		t.Parallel()
		c := run(t, "wrapper", proc.Spec{})
		c.line(t, "ready")
		require.NoError(t, c.Stop(t.Context(), patience))
		require.Equal(t, "ended gracefully", c.Tail()[len(c.Tail())-1])
	})
	t.Run("one that cannot hear an interrupt", func(t *testing.T) {
		t.Parallel()
		c := run(t, "deaf", proc.Spec{})
		require.Equal(t, "<nil>", c.line(t, "stopped "))
	})
	t.Run("one that is paused", func(t *testing.T) {
		t.Parallel()
		c := run(t, "obey", proc.Spec{})
		c.line(t, "ready")
		require.NoError(t, c.Pause())
		require.NoError(t, c.Stop(t.Context(), patience))
		require.Equal(t, "bye", c.Tail()[len(c.Tail())-1])
	})
}

func TestStop_KillsWithoutGrace(t *testing.T) {
	t.Parallel()
	c := run(t, "obey", proc.Spec{})
	c.line(t, "ready")
	require.NoError(t, c.Stop(context.Background(), 0))
	require.Equal(t, []string{"ready"}, c.Tail(), "it was not asked")
	require.NoError(t, c.Err())
	require.NoError(t, c.Stop(context.Background(), 0))
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	c := run(t, "tick", proc.Spec{})
	c.line(t, "tick")
	require.NoError(t, c.Pause())
	require.Eventually(t, func() bool { return state(t, c.PID()) == "T" }, patience, time.Millisecond, "it is not stopped")
	require.NoError(t, c.Pause(), "it is paused already")
	require.Equal(t, "T", state(t, c.PID()))
	require.NoError(t, c.Resume())
	require.Eventually(t, func() bool { return state(t, c.PID()) != "T" }, patience, time.Millisecond, "it is still stopped")
	for len(c.lines) > 0 { // printed before the pause
		<-c.lines
	}
	c.line(t, "tick")
	require.NoError(t, c.Stop(t.Context(), patience))
	require.EqualError(t, c.Pause(), "pause tick: it has ended")
	require.EqualError(t, c.Resume(), "resume tick: it has ended")
}

func TestWaitReady(t *testing.T) {
	t.Parallel()
	never := func(context.Context) error { return errors.New("connection refused") }

	t.Run("ready", func(t *testing.T) {
		t.Parallel()
		c := run(t, "obey", proc.Spec{})
		looks := 0
		require.NoError(t, c.WaitReady(t.Context(), func(context.Context) error {
			if looks++; looks < 4 {
				return errors.New("not yet")
			}
			return nil
		}))
		require.Equal(t, 4, looks)
	})
	t.Run("ends instead", func(t *testing.T) {
		t.Parallel()
		c := run(t, "exit", proc.Spec{Name: "inngest", Args: []string{"1", "port in use"}})
		began := time.Now()
		err := c.WaitReady(t.Context(), never)
		require.ErrorAs(t, err, new(*proc.ExitError))
		require.Contains(t, err.Error(), "inngest exited with status 1 after ")
		require.Contains(t, err.Error(), "its last lines:\n  port in use")
		require.Less(t, time.Since(began), patience)
	})
	t.Run("ends during a look", func(t *testing.T) {
		t.Parallel()
		c := run(t, "exit", proc.Spec{Args: []string{"1"}})
		err := c.WaitReady(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		require.ErrorAs(t, err, new(*proc.ExitError))
	})
	t.Run("another answers in its place", func(t *testing.T) {
		t.Parallel()
		c := run(t, "exit", proc.Spec{Args: []string{"1"}})
		c.await(t)
		require.ErrorAs(t, c.WaitReady(t.Context(), func(context.Context) error { return nil }), new(*proc.ExitError))
	})
	t.Run("is not in time", func(t *testing.T) {
		t.Parallel()
		log := filepath.Join(t.TempDir(), "log")
		c := run(t, "obey", proc.Spec{Name: "mongo", LogFile: log})
		c.line(t, "ready")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		refused := errors.New("connection refused")
		err := c.WaitReady(ctx, func(context.Context) error { return refused })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, refused)
		require.Regexp(t, `^mongo was not ready after \S+s: connection refused; its last lines:\n  ready\nwhole log: `+log+`$`, err.Error())
	})
	t.Run("says what the last look saw, not that it was cut off", func(t *testing.T) {
		t.Parallel()
		c := run(t, "obey", proc.Spec{})
		ctx, cancel := context.WithCancel(t.Context())
		looks := 0
		err := c.WaitReady(ctx, func(ctx context.Context) error {
			if looks++; looks == 1 {
				return errors.New("connection refused")
			}
			cancel()
			return fmt.Errorf("dial: %w", ctx.Err())
		})
		require.ErrorContains(t, err, "(context canceled): connection refused;")
	})
	t.Run("no look comes back", func(t *testing.T) {
		t.Parallel()
		c := run(t, "obey", proc.Spec{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := c.WaitReady(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		require.ErrorContains(t, err, "the first probe has not returned")
	})
	t.Run("stopped during the wait", func(t *testing.T) {
		t.Parallel()
		c := run(t, "obey", proc.Spec{Name: "app"})
		looked := make(chan struct{}, 1)
		go func() { <-looked; _ = c.Stop(context.Background(), 0) }()
		err := c.WaitReady(t.Context(), func(context.Context) error {
			select {
			case looked <- struct{}{}:
			default:
			}
			return errors.New("not yet")
		})
		require.EqualError(t, err, "app was stopped before it was ready")
	})
}

func TestOutput(t *testing.T) {
	t.Parallel()
	t.Run("the tail has the last lines, the file all", func(t *testing.T) {
		t.Parallel()
		log := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(log, []byte("before\n"), 0o600))
		c := run(t, "write", proc.Spec{Args: []string{"1000", "10"}, LogFile: log})
		c.await(t)
		x := ":" + strings.Repeat("x", 10)
		require.Equal(t, []string{"997" + x, "998" + x, "999" + x}, c.Tail()[197:])
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(text), "before\n0"+x+"\n1"+x+"\n"))
		require.Equal(t, 1001, strings.Count(string(text), "\n"))
	})
	t.Run("200 lines by default", func(t *testing.T) {
		t.Parallel()
		c := run(t, "write", proc.Spec{Args: []string{"300", "1"}})
		c.await(t)
		require.Len(t, c.Tail(), 200)
	})
	t.Run("a long line is cut in the tail, whole in the file", func(t *testing.T) {
		t.Parallel()
		const length = 300_000
		log := filepath.Join(t.TempDir(), "log")
		c := run(t, "write", proc.Spec{Args: []string{"2", fmt.Sprint(length)}, LogFile: log})
		c.await(t)
		require.Len(t, c.Tail(), 2)
		require.Len(t, c.Tail()[0], 64<<10)
		require.True(t, strings.HasPrefix(c.Tail()[1], "1:xxx"))
		info, err := os.Stat(log)
		require.NoError(t, err)
		require.EqualValues(t, 2*(length+len("0:\n")), info.Size())
	})
	t.Run("what is redacted is nowhere", func(t *testing.T) {
		t.Parallel()
		log := filepath.Join(t.TempDir(), "log")
		c := run(t, "exit", proc.Spec{
			Args: []string{"0", "one secret\r", "", strings.Repeat("x", 100_000) + " secret", "last"}, LogFile: log,
			Redact: func(line string) string { return strings.ReplaceAll(line, "secret", "***") },
		})
		c.await(t)
		require.True(t, slices.Equal([]string{"one ***", "", strings.Repeat("x", 64<<10), "last"}, c.Tail()))
		require.Equal(t, "one ***", c.line(t, ""))
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		require.True(t, "one ***\n\n"+strings.Repeat("x", 100_000)+" ***\nlast\n" == string(text))
	})
	t.Run("line ends", func(t *testing.T) {
		t.Parallel()
		c := run(t, "exit", proc.Spec{Args: []string{"0", "windows\r", "", "last"}})
		c.await(t)
		require.Equal(t, []string{"windows", "", "last"}, c.Tail())
	})
}

func TestProcess_ManyConcurrently(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 20 {
		c := run(t, "obey", proc.Spec{})
		wg.Go(func() {
			if err := c.WaitReady(t.Context(), func(context.Context) error {
				if len(c.Tail()) == 0 {
					return errors.New("not ready")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			if err := c.Stop(t.Context(), patience); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What a child started in its own group goes with it, on every system.
func TestProcess_GroupEndsWithTheChild(t *testing.T) {
	t.Parallel()
	c := run(t, "wrapper", proc.Spec{})
	pids := c.pids(t, 1)
	require.NoError(t, syscall.Kill(c.PID(), syscall.SIGKILL))
	c.await(t)
	requireGone(t, pids...)
}

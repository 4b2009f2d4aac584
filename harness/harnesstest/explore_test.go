package harnesstest_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// failing is a test that may fail, and what it said.
type failing struct {
	testing.TB
	said   []string
	failed bool
}

// tried runs f as a test that may fail.
func tried(t *testing.T, f func(t testing.TB)) *failing {
	t.Helper()
	tb := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	return tb
}

func (f *failing) Helper() {}

func (f *failing) Logf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func (f *failing) Log(args ...any) { f.said = append(f.said, fmt.Sprint(args...)) }

func (f *failing) Errorf(format string, args ...any) {
	f.Logf(format, args...)
	f.failed = true
}

func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func (f *failing) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func (f *failing) text() string { return strings.Join(f.said, "\n") }

// exploration is of newApp's function, which has no second attempt, and yet must not fail.
func exploration(fail bool) explore.Options {
	return explore.Options{
		AllowFailed: explore.FailedNever,
		Send:        []harness.Event{{Name: "test/pinged", Data: ping{Fail: fail}}},
		Expect:      harness.Expectation{Runs: []harness.RunExpectation{{Function: "pong", Status: harness.StatusCompleted}}},
		Depth:       1,
	}
}

func TestExplore_FailsWithFindingsThatReplayShows(t *testing.T) {
	t.Setenv(harnesstest.EvidenceVariable, t.TempDir())
	target := explore.InProcess(newApp, simstack.WorkbenchOptions{})
	explored := tried(t, func(t testing.TB) { harnesstest.Explore(t, target, exploration(false)) })
	require.True(t, explored.failed)
	require.Contains(t, explored.text(), "when call 1 of pinger-pong was")
	require.Contains(t, explored.text(), "for harnesstest.Replay, or harness explore --replay: ")

	_, file, _ := strings.Cut(explored.said[len(explored.said)-1], "--replay: ")
	replayed := tried(t, func(t testing.TB) { harnesstest.Replay(t, target, file, 3, explore.Options{}) })
	require.True(t, replayed.failed)
	require.Contains(t, replayed.text(), file+": ")
	require.Contains(t, replayed.text(), ", when ")

	// With what it takes to hold, neither fails.
	allowed := exploration(false)
	allowed.AllowFailed = explore.FailedAny
	require.False(t, tried(t, func(t testing.TB) { harnesstest.Explore(t, target, allowed) }).failed)
	require.NoFileExists(t, file, "the files of an earlier exploration are gone")
}

func TestExplore_SaysWhatIsWrongWithoutFault(t *testing.T) {
	t.Parallel()
	explored := tried(t, func(t testing.TB) {
		harnesstest.Explore(t, explore.InProcess(newApp, simstack.WorkbenchOptions{}), exploration(true))
	})
	require.True(t, explored.failed)
	require.Contains(t, explored.text(), "the run without faults is not as expected")
	require.Contains(t, explored.text(), "it was asked to fail")
}

func TestReplay_SaysWhatIsWrongWithFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "none.json")
	replayed := tried(t, func(t testing.TB) { harnesstest.Replay(t, explore.Target{}, file, 1, explore.Options{}) })
	require.True(t, replayed.failed)
	require.Contains(t, replayed.text(), "no such file")
}

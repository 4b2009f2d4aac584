package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func TestMedianInterval(t *testing.T) {
	t.Parallel()
	var durations []time.Duration
	for i := range 100 {
		durations = append(durations, time.Duration(2*(100-i)))
	}
	median, low, high := medianInterval(durations)
	require.Equal(t, []time.Duration{101, 82, 122}, []time.Duration{median, low, high})
	median, low, high = medianInterval([]time.Duration{7})
	require.Equal(t, []time.Duration{7, 7, 7}, []time.Duration{median, low, high})
	median, _, _ = medianInterval(nil)
	require.Zero(t, median)
}

func figure(ms int) harness.Duration { return harness.Duration(time.Duration(ms) * time.Millisecond) }

func TestSamples_CompareWithFloor(t *testing.T) {
	t.Parallel()
	var s samples
	s.add("an email", 30*time.Millisecond)
	s.add("floor", 20*time.Millisecond)
	s.add("  of it", time.Millisecond)
	figures := s.figures("floor")
	require.Equal(t, []report.Figure{
		{Name: "an email", Median: figure(30), Low: figure(30), High: figure(30), N: 1, Note: "1.50 × the floor, +10.0 ms (medians)"},
		{Name: "floor", Median: figure(20), Low: figure(20), High: figure(20), N: 1},
		{Name: "  of it", Median: figure(1), Low: figure(1), High: figure(1), N: 1},
	}, figures)
	require.Empty(t, s.figures("")[0].Note)
}

func TestMissed_NamesFiguresThatMissTheirGoal(t *testing.T) {
	t.Parallel()
	var s samples
	s.add("a start", 999*time.Millisecond)
	s.add("an email", time.Second)
	s.add("a load", 1500*time.Millisecond)
	s.add("a large load", 1501*time.Millisecond)
	s.add("floor", time.Second)
	s.goal("a start", limit{most: time.Second})
	s.goal("an email", limit{most: time.Second})
	s.goal("a load", limit{times: 1.5, other: "floor"})
	s.goal("a large load", limit{times: 1.5, other: "floor"})
	figures := s.figures("")
	notes := []string{"goal: under 1000 ms", "goal: under 1000 ms, NOT met",
		"goal: at most 1.50 × floor, measured 1.50 ×", "goal: at most 1.50 × floor, measured 1.50 ×, NOT met", ""}
	for i, note := range notes {
		require.Equal(t, note, figures[i].Note)
	}
	require.Equal(t, "1.00 × the floor, +0.0 ms (medians); goal: under 1000 ms, NOT met", s.figures("floor")[1].Note)
	require.NoError(t, missed(slices.Concat(figures[:1], figures[2:3], figures[4:])))
	require.EqualError(t, missed(figures), "goal not met: an email; a large load; if the machine was busy, measure again when it is idle")
}

func TestAlternate_CallsEachInEveryRound(t *testing.T) {
	t.Parallel()
	var a, b int
	require.NoError(t, alternate(t.Context(), 2, func() error { a++; return nil }, func() error { b++; return nil }))
	require.Equal(t, []int{2, 2}, []int{a, b})
	require.ErrorIs(t, alternate(t.Context(), 2, func() error { return os.ErrClosed }), os.ErrClosed)
}

func TestSave_PutsFiguresIntoTheReport(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "report")
	require.NoError(t, save([]report.Figure{{Name: "a figure", Median: figure(1), N: 1}}, dir))
	page, err := os.ReadFile(filepath.Join(dir, report.PageFile))
	require.NoError(t, err)
	require.Contains(t, string(page), "a figure")
	require.FileExists(t, filepath.Join(dir, "bench.json"))
	require.NoError(t, save(nil, ""), "no report")
}

func TestResident_ListsChildren(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	held, err := resident(t.Context(), "local")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^  \S*sleep \d+ kB$`, held)
}

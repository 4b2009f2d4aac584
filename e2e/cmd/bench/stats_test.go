package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func TestMedianInterval(t *testing.T) {
	t.Parallel()
	var samples []time.Duration
	for i := range 100 {
		samples = append(samples, time.Duration(100-i))
	}
	median, low, high := medianInterval(samples)
	require.Equal(t, time.Duration(50), median)
	require.Equal(t, time.Duration(41), low)
	require.Equal(t, time.Duration(61), high)
	median, low, high = medianInterval([]time.Duration{7})
	require.Equal(t, []time.Duration{7, 7, 7}, []time.Duration{median, low, high})
	median, _, _ = medianInterval(nil)
	require.Zero(t, median)
}

func TestRatios(t *testing.T) {
	t.Parallel()
	median, low, high := ratios([]time.Duration{2, 4, 30}, []time.Duration{1, 2, 3})
	require.InDelta(t, 2, median, 1e-6)
	require.InDelta(t, 2, low, 1e-6)
	require.InDelta(t, 10, high, 1e-6)
}

func TestTheFiguresAreInTheReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, rep := filepath.Join(dir, "figures.json"), filepath.Join(dir, "report")
	require.NoError(t, save([]figure{measured("a thing", []time.Duration{time.Second})}, file, rep))
	page, err := os.ReadFile(filepath.Join(rep, report.PageFile))
	require.NoError(t, err)
	require.Contains(t, string(page), "a thing")
	kept, err := os.ReadFile(filepath.Join(rep, "bench.json"))
	require.NoError(t, err)
	given, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(given), string(kept))
	require.NoError(t, save(nil, "", ""), "nobody wants them")
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Variables by which benchJoin tells the test that measures how often, and where to write the samples.
const (
	joinTimes  = "BENCH_JOIN_TIMES"
	joinStarts = "BENCH_JOIN_STARTS"
	joinFile   = "BENCH_JOIN_FILE"
)

// joinSamples are what TestJoin measures.
type joinSamples struct {
	// Shared is an empty parallel test on the warm shared stack, from its beginning to its end; Seeded the same with a
	// plant of its own in the database.
	Shared, Seeded []time.Duration
	// Own is the time until a test has a stack of its own that is started for it, and Alone what its slowest server then
	// takes to start again; Pooled is the same as Own where a stack waits in the pool.
	Own, Alone, Pooled []time.Duration
}

// benchJoin measures what a test pays for its stack. Only tests can: it runs one.
func benchJoin(ctx context.Context, n, starts int) ([]figure, error) {
	dir, err := os.MkdirTemp("", "bench-join-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "samples.json")
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^TestJoin$", "github.com/odoo-maintenance/inngest-harness/e2e/cmd/bench")
	cmd.Env = append(os.Environ(), joinFile+"="+file, joinTimes+"="+strconv.Itoa(n), joinStarts+"="+strconv.Itoa(starts))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("measure what a test pays for its stack: %w\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s joinSamples
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	own := measured("a test gets a stack of its own, started for it", s.Own)
	median, low, high := ratios(s.Own, s.Alone)
	own.Note = fmt.Sprintf("%.2f × the slowest server's own start [%.2f, %.2f]", median, low, high)
	return []figure{
		measured("a parallel test joins the warm shared stack, and leaves it", s.Shared),
		measured("  the same with a plant of its own in the database", s.Seeded),
		own,
		measured("  the same where one waits in the pool", s.Pooled),
	}, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

var services = []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest}

// benchStart measures how long the servers of a stack take until all are usable, and its app until it is synced; in
// turns with the servers, how long each takes to start when nothing else does. The slowest of these is the floor.
func benchStart(ctx context.Context, b harness.Backend, n int) ([]figure, error) {
	alone := make([][]time.Duration, len(services))
	var ready, synced, slowest []time.Duration
	for range n {
		r, s, singles, err := startOnce(ctx, b)
		if err != nil {
			return nil, err
		}
		ready, synced = append(ready, r), append(synced, s)
		most := time.Duration(0)
		for i, d := range singles {
			alone[i] = append(alone[i], d)
			most = max(most, d)
		}
		slowest = append(slowest, most)
	}
	st := measured(b.Name()+": stack ready", ready)
	median, low, high := ratios(ready, slowest)
	st.Note = fmt.Sprintf("%.2f × the slowest server's own start [%.2f, %.2f]", median, low, high)
	figures := []figure{st, measured("  then its app synced", synced)}
	for i, s := range services {
		figures = append(figures, measured(fmt.Sprintf("  %s alone", s), alone[i]))
	}
	return figures, nil
}

// startOnce starts one stack, and each of its servers alone.
func startOnce(ctx context.Context, b harness.Backend) (ready, synced time.Duration, alone []time.Duration, err error) {
	began := time.Now()
	st, err := stack.Start(ctx, b, stack.Options{})
	if err != nil {
		return 0, 0, nil, err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	ready = time.Since(began)
	for _, s := range services {
		took, err := startAlone(ctx, b, s)
		if err != nil {
			return 0, 0, nil, fmt.Errorf("start %s alone: %w", s, err)
		}
		alone = append(alone, took)
	}
	began = time.Now()
	if err := st.RunHandler(ctx, rig.App); err != nil {
		return 0, 0, nil, err
	}
	return ready, time.Since(began), alone, nil
}

// startAlone measures the start of one server, from the moment when its program or container is made until it is usable.
func startAlone(ctx context.Context, b harness.Backend, s harness.Service) (took time.Duration, err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	servers, err := b.Start(ctx, harness.BackendOptions{Dir: dir, Services: []harness.Service{s}, Progress: func(p harness.Progress) {
		if p.Doing == "ready" {
			took = p.Elapsed
		}
	}})
	if err != nil {
		return 0, err
	}
	return took, servers.Close(ctx)
}

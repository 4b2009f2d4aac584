package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/harness"
)

// benchStart measures how long a whole stack takes until its app is synced, and, in turns with it, how long each
// server takes to start again by itself on the stack of before.
func benchStart(ctx context.Context, b harness.Backend, n int) ([]figure, error) {
	services := []harness.Service{harness.Mongo, harness.MailHog, harness.Inngest}
	alone := make([][]time.Duration, len(services))
	var whole, slowest []time.Duration
	for range n {
		began := time.Now()
		stack, err := harness.Start(ctx, b, harness.Options{})
		if err != nil {
			return nil, err
		}
		if err := stack.RunHandler(ctx, rig.App); err != nil {
			return nil, errors.Join(err, stack.Close(ctx))
		}
		whole = append(whole, time.Since(began))
		var most time.Duration
		for i, s := range services {
			took, err := restart(ctx, stack, s)
			if err != nil {
				return nil, errors.Join(err, stack.Close(ctx))
			}
			alone[i] = append(alone[i], took)
			most = max(most, took)
		}
		slowest = append(slowest, most)
		if err := stack.Close(ctx); err != nil {
			return nil, err
		}
	}
	stack := measured(b.Name()+": stack ready and app synced", whole)
	stack.Note = fmt.Sprintf("%.2f × the slowest server's own start (median of pairs)", ratios(whole, slowest))
	figures := []figure{stack}
	for i, s := range services {
		figures = append(figures, measured(fmt.Sprintf("  %s alone", s), alone[i]))
	}
	return figures, nil
}

// restart ends a server and measures its start; of Inngest the sync that it needs is part.
func restart(ctx context.Context, stack *harness.Stack, s harness.Service) (time.Duration, error) {
	if err := stack.Stop(ctx, s); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := stack.Run(ctx, s); err != nil {
		return 0, fmt.Errorf("start %s again: %w", s, err)
	}
	return time.Since(began), nil
}

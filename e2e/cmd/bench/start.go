package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// readyTimes is how many times as long as its slowest server a stack may take to be ready.
const readyTimes = 1.5

// benchStart measures how long a stack takes until all its servers are usable, and its app until it is synced. The floor
// is the slowest server, started again while nothing else starts.
func benchStart(ctx context.Context, b harness.Backend, n int) ([]report.Figure, error) {
	floor := b.Name() + ": the slowest server alone"
	var s samples
	s.goal(readyOn(b), limit{times: readyTimes, other: floor})
	for range n {
		if err := startOnce(ctx, b, floor, &s); err != nil {
			return nil, err
		}
	}
	return s.figures(floor), nil
}

func readyOn(b harness.Backend) string { return b.Name() + ": stack ready" }

func startOnce(ctx context.Context, b harness.Backend, floor string, s *samples) (err error) {
	var st *stack.Stack
	err = s.time(readyOn(b), func() error {
		st, err = stack.Start(ctx, b, stack.Options{})
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	slowest := time.Duration(0)
	for _, service := range []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest} {
		// The stack has no app yet, which a start of Inngest would sync too.
		if err := st.Stop(ctx, service); err != nil {
			return err
		}
		began := time.Now()
		if err := st.Start(ctx, service); err != nil {
			return err
		}
		took := time.Since(began)
		s.add(fmt.Sprintf("  %s alone", service), took)
		slowest = max(slowest, took)
	}
	s.add(floor, slowest)
	return s.time("  then its app synced", func() error { return st.RunHandler(ctx, testenv.App) })
}

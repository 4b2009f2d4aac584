package main

import (
	"context"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// build builds what is missing, while the stack is up and at the lowest priority, and says what came of it.
func (s *session) build(ctx context.Context) {
	if s.standIn {
		s.buildServer(ctx)
	}
}

// buildServer builds the dev server that sim stands in for. The next start uses it.
func (s *session) buildServer(ctx context.Context) {
	began := time.Now()
	_, err := toolchain.Ensure(ctx, harness.ServiceInngest, toolchain.Options{Background: true, Progress: s.printer.progress})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.printer.say("inngest", "sim goes on standing in, since the dev server cannot be built: %v", err)
	default:
		again := "harness up"
		if os.Getenv("MAKELEVEL") != "" { // its user did not type that
			again = "make dev"
		}
		s.printer.say("inngest", "the dev server is built, after %s: stop with Ctrl-C, and the next `%s` runs on it", text.Elapsed(time.Since(began)), again)
	}
}

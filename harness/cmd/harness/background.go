package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// build builds what is missing, while the stack is up and at the lowest priority, and says what came of it.
func (s *session) build(ctx context.Context) {
	if s.standIn {
		s.buildServer(ctx)
	}
	s.buildPage(ctx)
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

// withoutPage is the variable that switches off the build of Inngest's page, and the value that does.
const withoutPage, withoutPageValue = "HARNESS_PAGE", "off"

// buildPage builds the page that a built server, and sim, show as soon as it is there. Where it cannot be built, `harness doctor`
// says why.
func (s *session) buildPage(ctx context.Context) {
	show := func(i harness.ServerInfo) bool {
		return i.Service == harness.ServiceInngest && !i.HasUI && (i.Source == toolchain.SourceBuilt || i.Source == simstack.Source)
	}
	if ctx.Err() != nil || os.Getenv(withoutPage) == withoutPageValue || !slices.ContainsFunc(s.stack.Describe(), show) {
		return
	}
	_, err := toolchain.Find(ctx, toolchain.Page, toolchain.Options{})
	if cannot := (*toolchain.Error)(nil); errors.As(err, &cannot) {
		return
	}
	began := time.Now()
	_, err = toolchain.Ensure(ctx, toolchain.Page, toolchain.Options{Background: true, Progress: s.printer.progress})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.printer.say("page", "Inngest's page cannot be built, without which all else works: %v", err)
	default:
		s.printer.say("page", "Inngest's page is built, after %s: %s", text.Elapsed(time.Since(began)), s.stack.Endpoints().Inngest)
	}
}

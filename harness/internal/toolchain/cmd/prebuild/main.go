// Command prebuild builds the database and the mail catcher, so that `make dev` can have them built beside the command harness: it
// links a fraction of what that does. An error is left to the command, which explains it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var building sync.WaitGroup
	for _, service := range []harness.Service{harness.ServiceMongo, harness.ServiceMailHog} {
		building.Go(func() {
			doing := ""
			_, _ = toolchain.Ensure(ctx, service, toolchain.Options{Progress: func(p harness.Progress) {
				if p.Doing != doing {
					doing = p.Doing
					fmt.Fprintf(os.Stderr, "%-8s %s\n", p.Subject, doing)
				}
			}})
		})
	}
	building.Wait()
}

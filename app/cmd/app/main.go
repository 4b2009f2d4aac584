// Command app is the maintenance notification service. "app help" prints its usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/odoo-maintenance/inngest-harness/app/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(service.Command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

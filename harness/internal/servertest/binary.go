package servertest

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// binary returns the program of a server, building it where that has not been done.
func binary(ctx context.Context, t toolchain.Tool) (string, error) {
	b, err := toolchain.Ensure(ctx, t, toolchain.Options{Progress: func(p toolchain.Progress) {
		fmt.Fprintf(os.Stderr, "%s: %s (%s)\n", p.Tool, p.Doing, p.Elapsed.Round(time.Second))
	}})
	return b.Path, err
}

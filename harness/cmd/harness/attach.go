package main

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
)

// attached is the stack that is up here, or that the environment names, to ask and to send to. Closing it leaves the
// servers and all that is on them as they are.
func attached(ctx context.Context, runHeader string) (*harness.Stack, error) {
	stack, err := harness.Start(ctx, attach.New(attach.Options{}), harness.Options{WithoutTaps: true, RunHeader: runHeader})
	if isNoStack(err) {
		// Said as the other commands say it: this one attaches to a stack, but was not asked to start one.
		_, _, err = findState()
	}
	return stack, err
}

package main

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// attached is the stack that is up here, or that the environment names, to ask and to send to. Closing it leaves the
// servers and all that is on them as they are.
func attached(ctx context.Context, runHeader string) (*stack.Stack, error) {
	st, err := stack.Start(ctx, attach.New(attach.Options{}), stack.Options{WithoutTaps: true, RunHeader: runHeader})
	if isNoStack(err) {
		// Said as the other commands say it: this one attaches to a stack, but was not asked to start one.
		_, _, err = findState()
	}
	return st, err
}

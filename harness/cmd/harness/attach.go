package main

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// attached returns the stack that is up here, or that the environment names. Closing it leaves the servers running.
func attached(ctx context.Context, runHeader string) (*stack.Stack, error) {
	st, err := stack.Start(ctx, attach.New(attach.Options{}), stack.Options{WithoutTaps: true, RunHeader: runHeader})
	if isNoStack(err) {
		// With the text of the other commands: the error of attach suggests to start a stack.
		_, err = findState()
	}
	return st, err
}

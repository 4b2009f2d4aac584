package main

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// What commands need of a stack. A mailbox is read where one is named.
var (
	inngestOnly    = []harness.Service{harness.ServiceInngest}
	mailOnly       = []harness.Service{harness.ServiceMailHog}
	inngestAndMail = []harness.Service{harness.ServiceInngest, harness.ServiceMailHog}
)

// attached returns the stack that is up here, or that the environment names, as far as it is needed. Closing it leaves the
// servers running.
func (io stdio) attached(ctx context.Context, needed []harness.Service, o stack.Options) (*stack.Stack, error) {
	o.WithoutTaps, o.Services = true, needed
	st, err := stack.Start(ctx, attach.New(attach.Options{Dir: *io.stack}), o)
	if isNoStack(err) {
		// With the text of the other commands: the error of attach suggests to start a stack.
		_, err = io.findState()
	}
	return st, err
}

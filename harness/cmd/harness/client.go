package main

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// What commands need of servers that the environment names. A mailbox is read where one is named.
var (
	inngestOnly    = []harness.Service{harness.ServiceInngest}
	mailOnly       = []harness.Service{harness.ServiceMailHog}
	inngestAndMail = []harness.Service{harness.ServiceInngest, harness.ServiceMailHog}
)

// client asks the API of the stack that a command works on.
type client struct {
	*stackapi.Client
	// standIn says that the stack's Inngest is sim, until the server is built.
	standIn bool
	close   func()
}

// connect returns a client of the stack that is named, else of the one that is up here. Where the environment names servers, or the command another header of
// runs than the stack's, the API is that of a stack in this process, attached to those servers as far as they are needed.
func (io stdio) connect(ctx context.Context, needed []harness.Service, runHeader string) (client, error) {
	if (*io.stack != "" || !attach.InEnvironment()) && runHeader == "" {
		state, err := io.findState()
		if err != nil {
			return client{}, err
		}
		c := stackapi.NewClient(state.API)
		return client{c, state.Inngest.StandIn, c.Close}, nil
	}
	st, err := stack.Start(ctx, attach.New(attach.Options{Dir: *io.stack}), stack.Options{RunHeader: runHeader, WithoutTaps: true, Services: needed})
	if isNoStack(err) {
		_, err = io.findState() // whose text does not suggest to start a stack
	}
	if err != nil {
		return client{}, err
	}
	return client{Client: stackapi.InProcess(stackapi.New(st, stackapi.Options{})), close: func() { _ = st.Close(ctx) }}, nil
}

package faults_test

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The app is killed when the mail server has accepted its email and before it hears so: the wire is held, so that
// nothing is left to chance.
func Example_killedBetweenAcceptanceAndSaving() {
	_ = killed // see TestFaultMatrix/app_killed_in_a_delivery
}

func killed(ctx context.Context, stack *harness.Stack, createRequest func()) error {
	hold, err := stack.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.HoldAnswer, To: "kim@plant.test"})
	if err != nil {
		return err
	}
	createRequest()
	<-hold.Reached() // MailHog has the email, the app does not know
	if err := stack.Kill(ctx, harness.App); err != nil {
		return err
	}
	hold.Drop() // what is held comes to nothing
	return stack.Run(ctx, harness.App)
}

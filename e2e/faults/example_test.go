package faults_test

import (
	"context"
	"log"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The app is killed when the mail server has accepted its email and before it hears so: the wire is held, so that
// nothing is left to chance. The row "app killed between acceptance and saving" of TestFaultMatrix judges what follows.
func Example_killedBetweenAcceptanceAndSaving() {
	ctx, stack := context.Background(), new(harness.Stack) // the test's
	createRequest := func() {}

	hold, err := stack.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.HoldAnswer, To: "kim@plant.test"})
	if err != nil {
		log.Fatal(err)
	}
	createRequest()
	<-hold.Reached() // MailHog has the email, the app does not know
	if err := stack.Kill(ctx, harness.App); err != nil {
		log.Fatal(err)
	}
	hold.Drop() // what is held comes to nothing
	if err := stack.Run(ctx, harness.App); err != nil {
		log.Fatal(err)
	}
}

package faults_test

import (
	"context"
	"log"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The app is killed when the mail server has accepted its email and before it hears so: the wire is held, so that
// nothing is left to chance. The row "app killed between acceptance and saving" of TestFaultMatrix judges what follows.
func Example_killedBetweenAcceptanceAndSaving() {
	ctx, st := context.Background(), new(stack.Stack) // the test's
	createRequest := func() {}

	hold, err := st.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.HoldAnswer, To: "kim@plant.test"})
	if err != nil {
		log.Fatal(err)
	}
	createRequest()
	<-hold.Reached() // MailHog has the email, the app does not know
	if err := st.Kill(ctx, harness.ServiceApp); err != nil {
		log.Fatal(err)
	}
	hold.Drop() // what is held comes to nothing
	if err := st.Start(ctx, harness.ServiceApp); err != nil {
		log.Fatal(err)
	}
}

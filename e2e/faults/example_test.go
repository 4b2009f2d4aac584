package faults_test

import (
	"context"
	"log"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The app is killed after the mail server has accepted its email and before the reply reaches the app. The fault holds the
// reply meanwhile, so the moment is not left to chance. The row "app killed between acceptance and saving" of
// TestFaultMatrix checks what follows.
func Example_killedBetweenAcceptanceAndSaving() {
	ctx, st := context.Background(), new(stack.Stack) // the test's
	createRequest := func() {}

	hold, err := st.Taps().Inject(tap.Fault{At: tap.AtDot, Do: tap.HoldAnswer, To: "kim@plant.test"})
	if err != nil {
		log.Fatal(err)
	}
	createRequest()
	<-hold.Reached() // MailHog has accepted the email, the app does not know
	if err := st.Kill(ctx, harness.ServiceApp); err != nil {
		log.Fatal(err)
	}
	hold.Drop() // the held reply is dropped
	if err := st.Start(ctx, harness.ServiceApp); err != nil {
		log.Fatal(err)
	}
}

package explore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// An email that is sent between two steps is sent again by each attempt of the step behind it.
func ExampleExplore() {
	ctx := context.Background()
	app, _ := planted.Named("effect-outside-step")
	newApp := app.Broken

	result, err := explore.Explore(ctx, explore.InProcess(newApp, simstack.WorkbenchOptions{}), explore.Options{
		Send: []harness.Event{{Name: "order/placed", Data: map[string]any{"order": "7", "to": "kim@planted.test"}}},
		Expect: harness.Expectation{
			Runs: []harness.RunExpectation{{Function: "confirm-order", Status: harness.StatusCompleted}},
			Mail: []harness.MailExpectation{{To: "kim@planted.test"}, {To: "office@planted.test"}},
		},
		Depth: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range result.Findings {
		fmt.Printf("%s, when %s\n", f.Says, f.Story)
	}
	// Output:
	// the email "Order 7 is confirmed" to kim@planted.test arrived 2 times, although the acceptance of 2 of them could be recorded, when the answer to call 1 of planted-confirm-order was lost
}

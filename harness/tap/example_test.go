package tap_test

import (
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A fault script is JSON; what it holds can be injected one by one.
func ExampleParseFaults() {
	faults, err := tap.ParseFaults([]byte(`[
		{"at": "rcpt", "to": "kim@plant.test", "do": "reply", "code": 451, "text": "4.2.0 Mailbox busy", "times": 2},
		{"at": "step", "step": "send-email", "do": "drop-answer"}
	]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range faults {
		fmt.Println(f)
	}
	// Output:
	// reply 451 at rcpt to "kim@plant.test"
	// drop-answer at step "send-email"
}
